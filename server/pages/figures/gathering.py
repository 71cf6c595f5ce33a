"""The measures of a page evaluated: at one viewpoint, for one caller, of one population."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.access import Caller
from server.limits import take_turn
from server.outcome import FhirError
from server.pages.asked import Asked, Pairs
from server.pages.contexts import Round
from server.pages.figures.reading import Part
from server.pages.standpoint import Place
from server.portfolio.evaluation import counts_of, evaluation_of, groups_of, shipped
from server.portfolio.gather import View, population_of
from server.portfolio.viewpoint import Viewpoint, moment_of_round, round_of
from server.resource import Resource
from server.search.urls import query_of

Groups = Sequence[Part]

EARLIER = "fra"
"""The parameter that names the round to compare with."""
ROUNDS = 8
"""The rounds that stand beside each other."""
_KEPT = 32
_SHOWN: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "status": (("Segment",),),
    "reporting": (("Eier",),),
    "deliveries": (("Segment",),),
    "dependencies": (("Kritikalitet",), ("Svar",)),
    "finance": (("År",), ("Kilde",), ("Løsning",), ("År", "Kilde"), ("År", "Løsning")),
}
"""The stratifiers of the page with all measures, by the Norwegian of their texts."""


def population(asked: Asked) -> Pairs:
    """What the URL narrows to. FhirError value (400) for what narrows nothing."""
    pairs = tuple(pair for pair in asked.filters if pair[0] != EARLIER)
    return population_of(query_of(pairs)) if pairs else ()


async def seen_from(place: Place, asked: Asked) -> Viewpoint:
    """The viewpoint of a page: a round that is closed as it was left, unless the URL says another instant."""
    view = View(place.reader.house.engine, place.reader.caller, place.reader.instant)
    shown = place.standpoint.round
    if shown is None:
        return Viewpoint(view, place.standpoint.day, place.standpoint.basis)
    return await of_round(place, shown, asked.one("_asOf"))


async def of_round(place: Place, round: Round, as_of: str | None) -> Viewpoint:
    """The viewpoint of a round: at the instant asked for, else when it was closed, else now."""
    engine, caller = place.reader.house.engine, place.reader.caller
    task = await round_of(View(engine, caller, place.reader.instant), round.value)
    closed = None if as_of else await moment_of_round(engine, caller, round.value)
    view = View(engine, caller, closed or place.reader.instant)
    same = place.standpoint.round == round
    if same:
        return Viewpoint(view, place.standpoint.day, place.standpoint.basis, task)
    return Viewpoint(view, round.end or place.standpoint.day, "round", task)


def earlier(place: Place, asked: Asked) -> Round | None:
    """The round to compare with. FhirError value (400) for one that is not known."""
    wanted = asked.one(EARLIER)
    found = next((one for one in place.rounds if one.value == wanted), None)
    if wanted is not None and found is None:
        known = ", ".join(one.value for one in place.rounds)
        text = f"{EARLIER}={wanted}: ukjent runde / unknown round; kjent / known: {known}."
        raise FhirError("value", text, expression=EARLIER)
    return found


@dataclass(frozen=True)
class Gatherer:
    """Evaluates, and keeps figures for those who see the same, until something is written. What was made of restricted
    resources is not kept: each reading of these is on record."""

    _kept: OrderedDict[tuple[Any, ...], Groups] = field(default_factory=OrderedDict)

    async def groups(self, at: Viewpoint, name: str, population: Pairs, *, details: bool) -> Groups | None:
        """MeasureReport.group of a measure; None for one of a round where there is none. `details`: with all strata."""
        measure = _measure(at, name, details)
        evaluation = evaluation_of(measure, at, population)
        if evaluation.needs_round and at.round is None:
            return None
        key = await _key(at, name, population, details)
        found = self._kept.get(key)
        if found is None:
            await take_turn(at.view.caller)
            before = noted(at.view.caller)
            found = await groups_of(evaluation, at.view)
            if noted(at.view.caller) == before:
                self._keep(key, found)
        return found

    async def counts(self, at: Viewpoint, name: str, population: Pairs) -> Groups:
        """Those of another round, for its numbers alone."""
        return await counts_of(evaluation_of(_measure(at, name, True), at, population), at.view)

    def _keep(self, key: tuple[Any, ...], groups: Groups) -> None:
        self._kept[key] = groups
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)


def noted(caller: Caller) -> int:
    """How many restricted resources the request has read so far."""
    return len(caller.request.given) if caller.request else 0


async def _key(at: Viewpoint, *what: Any) -> tuple[Any, ...]:
    """All that the figures are made of. The present counts too, whatever moment is looked at: rights are of now."""
    caller, now = at.view.caller, await at.view.engine.store.moment()
    whom = (caller.role, caller.organization, caller.scopes)
    return (now.sequence, whom, at.instant, at.day, at.round_value, *what)


def _measure(at: Viewpoint, name: str, details: bool) -> Resource:
    measure = shipped(at.view.engine.registry, f"nep-m-{name}")
    assert measure is not None
    if details:
        return measure
    groups = [_with_strata(group, _SHOWN[name]) for group in measure["group"]]
    return {**measure, "group": groups}


def _with_strata(group: Resource, names: Sequence[tuple[str, ...]]) -> Resource:
    """A group of a Measure with those of its stratifiers that are called so."""
    kept = [one for one in group.get("stratifier", ()) if _called(one) in names]
    return {**group, "stratifier": kept}


def _called(stratifier: Resource) -> tuple[str, ...]:
    codes = [one["code"] for one in stratifier.get("component") or (stratifier,)]
    return tuple(str(one.get("text", "")).partition(" / ")[0] for one in codes)
