"""What a page was asked for: its URL read once, and other URLs of the pages made from it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from server.interaction.engine import EDITION
from server.outcome import FhirError
from server.pages.contexts import Area, Frame, Language
from server.portfolio.codes import Lang
from server.search.urls import pairs_of, query_of

OWN = frozenset({"lang", "round", "overdue", "_asOf"})
"""Parameters of the pages themselves; every other one is a search parameter of PlanDefinition."""

AREAS = (
    ("area.portfolio", "/"),
    ("area.rounds", "/runder"),
    ("area.figures", "/nokkeltall"),
    ("area.evidence", "/avvik"),
    ("area.dependencies", "/avhengigheter"),
    ("area.actors", "/aktorer"),
    ("area.editions", "/utgaver"),
)
"""The main parts of the site, in the order of the navigation: key of the name, path."""

_LASTING = ("lang", "_asOf", "round")
_NAMES: tuple[tuple[Lang, str], ...] = (("nb", "Norsk"), ("en", "English"))
_PREFERRED = re.compile(r"([A-Za-z*]+)[A-Za-z0-9-]*(?:\s*;\s*q\s*=\s*([0-9.]+))?")
_LANGS: dict[str, Lang] = {"nb": "nb", "nn": "nb", "no": "nb", "en": "en"}

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Asked:
    """`pairs` are the URL's parameters in order, empty ones (of an untouched form) left out; `root` is the path
    that the pages are mounted below, "" for none; `path` this page's, below it."""

    root: str
    path: str
    pairs: Pairs
    lang: Lang
    emptied: bool

    def one(self, name: str) -> str | None:
        """The last value of one of the pages' own parameters."""
        return next((text for key, text in reversed(self.pairs) if key == name), None)

    @property
    def filters(self) -> Pairs:
        return tuple(pair for pair in self.pairs if pair[0] not in OWN)

    @property
    def as_of(self) -> Pairs:
        return tuple(pair for pair in self.pairs if pair[0] == "_asOf")

    def url(self, path: str | None = None, pairs: Iterable[tuple[str, str]] | None = None) -> str:
        """A page below the root, by default this one with these parameters."""
        query = query_of(self.pairs if pairs is None else pairs)
        return f"{self.root}{quote(self.path if path is None else path)}" + (f"?{query}" if query else "")

    def changed(self, **changes: str | None) -> str:
        """This page with these parameters set, or left out where None."""
        kept = [pair for pair in self.pairs if pair[0] not in changes]
        return self.url(pairs=[*kept, *((name, text) for name, text in changes.items() if text is not None)])

    def other(self, path: str, *more: tuple[str, str]) -> str:
        """Another page in the same language, at the same instant and round, with these parameters besides."""
        return self.url(path, [*self.lasting, *more])

    @property
    def lasting(self) -> Pairs:
        """What every link to another page carries on."""
        return tuple(pair for pair in self.pairs if pair[0] in _LASTING)

    def only(self, *names: str) -> None:
        """FhirError not-supported (400) for a parameter that is neither one of these nor one that lasts."""
        for name, _ in self.pairs:
            if name not in (*names, *_LASTING):
                known = ", ".join((*names, *_LASTING))
                text = f"{name}: ukjent for denne siden / unknown to this page; kjente / known: {known}."
                raise FhirError("not-supported", text, expression=name)

    def whole(self, name: str, default: int, most: int) -> int:
        """A whole number from 1. FhirError value (400)."""
        text = self.one(name)
        if text is None:
            return default
        if text.isascii() and text.isdigit() and len(text) < 10 and 0 < int(text) <= most:
            return int(text)
        raise FhirError("value", f"{name}={text}: ventet / expected 1–{most}.", expression=name)

    def plain(self, path: str) -> str:
        """Another page in the same language and nothing more: the way out of a refusal."""
        return self.url(path, [("lang", self.lang)] if self.one("lang") else [])

    def _is_in(self, area: str) -> bool:
        """Whether this page belongs to the area; the initiatives' pages to the portfolio's."""
        if area == "/":
            return self.path == "/" or self.path.startswith("/tiltak/")
        return f"{self.path}/".startswith(f"{area}/")

    def frame(self, api_url: str, instant: str = "", round: str = "") -> Frame:
        """The surroundings of a page whose data are of this instant, counted from this round ("none": of none; "" on
        pages that count nothing from a round)."""
        return Frame(
            lang=self.lang,
            languages=tuple(Language(code, name, self.changed(lang=code), code == self.lang) for code, name in _NAMES),
            areas=tuple(
                Area(key, self.other(path) if instant else self.plain(path), self._is_in(path)) for key, path in AREAS
            ),
            root=self.root,
            home_url=self.other("/") if instant else self.plain("/"),
            api_url=api_url,
            instant=instant,
            lasting_url=self.changed(_asOf=instant, round=round or None) if instant else "",
            as_of=instant if (self.one("_asOf") or "").startswith(EDITION) else self.one("_asOf"),
            present_url=self.changed(_asOf=None),
        )


def read(root: str, path: str, query_string: str, accept_language: str) -> Asked:
    """FhirError value (400) for a query that is no UTF-8; an unknown `lang` counts as not given, so that even
    the refusal of a page has a language."""
    pairs = pairs_of(query_string)
    kept = tuple(pair for pair in pairs if pair[1] != "")
    said = next((text for name, text in reversed(kept) if name == "lang"), "")
    return Asked(root, path, kept, _LANGS.get(said) or preferred(accept_language), len(kept) < len(pairs))


def check(asked: Asked) -> None:
    """FhirError value (400) for a wrong `lang` or `overdue`."""
    for name, choices in (("lang", ("nb", "en")), ("overdue", ("true", "false"))):
        text = asked.one(name)
        if text is not None and text not in choices:
            expected = " / ".join(choices)
            raise FhirError("value", f"{name}={text}: ventet / expected {expected}.", expression=name)


def preferred(accept_language: str) -> Lang:
    """The first of Norwegian and English that the browser puts highest; else Norwegian. RFC 9110, 12.5.4."""
    best: tuple[float, Lang] = (0.0, "nb")
    for choice in accept_language.split(","):
        found = _PREFERRED.match(choice.strip())
        lang = _LANGS.get(found.group(1).lower()) if found else None
        if found is None or lang is None:
            continue
        try:
            weight = float(found.group(2) or "1")
        except ValueError:
            continue
        if weight > best[0]:
            best = (weight, lang)
    return best[1]


def blank(root: str, path: str, accept_language: str) -> Asked:
    """A page asked for with nothing: what is known when the query itself cannot be read."""
    return Asked(root, path, (), preferred(accept_language), False)
