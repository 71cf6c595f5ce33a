"""What a write would do, by the very code of `write` and the commit's own conditions; nothing is written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from server.access import Caller
from server.interaction.engine import Engine, Reading
from server.interaction.intents import Draft, Intent
from server.interaction.search import unavailable
from server.interaction.searchable import caught_up
from server.interaction.unit_faults import absent, joined, refused
from server.interaction.write import Plan
from server.outcome import FhirError, Issue
from server.resource import Resource
from server.store.store import Conflict, Ref, Unavailable, Unit

_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What would become of an intent: `fault`, else the status, with the resource as it stands and would stand
    (None: not there). `ref` is None when nothing is known of what is meant."""

    status: int
    ref: Ref | None = None
    before: Resource | None = None
    after: Resource | None = None
    changed: bool = False
    warnings: tuple[Issue, ...] = ()
    fault: FhirError | None = None


async def rehearse(engine: Engine, caller: Caller, intents: Sequence[Intent]) -> list[Rehearsed]:
    """An answer to every intent, whatever is wrong with the others; one that is at fault is left out when the
    commit's conditions are tried for the rest."""
    for _ in range(_ATTEMPTS):
        try:
            async with Reading(engine.store) as snapshot:
                await caught_up(engine, snapshot)
                plan = Plan(engine, caller, snapshot)
                await plan.decide(intents)
            plan.faults += _clash(plan, intents)
            faults = [*plan.faults, *await _commit_faults(engine, plan)]
        except Unavailable as error:
            raise unavailable(error) from None
        except Conflict:
            # Stale: another request came between.
            await asyncio.sleep(0.001)
            continue
        drafts = {draft.index: draft for draft in plan.drafts if not draft.by_server}
        return [
            _outlook(drafts.get(index), [fault for at, fault in faults if at == index]) for index in range(len(intents))
        ]
    raise FhirError("conflict", "Andre endrer det samme nå / Others keep changing the same resource; try again.")


async def _commit_faults(engine: Engine, plan: Plan) -> list[tuple[int, FhirError]]:
    """What the commit would refuse, by the index of the intent. Raises Conflict when the plan is out of date."""
    unit = plan.unit()
    faults = []
    if (conflict := await _refusal(engine, replace(unit, unreferenced=frozenset()))) is not None:
        faults += [
            (draft.index, FhirError("not-found", issues[0].text, issues=issues, status=422))
            for draft in plan.drafts
            if (issues := absent(engine, conflict, draft))
        ]
    unit = replace(unit, alive=frozenset())
    if unit.unreferenced and await _refusal(engine, unit) is not None:
        # Several may go at once: which of them is it that others still point to?
        for draft in plan.drafts:
            alone = replace(unit, unreferenced=unit.unreferenced & {draft.ref})
            if alone.unreferenced and (conflict := await _refusal(engine, alone)) is not None:
                faults.append((draft.index, refused(engine, conflict, plan.drafts)))
    return faults


async def _refusal(engine: Engine, unit: Unit) -> Conflict | None:
    if not unit.writes:
        return None
    try:
        await engine.store.rehearse(unit)
    except Conflict as conflict:
        if conflict.kind == "stale":
            raise
        return conflict
    return None


def _clash(plan: Plan, intents: Sequence[Intent]) -> list[tuple[int, FhirError]]:
    if plan.clash is None:
        return []
    place = plan.clash.issues[0].expression
    return [(next((i for i, intent in enumerate(intents) if intent.place == place), 0), plan.clash)]


def _outlook(draft: Draft | None, faults: Sequence[FhirError]) -> Rehearsed:
    ref = draft.ref if draft is not None and draft.before is not None else None
    if faults or draft is None:
        fault = joined(faults)
        return Rehearsed(fault.status, ref, fault=fault)
    changed = draft.write is not None
    if draft.intent.method == "DELETE":
        return Rehearsed(204, ref, draft.stood, None, changed)
    status = 201 if draft.stood is None else 200
    return Rehearsed(status, ref, draft.stood, draft.after if changed else draft.stood, changed, draft.warnings)
