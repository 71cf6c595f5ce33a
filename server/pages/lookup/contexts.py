"""What a page of an API answer shows."""

from __future__ import annotations

from dataclasses import dataclass

from server.pages.contexts import Frame


@dataclass(frozen=True, slots=True)
class Match:
    """A resource of a Bundle: its name as people know it (its id where it has none), status and instant as they stand
    in it, "" for none."""

    kind: str
    name: str
    status: str
    updated: str
    url: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of JSON; `url` is where its text `linked` leads to, "" for nowhere, and then all is in `before`."""

    before: str
    linked: str = ""
    after: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class LookupPage:
    """`asked` is the request below the FHIR base; `matches` None for what is no Bundle of resources; `total` None where
    the answer states none; `pages` are the links to others: key of the text, URL; `cut`: lines were left out."""

    frame: Frame
    asked: str
    api_url: str
    total: int | None
    matches: tuple[Match, ...] | None
    pages: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]
    cut: bool
