"""The document Bundle of an edition as the report's seven tables: the inverse of the import in mappings/.

Pure, and of the document alone. tables.json has the form: per table its columns in the order of the report, then
`more`, what the resources hold beyond them. The printed word of a cell is CodeableConcept.text, else the coding's
display. Contact persons are no part of an edition (domain model, decision 5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from server.portfolio.edition import PLANNED_DATES
from server.resource import Resource


@dataclass(frozen=True, slots=True)
class Light:
    """A reported colour: `code` is rod, gul, gronn or oppfylt, `word` as it was printed (Gul, Noen utfordringer)."""

    code: str
    word: str


Cell = str | int | Decimal | Light | tuple[str, ...] | None
"""None is blank. A date is a FHIR date, as precise as it was given; an amount MNOK; a list its words in order."""

Row = Mapping[str, Cell]
Kind = Literal["code", "text", "markdown", "word", "colour", "date", "year", "count", "amount", "total", "list"]
"""How a column is shown. `word` and `colour` are printed codes, `amount` MNOK of at least one decimal as the report
prints it, `total` MNOK without one where it is whole."""

_ENH = "urn:oid:2.16.578.1.12.4.1.4.101"
_OWNER = "http://hl7.org/fhir/StructureDefinition/cqf-contactReference"
# What the import writes where the cell is blank, for a goal must have a description.
_NO_OTHER_BENEFIT = "Netto nytteverdi"
# The form's words for a code that came without its printed word; blank for what was not stated.
_DELIVERED = {"levert": "Ja", "ikke-levert": "Nei", "omdefinert": "Omdefinert", "ikke-oppgitt": None}


@dataclass(frozen=True, slots=True)
class Column:
    """`name` as in the report's CSV; `more`: beyond the report's own columns."""

    name: str
    nb: str
    en: str
    kind: Kind
    more: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """One of the seven tables, without its rows."""

    name: str
    nb: str
    en: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """An initiative: table's name -> its rows there. That of `initiatives` has exactly one."""

    rows: Mapping[str, tuple[Row, ...]]

    @property
    def facts(self) -> Row:
        """Its row of the table of initiatives."""
        return self.rows["initiatives"][0]


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of the report that holds initiatives, under its title there: Samstyre, Koordinere, Observere."""

    title: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Annex:
    """An edition's tables. `date` is an instant; `reason` and `replaces` of a correction, "" for others; `period`
    the round's first and last day."""

    number: str
    title: str
    status: str
    date: str
    period: tuple[str, str]
    reason: str
    replaces: str
    chapters: tuple[Chapter, ...]

    @property
    def entries(self) -> Iterator[Entry]:
        """The initiatives in the report's order."""
        return (entry for chapter in self.chapters for entry in chapter.entries)

    def rows(self, table: str) -> list[Row]:
        """All rows of a table, in the report's order."""
        return [row for entry in self.entries for row in entry.rows[table]]


def _forms() -> tuple[Form, ...]:
    read = msgspec.json.decode(Path(__file__).with_name("tables.json").read_bytes())
    return tuple(
        Form(
            table,
            form["nb"],
            form["en"],
            (
                *(Column(name, nb, en, kind) for name, nb, en, kind in form["columns"]),
                *(Column(name, nb, en, kind, more=True) for name, nb, en, kind in form["more"]),
            ),
        )
        for table, form in read.items()
    )


FORMS = _forms()
assert all(column.kind in get_args(Kind) for form in FORMS for column in form.columns)


def annex(document: Resource) -> Annex:
    """The tables of an edition's document Bundle."""
    report = document["entry"][0]["resource"]
    event: Resource = next(iter(report.get("event", [])), {})
    period = event.get("period", {})
    return Annex(
        number=str(report["identifier"]["value"]),
        title=str(report["title"]),
        status=str(report["status"]),
        date=str(report["date"]),
        period=(str(period.get("start", "")), str(period.get("end", ""))),
        reason=next((str(code["text"]) for code in event.get("code", []) if "text" in code), ""),
        replaces=next((str(one["targetIdentifier"]["value"]) for one in report.get("relatesTo", [])), ""),
        chapters=tuple(_chapters(report.get("section", []), _Held.of(document))),
    )


