"""Each measure as the page shows it: what it says in words, and its tables with their charts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from server.pages.contexts import Round
from server.pages.figures.charts import Bar, Chart
from server.pages.figures.charts import Part as Colour
from server.pages.figures.contexts import Figure, Line, Statement, Table, View
from server.pages.figures.reading import (
    COHORT,
    Part,
    Stratum,
    code_of,
    condition,
    counted,
    link,
    narrowed,
    population,
    strata,
    summed,
    without,
)  # fmt: skip
from server.pages.render import Words
from server.portfolio.codes import Coded, Codes
from server.search.urls import pairs_of

Groups = Sequence[Part]
Column = tuple[Part, str]
"""A group and the code of the population that is counted."""

NAMES = ("status", "reporting", "deliveries", "dependencies", "finance")
OF_ROUNDS = ("status", "reporting")
"""Those that count a round's reports: what nobody has asked for, or what is not public yet, is not nought."""
_OWNERS = 15
"""Bars of a chart of owners: those who lack most reports, then the rest as one."""
_LETTERS = "abcdefghi"
_PALETTED = ("gronn", "gul", "rod", "oppfylt")


@dataclass(frozen=True)
class Teller:
    """What the sections need to say it: the API's base, the words of codes and of the page."""

    base: str
    codes: Codes
    words: Words

    def word(self, concept: Part) -> Coded | None:
        """Of a group or a stratum's value, None for what is not stated."""
        coding = concept.get("coding")
        if not coding:
            text = str(concept.get("text", ""))
            return Coded("", "", text, "nb")
        if coding[0].get("code") == "ikke-oppgitt" and coding[0].get("system") == self.codes.system("measure-group"):
            return None
        return self.codes.coded({"coding": coding}, self.words.lang)

    def said(self, key: str, **values: Any) -> Coded:
        """One of the page's own words."""
        return Coded("", key, self.words.text(key, **values), self.words.lang)

    def plain(self, word: Coded | None) -> str:
        """For a picture."""
        return word.display if word else self.words.text("unstated")

    def shown(self, value: int | Decimal | None) -> str:
        """For a picture: amounts with one decimal."""
        if value is None:
            return self.words.text("unstated")
        return self.words.amount(value) if isinstance(value, Decimal) else self.words.number(value)

    # What each measure says

    def statements(self, name: str, every: Mapping[str, Groups]) -> tuple[Statement, ...]:
        """The headline first, then how much of the whole it speaks of."""
        groups = every[name]
        match name:
            case "status" | "dependencies":
                colours = tuple((code_of(one), counted(one, self.base)) for one in groups[:-1])
                return (
                    Statement(f"figures.{name}.lead", colours, lead=True),
                    Statement(f"figures.{name}.coverage", self._coverage(groups)),
                )
            case "reporting":
                (group,) = groups
                numbers = (("reported", self._of(group, "numerator")), ("asked", self._of(group, "denominator")))
                return (Statement("figures.reporting.lead", numbers, lead=True),)
            case "deliveries":
                return tuple(
                    Statement(
                        f"figures.deliveries.{code_of(group)}",
                        (("some", self._of(group, "numerator")), ("all", self._of(group, "denominator"))),
                        lead=not place,
                    )
                    for place, group in enumerate(groups)
                )
            case _:
                sums = tuple((code_of(group), summed(group, self.base)) for group in groups)
                return (
                    Statement("figures.finance.lead", sums, money=True, lead=True),
                    *(Statement(f"figures.finance.{code_of(group)}", self._money(group)) for group in groups),
                )

    def facts(self, name: str, groups: Groups) -> list[tuple[Coded | None, Figure]]:
        """The main numbers, to be compared with those of another round."""
        if name == "finance":
            return [(self.word(group["code"]), summed(group, self.base)) for group in groups]
        code = COHORT if name in ("status", "dependencies") else "numerator"
        return [(self.word(group["code"]), self._of(group, code)) for group in groups]

    def _of(self, group: Part, code: str) -> Figure:
        return counted(group, self.base, code)

    def _coverage(self, groups: Groups) -> tuple[tuple[str, Figure], ...]:
        """How many state it, of all; their searches are that of those who do not, with its last condition turned."""
        none = counted(groups[-1], self.base)
        stated = sum(int(counted(one, self.base).value or 0) for one in groups[:-1])
        missing = next(name for name, _ in _pairs(none.url) if name.endswith("-color:missing") or name == _UNANSWERED)
        return (
            ("stated", Figure(stated, without(none.url, missing, (missing, "false")))),
            ("all", Figure(stated + int(none.value or 0), without(none.url, missing))),
        )

    def _money(self, group: Part) -> tuple[tuple[str, Figure], ...]:
        codes = {"stated": "measure-population", "all": COHORT, "blank": "measure-population-exclusion"}
        return tuple((name, self._of(group, code)) for name, code in codes.items())

    # Tables and charts

    def views(self, name: str, groups: Groups, *, details: bool) -> Iterable[View]:
        """The tables with charts first; `details`: also those without."""
        match name:
            case "status":
                yield self._colours(name, groups, "Segment", "segment", self._order("segment"))
                if details:
                    yield self._colours(name, groups, "Fase", "phase", self._order("phase"), drawn=False)
                    yield self._colours(name, groups, "Risiko", "risk", self._order("traffic-light"), drawn=False)
                    yield self._colours(name, groups, "Eier", "owner", drawn=False)
            case "dependencies":
                yield self._colours(name, groups, "Kritikalitet", "criticality", self._order("criticality")[::-1])
                yield self._colours(name, groups, "Svar", "answer", _ANSWERS)
                if details:
                    yield self._colours(name, groups, "Avklart plan", "plan", ("true", "false"), drawn=False)
                    yield self._colours(name, groups, "Segment", "segment", self._order("segment"), drawn=False)
                    yield self._colours(name, groups, "Eier", "owner", drawn=False)
            case "reporting":
                yield self._reporting(groups)
                if details:
                    columns = _columns_of_reporting(groups)
                    lines = self._lines(columns, "Segment", self._order("segment"))
                    yield View(self._table("reporting.segment", "segment", self._asked_reported(), lines, columns))
            case "deliveries":
                yield self._deliveries(
                    groups, "segment", self._lines(_of_deliveries(groups), "Segment", self._order("segment"))
                )
                if details:
                    lines = self._lines(_of_deliveries(groups), "Eier")
                    yield replace(self._deliveries(groups, "owner", lines), chart=None)
            case _:
                costs, operations = groups
                yield self._finance("costs", costs, "Kilde", "source")
                yield self._finance("operations", operations, "Løsning", "solution")

    def rounds(self, over: Sequence[tuple[Round, Groups]]) -> View | None:
        """Status of one round after another, the earliest first; None for a single one."""
        if len(over) < 2:
            return None
        columns = tuple(self.word(group["code"]) for group in over[0][1])
        lines = tuple(
            Line(Coded("", one.value, one.title, "nb"), tuple(counted(group, self.base) for group in groups))
            for one, groups in over
        )
        table = Table("figures.table.status.rounds", "figures.round", columns, lines, None, colours=True)
        return View(table, self._stacked("status-rounds", table, "figures.alt.status.rounds", sums=False))

    def _order(self, system: str) -> tuple[str, ...]:
        return tuple(one.code for one in self.codes.options(system, "nb"))

    def _colours(
        self, name: str, groups: Groups, stratifier: str, by: str, order: Sequence[str] = (), *, drawn: bool = True
    ) -> View:
        columns = [(group, COHORT) for group in groups]
        lines = self._lines(columns, stratifier, order)
        words = tuple(self.word(group["code"]) for group in groups)
        table = replace(self._table(f"{name}.{by}", by, words, lines, columns), colours=True)
        return View(table, self._stacked(f"{name}-{by}", table, f"figures.alt.{name}.{by}") if drawn else None)

    def _reporting(self, groups: Groups) -> View:
        columns = _columns_of_reporting(groups)
        lines = sorted(self._lines(columns, "Eier"), key=lambda one: (_lack(one), _value(one, 0)), reverse=True)
        table = self._table("reporting.owner", "owner", self._asked_reported(), lines, columns)
        bars = [self._reported(self.plain(one.word), _value(one, 0), _value(one, 1)) for one in lines[:_OWNERS]]
        if rest := lines[_OWNERS:]:
            word = self.words.text("figures.others", n=len(rest))
            bars.append(self._reported(word, sum(_value(o, 0) for o in rest), sum(_value(o, 1) for o in rest)))
        parts = (self._part("done", "figures.reported"), self._part("missing", "figures.not-reported"))
        alt = self.words.text("figures.alt.reporting.owner", **_plain(self._asked_of(columns)))
        return View(table, Chart("reporting-owner", alt, parts, tuple(bars)))

    def _reported(self, word: str, asked: int, reported: int) -> Bar:
        numbers = (reported, asked - reported)
        total = self.words.text("done", done=reported, planned=asked)
        return Bar(word, numbers, tuple(map(self.shown, numbers)), total)

    def _asked_of(self, columns: Sequence[Column]) -> tuple[tuple[str, Figure], ...]:
        (group, _), _ = columns
        return (("asked", self._of(group, "denominator")), ("reported", self._of(group, "numerator")))

    def _asked_reported(self) -> tuple[Coded | None, ...]:
        return (self.said("figures.asked"), self.said("figures.reported"))

    def _deliveries(self, groups: Groups, by: str, lines: Sequence[Line]) -> View:
        columns = _of_deliveries(groups)
        words = tuple(self.said(f"figures.delivery.{one}") for one in ("all", "done", "open", "late", "redefined"))
        table = self._table(f"deliveries.{by}", by, words, lines, columns)
        names = ("done", "late", "open", "redefined")
        keys = ("delivery.done", "delivery.late", "delivery.in-time", "delivery.redefined")
        parts = tuple(self._part(name, f"figures.{key}") for name, key in zip(names, keys, strict=True))
        every = [*table.lines, *([table.sums] if table.sums else [])]
        bars = tuple(self._bar(one, _delivered(one)) for one in every)
        (_, done), (_, some) = self._of_one(groups[0])
        late = self._of(groups[1], "numerator")
        alt = self.words.text("figures.alt.deliveries.segment", done=done.value, all=some.value, late=late.value)
        return View(table, Chart(f"deliveries-{by}", alt, parts, bars))

    def _of_one(self, group: Part) -> tuple[tuple[str, Figure], ...]:
        return (("some", self._of(group, "numerator")), ("all", self._of(group, "denominator")))

    def _finance(self, name: str, group: Part, by: str, head: str) -> View:
        order = self._order("funding-source" if name == "costs" else "national-solution")
        columns = sorted(strata(group, by), key=lambda one: _place(order, one.keys[0]))
        cells = {one.keys: one for one in strata(group, "År", by)}
        lines = []
        for year in sorted(strata(group, "År"), key=lambda one: one.keys):
            figures = [self._sum(cells.get((*year.keys, *column.keys))) for column in columns]
            word = Coded("", year.keys[0], str(year.values[0].get("text", "")), self.words.lang)
            lines.append(Line(word, (*figures, summed(year.part, self.base))))
        words = (*(self.word(column.values[0]) for column in columns), self.said("figures.sum"))
        sums = Line(
            self.said("figures.sum"), (*(self._sum(one) for one in columns), summed(group, self.base))
        )  # fmt: skip
        table = Table(f"figures.table.finance.{name}", "figures.year", words, tuple(lines), sums, money=True)
        parts = tuple(Colour(_LETTERS[n % len(_LETTERS)], self.plain(word)) for n, word in enumerate(words[:-1]))
        bars = tuple(
            self._bar(line, [one.value for one in line.figures[:-1]], line.figures[-1].value) for line in lines
        )
        most = max(lines, key=lambda one: one.figures[-1].value or Decimal(0), default=None)
        told = {"sum": self.shown(summed(group, self.base).value)}
        told |= {"year": self.plain(most.word), "most": self.shown(most.figures[-1].value)} if most else {}
        alt = self.words.text(f"figures.alt.finance.{name}", **told) if most else ""
        return View(table, Chart(f"finance-{name}", alt, parts, bars) if lines else None)

    def _sum(self, stratum: Stratum | None) -> Figure:
        return Figure(None) if stratum is None else summed(stratum.part, self.base)

    def _table(
        self, key: str, by: str, words: tuple[Coded | None, ...], lines: Sequence[Line], columns: Sequence[Column]
    ) -> Table:
        sums = Line(self.said("figures.all"), tuple(self._of(group, code) for group, code in columns))
        return Table(f"figures.table.{key}", f"figures.by.{by}", words, tuple(lines), sums)

    def _lines(self, columns: Sequence[Column], stratifier: str, order: Sequence[str] = ()) -> list[Line]:
        """A line for each stratum of any of the groups, in the order of codes, else of words."""
        found: list[dict[str, Stratum]] = [
            {one.keys[0]: one for one in strata(group, stratifier)} for group, _ in columns
        ]
        known: dict[str, tuple[Part, Stratum]] = {}
        for (group, _), own in zip(columns, found, strict=True):
            for key, stratum in own.items():
                known.setdefault(key, (group, stratum))
        lines = []
        for key, (group, stratum) in known.items():
            extra = condition(group, stratum.part) if key else None
            cells = [
                self._cell(one, code, own.get(key), extra) for (one, code), own in zip(columns, found, strict=True)
            ]
            lines.append((key, Line(self._of_stratum(stratum), tuple(cells))))

        def rank(one: tuple[str, Line]) -> tuple[bool, int, str]:
            key, line = one
            return not key, _place(order, key), self.plain(line.word).casefold()

        return [line for _, line in sorted(lines, key=rank)]

    def _cell(
        self, group: Part, code: str, stratum: Stratum | None, extra: list[tuple[str, str]] | None
    ) -> Figure:  # fmt: skip
        """What a group has none of is 0, and its search finds none."""
        if stratum is not None:
            return self._of(stratum.part, code)
        whole = population(group, code)
        return Figure(0, f"{self.base}/{narrowed(link(whole), extra)}" if whole and extra else "")

    def _of_stratum(self, stratum: Stratum) -> Coded | None:
        (key,), (value,) = stratum.keys, stratum.values
        if not key:
            return None
        if self.words.has(f"figures.value.{key}"):
            return self.said(f"figures.value.{key}")
        return self.word(value)

    def _part(self, colour: str, key: str) -> Colour:
        return Colour(colour, self.words.text(key))

    def _stacked(self, name: str, table: Table, alt: str, *, sums: bool = True) -> Chart:
        """A chart of the whole table, its columns in the colours of their codes."""
        every = [*table.lines, *([table.sums] if sums and table.sums else [])]
        codes = [word.code if word and word.code in _PALETTED else "unstated" for word in table.columns]
        parts = tuple(Colour(code, self.plain(word)) for code, word in zip(codes, table.columns, strict=True))
        last = (table.sums if sums else None) or table.lines[-1]
        told = {code.replace("-", "_"): figure.value for code, figure in zip(codes, last.figures, strict=True)}
        bars = tuple(self._bar(one, [figure.value for figure in one.figures]) for one in every)
        return Chart(name, self.words.text(alt, **told), parts, bars)

    def _bar(
        self, line: Line, numbers: Sequence[int | Decimal | None], total: int | Decimal | None = None
    ) -> Bar:  # fmt: skip
        stated = [number for number in numbers if number is not None]
        whole = total if total is not None else sum(stated) if stated else None
        return Bar(self.plain(line.word), tuple(numbers), tuple(map(self.shown, numbers)), self.shown(whole))


