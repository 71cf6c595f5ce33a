"""The analyses ask the store as often for a few initiatives as for many: what grows is what they find, not their
questions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.http.build import FHIR, bundle, entry
from tests.portfolio.sheets import C, S

Resource = dict[str, Any]
ANALYSES = [
    *(f"Measure/nep-m-{name}/$evaluate-measure?round=2021-11"
      for name in ("status", "reporting", "deliveries", "dependencies", "finance")),
    "PlanDefinition/$portfolio",
    "PlanDefinition/$portfolio-diff?from=2021-11",
    "PlanDefinition/$evidence",
    "PlanDefinition/$dependencies",
]  # fmt: skip


def coded(system: str, code: str) -> Resource:
    return {"coding": [{"system": f"{S}/{system}", "code": code}]}


def task(id: str, kind: str, on: str = "", **more: Any) -> Resource:
    based = {"basedOn": [{"reference": f"PlanDefinition/{on}"}]} if on else {}
    made = {
        "resourceType": "Task",
        "id": id,
        "status": "completed",
        "intent": "plan",
        "code": coded("nep-task-type", kind),
    }
    return {**made, "code": coded("nep-task-type", kind), **based, **more}


def portfolio_of(many: int) -> list[Resource]:
    """A closed round, and so many initiatives with a status report, three deliveries and a dependency each."""
    round = [{"system": f"{C}/sid/runde", "value": "2021-11"}]
    made = [task("round", "rapporteringsrunde", identifier=round, restriction={"period": {"end": "2021-11-30"}})]
    due = {"period": {"end": "2021-06-30"}}
    for number in range(many):
        plan, other = f"i{number}", f"PlanDefinition/i{(number + 1) % many}"
        colour = {"type": coded("nep-task-io", "status"), "valueCodeableConcept": coded("nep-traffic-light", "gul")}
        made += [
            {"resourceType": "PlanDefinition", "id": plan, "status": "active", "title": plan},
            task(f"s{number}", "statusrapport", plan, groupIdentifier=round[0], output=[colour], restriction=due),
            task(f"a{number}", "avhengighet", plan, focus={"reference": other}, **{"status": "requested"}),
            *(task(f"d{number}-{n}", "leveranse", plan, status="ready", restriction=due) for n in range(3)),
        ]
    return made


@pytest.fixture
def questions(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Awaitable[int]]:
    """How often the store is asked for a snapshot by one GET."""
    store, asked = app.state.engine.store, [0]
    snapshot = store.snapshot

    def counted(*args: Any) -> Any:
        asked[0] += 1
        return snapshot(*args)

    monkeypatch.setattr(store, "snapshot", counted)

    async def of(url: str) -> int:
        asked[0] = 0
        answer = await client.get(url)
        assert answer.status_code == 200, answer.text
        return asked[0]

    return of


async def test_the_questions_are_as_many_for_five_initiatives_as_for_forty(
    client: httpx.AsyncClient, questions: Callable[[str], Awaitable[int]]
) -> None:
    found: dict[str, list[int]] = {url: [] for url in ANALYSES}
    for many in (5, 40):
        made = [entry("PUT", f"{one['resourceType']}/{one['id']}", one) for one in portfolio_of(many)]
        sent = await client.post("", json=bundle(*made), headers=FHIR)
        assert sent.status_code == 200, sent.text
        for url in ANALYSES:
            found[url].append(await questions(url))
    assert {url: few for url, (few, _) in found.items()} == {url: many for url, (_, many) in found.items()}
    assert max(few for few, _ in found.values()) < 20
