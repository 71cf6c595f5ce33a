"""The figures of an edition: the five computed measures over the initiatives of its round, as they are published."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from server.access import Caller
from server.interaction.engine import EDITION
from server.interaction.operations.closing import Standing
from server.interaction.operations.measures import evaluate_measure
from server.operations import Call
from server.portfolio.edition import Edition
from server.resource import Resource, decode

MEASURES = ("nep-m-status", "nep-m-reporting", "nep-m-deliveries", "nep-m-dependencies", "nep-m-finance")
_AS_OF = re.compile(r"_asOf=[^&]+")


async def figures(standing: Standing, caller: Caller, edition: Edition) -> list[Resource]:
    """A MeasureReport for each of MEASURES, in their order, with an id made of the edition's."""
    canonical, number = standing.words.canonical, standing.number
    population = f"PlanDefinition?_has:Task:based-on:group-identifier={canonical}/sid/runde|{number}"
    asked = (("round", number), ("asOf", standing.instant), ("population", population))
    found = []
    for name in MEASURES:
        call = Call(caller, "Measure", "", (("measure", f"{canonical}/Measure/{name}"), *asked), None)
        answer = (await evaluate_measure(standing.engine, call)).resource
        report = decode(answer) if isinstance(answer, bytes) else answer
        found.append({**_cited(report, edition), "id": f"{edition.id}-{name}"})
    return found


def _cited(value: Any, edition: Edition) -> Any:
    """With links that find what was counted. Reports become public with the edition that they are in, and are found by
    everyone from then on only: their searches are of the edition, the others of the moment that was counted."""
    if edition.status == "preliminary":
        return value
    if isinstance(value, dict):
        return {name: _cited(item, edition) for name, item in value.items()}
    if isinstance(value, list):
        return [_cited(item, edition) for item in value]
    if isinstance(value, str) and value.startswith("Task?") and "statusrapport" in value:
        return _AS_OF.sub(f"_asOf={quote(EDITION + edition.number)}", value)
    return value
