"""What a rule finds among a unit's own writes, and that a large unit is not gone through for every question."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from server.interaction import around
from server.search.query import Clause, Criterion, Query, Reference, Token
from server.store.store import Indexed, Page, Write

ON_PLAN = Clause("Task.based-on", "reference", "match", (Reference(("PlanDefinition/7",)),))
DELIVERY = Clause("Task.code", "token", "match", (Token(None, "leveranse"),))
MANY = 1_000


@dataclass
class Draft:
    ref: tuple[str, str]
    after: dict[str, Any] | None
    write: Write | None


def unit() -> list[Draft]:
    """A thousand Tasks on a hundred initiatives, two of three of them deliveries; the last one is deleted."""
    made = []
    for number in range(MANY):
        kind = "avhengighet" if number % 3 == 0 else "leveranse"
        rows = Indexed(
            token=(("Task.code", kind, "", 0),), reference=(("Task.based-on", f"PlanDefinition/{number % 100}", "", 0),)
        )
        id = f"t{number}"
        made.append(Draft(("Task", id), {"id": id}, Write("Task", id, 1, "PUT", None, rows)))
    made[-1].after = None
    return made


class Empty:
    async def search(self, query: Query) -> Page:
        return Page((), None, 0)


@pytest.mark.parametrize(
    ("criteria", "found", "asked"),
    [
        ((ON_PLAN, DELIVERY), {f"t{number}" for number in range(7, MANY, 100) if number % 3}, 10),
        ((DELIVERY, ON_PLAN), {f"t{number}" for number in range(7, MANY, 100) if number % 3}, 10),
        ((Clause("Task.based-on", "reference", "match", (Reference(("PlanDefinition/none",)),)),), set(), 0),
        (
            (Clause("Task.code", "token", "match", DELIVERY.values, negated=True), ON_PLAN),
            {f"t{number}" for number in range(7, MANY, 100) if number % 3 == 0},
            10,
        ),
        ((Clause("Task.due", "date", "missing", ()),), {f"t{number}" for number in range(MANY - 1)}, MANY - 1),
    ],
)
async def test_a_rule_looks_at_those_of_the_unit_that_one_row_tells(
    monkeypatch: pytest.MonkeyPatch, criteria: tuple[Criterion, ...], found: set[str], asked: int
) -> None:
    looked_at: list[str] = []
    real = around.matches

    def counted(criterion: Criterion, resource_type: str, id: str, rows: Indexed) -> bool:
        looked_at.append(id)
        return real(criterion, resource_type, id, rows)

    monkeypatch.setattr(around, "matches", counted)
    parser = SimpleNamespace(conditioned=lambda *_, **__: SimpleNamespace(criteria=criteria))
    engine: Any = SimpleNamespace(parser=parser)
    snapshot: Any = Empty()
    neighbourhood = around.Around(engine, snapshot, unit(), {}, [])
    assert set(await neighbourhood.find("Task", ())) == {f"Task/{id}" for id in found}
    assert len(set(looked_at)) == asked
