"""What becomes of an uploaded workbook: changes in words, faults by cell, and the transaction. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from server.outcome import FhirError, Issue
from server.workbook.cells import Shown
from server.workbook.places import Origins, Place, entry_of
from server.workbook.slots import Resource
from server.workbook.table import Column


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a cell, in both languages. `expression`: the element, where a rule of the registry speaks."""

    place: Place
    text: str
    code: str
    expression: str = ""
    rule: str = ""
    severity: str = "error"

    @classmethod
    def of(cls, sheet: str, cell: str, text: str, code: str) -> Fault:
        """Of a cell that no row has, or of the whole file."""
        return cls(Place(sheet, cell), text, code)

    @property
    def issue(self) -> Issue:
        """As OperationOutcome.issue, its text beginning with the cell."""
        text = f"{self.place}: {self.text}" if self.place.sheet else self.text
        return Issue(self.code, text, self.expression, self.severity, self.rule)


@dataclass(frozen=True, slots=True)
class Changed:
    """A cell that changes something: what stands, and what shall stand; "" for nothing. `new`: of a new row."""

    place: Place
    initiative: str
    column: Column
    before: str
    after: str
    new: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """`entries` are those of the transaction, `origins` the rows that each is from."""

    entries: tuple[Resource, ...]
    changes: tuple[Changed, ...]
    faults: tuple[Fault, ...]
    origins: tuple[Origins, ...]

    @property
    def bundle(self) -> Resource:
        """The transaction."""
        return {"resourceType": "Bundle", "type": "transaction", "entry": list(self.entries)}

    def named(self, issues: Iterable[Issue], entry: int | None = None) -> list[Fault]:
        """What the registry says of the transaction, or of one entry of it, by cell."""
        found = []
        for issue in issues:
            index, inner = entry_of(issue.expression)
            index = entry if index is None else index
            place = Place("")
            if index is not None and index < len(self.origins):
                place = self.origins[index].place(self.entries[index]["resource"], inner, issue.rule)
            found.append(Fault(place, issue.text, issue.code, issue.expression, issue.rule, issue.severity))
        return found


def refusal(faults: Iterable[Fault]) -> FhirError:
    """All of them as one error: 409 when something was changed meanwhile, 413 and 400 as the codes say, else 422."""
    issues = tuple(fault.issue for fault in faults)
    codes = {issue.code for issue in issues if issue.severity == "error"}
    status = 409 if "conflict" in codes else 403 if "forbidden" in codes else 422
    return FhirError(issues[0].code, issues[0].text, issues=issues, status=status)


def said(cell: Shown) -> str:
    """What a cell shows, in words."""
    match cell:
        case None:
            return ""
        case date():
            return cell.strftime("%d.%m.%Y")
        case Decimal():
            return f"{cell.normalize():f}".replace(".", ",")
        case _:
            return str(cell)
