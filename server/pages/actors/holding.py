"""All that an actor owes and is owed, as one caller sees it at one moment. Domain model 5.3 and 7, decision 9."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from server.portfolio import elements
from server.portfolio.dependencies import UNMET
from server.portfolio.gather import ACTIVE, OPEN, Pair, View, by_reference

Resource = dict[str, Any]

_WITH_INITIATIVES: tuple[Pair, ...] = (("_include", "Task:based-on"), ("_include", "Task:focus"))


@dataclass(frozen=True, slots=True)
class Holding:
    """`known` are initiatives and deliveries by reference, the actor's own and those that dependencies name; `owned`
    its active initiatives, by number. All others are of active initiatives: `deliveries` that it is to make, `owed`
    what others wait for from it, `waiting` what it waits for, each by deadline; `rounds` that are open, and the
    `reports` that they ask of it, as far as the caller may see them."""

    known: Mapping[str, Resource]
    owned: Sequence[Resource]
    deliveries: Sequence[Resource]
    owed: Sequence[Resource]
    waiting: Sequence[Resource]
    rounds: Sequence[Resource]
    reports: Sequence[Resource]

    def initiative(self, task: Resource) -> Resource:
        """What a Task is based on, {} for what may not be seen."""
        return self.known.get(elements.based_on(task), {})

    def reports_of(self, round: Resource) -> list[Resource]:
        """Those that a round asks of the actor."""
        own = {(one.get("system"), one.get("value")) for one in round.get("identifier", ())}
        groups = ((one, one.get("groupIdentifier", {})) for one in self.reports)
        return [one for one, group in groups if (group.get("system"), group.get("value")) in own]


async def holding(seen: View, actor: str) -> Holding:
    """Of the organisation with this reference."""
    owned = await seen.all("PlanDefinition", [("owner", actor), ("_sort", "url"), *ACTIVE])
    unmet = ("status", ",".join(UNMET))
    deliveries = await _tasks(seen, "leveranse", OPEN, ("owner", actor))
    owed = await _tasks(seen, "avhengighet", unmet, ("counterpart", actor))
    waiting = await _tasks(seen, "avhengighet", unmet, ("requester", actor))
    rounds = await seen.all("Task", [seen.kinds(["rapporteringsrunde"]), ("status", "in-progress")])
    together = [*owned, *deliveries, *owed, *waiting]
    known = by_reference(together, "PlanDefinition") | by_reference(together, "Task")
    return Holding(
        known=known,
        owned=owned,
        deliveries=_active(known, [one for one in deliveries if elements.kind(one) == "leveranse"]),
        owed=_active(known, [one for one in owed if elements.kind(one) == "avhengighet"]),
        waiting=_active(known, [one for one in waiting if elements.kind(one) == "avhengighet"]),
        rounds=sorted(rounds, key=_by_deadline),
        reports=await _reports(seen, actor, rounds),
    )


def _active(known: Mapping[str, Resource], tasks: Sequence[Resource]) -> list[Resource]:
    """Those of active initiatives, by deadline: what is included beside them is none of the actor's."""
    own = [one for one in tasks if known.get(elements.based_on(one), {}).get("status") == "active"]
    return sorted(own, key=_by_deadline)


async def _tasks(seen: View, kind: str, *pairs: Pair) -> list[Resource]:
    return await seen.all("Task", [seen.kinds([kind]), *pairs, *_WITH_INITIATIVES])


async def _reports(seen: View, actor: str, rounds: Sequence[Resource]) -> list[Resource]:
    numbers = [f"{one['system']}|{one['value']}" for task in rounds for one in task.get("identifier", ())]
    if not numbers:
        return []
    asked = [seen.kinds(["statusrapport"]), ("owner", actor), ("group-identifier", ",".join(numbers))]
    return [one for one in await seen.all("Task", asked) if one["status"] not in ("cancelled", "entered-in-error")]


def _by_deadline(task: Resource) -> tuple[date, str, str]:
    return elements.last_day(elements.due(task)) or date.max, task.get("code", {}).get("text", ""), task["id"]
