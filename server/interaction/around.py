"""What stands around a resource once the request is done: for rules that look beyond the resource itself.

Reads the unit's own writes first, the snapshot else. What a rule relies upon is made a condition of the commit
(Unit.unchanged and Unit.found), so that no rule is checked at one time and broken at another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from server.interaction.engine import Engine, Reading
from server.resource import Resource, restored
from server.search.match import matches
from server.search.query import Clause, Criterion, Query, Reference, Token
from server.store.store import Ref, Version, Write

_MOST = 500


class Planned(Protocol):
    """One resource of the unit, as far as it is decided."""

    @property
    def ref(self) -> Ref: ...
    @property
    def after(self) -> Resource | None: ...
    @property
    def write(self) -> Write | None: ...


@dataclass
class Around:
    """The neighbourhood of one attempt. `unchanged` and `found` are those of its Unit."""

    engine: Engine
    snapshot: Reading
    planned: Sequence[Planned]
    unchanged: dict[Ref, int]
    found: list[tuple[Query, frozenset[str]]]
    _stored: dict[Query, tuple[Version, ...]] = field(default_factory=dict)

    async def look(self, reference: str) -> Resource | None:
        """What a local reference points to ("Task/7"), relied upon to stay as it is; None for nothing."""
        kind, _, id = reference.partition("/")
        if kind not in self.engine.resource_types or not id or "/" in id:
            return None
        planned = self._rewritten.get((kind, id))
        if planned is not None:
            return planned.after
        version = await self.snapshot.read(kind, id)
        self.unchanged.setdefault((kind, id), version.version_id if version else 0)
        return await self.snapshot.resource(kind, id)

    async def find(
        self, resource_type: str, pairs: Iterable[tuple[str, str]], *, firm: bool = False
    ) -> dict[str, Resource]:
        """The resources that a search finds, by reference; at most 500 of those stored. `firm`: they are relied
        upon to stay the same ones."""
        query, versions = await self._search(resource_type, tuple(pairs), 2 if firm else _MOST)
        if firm:
            self.found.append((query, frozenset(version.id for version in versions)))
        result = {
            f"{resource_type}/{version.id}": restored(version.body)
            for version in versions
            if version.body is not None and (resource_type, version.id) not in self._rewritten
        }
        for planned in self._candidates(resource_type, query.criteria):
            write, after = planned.write, planned.after
            if write is None or after is None:
                continue
            if all(matches(criterion, resource_type, write.id, write.indexed) for criterion in query.criteria):
                result[f"{resource_type}/{write.id}"] = after
        return result

    @cached_property
    def _rewritten(self) -> dict[Ref, Planned]:
        """What the unit writes, by what it writes to."""
        return {planned.ref: planned for planned in self.planned if planned.write is not None}

    @cached_property
    def _by_row(self) -> dict[tuple[str, str], list[Planned]]:
        """Those of the unit that stand, by each reference and token of theirs: (key, target) or (key, code), and by
        their type. A unit of thousands asks its rules thousands of times."""
        rows: dict[tuple[str, str], list[Planned]] = {}
        for planned in self._rewritten.values():
            if planned.write is None or planned.after is None:
                continue
            indexed = planned.write.indexed
            found = {(row[0], row[1]) for row in (*indexed.reference, *indexed.token)}
            for row in (("", planned.ref[0]), *found):
                rows.setdefault(row, []).append(planned)
        return rows

    def _candidates(self, resource_type: str, criteria: Sequence[Criterion]) -> Iterable[Planned]:
        """Those of the unit among which all are that meet the criteria: the fewest that one row tells."""
        told = [rows for criterion in criteria if (rows := _rows(criterion)) is not None]
        fewest = min(([("", resource_type)], *told), key=lambda rows: sum(len(self._by_row.get(r, ())) for r in rows))
        return (one for row in fewest for one in self._by_row.get(row, ()))

    async def _search(
        self, resource_type: str, pairs: tuple[tuple[str, str], ...], count: int
    ) -> tuple[Query, tuple[Version, ...]]:
        conditioned = self.engine.parser.conditioned(resource_type, pairs, place="")
        query = Query(resource_type, conditioned.criteria, count=count)
        if query not in self._stored:
            self._stored[query] = (await self.snapshot.search(query)).versions
        return query, self._stored[query]

    async def since(self, reference: str, status: str) -> int | None:
        """The sequence since which the stored resource has had this status without a break; None when it has not."""
        kind, _, id = reference.partition("/")
        page = await self.snapshot.history(kind, id, count=_MOST)
        sequence = None
        for version in page.versions:
            if version.body is None or restored(version.body).get("status") != status:
                break
            sequence = version.sequence
        return sequence


def _rows(criterion: Criterion) -> list[tuple[str, str]] | None:
    """The (key, value) of the rows of which a match has one; None where no row tells."""
    if not isinstance(criterion, Clause) or criterion.negated or criterion.op != "match":
        return None
    rows: list[tuple[str, str]] = []
    for value in criterion.values:
        if isinstance(value, Reference):
            rows += [(criterion.key, target) for target in value.targets]
        elif isinstance(value, Token) and criterion.kind == "token" and value.code is not None:
            rows.append((criterion.key, value.code))
        else:
            return None
    return rows
