"""The typed rows of a report: each cell understood or refused, with its place. Domain model section 6."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mappings.cells import Cells
from mappings.log import Refusal
from mappings.reading import Row, Sheets, read_sheets
from mappings.tables import FORMS, INITIATIVES, Initiative, Organization, Round
from mappings.terminology import Coded


@dataclass(frozen=True, slots=True)
class InitiativeRow:
    """A row of initiatives (2021) or initiative (2023). `owner_text` is the printed *Aktør*; `focus_area` and
    `strategic_goal` hold the printed name as text. Blank cells are None; dates YYYY-MM-DD."""

    row: Row
    known: Initiative
    name: str
    owner: Organization
    owner_text: str
    contact: str | None
    description: str | None
    segment: Coded
    phase: Coded | None
    end_date: str | None
    solutions: tuple[Coded, ...]
    focus_area: Coded | None
    strategic_goal: Coded | None
    status: Coded | None
    status_comment: str | None
    risk: Coded | None
    risk_description: str | None
    strategy: Coded | None


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """`delivered` None: blank, which is a state of its own (ikke-oppgitt)."""

    row: Row
    initiative_id: str
    seq: str
    name: str
    description: str | None
    audience: Coded | None
    due_date: str | None
    delivered: Coded | None


@dataclass(frozen=True, slots=True)
class DependencyRow:
    """`actor` is the raw cell."""

    row: Row
    initiative_id: str
    seq: str
    actor: str
    need: str | None
    purpose: str | None
    category: Coded | None
    criticality: Coded | None
    due_date: str | None
    mutual_plan: bool | None
    status: Coded | None


@dataclass(frozen=True, slots=True)
class FinanceRow:
    """A row of costs or operations: `source` is the funder or the solution, `amount` whole NOK or None (not
    stated), `funder` the organisation when the source is virksomhet."""

    row: Row
    initiative_id: str
    source: Coded
    funder: Organization | None
    year: str
    amount: int | None


@dataclass(frozen=True, slots=True)
class BenefitRow:
    """`years` a whole number, `net_value` whole NOK."""

    row: Row
    initiative_id: str
    years: int | None
    net_value: int | None
    other_benefit: str | None
    beneficiaries: str | None
    assessment: str | None


@dataclass(frozen=True, slots=True)
class PrerequisiteRow:
    row: Row
    initiative_id: str
    prerequisite: Coded
    start: str | None
    criticality: Coded | None
    due_date: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """A report understood. Rows keep the order of their sheets; a row that was refused is not among them.
    `file` names the folder or workbook; `is_whole`: its form asks for all of an initiative, money and benefit too."""

    round: Round
    is_whole: bool
    file: str
    initiatives: tuple[InitiativeRow, ...]
    deliveries: tuple[DeliveryRow, ...]
    dependencies: tuple[DependencyRow, ...]
    costs: tuple[FinanceRow, ...]
    operations: tuple[FinanceRow, ...]
    benefits: tuple[BenefitRow, ...]
    prerequisites: tuple[PrerequisiteRow, ...]
    refused: tuple[Refusal, ...]


T = TypeVar("T")


def read_report(path: str | Path, round: str | None = None) -> Report:
    """The report in a folder of CSVs or a workbook. `round` as in reading.read_sheets.

    Rows that cannot be understood are in `refused`, every bad cell of them; ReportError when the report
    cannot be read at all."""
    return understood(read_sheets(Path(path), round))


def understood(sheets: Sheets) -> Report:
    """The typed rows of sheets, and what of them was refused."""
    refused: list[Refusal] = []
    seen: set[tuple[str, str, str]] = set()

    def rows(sheet: str, read: Callable[[Cells], T]) -> tuple[T, ...]:
        return tuple(_typed(sheets.rows.get(sheet, ()), read, seen, refused))

    return Report(
        round=sheets.round,
        is_whole="costs" in FORMS[sheets.form],
        file=sheets.file,
        initiatives=rows("initiatives", _initiative) + rows("initiative", _initiative),
        deliveries=rows("deliveries", _delivery),
        dependencies=rows("dependencies", _dependency),
        costs=rows("costs", _cost),
        operations=rows("operations", _operation),
        benefits=rows("benefits", _benefit),
        prerequisites=rows("benefit_prerequisites", _prerequisite),
        refused=tuple(refused),
    )


def _typed(
    rows: tuple[Row, ...],
    read: Callable[[Cells], T],
    seen: set[tuple[str, str, str]],
    refused: list[Refusal],
) -> Iterator[T]:
    """The rows without a bad cell; every bad cell goes to `refused`."""
    for row in rows:
        cells = Cells(row, seen)
        typed = read(cells)
        refused.extend(cells.refused)
        if not cells.refused:
            yield typed


def _initiative(cells: Cells) -> InitiativeRow:
    id = cells.initiative(first=True)
    actor = cells.required("actor")
    segment = cells.coded("segment", "initiatives.segment")
    if segment is None:
        cells.required("segment")
    return InitiativeRow(
        row=cells.row,
        known=INITIATIVES.get(id) or Initiative(id, "", "", ""),
        name=cells.required("name"),
        owner=cells.organization("actor", actor),
        owner_text=actor,
        contact=cells.text("contact"),
        description=cells.text("description|summary"),
        segment=segment or Coded("nep-segment", ("",), ""),
        phase=cells.coded("phase", "initiatives.phase"),
        end_date=cells.date("end_date"),
        solutions=cells.several("national_solutions", "initiatives.national_solutions"),
        focus_area=cells.focus_area("focus_area_code", "focus_area_name"),
        strategic_goal=cells.goal("strategic_goal"),
        status=cells.coded("status", "initiatives.status"),
        status_comment=cells.text("status_comment"),
        risk=cells.coded("risk", "initiatives.risk"),
        risk_description=cells.text("risk_description"),
        strategy=cells.coded("introduction_strategy", "initiatives.introduction_strategy"),
    )


def _delivery(cells: Cells) -> DeliveryRow:
    return DeliveryRow(
        row=cells.row,
        initiative_id=cells.initiative(),
        seq=cells.sequence(),
        name=cells.required("name"),
        description=cells.text("description"),
        audience=cells.coded("audience", "deliveries.audience"),
        due_date=cells.date("due_date"),
        delivered=cells.coded("delivered", "deliveries.delivered"),
    )


def _dependency(cells: Cells) -> DependencyRow:
    return DependencyRow(
        row=cells.row,
        initiative_id=cells.initiative(),
        seq=cells.sequence(),
        actor=cells.required("actor"),
        need=cells.text("need"),
        purpose=cells.text("purpose"),
        category=cells.coded("category", "dependencies.category"),
        criticality=cells.coded("criticality", "dependencies.criticality"),
        due_date=cells.date("due_date"),
        mutual_plan=cells.yes_no("mutual_plan"),
        status=cells.coded("status", "dependencies.status"),
    )


def _cost(cells: Cells) -> FinanceRow:
    source = cells.must("funder", "costs.funder")
    return FinanceRow(
        row=cells.row,
        initiative_id=cells.initiative(),
        source=source,
        funder=cells.organization("funder", source.text) if source.code == "virksomhet" else None,
        year=cells.year("year"),
        amount=cells.amount("amount_mnok"),
    )


def _operation(cells: Cells) -> FinanceRow:
    return FinanceRow(
        row=cells.row,
        initiative_id=cells.initiative(),
        source=cells.must("solution", "operations.solution"),
        funder=None,
        year=cells.year("year"),
        amount=cells.amount("change_mnok"),
    )


def _benefit(cells: Cells) -> BenefitRow:
    return BenefitRow(
        row=cells.row,
        initiative_id=cells.initiative(),
        years=cells.whole("years"),
        net_value=cells.amount("net_value_mnok"),
        other_benefit=cells.text("other_benefit"),
        beneficiaries=cells.text("beneficiaries"),
        assessment=cells.text("assessment"),
    )


def _prerequisite(cells: Cells) -> PrerequisiteRow:
    prerequisite = cells.must("prerequisite", "benefit_prerequisites.prerequisite")
    cells.once(prerequisite.code, "prerequisite")
    return PrerequisiteRow(
        row=cells.row,
        initiative_id=cells.initiative(),
        prerequisite=prerequisite,
        start=cells.date("start"),
        criticality=cells.coded("criticality", "benefit_prerequisites.criticality"),
        due_date=cells.date("due_date"),
    )
