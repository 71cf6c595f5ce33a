"""An edition of the portfolio report (porteføljerapport): a Composition, and the document Bundle of all that it shows.

Pure: resources go in as they stood at one moment, a document comes out. Domain model 5.6, decisions 5, 13, 23, 25.
Contact persons are left out: they are PractitionerRoles, and no edition refers to one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from server.access import CONFIDENTIALITY
from server.portfolio import elements
from server.portfolio.difference import Planned
from server.portfolio.rounds import is_submitted
from server.portfolio.states import context_code
from server.portfolio.vocabulary import Vocabulary
from server.resource import Resource, references

SEGMENTS = ("samstyre", "koordinere", "observere")
_CHAPTERS = ("statusrapport", "leveranse", "avhengighet", "nytteforutsetning", "veikartaktivitet")
_COLOURS = ("rod", "gul", "gronn")
PLANNED_DATES = "nep-planned-dates"
"""The extension on a section's entry that says what was planned for a delivery."""
_NOT_COPIED = ("PractitionerRole", "Questionnaire", "QuestionnaireResponse", "Bundle")


@dataclass(frozen=True)
class Material:
    """What an edition is made of, as it stood: the round, its reports, their initiatives, the initiatives' Tasks,
    whatever these point to (`others`, by reference), the computed figures and the manual ones, and the dates that were
    planned for the deliveries, by reference."""

    round: Resource
    reports: Sequence[Resource]
    initiatives: Sequence[Resource]
    tasks: Sequence[Resource]
    others: Mapping[str, Resource]
    figures: Sequence[Resource] = ()
    uptake: Sequence[Resource] = ()
    planned: Mapping[str, Planned] = field(default_factory=dict)


@dataclass(frozen=True)
class Edition:
    """Which edition: `number` is its identifier ("2021-11", "2021-11.2" for its first correction), `status`
    preliminary, final or amended; `replaces` the number of the one that it corrects, and `reason` why."""

    number: str
    status: str
    title: str
    date: str
    replaces: str = ""
    reason: str = ""

    @property
    def id(self) -> str:
        """The id of its Composition and of its Bundle."""
        return f"rapport-{self.number}"


def numbered(round: str, earlier: int) -> str:
    """The number of the next edition of a round that has so many: the round's own, then with .2, .3 … behind it."""
    return f"{round}.{earlier + 1}" if earlier else round


def labelled(resource: Resource, *, public: bool = True) -> Resource:
    """With its confidentiality label: U for anyone, R for the secretariat."""
    label = {"system": CONFIDENTIALITY, "code": "U" if public else "R"}
    return {**resource, "meta": {**resource.get("meta", {}), "security": [label]}}


def composition(words: Vocabulary, edition: Edition, material: Material) -> Resource:
    """The report itself, every part with a readable text."""
    secretariat = material.round["requester"]
    event: Resource = {"period": material.round["restriction"]["period"]}
    if "id" in material.round:
        event["detail"] = [_to(material.round)]
    if edition.reason:
        event["code"] = [{"text": edition.reason}]
    made: Resource = {
        "resourceType": "Composition",
        "id": edition.id,
        "meta": words.profile("nep-portfolio-report"),
        "language": "nb",
        "text": _narrative(f"<p>{escape(edition.title)}</p>"),
        "identifier": words.identifier("rapport", edition.number),
        "status": edition.status,
        "type": words.concept("nep-document-type", "portefoljerapport"),
        "date": edition.date,
        "author": [secretariat],
        "title": edition.title,
        "custodian": secretariat,
        "event": [event],
        "section": list(_sections(_Writer(words, material))),
    }
    if edition.status != "preliminary":
        made["attester"] = [{"mode": "official", "time": edition.date, "party": secretariat}]
    if edition.replaces:
        made["relatesTo"] = [{"code": "replaces", "targetIdentifier": words.identifier("rapport", edition.replaces)}]
    return made


def document(words: Vocabulary, edition: Edition, report: Resource, material: Material, base: str) -> Resource:
    """The document Bundle: the Composition first, then all that it and they point to, each once, at its full URL.

    Of a resource's meta.lastUpdated nothing is kept: some are written in the same instant as the edition."""
    copied = [report, *_reached(report, material)]
    return {
        "resourceType": "Bundle",
        "id": edition.id,
        "meta": words.profile("nep-report-bundle"),
        "language": "nb",
        "identifier": words.identifier("rapport", edition.number),
        "type": "document",
        "timestamp": edition.date,
        "entry": [{"fullUrl": f"{base}/{one['resourceType']}/{one['id']}", "resource": _frozen(one)} for one in copied],
    }


