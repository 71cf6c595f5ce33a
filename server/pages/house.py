"""House: what the pages share, and their one way to the data: the same interactions as the API, at one instant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

from server.access import Caller
from server.interaction.engine import Engine
from server.interaction.search import Found, search
from server.limits import take_turn
from server.operations import Answer, Call, Level, Operations
from server.outcome import FhirError
from server.portfolio import elements
from server.portfolio.codes import Codes
from server.resource import restored
from server.search.parse import cursor_text
from server.search.urls import query_of

MAX_COUNT = 500


@dataclass(frozen=True)
class House:
    """The engine, the words of its codes, the path that the pages are mounted below, and the API's operations."""

    engine: Engine
    codes: Codes
    root: str
    operations: Operations

    async def operate(
        self,
        caller: Caller,
        name: str,
        on: str,
        *parameters: tuple[str, str],
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The resource that an operation answers with, decimals as written: `on` is "Task" or "Task/7", `parameters`
        those of its URL, `body` a Parameters. FhirError as the API has it, with its limits, and not-found for one that
        there is not."""
        resource_type, _, id = on.partition("/")
        level: Level = "instance" if id else "type"
        operation = self.operations.get((level, name))
        if operation is None or (operation.types and resource_type not in operation.types):
            raise FhirError("not-found", f"Ingen operasjon {name} / There is no such operation on {on}.")
        if operation.expensive:
            await take_turn(caller)
        if operation.writes and caller.request is not None:
            caller.request.writing = True
        sent = dict(body) if body is not None else None
        answer: Answer = await operation.run(self.engine, Call(caller, resource_type, id, parameters, sent))
        return restored(answer.resource) if isinstance(answer.resource, bytes) else answer.resource

    def today(self) -> date:
        """In the registry's time zone."""
        return self.engine.now().astimezone(self.engine.parser.zone).date()

    def day(self, instant: str) -> date:
        """The day of an `_asOf`, which the search has accepted, in the registry's time zone."""
        return datetime.fromisoformat(instant.strip().replace(" ", "+")).astimezone(self.engine.parser.zone).date()

    def api(self, path: str, as_of: Iterable[tuple[str, str]] = ()) -> str:
        """The URL of something in the API, as of an instant."""
        query = query_of(as_of)
        return f"{self.engine.base}/{path}" + (f"?{query}" if query else "")

    @property
    def origin(self) -> str:
        """Scheme and host of the pages as the world knows them, for what leaves the site."""
        base = urlsplit(self.engine.base)
        return f"{base.scheme}://{base.netloc}"

    def sid(self, name: str) -> str:
        """One of our own identifier systems."""
        return f"{self.codes.base}/sid/{name}"

    def task_code(self, code: str) -> tuple[str, str]:
        """The search parameter of one kind of Task."""
        return "code", f"{self.codes.system('task-type')}|{code}"


@dataclass(frozen=True)
class Reader:
    """Searches of one caller; after the first one `instant` holds its moment, and all that follow are of it."""

    house: House
    caller: Caller
    instant: str

    async def search(self, resource_type: str, *pairs: tuple[str, str]) -> Found:
        """One page of matches. FhirError for what is not understood."""
        return await search(
            self.house.engine, self.caller, resource_type, [*pairs, ("_asOf", self.instant)], strict=True
        )

    async def all(self, resource_type: str, *pairs: tuple[str, str]) -> list[dict[str, Any]]:
        """Every match, page by page."""
        asked = (*pairs, ("_count", str(MAX_COUNT)))
        found = await self.search(resource_type, *asked)
        versions = list(found.page.versions)
        while found.page.next is not None:
            found = await self.search(resource_type, *asked, ("_page", cursor_text(found.page.next)))
            versions += found.page.versions
        return [elements.resource_of(version) for version in versions]


def by_type(found: Found) -> Mapping[str, Mapping[str, dict[str, Any]]]:
    """What came along as includes: type -> "Type/id" -> resource, in the order of its finding."""
    kinds: dict[str, dict[str, dict[str, Any]]] = {"PlanDefinition": {}, "Task": {}, "Organization": {}}
    for version in found.included:
        kinds.setdefault(version.resource_type, {})[f"{version.resource_type}/{version.id}"] = elements.resource_of(
            version
        )
    return kinds
