"""The matrix of actors: numbers of the dependencies between each two of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from server.pages.contexts import Actor
from server.pages.dependencies.contexts import Cell, Matrix, MatrixRow
from server.pages.dependencies.selection import CLASH, NOBODY, Fact, Searches, Selection
from server.portfolio.evidence import CRITICAL

Between = Mapping[tuple[str, str], Sequence[Fact]]
"""The dependencies of one actor on another, by their references."""


def chosen(selection: Selection, among: Sequence[Fact]) -> list[Fact]:
    """Those that the selection holds."""
    return [one for one in among if selection.holds(one)]


@dataclass(frozen=True)
class Counting:
    """`facts` are the dependencies that are open or in conflict."""

    facts: Sequence[Fact]
    searches: Searches

    def cell(self, selection: Selection, among: Sequence[Fact]) -> Cell:
        """The three numbers of a selection."""
        kinds = (selection, replace(selection, criticality=CRITICAL), replace(selection, conflict=CLASH))
        return Cell(*(self.searches.number(one, chosen(one, among)) for one in kinds))

    def matrix(self) -> Matrix:
        """Rows and columns with the most dependencies first; what names no known actor is the last column."""
        between: dict[tuple[str, str], list[Fact]] = defaultdict(list)
        waiting: dict[str, list[Fact]] = defaultdict(list)
        for one in self.facts:
            waiting[one.waits].append(one)
            for counterpart in one.counterparts:
                between[one.waits, counterpart].append(one)
        weight: Counter[str] = Counter()
        for (_, counterpart), facts in between.items():
            weight[counterpart] += len(facts)
        columns = sorted(weight, key=lambda one: (one == NOBODY, -weight[one], self._actor(one).name))
        rows = sorted(waiting, key=lambda one: (-len(waiting[one]), self._actor(one).name))
        return Matrix(
            tuple(self._actor(one) for one in columns),
            tuple(self._row(waits, waiting[waits], columns, between) for waits in rows),
        )

    def _row(self, waits: str, all: Sequence[Fact], columns: Sequence[str], between: Between) -> MatrixRow:
        cells = (
            self.cell(Selection(waits, one), facts) if (facts := between.get((waits, one))) else None for one in columns
        )
        whole = Selection(waits)
        return MatrixRow(self._actor(waits), self.searches.number(whole, chosen(whole, all)), tuple(cells))

    def _actor(self, reference: str) -> Actor:
        return Actor("", "", "", "") if reference == NOBODY else self.searches.directory.actor(reference)