# ---- from the document to its initiatives


@dataclass(frozen=True)
class _Held:
    """The document's resources by reference."""

    by_name: Mapping[str, Resource]

    @classmethod
    def of(cls, document: Resource) -> _Held:
        resources = (entry["resource"] for entry in document["entry"])
        return cls({f"{one['resourceType']}/{one['id']}": one for one in resources})

    def get(self, reference: Mapping[str, Any]) -> Resource:
        """{} for what the document does not hold."""
        return self.by_name.get(str(reference.get("reference", "")), {})


def _chapters(sections: Iterable[Resource], held: _Held) -> Iterator[Chapter]:
    for section in sections:
        entries = tuple(_entry(one, held) for one in section.get("section", []) if _is_initiative(one, held))
        if entries:
            yield Chapter(str(section["title"]), entries)


def _is_initiative(section: Resource, held: _Held) -> bool:
    return any(held.get(reference).get("resourceType") == "PlanDefinition" for reference in section.get("entry", []))


@dataclass(frozen=True)
class _Initiative:
    """What its rows are made of."""

    held: _Held
    plan: Resource
    report: Resource
    tasks: Mapping[str, Sequence[Resource]] = field(default_factory=dict)
    planned: Mapping[str, Resource] = field(default_factory=dict)
    """What the edition says of the deliveries' dates, by the delivery's id: part -> value."""

    @property
    def number(self) -> str:
        return _identifier(self.plan, "tiltaksnummer")


def _entry(section: Resource, held: _Held) -> Entry:
    shown = [held.get(reference) for reference in section["entry"]]
    tasks: dict[str, list[Resource]] = {}
    for resource in shown:
        if resource.get("resourceType") == "Task":
            tasks.setdefault(_code(resource.get("code"), "nep-task-type"), []).append(resource)
    plan = next(one for one in shown if one.get("resourceType") == "PlanDefinition")
    planned = {str(held.get(one).get("id", "")): _planned(one) for one in section["entry"]}
    initiative = _Initiative(held, plan, next(iter(tasks.get("statusrapport", [])), {}), tasks, planned)
    return Entry({form.name: tuple(_rows(form, initiative)) for form in FORMS})


def _planned(entry: Resource) -> Resource:
    """The parts of nep-planned-dates; editions that were made before there was such a thing have none."""
    said = [one for one in entry.get("extension", []) if str(one.get("url", "")).endswith(f"/{PLANNED_DATES}")]
    return {str(part["url"]): _value_of(part) for one in said for part in one.get("extension", [])}


def _rows(form: Form, initiative: _Initiative) -> Iterator[Row]:
    """The table's rows: every column is there, blank texts and empty lists are None."""
    for row in _TABLES[form.name](initiative):
        cells: dict[str, Cell] = {"tiltaksnummer": initiative.number, **row}
        yield {column.name: None if cells[column.name] in ("", ()) else cells[column.name] for column in form.columns}


# ---- the seven tables, each by the names of its columns


def _initiatives(of: _Initiative) -> Iterator[Row]:
    plan, report = of.plan, of.report
    author: Resource = next(iter(plan.get("author", [])), {})
    focus: Resource = next(_topics(plan, "nep-focus-area-2017"), {})
    yield {
        "name": plan.get("title"),
        "actor": author.get("name"),
        "description": plan.get("description"),
        "segment": _word(_context(plan, "segment")),
        "phase": _word(_context(plan, "fase")),
        "end_date": plan.get("effectivePeriod", {}).get("end"),
        "national_solutions": _words(_topics(plan, "nep-national-solution")),
        "focus_area_code": _code(focus, "nep-focus-area-2017"),
        "focus_area_name": _word(focus),
        "status": _light(_value(report.get("output"), "status")),
        "status_comment": _value(report.get("output"), "kommentar"),
        "risk": _light(_value(report.get("output"), "risiko")),
        "risk_description": _value(report.get("output"), "risikobeskrivelse"),
        "introduction_strategy": _word(_context(plan, "innforingsstrategi")),
        "organization_number": _number_of(of, author),
        "start_date": plan.get("effectivePeriod", {}).get("start"),
        "strategic_goals": _words(_topics(plan, "nep-strategic-goal-2023")),
        "lifecycle": _word(_context(plan, "livslop")),
        "report_status": _word(report.get("statusReason")) or _word(report.get("businessStatus")),
    }


