"""The tiltaksnummer (NEP-0041) that the server issues: the next above the highest that was ever used. Decision 14."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from server.resource import Resource, restored
from server.search.query import Clause, Cursor, Query, Token
from server.store.store import Page

_FORM = re.compile(r"NEP-(\d{4,9})", re.ASCII)
_AT_ONCE = 500


class History(Protocol):
    """What of a snapshot is needed."""

    async def history(
        self, resource_type: str | None, id: str | None, *, cursor: Cursor | None = None, count: int = 50
    ) -> Page: ...


class Numbers:
    """The numbers of all initiatives, deleted ones and past versions among them: they are read once, and from then
    on only what has been written since. `canonical` is the base of our identifiers."""

    def __init__(self, canonical: str) -> None:
        self._system = f"{canonical}/sid/tiltaksnummer"
        self._read_to = 0
        self._highest = 0

    async def free(self, history: History, planned: Iterable[Resource]) -> tuple[str, Query]:
        """The next number, above those of `planned` too, and the search that must find nobody who has it when it is
        written: who else was issued it meanwhile came first, and this one is decided anew."""
        await self._catch_up(history)
        highest = max([self._highest, *(self._value(number) for one in planned for number in self.of(one))])
        number = f"NEP-{highest + 1:04}"
        clause = Clause("PlanDefinition.identifier", "token", "match", (Token(self._system, number),))
        return number, Query("PlanDefinition", (clause,), count=2)

    def of(self, resource: Resource) -> list[str]:
        """The numbers that a resource has: one, none, or several of one that is refused."""
        if resource["resourceType"] != "PlanDefinition":
            return []
        return [one.get("value", "") for one in resource.get("identifier", []) if one.get("system") == self._system]

    def identifier(self, number: str) -> Resource:
        """The element of PlanDefinition.identifier."""
        return {"use": "official", "system": self._system, "value": number}

    async def _catch_up(self, history: History) -> None:
        """Versions come newest first, so the first that was read before ends it."""
        cursor, newest, highest = None, 0, 0
        while True:
            page = await history.history("PlanDefinition", None, cursor=cursor, count=_AT_ONCE)
            for version in page.versions:
                newest = max(newest, version.ordinal)
                if version.ordinal > self._read_to and version.body is not None:
                    highest = max([highest, *(self._value(one) for one in self.of(restored(version.body)))])
            cursor = page.next
            if cursor is None or page.versions[-1].ordinal <= self._read_to:
                break
        self._read_to, self._highest = max(self._read_to, newest), max(self._highest, highest)

    def _value(self, number: str) -> int:
        match = _FORM.fullmatch(number)
        return int(match[1]) if match else 0
