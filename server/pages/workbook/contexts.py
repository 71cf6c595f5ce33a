"""What the workbook's page shows."""

from __future__ import annotations

from dataclasses import dataclass

from server.pages.contexts import Fault, Frame


@dataclass(frozen=True, slots=True)
class Choice:
    """An actor whose workbook may be fetched."""

    name: str
    url: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell that changes something, with its words before and after, "" for nothing."""

    place: str
    initiative: str
    column: str
    before: str
    after: str
    new: bool


@dataclass(frozen=True, slots=True)
class Said:
    """A fault or remark, and the cell that it is of, "" for the whole file."""

    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a check found, or why nothing was sent. `conflict`: somebody else has changed the same."""

    file: str
    faults: tuple[Said, ...]
    remarks: tuple[Said, ...]
    changes: tuple[Cell, ...]
    refused: bool
    conflict: bool


@dataclass(frozen=True, slots=True)
class WorkbookPage:
    """`actor` is "" until one is chosen; `file_url` and `form_url` are then those of its workbook. `sent`: how many
    cells were changed by what was sent just now, None when nothing was. `most`: MiB of a file. `faults` are those of a
    form that could not be read as a workbook."""

    frame: Frame
    round_title: str
    round_url: str
    deadline: str
    open: bool
    choices: tuple[Choice, ...]
    actor: str = ""
    file_url: str = ""
    form_url: str = ""
    initiatives: int = 0
    sent: int | None = None
    answer: Answer | None = None
    most: int = 5
    faults: tuple[Fault, ...] = ()