def _frozen(resource: Resource) -> Resource:
    meta = {name: value for name, value in resource.get("meta", {}).items() if name != "lastUpdated"}
    return {**resource, "meta": {"versionId": "1", **meta}}


def _reached(report: Resource, material: Material) -> Iterator[Resource]:
    """All that the Composition points to, directly or through others, in the order of its being met. What is labelled
    for others' eyes, or no part of a report, is pointed to but not copied."""
    known = {f"{one['resourceType']}/{one['id']}": one for one in _everything(material)}
    seen = {f"Composition/{report['id']}"}
    waiting = [reference["reference"] for _, reference in references(report, "")]
    while waiting:
        following: list[str] = []
        for name in waiting:
            if name in seen or name not in known or name.partition("/")[0] in _NOT_COPIED:
                continue
            seen.add(name)
            yield known[name]
            following += [reference["reference"] for _, reference in references(known[name], "")]
        waiting = following


def _everything(material: Material) -> Iterator[Resource]:
    yield material.round
    for part in (material.reports, material.initiatives, material.tasks, material.figures, material.uptake):
        yield from part
    yield from material.others.values()


@dataclass
class _Writer:
    """Looks things up for the texts, and makes sections."""

    words: Vocabulary
    material: Material
    by_initiative: dict[str, list[Resource]] = field(default_factory=dict)
    report_of: dict[str, Resource] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for report in self.material.reports:
            self.report_of[elements.based_on(report)] = report
        for task in self.material.tasks:
            self.by_initiative.setdefault(elements.based_on(task), []).append(task)

    def section(self, code: str, text: str, *, title: str = "", **parts: list[Resource]) -> Resource:
        """A section with its narrative; `parts` are entry and section, empty ones left out. R4 has no section
        without either but with emptyReason."""
        concept = self.words.concept("nep-report-section", code)
        made: Resource = {
            "title": title or concept["coding"][0].get("display", code),
            "code": concept,
            "text": _narrative(text),
        }
        made |= {name: value for name, value in parts.items() if value}
        if "entry" not in made and "section" not in made:
            system = "http://terminology.hl7.org/CodeSystem/list-empty-reason"
            made["emptyReason"] = {"coding": [{"system": system, "code": "nilknown"}]}
        return made

    def number(self, plan: Resource) -> str:
        return self.words.named(plan, "tiltaksnummer")

    def display(self, code_system: str, code: str) -> str:
        return self.words.displays.get((code_system, code), code)


def _sections(writer: _Writer) -> Iterator[Resource]:
    material = writer.material
    plans = sorted(material.initiatives, key=writer.number)
    figures = {_last(one.get("measure", "")): one for one in material.figures}
    money = [one for name, one in figures.items() if name == "nep-m-finance"]
    counts = [one for name, one in figures.items() if name != "nep-m-finance"]
    yield writer.section("sammendrag", _summary(writer), entry=[_to(one) for one in counts])
    canonical = writer.words.canonical
    for segment in SEGMENTS:
        members = [plan for plan in plans if context_code(plan, "segment", canonical) == segment]
        if members:
            yield _segment(writer, segment, members)
    rest = [plan for plan in plans if context_code(plan, "segment", canonical) not in SEGMENTS]
    if rest:
        yield writer.section(
            "tiltak", f"<p>{len(rest)} uten segment.</p>", section=[_initiative(writer, plan) for plan in rest]
        )
    yield _missing(writer, plans)
    yield writer.section("okonomi", _money(money), entry=[_to(one) for one in money])
    yield writer.section("ibruktakelse", _uptake(material.uptake), entry=[_to(one) for one in material.uptake])


def _summary(writer: _Writer) -> str:
    reports = writer.material.reports
    submitted = [one for one in reports if is_submitted(one)]
    colours = Counter(elements.code(elements.value(one.get("output"), "status")) for one in submitted)
    listed = ", ".join(
        f"{escape(writer.display('nep-traffic-light', colour).lower())}: {colours[colour]}" for colour in _COLOURS
    )
    return f"<p>{len(submitted)} av {len(reports)} tiltak rapporterte. Status {listed}.</p>"


def _segment(writer: _Writer, segment: str, members: Sequence[Resource]) -> Resource:
    text = f"<p>{len(members)} tiltak.</p>"
    return writer.section(segment, text, section=[_initiative(writer, plan) for plan in members])


def _initiative(writer: _Writer, plan: Resource) -> Resource:
    name = f"PlanDefinition/{plan['id']}"
    report = writer.report_of.get(name)
    tasks = sorted(writer.by_initiative.get(name, []), key=_order)
    kept = [task for task in tasks if elements.kind(task) in _CHAPTERS and elements.kind(task) != "statusrapport"]
    entries = [
        _to(plan),
        *([_to(report)] if report is not None else []),
        *({**_dated(writer, task), **_to(task)} for task in kept),
    ]
    text = _told(writer, plan, report, kept)
    return writer.section("tiltak", text, title=str(plan.get("title", writer.number(plan))), entry=entries)


