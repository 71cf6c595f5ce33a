"""What should be looked at in a round's reports: the warnings of each submitted one, of its initiative and of the
initiative's Tasks, as they stand, by the very rules that judge a write. Domain model 11."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace

from server.interaction.around import Around
from server.interaction.engine import Engine, Reading
from server.outcome import Issue
from server.portfolio.gather import Pair, on
from server.resource import Resource, restored
from server.search.query import Query
from server.search.urls import query_of
from server.store.store import Snapshot

_AT_ONCE = 500


@dataclass(frozen=True)
class Remarked:
    """One submitted report with its initiative (None: it is gone). `remarks` are of the report first, then of the
    initiative, then of its other Tasks; of those that have none nothing stands there."""

    report: Resource
    initiative: Resource | None
    remarks: tuple[tuple[Resource, tuple[Issue, ...]], ...]


async def open_rounds(engine: Engine, snapshot: Snapshot) -> list[str]:
    """The identifiers of the rounds that are open, "2021-11"."""
    asked = [("code", _type(engine, "rapporteringsrunde")), ("status", "in-progress")]
    rounds = [round async for round in _found(engine, snapshot, asked)]
    system = _round_system(engine)
    return [one["value"] for round in rounds for one in round.get("identifier", []) if one.get("system") == system]


async def remarks(engine: Engine, snapshot: Snapshot, round: str, population: Iterable[Pair] = ()) -> list[Remarked]:
    """One for each submitted report of the round and of the initiatives that `population` finds, those with most to
    look at first."""
    asked = [
        ("code", _type(engine, "statusrapport")),
        ("group-identifier", f"{_round_system(engine)}|{round}"),
        ("status", "completed"),
        *on(population),
    ]
    around = Around(engine, Reading(engine.store, snapshot), (), {}, [])
    found = [await _remarked(engine, snapshot, around, report) async for report in _found(engine, snapshot, asked)]
    return sorted(found, key=lambda one: -sum(len(issues) for _, issues in one.remarks))


async def _remarked(engine: Engine, snapshot: Snapshot, around: Around, report: Resource) -> Remarked:
    reference = next((one["reference"] for one in report.get("basedOn", []) if "reference" in one), "")
    initiative = await around.look(reference)
    looked_at = [report, *([initiative] if initiative is not None else [])]
    if initiative is not None:
        based = [task async for task in _found(engine, snapshot, [("based-on", reference)])]
        looked_at += [task for task in based if not _is_report(engine, task)]
    await asyncio.sleep(0)
    judged = [(one, tuple(await _issues(engine, around, one))) for one in looked_at]
    return Remarked(report, initiative, tuple((one, issues) for one, issues in judged if issues))


async def _issues(engine: Engine, around: Around, resource: Resource) -> Iterable[Issue]:
    kind = resource["resourceType"]
    beyond = await engine.rules.of_standing(f"{kind}/{resource['id']}", resource, around)
    return [*engine.issues(resource, kind), *beyond]


async def _found(engine: Engine, snapshot: Snapshot, asked: list[tuple[str, str]]) -> AsyncIterator[Resource]:
    query = engine.parser.condition("Task", query_of(asked), place="")
    query = Query("Task", query.criteria, count=_AT_ONCE)
    while True:
        page = await snapshot.search(query)
        for version in page.versions:
            if version.body is not None:
                yield restored(version.body)
        if page.next is None:
            return
        query = replace(query, cursor=page.next)


def _is_report(engine: Engine, task: Resource) -> bool:
    """Those of other rounds are not this review's matter."""
    codings = task.get("code", {}).get("coding", [])
    return any(f"{one.get('system')}|{one.get('code')}" == _type(engine, "statusrapport") for one in codings)


def _type(engine: Engine, code: str) -> str:
    return f"{engine.complete.canonical}/CodeSystem/nep-task-type|{code}"


def _round_system(engine: Engine) -> str:
    return f"{engine.complete.canonical}/sid/runde"
