"""What the pages of dependencies show: one frozen dataclass per page, complete, so that templates only lay out."""

from __future__ import annotations

from dataclasses import dataclass

from server.pages.contexts import Actor, Clash, Frame, Initiative, Need, Select, Standpoint


@dataclass(frozen=True, slots=True)
class Number:
    """A number: the list of the page that holds what it counted, and the search behind it in the API."""

    count: int
    list_url: str
    api_url: str


@dataclass(frozen=True, slots=True)
class Cell:
    """What one actor needs of another: open dependencies, the critical among them, and those in conflict."""

    open: Number
    critical: Number
    clashing: Number


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One actor that waits; `cells` by column, None where it waits for nothing there; `all` counts each dependency
    once, also one that names several actors."""

    actor: Actor
    all: Number
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Who waits (rows) for whom (columns), both by weight; a column without a key is of what names no known actor."""

    columns: tuple[Actor, ...]
    rows: tuple[MatrixRow, ...]


@dataclass(frozen=True, slots=True)
class Clashes:
    """The conflicts of one kind: how many there are, the first of them, and the dependencies in them."""

    kind: str
    count: int
    shown: tuple[Clash, ...]
    needs: Number


@dataclass(frozen=True, slots=True)
class Unknown:
    """What was reported as counterpart and is no known actor, with the dependencies on it."""

    text: str
    needs: tuple[Need, ...]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The filters of the list. `hidden` are the parameters of the URL that no control shows."""

    action: str
    hidden: tuple[tuple[str, str], ...]
    selects: tuple[Select, ...]
    clear_url: str


@dataclass(frozen=True, slots=True)
class NeedList:
    """A part of the list: `needs` from number `first` of `total`; `search` is the query behind it."""

    needs: tuple[Need, ...]
    first: int
    total: int
    previous_url: str
    next_url: str
    search: str
    search_url: str


@dataclass(frozen=True, slots=True)
class DependenciesPage:
    """Who waits for whom. The filters choose the list; all else is of the whole portfolio."""

    frame: Frame
    standpoint: Standpoint
    open: Number
    critical: Number
    clashing: Number
    unanswered: Number
    matrix: Matrix
    clashes: tuple[Clashes, ...]
    unknown: tuple[Unknown, ...]
    unknown_number: Number
    chosen: Chosen
    list: NeedList
    operation_url: str


@dataclass(frozen=True, slots=True)
class Effect:
    """What a slip does to one Task, and to whom; `breaks`: a need that is no longer met in time, else a delivery that
    comes later. `was` and `comes` are days."""

    breaks: bool
    certain: bool
    said: str
    initiative: Initiative
    owner: Actor | None
    was: str
    comes: str
    days: int


@dataclass(frozen=True, slots=True)
class ImpactPage:
    """What breaks, and for whom, if a delivery or dependency comes so many days later."""

    frame: Frame
    standpoint: Standpoint
    name: str
    kind: str
    initiative: Initiative
    owner: Actor
    task: str
    days: int
    action: str
    hidden: tuple[tuple[str, str], ...]
    was: str
    comes: str
    effects: tuple[Effect, ...]
    api_url: str
    operation_url: str
