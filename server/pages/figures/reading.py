"""A MeasureReport's groups read: counts, sums and strata, each with its search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from server.pages.figures.contexts import Figure
from server.portfolio import elements
from server.search.urls import pairs_of, query_of

Part = Mapping[str, Any]
"""A group or a stratum."""

_UNSTATED = "Ikke oppgitt / Not stated"
_MILLION = Decimal(1_000_000)
COHORT = "initial-population"


@dataclass(frozen=True, slots=True)
class Stratum:
    """One of a stratifier's, or of its components': `keys` name it among those of all groups ("" for not stated),
    `values` are its concepts."""

    keys: tuple[str, ...]
    values: tuple[Part, ...]
    part: Part


def code_of(group: Part) -> str:
    """gronn, levert, investering …"""
    return elements.code(group.get("code"))


def population(part: Part, code: str) -> Part | None:
    """Its population of this code."""
    return next((one for one in part.get("population", ()) if elements.code(one["code"]) == code), None)


def counted(part: Part, base: str, code: str = COHORT) -> Figure:
    """How many, with the search that lists them."""
    found = population(part, code)
    return Figure(int(found["count"]), f"{base}/{link(found)}") if found else Figure(None)


def summed(part: Part, base: str) -> Figure:
    """The sum as MNOK, None where no line states an amount."""
    score = part.get("measureScore")
    value = None if score is None else Decimal(str(score["value"])) / _MILLION
    return Figure(value, f"{base}/{link(population(part, 'measure-observation') or part)}")


def link(part: Part) -> str:
    """The search behind a group, stratum or population, relative to the API."""
    return str(next((one["valueUrl"] for one in part["extension"] if "valueUrl" in one), ""))


def strata(group: Part, *names: str) -> list[Stratum]:
    """Those of the stratifier that is called so, by the Norwegian of its text (Segment), or by those of its components.
    A stratum is known by the code of its value; an actor by its reference, for two may have one name."""
    for stratifier in group.get("stratifier", ()):
        found = stratifier.get("stratum", ())
        codes = stratifier.get("code") or [one["code"] for one in (found[0]["component"] if found else ())]
        if tuple(str(one.get("text", "")).partition(" / ")[0] for one in codes) == names:
            return [_stratum(group, one) for one in found]
    return []


def _stratum(group: Part, part: Part) -> Stratum:
    values = tuple(one["value"] for one in part.get("component", (part,)))
    told = dict(condition(group, part))
    return Stratum(tuple(_key(value, told) for value in values), values, part)


def _key(value: Part, told: Mapping[str, str]) -> str:
    if value.get("text") == _UNSTATED:
        return ""
    actor = next((text for text in told.values() if text.startswith("Organization/")), "")
    return elements.code(value) or actor or str(value.get("text", ""))


def condition(group: Part, stratum: Part) -> list[tuple[str, str]]:
    """What a stratum's search asks beyond its group's."""
    asked = pairs_of(link(group).partition("?")[2])
    rest = pairs_of(link(stratum).partition("?")[2])
    for pair in asked:
        if pair in rest:
            rest.remove(pair)
    return rest


def narrowed(url: str, pairs: Iterable[tuple[str, str]]) -> str:
    """A search with more conditions."""
    base, _, query = url.partition("?")
    return f"{base}?{query_of([*pairs_of(query), *pairs])}"


def without(url: str, name: str, *instead: tuple[str, str]) -> str:
    """A search without the conditions of this name, and with others in their place."""
    base, _, query = url.partition("?")
    kept = [pair for pair in pairs_of(query) if pair[0] != name]
    return f"{base}?{query_of([*kept, *instead])}"