_UNANSWERED = "business-status:missing"
_ANSWERS = (
    "requested",
    "received",
    "accepted",
    "in-progress",
    "on-hold",
    "completed",
    "rejected",
    "cancelled",
    "failed",
)


def _pairs(url: str) -> list[tuple[str, str]]:
    return pairs_of(url.partition("?")[2])


def _columns_of_reporting(groups: Groups) -> list[Column]:
    (group,) = groups
    return [(group, "denominator"), (group, "numerator")]


def _of_deliveries(groups: Groups) -> list[Column]:
    """All, delivered, open, late of the open, redefined."""
    done, late, redefined = groups
    return [(done, COHORT), (done, "numerator"), (late, "denominator"), (late, "numerator"), (redefined, "numerator")]


def _delivered(line: Line) -> list[int | Decimal | None]:
    """Delivered, late, open and not late, redefined: the parts of a bar."""
    _, done, open, late, redefined = (_value(line, place) for place in range(5))
    return [done, late, open - late, redefined]


def _place(order: Sequence[str], key: str) -> int:
    return order.index(key) if key in order else len(order)


def _value(line: Line, place: int) -> int:
    return int(line.figures[place].value or 0)


def _lack(line: Line) -> int:
    return _value(line, 0) - _value(line, 1)


def _plain(figures: Iterable[tuple[str, Figure]]) -> dict[str, Any]:
    return {name: figure.value for name, figure in figures}
