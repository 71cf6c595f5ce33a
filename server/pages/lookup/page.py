"""The JSON of an API answer as a page: its resources as a list, and every line, with links to what it points to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from server.pages.asked import Asked
from server.pages.lookup.contexts import Line, LookupPage, Match
from server.resource import pretty, restored

PATH = "/innsyn"
_MOST_LINES = 5_000
_STRING = re.compile(r'(\s*(?:"[^"\\]*": )?")([^"\\]+)(",?)\Z')
# "Task/7", "Task/7/_history/2", "Task?code=…", "Task/_history": what stands below the base.
_BELOW = re.compile(r"[A-Z][A-Za-z]+(?=[/?])(?:/(?!\.+(?:[/?]|\Z))[A-Za-z0-9._$-]{1,64}){0,3}(?:\?[!-~]*)?\Z")
_RELATIONS = {"first": "lookup.first", "previous": "lookup.previous", "next": "lookup.next"}


def lookup(content: bytes, asked: Asked, below: str, base: str) -> LookupPage:
    """The page of an answer to GET `below` ("Task?code=…") at the FHIR base."""
    answer = restored(content)
    links = _Links(asked, base)
    lines = pretty(content).decode().splitlines()
    return LookupPage(
        frame=asked.frame(f"{base}/metadata"),
        asked=below,
        api_url=f"{base}/{below}",
        total=answer.get("total"),
        matches=tuple(_matches(answer, links)) if answer.get("resourceType") == "Bundle" else None,
        pages=tuple(
            (_RELATIONS[link["relation"]], links.of(link["url"]))
            for link in answer.get("link", ())
            if link.get("relation") in _RELATIONS
        ),
        lines=tuple(_line(line, links) for line in lines[:_MOST_LINES]),
        cut=len(lines) > _MOST_LINES,
    )


class _Links:
    """URLs of the API as those of these pages."""

    def __init__(self, asked: Asked, base: str) -> None:
        self._root = f"{asked.root}{PATH}/"
        self._base = f"{base}/"
        lang = asked.one("lang")
        self._lang = f"lang={lang}" if lang else ""

    def of(self, text: str) -> str:
        """ "" for what is none of ours."""
        below = text.removeprefix(self._base)
        if not _BELOW.match(below):
            return ""
        if not self._lang:
            return f"{self._root}{below}"
        return f"{self._root}{below}{'&' if '?' in below else '?'}{self._lang}"


def _matches(bundle: dict[str, Any], links: _Links) -> Iterator[Match]:
    for entry in bundle.get("entry", ()):
        one = entry.get("resource")
        if not one or "id" not in one:
            continue
        reference = f"{one['resourceType']}/{one['id']}"
        if bundle.get("type") == "history":
            reference += f"/_history/{one['meta']['versionId']}"
        yield Match(
            one["resourceType"],
            _name(one),
            str(one.get("status", "")),
            str(one.get("meta", {}).get("lastUpdated", "")),
            links.of(reference),
        )


def _name(one: dict[str, Any]) -> str:
    """As people know it; a status report by its initiative. `code` is a concept in a Task, but a list of them in a
    role, and a plain code in a SearchParameter."""
    code, subject = one.get("code"), one.get("for")
    said = (
        one.get("title"),
        code.get("text") if isinstance(code, dict) else None,
        one.get("name"),
        subject.get("display") if isinstance(subject, dict) else None,
        one.get("description"),
    )
    return next((text for text in said if text and isinstance(text, str)), str(one["id"]))


def _line(text: str, links: _Links) -> Line:
    found = _STRING.match(text)
    url = links.of(found.group(2)) if found else ""
    return Line(found.group(1), found.group(2), found.group(3), url) if found and url else Line(text)