def _deliveries(of: _Initiative) -> Iterator[Row]:
    for place, task in enumerate(of.tasks.get("leveranse", []), 1):
        yield {
            "seq": place,
            "name": task.get("code", {}).get("text"),
            "description": task.get("description"),
            "due_date": _period(task).get("end"),
            "delivered": _delivered(task.get("businessStatus", {})),
            "target_groups": _distinct(_word(group) for group in _values(task.get("input"), "maalgruppe")),
            "start_date": _period(task).get("start"),
            "first_due_date": of.planned.get(task["id"], {}).get("first"),
            "moves": of.planned.get(task["id"], {}).get("moves"),
            **_bookkeeping(task),
        }


def _delivered(status: Resource) -> str | None:
    code = _code(status, "nep-delivery-status")
    return str(status["text"]) if "text" in status else _DELIVERED.get(code, _word(status))


def _dependencies(of: _Initiative) -> Iterator[Row]:
    for place, task in enumerate(of.tasks.get("avhengighet", []), 1):
        plan = _value(task.get("input"), "avklart-plan")
        yield {
            "seq": place,
            "actor": task.get("owner", {}).get("display"),
            "need": task.get("description"),
            "purpose": task.get("reasonCode", {}).get("text"),
            "category": _display(task.get("code"), "nep-dependency-category"),
            "criticality": _word(_value(task.get("input"), "kritikalitet")),
            "due_date": _period(task).get("end"),
            "mutual_plan": None if plan is None else "Ja" if plan else "Nei",
            "status": _light(task.get("businessStatus")),
            "counterparts": _distinct(str(one.get("display", "")) for one in _values(task.get("input"), "motpart")),
            "depends_on": _identifier(of.held.get(task.get("focus", {})), "tiltaksnummer"),
            "solutions": _distinct(_word(one) for one in _values(task.get("input"), "losning")),
            **_bookkeeping(task),
        }


def _costs(of: _Initiative) -> Iterator[Row]:
    for line in _lines(of.plan, "investering"):
        yield {
            "funder": _word(line.get("source")) or line.get("funder", {}).get("display"),
            "year": _year(line),
            "amount_mnok": _millions(line.get("amount")),
            "source": _display(line.get("source"), "nep-funding-source"),
        }


def _operations(of: _Initiative) -> Iterator[Row]:
    for line in _lines(of.plan, "drift"):
        yield {
            "solution": _word(line.get("solution")),
            "year": _year(line),
            "change_mnok": _millions(line.get("amount")),
        }


def _benefits(of: _Initiative) -> Iterator[Row]:
    goals = [one for one in of.plan.get("goal", []) if _code(one.get("category"), "nep-goal-category") == "nytte"]
    users = [use["valueCodeableConcept"] for use in of.plan.get("useContext", []) if use["code"]["code"] == "user"]
    # The resource does not say which benefit is whose: with one for each they are in order, else all stand with
    # the first.
    beneficiaries = [_word(user) for user in users] if len(users) == len(goals) else ["; ".join(_words(users))]
    for place, goal in enumerate(goals):
        target: Resource = next(iter(goal.get("target", [])), {})
        text = goal.get("description", {}).get("text")
        assessments = (str(one["citation"]) for one in goal.get("documentation", []) if "citation" in one)
        yield {
            "years": target.get("due", {}).get("value"),
            "net_value_mnok": _millions(target.get("detailQuantity")),
            "other_benefit": None if text == _NO_OTHER_BENEFIT else text,
            "beneficiaries": beneficiaries[place] if place < len(beneficiaries) else None,
            "assessment": next(assessments, None),
        }


def _prerequisites(of: _Initiative) -> Iterator[Row]:
    for task in of.tasks.get("nytteforutsetning", []):
        yield {
            "prerequisite": task["code"].get("text") or _display(task["code"], "nep-benefit-prerequisite"),
            "start": _period(task).get("start"),
            "criticality": _word(_value(task.get("input"), "kritikalitet")),
            "due_date": _period(task).get("end"),
            **_bookkeeping(task),
        }


