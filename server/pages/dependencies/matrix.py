"""The matrix of actors: numbers of the dependencies between each two of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from server.pages.contexts import Actor
from server.pages.dependencies.contexts import Cell, Matrix, MatrixRow
from server.pages.dependencies.selection import CLASH, NOBODY, Searches, Selection
from server.portfolio import elements
from server.portfolio.dependencies import Conflict, counterparts
from server.portfolio.dependencies import Need as Wait
from server.portfolio.evidence import CRITICAL


@dataclass(frozen=True)
class Counting:
    """The dependencies that are open or in conflict, and the conflicts of each by its reference."""

    needs: Sequence[Wait]
    conflicts: Mapping[str, Sequence[Conflict]]
    searches: Searches

    def of(self, need: Wait) -> Sequence[Conflict]:
        """The conflicts that a dependency is in."""
        return self.conflicts.get(elements.reference_of(need.task), ())

    def chosen(self, selection: Selection, among: Iterable[Wait]) -> list[Wait]:
        """Those that the selection holds."""
        return [need for need in among if selection.holds(need, self.of(need))]

    def cell(self, selection: Selection, among: Sequence[Wait]) -> Cell:
        """The three numbers of a selection."""
        kinds = (selection, replace(selection, criticality=CRITICAL), replace(selection, conflict=CLASH))
        return Cell(*(self.searches.number(one, self.chosen(one, among)) for one in kinds))

    def matrix(self) -> Matrix:
        """Rows and columns with the most open dependencies first; what names no known actor is the last column."""
        between: dict[tuple[str, str], list[Wait]] = defaultdict(list)
        waiting: dict[str, list[Wait]] = defaultdict(list)
        for need in self.needs:
            waits = need.task.get("requester", {}).get("reference", "")
            waiting[waits].append(need)
            for counterpart in counterparts(need.task) or (NOBODY,):
                between[waits, counterpart].append(need)
        weight: Counter[str] = Counter()
        for (_, counterpart), needs in between.items():
            weight[counterpart] += len(needs)
        columns = sorted(weight, key=lambda one: (one == NOBODY, -weight[one], self._actor(one).name))
        rows = sorted(waiting, key=lambda one: (-len(waiting[one]), self._actor(one).name))
        return Matrix(
            tuple(self._actor(one) for one in columns),
            tuple(self._row(waits, waiting[waits], columns, between) for waits in rows),
        )

    def _row(
        self,
        waits: str,
        all: Sequence[Wait],
        columns: Sequence[str],
        between: Mapping[tuple[str, str], Sequence[Wait]],
    ) -> MatrixRow:
        cells = (
            self.cell(Selection(waits, one), needs) if (needs := between.get((waits, one))) else None for one in columns
        )
        whole = Selection(waits)
        number = self.searches.number(whole, self.chosen(whole, all))
        return MatrixRow(self._actor(waits), number, tuple(cells))

    def _actor(self, reference: str) -> Actor:
        return Actor("", "", "", "") if reference == NOBODY else self.searches.directory.actor(reference)
