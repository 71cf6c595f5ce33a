"""A Measure evaluated as seen from a viewpoint: for the operation, editions and pages alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from server.definitions.registry import Registry
from server.interaction.engine import Engine
from server.portfolio import elements
from server.portfolio.codes import Codes
from server.portfolio.gather import Pair, View
from server.portfolio.measures import Evaluation
from server.portfolio.viewpoint import Viewpoint
from server.resource import Resource


def evaluation_of(measure: Resource, at: Viewpoint, population: tuple[Pair, ...]) -> Evaluation:
    """The measure over the population, its variables filled with the viewpoint's day and round."""
    engine = at.view.engine

    def type_of(resource_type: str, name: str) -> str:
        *chain, last = name.split(".")
        parameter = engine.parser.parameters.find("PlanDefinition" if chain else resource_type, last)
        return parameter.type if parameter else ""

    variables = {"day": at.day.isoformat(), **({"round": at.round_value} if at.round else {})}
    return Evaluation(
        measure,
        variables,
        population,
        engine.access.canonical,
        engine.registry.schema,
        type_of,
        lambda asked: at.view.url(asked.resource_type, asked.pairs),
    )


async def groups_of(evaluation: Evaluation, seen: View) -> list[dict[str, Any]]:
    """MeasureReport.group, of what the view's caller may see."""
    known = await _known(seen, evaluation)
    found = {one: await seen.all(one.resource_type, one.pairs) for one in evaluation.searches()}
    return evaluation.groups(found, known, _Names(seen.engine, known), seen.evaluated)


async def counts_of(evaluation: Evaluation, seen: View) -> list[dict[str, Any]]:
    """The same without strata, and so without reading what is counted: for one number beside another. Sums of money
    are read all the same."""
    plain = {**evaluation.measure, "group": [without_strata(one) for one in evaluation.measure["group"]]}
    bare = replace(evaluation, measure=plain)
    if elements.code(plain.get("scoring")) == "continuous-variable":
        return await groups_of(bare, seen)
    counts = {one: await seen.count(one.resource_type, one.pairs) for one in bare.searches()}
    return bare.counted(counts)


def without_strata(group: Resource) -> Resource:
    """A group of a Measure, its populations alone."""
    return {name: value for name, value in group.items() if name != "stratifier"}


def shipped(registry: Registry, id: str) -> Resource | None:
    """A Measure of profiles/, None for one that is not there."""
    return next((dict(one) for one in registry.of_type("Measure") if one["id"] == id), None)


async def _known(seen: View, evaluation: Evaluation) -> dict[str, Resource]:
    """What strata speak of: the initiatives of the population, and the organisations. Asked for by themselves, for as
    includes they would come again with every page of Tasks."""
    known = await seen.all("PlanDefinition", evaluation.population)
    return {elements.reference_of(one): one for one in (*known, *await seen.all("Organization"))}


class _Names:
    """A stratum's value as a concept: a code with its display, an organisation by its name, else the text."""

    def __init__(self, engine: Engine, known: Mapping[str, Resource]) -> None:
        self._codes = Codes.of(engine.access.canonical, engine.registry.of_type("CodeSystem"))
        self._known = known

    def __call__(self, value: str) -> Resource:
        system, bar, code = value.partition("|")
        if bar:
            return self._coded(system, code)
        name = self._known.get(value, {}).get("name")
        return {"text": name or value}

    def _coded(self, system: str, code: str) -> Resource:
        found = self._codes.coded({"coding": [{"system": system, "code": code}]}, "nb")
        display = found.display if found else code
        return {"coding": [{"system": system, "code": code, "display": display}], "text": display}
