"""A document of one initiative, small enough to be read here, with whatever texts a test gives it."""

from __future__ import annotations

from typing import Any

Resource = dict[str, Any]

C = "http://eportefolje.example/fhir"


def coded(system: str, code: str, text: str | None = None, display: str | None = None) -> Resource:
    coding = {"system": f"{C}/CodeSystem/{system}", "code": code}
    concept: Resource = {"coding": [coding | ({"display": display} if display else {})]}
    return concept | ({"text": text} if text is not None else {})


def slot(code: str, **value: Any) -> Resource:
    return {"type": coded("nep-task-io", code), **value}


def use(code: str, concept: Resource) -> Resource:
    return {"code": {"system": f"{C}/CodeSystem/nep-context-type", "code": code}, "valueCodeableConcept": concept}


def line(type: str, year: str, amount: int | None, **source: Any) -> Resource:
    parts: list[Resource] = [{"url": "type", "valueCode": type}, {"url": "year", "valueDate": year}]
    parts += [{"url": name, "valueCodeableConcept": concept} for name, concept in source.items()]
    if amount is not None:
        parts.append({"url": "amount", "valueMoney": {"value": amount, "currency": "NOK"}})
    return {"url": f"{C}/StructureDefinition/nep-finance-line", "extension": parts}


def task(kind: str, id: str, text: str = "", **elements: Any) -> Resource:
    code = coded("nep-task-type", kind) | ({"text": text} if text else {})
    return {"resourceType": "Task", "id": id, "status": "ready", "code": code, **elements}


def initiative(text: str, **elements: Any) -> Resource:
    return {
        "resourceType": "PlanDefinition",
        "id": "plan",
        "identifier": [{"system": f"{C}/sid/tiltaksnummer", "value": "NEP-0001"}],
        "title": text,
        "description": text,
        "author": [{"name": text}],
        "useContext": [use("segment", coded("nep-segment", "samstyre", text)), use("user", {"text": text})],
        "effectivePeriod": {"end": "2023-12-31"},
        "extension": [line("investering", "2021", 28_300_000, source=coded("nep-funding-source", "andre", text))],
        "goal": [{"category": coded("nep-goal-category", "nytte"), "description": {"text": text}}],
        **elements,
    }


def tasks(text: str) -> list[Resource]:
    due = {"period": {"end": "2022-12-01"}}
    light = coded("nep-traffic-light", "gul", text)
    return [
        task("statusrapport", "report", output=[
            slot("status", valueCodeableConcept=light), slot("kommentar", valueMarkdown=text),
        ]),
        task("leveranse", "delivery", text, description=text, restriction=due,
             businessStatus=coded("nep-delivery-status", "levert", text)),
        task("avhengighet", "dependency", description=text, owner={"display": text}, reasonCode={"text": text},
             input=[slot("motpart", valueReference={"display": text})]),
        task("nytteforutsetning", "prerequisite", text, restriction=due),
    ]  # fmt: skip


def planned(first: str, moves: int) -> Resource:
    """What an edition says of a delivery's dates."""
    parts = [{"url": "first", "valueDate": first}, {"url": "moves", "valueUnsignedInt": moves}]
    return {"url": f"{C}/StructureDefinition/nep-planned-dates", "extension": parts}


def document(
    plan: Resource, *tasks: Resource, title: str = "Porteføljerapport", dates: Resource | None = None, **report: Any
) -> Resource:
    """The Composition with one initiative in its chapter Samstyre, and all resources. `dates`: of all its entries."""
    held = [plan, *tasks]
    said: Resource = {"extension": [dates]} if dates else {}
    entries = [{"reference": f"{one['resourceType']}/{one['id']}", **said} for one in held]
    composition = {
        "resourceType": "Composition",
        "id": "rapport-2021-11",
        "identifier": {"system": f"{C}/sid/rapport", "value": "2021-11"},
        "status": "final",
        "date": "2021-12-15T09:00:00.000Z",
        "title": title,
        "event": [{"period": {"start": "2021-11-01", "end": "2021-11-30"}}],
        "section": [{"title": "Samstyre", "section": [{"title": "Tiltaket", "entry": entries}]}],
        **report,
    }
    return {"resourceType": "Bundle", "type": "document", "entry": [{"resource": one} for one in (composition, *held)]}


def saying(text: str) -> Resource:
    """A document in which the text stands in every cell that holds text."""
    return document(initiative(text), *tasks(text), title=text)


HOSTILE = {
    "formula": '=cmd|"/c calc"!A1',
    "formula of a plus": "+1+1",
    "formula of a minus": "-2+3",
    "formula of an at": "@SUM(A1:A9)",
    "tab before a formula": "\t=1+1",
    "error word": "#N/A",
    "markup": '<script>alert("x")</script><img src=x onerror=alert(1)>',
    "closing tags": "</td></table></style></textarea>--><h1>",
    "template": "{{ 7 * 7 }}{% raw %}",
    "typst": '#read("/etc/passwd") $x$ *b* _e_ `c` <label> @ref // - /* [ ] #[ \\u{41}',
    "typst string": '" + read("/etc/passwd") + "',
    "markdown": "# Overskrift\n\n![x](http://127.0.0.1/x.png) [y](javascript:alert(1)) <b>b</b>\n\n```\nkode\n```",
    "emoji": "Fornøyd 😀👩‍⚕️🇳🇴 中文 עברית \U000e0001 \ue000",
    "control": "a\x00b\x07c\x1bd\x7f\u2028e\ufffe",
    "long word": "Arbeidsmiljølov" * 100,
    "long text": "En lang fortelling om et tiltak. " * 310,
    "lines": "én\r\nto\rtre\n\n\n\nfire",
    "surrogate pair of quotes": "«\"'‘’“”»;,\t|",
}
