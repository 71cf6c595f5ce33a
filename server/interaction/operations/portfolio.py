"""PlanDefinition/$portfolio: the whole portfolio as it stood, in one collection."""

from __future__ import annotations

from server.bundle import collection
from server.interaction.engine import Engine
from server.interaction.operations.parameters import Asked, asked_of
from server.operations import Answer, Call
from server.outcome import FhirError
from server.portfolio.gather import ACTIVE, on, population_of
from server.portfolio.viewpoint import Viewpoint, viewpoint

_ABOVE = ("_include:iterate", "Organization:partof")
_PLANS = (("_include", "PlanDefinition:owner"), _ABOVE)
# A dependency names its first counterpart as owner, all others in its input alone.
_TASKS = (("_include", "Task:owner"), ("_include", "Task:requester"), ("_include", "Task:counterpart"), _ABOVE)


async def portfolio(engine: Engine, call: Call) -> Answer:
    """Initiatives, then their Tasks, with the organisations that own, ask and are asked, and those above them: each
    once, so that an empty registry takes the whole portfolio in."""
    asked = asked_of(engine, call, "nep-portfolio")
    population = population_of(asked.text("population")) or ACTIVE
    seen = (await viewpoint_of(engine, call, asked)).view
    plans = await seen.versions("PlanDefinition", [*population, *_PLANS])
    tasks = await seen.versions("Task", [*on(population), *_TASKS])
    return Answer(collection([*plans, *tasks], engine.base, seen.instant))


async def viewpoint_of(engine: Engine, call: Call, asked: Asked) -> Viewpoint:
    """Where the analysis stands, by the parameters asOf (or _asOf) and round that all of them share."""
    as_of, also = asked.text("asOf"), asked.text("_asOf")
    if as_of and also and as_of != also:
        text = f"asOf={as_of}, _asOf={also}: si det ene / say one of them."
        raise FhirError("value", text, expression="asOf")
    return await viewpoint(engine, call.caller, as_of=as_of or also, round=asked.identifier("round"))
