"""What the pages of editions show. As in server/pages/contexts.py: frozen, complete; templates only lay out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from server.pages.contexts import Frame, Link
from server.pages.rounds.contexts import Counted

State = Literal["preliminary", "final", "amended"]


@dataclass(frozen=True, slots=True)
class Download:
    """A file of an edition: `key` is that of its name among the texts."""

    key: str
    url: str


@dataclass(frozen=True, slots=True)
class Missed:
    """An initiative that did not report in the round."""

    number: str
    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """`digest` in hexadecimal; `when` an instant, `who` signed it, by the key of this thumbprint."""

    digest: str
    when: str
    who: str
    algorithm: str
    key: str


@dataclass(frozen=True, slots=True)
class EditionRow:
    """An edition in the list. `published` is an instant; `replaces` and `replaced_by` link to other editions; `sealed`
    is None for a preliminary one."""

    number: str
    title: str
    url: str
    state: State
    published: str
    replaces: Link | None
    replaced_by: Link | None
    sealed: Sealed | None
    downloads: tuple[Download, ...]


@dataclass(frozen=True, slots=True)
class EditionsPage:
    """Newest first."""

    frame: Frame
    editions: tuple[EditionRow, ...]
    same_search: str
    same_search_url: str
    keys_url: str


@dataclass(frozen=True, slots=True)
class EditionPage:
    """One edition. `initiatives` were asked to report, `reported` did, `missed` did not; of a preliminary edition it is
    as it stands now. `cite_url` is its lasting address, `portfolio_url` the portfolio at the publication and
    `figures_url` its key figures, "" for a preliminary one; `document_url` the FHIR document."""

    frame: Frame
    row: EditionRow
    start: str | None
    end: str | None
    reason: str
    author: str
    initiatives: Counted
    reported: Counted
    missed: tuple[Missed, ...]
    cite_url: str
    portfolio_url: str
    figures_url: str
    round: Link
    document_url: str
    keys_url: str
    file: str
