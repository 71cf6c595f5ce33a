"""What the pages of key figures show. Numbers are linked to the search that lists what was counted; None is "not
stated", never nought."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from server.pages.contexts import Chip, Frame, Option, Select, Standpoint
from server.pages.figures.charts import Chart
from server.portfolio.codes import Coded


@dataclass(frozen=True, slots=True)
class Figure:
    """A number and the search behind it, "" where it counts nothing. Amounts are MNOK."""

    value: int | Decimal | None
    url: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table; `word` None is «not stated»."""

    word: Coded | None
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """`key` is that of its caption among the texts, `head` that of the words of its rows; `colours`: its columns are
    lights; `money`: its numbers are MNOK; `sums` the last row, of all."""

    key: str
    head: str
    columns: tuple[Coded | None, ...]
    lines: tuple[Line, ...]
    sums: Line | None
    colours: bool = False
    money: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A picture for windows of one width, by day and by night."""

    light: str
    dark: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart as pictures."""

    alt: str
    wide: Source
    narrow: Source


@dataclass(frozen=True, slots=True)
class View:
    """One way of parting a measure: a chart where there is one, and the table with its numbers."""

    table: Table
    chart: Chart | None = None
    picture: Picture | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence of `key` among the texts with its numbers by name, each linked. `money`: they are MNOK."""

    key: str
    figures: tuple[tuple[str, Figure], ...]
    money: bool = False
    lead: bool = False


@dataclass(frozen=True, slots=True)
class Then:
    """A number of an earlier round beside that of now. `word` names it; the change is None where one is not stated."""

    word: Coded | None
    now: Figure
    then: Figure
    change: int | Decimal | None


@dataclass(frozen=True, slots=True)
class Section:
    """One measure: `name` is that of its id (status, deliveries …). `missing` is the key of why there is nothing."""

    name: str
    statements: tuple[Statement, ...]
    views: tuple[View, ...]
    then: tuple[Then, ...]
    money: bool
    api_url: str
    details_url: str
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Narrowing:
    """The form: what the figures are of. `earlier`: the rounds to compare with."""

    action: str
    selects: tuple[Select, ...]
    rounds: tuple[Option, ...]
    earlier: tuple[Option, ...]
    hidden: tuple[tuple[str, str], ...]
    chips: tuple[Chip, ...]
    clear_url: str


@dataclass(frozen=True, slots=True)
class FiguresPage:
    """All measures, or one with all its tables (`details`). `closed`: as the round left it; `everything`: the caller
    sees all there is; `earlier` the title of the round that is compared with, "" for none."""

    frame: Frame
    standpoint: Standpoint
    closed: bool
    everything: bool
    narrowing: Narrowing
    sections: tuple[Section, ...]
    details: bool
    overview_url: str
    earlier: str
