"""A page's dataclass to HTML: one Jinja2 environment per language, with its words, dates and numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import nh3
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from server.pages.contexts import Account
from server.portfolio.codes import Lang

FOLDER = Path(__file__).parent


def _texts() -> dict[str, dict[Lang, str]]:
    """The texts of all areas, a file each. ValueError for a key that two of them have."""
    found: dict[str, dict[Lang, str]] = {}
    for file in sorted((FOLDER / "texts").glob("*.json")):
        own: dict[str, dict[Lang, str]] = msgspec.json.decode(file.read_bytes())
        if twice := own.keys() & found.keys():
            raise ValueError(f"{file.name}: {', '.join(sorted(twice))}: stands in another file of texts too")
        found |= own
    return found


TEXTS = _texts()

# Headings and images are left out: a reporter's text must not take part in the outline of the page, nor
# fetch anything.
_TAGS = {"p", "br", "ul", "ol", "li", "strong", "em", "code", "pre", "blockquote", "a", "hr"}
_markdown = MarkdownIt("commonmark", {"html": False, "breaks": True})


@dataclass(frozen=True)
class Words:
    """What one language says. Norwegian dates are 31.12.2021, English ones 31 Dec 2021."""

    lang: Lang
    zone: ZoneInfo

    def text(self, key: str, **values: Any) -> str:
        """The text of a key of texts/; with n=1 that of `key.one`, where there is one. KeyError for others."""
        chosen = f"{key}.one" if values.get("n") == 1 and f"{key}.one" in TEXTS else key
        found = TEXTS[chosen][self.lang]
        return found.format(**values) if values else found

    def has(self, key: str) -> bool:
        """Whether there is a text of this key."""
        return key in TEXTS

    def day(self, value: str | date) -> str:
        """A FHIR date or dateTime, as precise as it is."""
        text = value.isoformat() if isinstance(value, date) else value
        if len(text) == 4:
            return text
        if len(text) == 7:
            return format_date(date.fromisoformat(f"{text}-01"), "LLLL y", locale=self.lang)
        pattern = "dd.MM.y" if self.lang == "nb" else "d MMM y"
        return format_date(self._date(text), pattern, locale=self.lang)

    def instant(self, text: str) -> str:
        """A FHIR instant to the minute, in the registry's time zone."""
        moment = datetime.fromisoformat(text.strip().replace(" ", "+")).astimezone(self.zone)
        pattern = "dd.MM.y 'kl.' HH.mm" if self.lang == "nb" else "d MMM y, HH:mm"
        return format_datetime(moment, pattern, locale=self.lang)

    def amount(self, value: Decimal) -> str:
        """MNOK with one decimal, or as many as it has."""
        return format_decimal(value, "#,##0.0#####", locale=self.lang)

    def number(self, value: Decimal | int) -> str:
        """A count, or a number with the decimals that it has."""
        return format_decimal(value, "#,##0.######", locale=self.lang)

    def _date(self, text: str) -> date:
        if len(text) == 10:
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
        return moment.astimezone(self.zone).date() if moment.tzinfo else moment.date()


def markdown(text: str) -> Markup:
    """A reporter's markdown as HTML that can do no harm: no HTML of its own, no headings, images or scripts."""
    cleaned = nh3.clean(
        _markdown.render(text),
        tags=_TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener nofollow",
    )
    return Markup(cleaned)


@cache
def _asset(name: str) -> str:
    """A file of static/ by a name that changes with its content, so that it can be kept for long."""
    digest = hashlib.sha256((FOLDER / "static" / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def _filled(text: str, parts: Iterable[tuple[str, Any]], shown: Callable[[Any], str]) -> Markup:
    """One of our own texts with HTML in its places: what `shown` makes of each part."""
    return Markup(text).format(**{name.replace("-", "_"): Markup(shown(part)) for name, part in parts})


@dataclass(frozen=True)
class Renderer:
    """Templates by language."""

    environments: dict[Lang, Environment]

    @classmethod
    def of(cls, zone: ZoneInfo) -> Renderer:
        """Compiled when first used, then kept."""
        langs: tuple[Lang, ...] = ("nb", "en")
        return cls({lang: _environment(Words(lang, zone)) for lang in langs})

    def render(self, template: str, page: Any, account: Account) -> bytes:
        """The HTML of a page of contexts.py, for whoever the account says."""
        return self.environments[page.frame.lang].get_template(template).render(page=page, account=account).encode()


def _environment(words: Words) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    shared: dict[str, Callable[..., Any] | str] = {
        "lang": words.lang,
        "t": words.text,
        "has_text": words.has,
        "day": words.day,
        "instant": words.instant,
        "amount": words.amount,
        "number": words.number,
        "markdown": markdown,
        "asset": _asset,
        "filled": _filled,
    }
    environment.globals.update(shared)
    return environment