_TABLES: Mapping[str, Callable[[_Initiative], Iterator[Row]]] = {
    "initiatives": _initiatives,
    "deliveries": _deliveries,
    "dependencies": _dependencies,
    "costs": _costs,
    "operations": _operations,
    "benefits": _benefits,
    "benefit_prerequisites": _prerequisites,
}


# ---- from elements to cells


def _bookkeeping(task: Resource) -> Row:
    return {
        "task_status": str(task.get("status", "")),
        "identifiers": tuple(str(one["value"]) for one in task.get("identifier", []) if "value" in one),
    }


def _word(concept: Any) -> str:
    """The printed word, else the first display or code; "" for none."""
    if not concept:
        return ""
    coding: Resource = next(iter(concept.get("coding", [])), {})
    return str(concept.get("text") or coding.get("display") or coding.get("code", ""))


def _light(concept: Any) -> Light | None:
    coding: Resource = next(iter((concept or {}).get("coding", [])), {})
    return Light(str(coding.get("code", "")), _word(concept)) if concept else None


def _words(concepts: Iterable[Any]) -> tuple[str, ...]:
    return _distinct(_word(concept) for concept in concepts)


def _distinct(words: Iterable[str]) -> tuple[str, ...]:
    """Each once: two codes of one printed word (FA) are two concepts of the same text."""
    return tuple(dict.fromkeys(word for word in words if word))


def _coding(concept: Any, code_system: str) -> Resource:
    """The coding of one of our code systems, whatever canonical base it has; {} for none."""
    codings = (concept or {}).get("coding", [])
    return next((one for one in codings if str(one.get("system", "")).endswith(f"/CodeSystem/{code_system}")), {})


def _code(concept: Any, code_system: str) -> str:
    return str(_coding(concept, code_system).get("code", ""))


def _display(concept: Any, code_system: str) -> str:
    coding = _coding(concept, code_system)
    return str(coding.get("display") or coding.get("code", ""))


def _identifier(resource: Resource, sid: str) -> str:
    found = (one for one in resource.get("identifier", []) if str(one.get("system", "")).endswith(f"/sid/{sid}"))
    return next((str(one["value"]) for one in found if "value" in one), "")


def _number_of(of: _Initiative, author: Resource) -> str:
    """The organisation number of an initiative's owner."""
    references = [one["valueReference"] for one in author.get("extension", []) if one.get("url") == _OWNER]
    identifiers = [
        identifier
        for reference in references
        for identifier in (*of.held.get(reference).get("identifier", []), reference.get("identifier", {}))
    ]
    return next((str(one["value"]) for one in identifiers if one.get("system") == _ENH), "")


def _context(plan: Resource, code: str) -> Any:
    uses = (use for use in plan.get("useContext", []) if use.get("code", {}).get("code") == code)
    return next((use.get("valueCodeableConcept") for use in uses), None)


def _topics(plan: Resource, code_system: str) -> Iterator[Resource]:
    return (topic for topic in plan.get("topic", []) if _coding(topic, code_system))


def _values(slots: Any, code: str) -> Iterator[Any]:
    """The values of a Task's inputs or outputs of this type."""
    for slot in slots or ():
        if _code(slot.get("type"), "nep-task-io") == code:
            yield _value_of(slot)


def _value(slots: Any, code: str) -> Any:
    return next(_values(slots, code), None)


def _value_of(element: Resource) -> Any:
    return next((value for name, value in element.items() if name.startswith("value")), None)


def _period(task: Resource) -> Resource:
    return dict(task.get("restriction", {}).get("period", {}))


def _lines(plan: Resource, type: str) -> Iterator[Resource]:
    """The finance lines of a type: part -> value."""
    for extension in plan.get("extension", []):
        if str(extension.get("url", "")).endswith("/nep-finance-line"):
            line = {str(one["url"]): _value_of(one) for one in extension.get("extension", [])}
            if line.get("type") == type:
                yield line


def _year(line: Resource) -> int | None:
    year = str(line.get("year", ""))[:4]
    return int(year) if year.isdigit() else None


def _millions(money: Any) -> Decimal | None:
    """NOK as MNOK; None where no amount was stated."""
    value = (money or {}).get("value")
    return None if value is None else Decimal(value) / 1_000_000
