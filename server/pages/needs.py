"""A dependency as a row of its own: which initiative waits, on whom, and where that contradicts a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.pages.contexts import Clash, Initiative, Need
from server.pages.directory import Directory
from server.pages.responsibilities import Responsibilities
from server.portfolio import elements
from server.portfolio.dependencies import counterparts

Resource = Mapping[str, Any]


@dataclass(frozen=True)
class Needs:
    """`plans` are the initiatives, those that wait and those that are waited for, by reference."""

    read: Responsibilities
    directory: Directory

    def initiative(self, reference: str, display: str = "") -> Initiative:
        """An initiative by its name, with its page where the caller may see it."""
        plan = self.read.others.get(reference, {})
        return Initiative(plan.get("title") or display or reference, self.read.page(plan), plan.get("language", "nb"))

    def need(self, task: Resource, clashes: Sequence[Clash] = ()) -> Need:
        """A dependency."""
        based: Resource = next(iter(task.get("basedOn", ())), {})
        asker = task.get("requester", {})
        return Need(
            own=self.read.dependency(task),
            initiative=self.initiative(based.get("reference", ""), based.get("display", "")),
            waits=self.directory.actor(asker.get("reference", ""), asker.get("display", "")),
            counterparts=tuple(self.directory.actor(one) for one in counterparts(task)),
            state=task.get("status", ""),
            clashes=tuple(clashes),
        )


def by_urgency(task: Resource) -> tuple[str, str, str]:
    """Orders dependencies: the earliest deadline first, those without one last, then as they were asked for."""
    return elements.due(task) or "9999", task.get("description", ""), task["id"]
