"""What a caller's scopes leave of what its rights give: for a search, and for one resource that is read or written.

Both are told by the same criteria, so that a search finds exactly what could be read one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from server.auth.scopes import Letter, Scopes, constraints, insufficient
from server.outcome import FhirError
from server.resource import Resource
from server.search.match import matches
from server.search.parse import Parser
from server.search.query import AllOf, AnyOf, Clause, Criterion, Token
from server.store.store import Indexed

# No resource has an empty id.
NOTHING: Criterion = Clause("_id", "id", "match", (Token(None, ""),))


@dataclass(frozen=True)
class Narrowing:
    """`parser` and `indexed` are the engine's."""

    parser: Parser
    indexed: Callable[[Resource], Indexed]

    def check(self, held: Scopes | None, letter: Letter, resource_type: str) -> None:
        """FhirError forbidden (403) when the scopes do not hold this letter of the type at all."""
        if constraints(held, letter, resource_type) is None:
            raise insufficient(letter, resource_type)

    def criteria(self, held: Scopes | None, letter: Letter, resource_type: str) -> tuple[Criterion, ...]:
        """What the type's resources meet that the scopes leave for this letter; () when they leave all."""
        queries = constraints(held, letter, resource_type)
        if queries is None:
            return (NOTHING,)
        return (AnyOf(tuple(self._criterion(resource_type, query) for query in queries)),) if queries else ()

    def leaves(self, held: Scopes | None, letter: Letter, resource: Resource) -> bool:
        """Whether the scopes leave this resource for this letter."""
        criteria = self.criteria(held, letter, resource["resourceType"])
        if not criteria:
            return True
        rows = self.indexed(resource)
        kind, id = resource["resourceType"], resource.get("id", "")
        return all(matches(criterion, kind, id, rows) for criterion in criteria)

    def _criterion(self, resource_type: str, query: str) -> Criterion:
        """Of a scope's search; a search that is not understood for this type leaves nothing of it."""
        try:
            return AllOf(self.parser.condition(resource_type, query, place="scope").criteria)
        except FhirError:
            return NOTHING