def _dated(writer: _Writer, task: Resource) -> Resource:
    """What the edition says of a delivery's dates beside what the delivery says itself."""
    dates = writer.material.planned.get(f"Task/{task['id']}")
    if dates is None:
        return {}
    first = [{"url": "first", "valueDate": dates.first}] if dates.first else []
    url = f"{writer.words.canonical}/StructureDefinition/{PLANNED_DATES}"
    return {"extension": [{"url": url, "extension": [*first, {"url": "moves", "valueUnsignedInt": dates.moves}]}]}


def _told(writer: _Writer, plan: Resource, report: Resource | None, tasks: Sequence[Resource]) -> str:
    """The initiative in words: who, how it goes, how far it is."""
    owner = next((author.get("name", "") for author in plan.get("author", [])), "")
    parts = [f"<p><b>{escape(writer.number(plan))} {escape(str(plan.get('title', '')))}</b>. {escape(owner)}.</p>"]
    if report is None or not is_submitted(report):
        parts.append("<p>Ikke rapportert i runden.</p>")
    else:
        said = [
            f"{label} {escape(_word(writer, report, code))}"
            for label, code in (("Status:", "status"), ("Risiko:", "risiko"))
            if _word(writer, report, code)
        ]
        parts.append(f"<p>{'. '.join(said)}.</p>" if said else "")
    counted = [task for task in tasks if elements.kind(task) == "leveranse" and task.get("status") not in _NOT_COUNTED]
    if counted:
        done = sum(task.get("status") == "completed" for task in counted)
        parts.append(f"<p>{done} av {len(counted)} leveranser.</p>")
    moved = sum(bool(dates.moves) for task in counted if (dates := writer.material.planned.get(f"Task/{task['id']}")))
    if moved:
        parts.append(f"<p>{moved} {'leveranse' if moved == 1 else 'leveranser'} med flyttet dato.</p>")
    return "".join(parts)


_NOT_COUNTED = ("cancelled", "entered-in-error")


def _missing(writer: _Writer, plans: Sequence[Resource]) -> Resource:
    late = [
        plan
        for plan in plans
        if (report := writer.report_of.get(f"PlanDefinition/{plan['id']}")) is not None and not is_submitted(report)
    ]
    if not late:
        return writer.section("ikke-rapportert", "<p>Alle rapporterte.</p>")
    items = "".join(f"<li>{escape(writer.number(plan))} {escape(str(plan.get('title', '')))}</li>" for plan in late)
    entries = [_to(writer.report_of[f"PlanDefinition/{plan['id']}"]) for plan in late]
    return writer.section("ikke-rapportert", f"<ul>{items}</ul>", entry=entries)


def _money(figures: Sequence[Resource]) -> str:
    if not figures:
        return "<p>Ingen tall.</p>"
    return "<p>Kostnader og drift og forvaltning per år og kilde, i kroner.</p>"


def _uptake(reports: Sequence[Resource]) -> str:
    return f"<p>{len(reports)} målinger.</p>" if reports else "<p>Ingen målinger i perioden.</p>"


def _narrative(inner: str) -> Resource:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml" lang="nb" xml:lang="nb">{inner}</div>'
    return {"status": "generated", "div": div}


def _to(resource: Resource) -> Resource:
    reference = {"reference": f"{resource['resourceType']}/{resource['id']}"}
    name = resource.get("title") or resource.get("code", {}).get("text")
    return reference | {"display": str(name)} if name else reference


def _order(task: Resource) -> tuple[int, str, str]:
    """By chapter, then by the number that the last report gave it: 001:NEP-0001:LEV:2 comes before …:10; a
    prerequisite's number is its code. What was never imported goes by its first identifier."""
    kind = elements.kind(task)
    identifiers = task.get("identifier", [])
    imported = [one for one in identifiers if str(one.get("system", "")).endswith("/sid/import")]
    value = str(next((one.get("value", "") for one in (*imported[::-1], *identifiers)), ""))
    head, _, number = value.rpartition(":")
    return (
        _CHAPTERS.index(kind) if kind in _CHAPTERS else len(_CHAPTERS),
        head,
        number.rjust(12, "0") if number.isdigit() else number,
    )


def _word(writer: _Writer, report: Resource, code: str) -> str:
    """The printed word of an output, else its code's display."""
    concept = elements.value(report.get("output"), code) or {}
    return str(concept.get("text") or writer.display("nep-traffic-light", elements.code(concept)))


def _last(canonical: str) -> str:
    return canonical.partition("|")[0].rpartition("/")[2]
