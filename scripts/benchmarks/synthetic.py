"""A synthetic portfolio of N initiatives from a seed, valid under the profiles: for tests and benchmarks at scale.

Each initiative has the shape of one of the forty of November 2021 (how many deliveries, dependencies, finance lines and
prerequisites; how long its texts are), so that a thousand are twenty-five times forty: what is measured at both sizes
differs by nothing but the size. Names and texts are made of a few words and say nothing of anybody.

    python -m scripts.benchmarks.synthetic 1000 FOLDER [--seed 0] [--round 2021-11]…   (or scripts/synthetic)
    python -m server load --quiet FOLDER/*.ndjson
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

from scripts.benchmarks.generator import CONTACT_REFERENCE, USAGE, C, coded, context, words
from server.access import SECRETARIAT
from server.interaction.engine import Engine
from server.interaction.intents import Intent
from server.interaction.write import write
from server.resource import encode

Resource = dict[str, Any]

# (segment, deliveries, dependencies, costs, operations, prerequisites) of the forty, in their order.
SHAPES = (
    *((("samstyre"), *each) for each in (
        (11, 4, 13, 1, 1), (6, 4, 7, 2, 7), (15, 4, 10, 1, 7), (7, 4, 22, 6, 6), (5, 7, 6, 3, 7), (3, 4, 8, 2, 3),
        (4, 3, 5, 0, 7), (11, 2, 4, 4, 3), (13, 5, 9, 2, 7), (3, 5, 3, 0, 7), (4, 0, 0, 0, 0))),
    *(("koordinere", *each, 0, 0, 0) for each in (
        (2, 2), (4, 6), (5, 3), (9, 6), (10, 5), (1, 0), (6, 2), (3, 3), (3, 4), (8, 3), (1, 0), (8, 1), (6, 2), (7, 3),
        (3, 9))),
    *(("observere", each, 0, 0, 0, 0) for each in (9, 5, 10, 4, 12, 4, 5, 5, 4, 6, 8, 7, 1, 5)),
)  # fmt: skip
PREREQUISITES = ("andre-prosjekter", "epj-fastlege", "epj-kommune", "epj-spesialist", "org-spesialist", "org-kommune",
                 "rutine-fastlege")  # fmt: skip
ORGNR = "urn:oid:2.16.578.1.12.4.1.4.101"
ROUNDS = ("2021-11",)
AT_ONCE = 1_000
"""Resources of one unit: of a file, or of a write."""

_OFFICE = "portefoljekontoret"
_TEMP = "http://hl7.org/fhir/uv/sdc/CodeSystem/temp"
_FORM = f"{C}/Questionnaire/nep-status-report|1.0.0"
_DELIVERY = {"completed": "levert", "in-progress": "ikke-levert", "ready": "ikke-oppgitt", "cancelled": "omdefinert"}
_DEPENDENCY = {"": "requested", "gul": "requested", "gronn": "accepted", "rod": "requested", "oppfylt": "completed"}


def portfolio(
    initiatives: int, *, seed: int = 0, rounds: Sequence[str] = ROUNDS, open_round: str = ""
) -> list[Resource]:
    """Organisations `o1`…, initiatives `i1`… (number NEP-0001…, five figures from 10 000 on), and their Tasks, each
    with an id and plain references: a resource comes after all that it points to, but for initiatives' own.

    One organisation owns about eight initiatives; `o0` is the secretariat's. For each of `rounds` (a month, 2021-11,
    the earliest first; empty for none) a closed round with a submitted report of every initiative. `open_round`: one
    more round, whose reports nobody has begun. Seeded: the same arguments give the same resources, about 11 an
    initiative, and one more for each round.
    """
    made = _Portfolio(Random(seed), initiatives)
    plans = [made.initiative(number) for number in range(1, initiatives + 1)]
    tasks = [task for number in range(1, initiatives + 1) for task in made.tasks(number)]
    asked = [(round, "completed") for round in rounds] + ([(open_round, "requested")] if open_round else [])
    reports = [
        made.report(number, round, state) for round, state in asked for number in range(1, initiatives + 1)
    ]  # fmt: skip
    # A round stands for the moment of its closing, and so comes last.
    return [*made.organizations(), *plans, *tasks, *reports, *(_round(*one) for one in asked)]


async def fill(engine: Engine, resources: Sequence[Resource]) -> None:
    """Writes them as the secretariat, AT_ONCE in a unit; validated as any write. FhirError for what is refused."""
    for some in _units(resources):
        await write(engine, SECRETARIAT, [Intent("PUT", r["resourceType"], r["id"], resource=r) for r in some])


def files(folder: Path, resources: Sequence[Resource]) -> list[Path]:
    """NDJSON files for `python -m server load`, in the order of their names, AT_ONCE resources in each."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for place, some in enumerate(_units(resources), 1):
        made.append(folder / f"{place:03}.ndjson")
        made[-1].write_bytes(b"".join(encode(one) + b"\n" for one in some))
    return made


def _units(resources: Sequence[Resource]) -> Iterator[Sequence[Resource]]:
    for start in range(0, len(resources), AT_ONCE):
        yield resources[start : start + AT_ONCE]


class _Portfolio:
    """What is drawn for so many initiatives. Each draw is in the order of the calls."""

    def __init__(self, random: Random, initiatives: int) -> None:
        self.random = random
        self.initiatives = initiatives
        self.owners = max(1, initiatives // 8)

    def organizations(self) -> Iterator[Resource]:
        yield _organization(0, _OFFICE, "Porteføljekontoret", "sekretariat")
        for number in range(1, self.owners + 1):
            kind = ("direktorat", "rhf", "kommune", "statlig")[number % 4]
            yield _organization(number, f"aktor-{number}", f"Aktør {number:03}", kind)

    def initiative(self, number: int) -> Resource:
        segment, _, _, costs, operations, _ = self._shape(number)
        title = f"Tiltak {number:04} {words(self.random, 2)}"
        lines = [self._line("investering", 2017 + n % 11) for n in range(costs)]
        lines += [self._line("drift", 2021 + n % 5) for n in range(operations)]
        made = {
            "resourceType": "PlanDefinition",
            "id": f"i{number}",
            "meta": {"profile": [f"{C}/StructureDefinition/nep-initiative"]},
            "language": "nb",
            "extension": lines,
            "url": f"{C}/PlanDefinition/{_number(number)}",
            "identifier": [{"use": "official", "system": f"{C}/sid/tiltaksnummer", "value": _number(number)}],
            "name": f"Tiltak{number:04}",
            "title": title,
            "status": "active",
            "subjectCodeableConcept": {
                "coding": [{"system": "http://hl7.org/fhir/resource-types", "code": "Organization"}]
            },
            "date": "2021-11-30",
            "publisher": self._owner(number)["display"],
            "description": words(self.random, 40),
            "useContext": [
                context(USAGE, "program", "nep-portfolio", "nasjonal-e-helseportefolje"),
                context(f"{C}/CodeSystem/nep-context-type", "segment", "nep-segment", segment),
                context(f"{C}/CodeSystem/nep-context-type", "livslop", "nep-lifecycle", "aktiv"),
                context(f"{C}/CodeSystem/nep-context-type", "fase", "nep-phase", self._drawn(_PHASES)),
            ],
            "jurisdiction": [{"coding": [{"system": "urn:iso:std:iso:3166", "code": "NO"}]}],
            "effectivePeriod": {"end": self._day(2022, 6).isoformat()},
            "topic": [coded("nep-focus-area-2017", "1.1"), coded("nep-national-solution", self._drawn(_SOLUTIONS))],
            "author": [
                {
                    "extension": [{"url": CONTACT_REFERENCE, "valueReference": self._owner(number)}],
                    "name": self._owner(number)["display"],
                }
            ],
        }
        return {name: value for name, value in made.items() if value}

    def tasks(self, number: int) -> Iterator[Resource]:
        _, deliveries, dependencies, _, _, prerequisites = self._shape(number)
        for place in range(deliveries):
            yield self._delivery(number, place)
        for place in range(dependencies):
            yield self._dependency(number, place)
        for kind in PREREQUISITES[:prerequisites]:
            yield self._prerequisite(number, kind)

    def report(self, number: int, round: str, state: str) -> Resource:
        start, end = _month(round)
        asked = self._task(number, f"s{number}-{round}", "nep-status-report", "statusrapport")
        asked |= {
            "identifier": [{"system": f"{C}/sid/statusrapport", "value": f"{round}:{_number(number)}"}],
            "groupIdentifier": {"system": f"{C}/sid/runde", "value": round},
            "intent": "order",
            "for": asked["basedOn"][0],
            "authoredOn": f"{start}T08:00:00+01:00",
            "lastModified": f"{end}T12:00:00+01:00",
            "requester": _reference(0, "Porteføljekontoret"),
            "restriction": {"period": {"start": start, "end": end}},
            "input": [_form()],
        }
        asked["code"]["coding"].append({"system": _TEMP, "code": "complete-questionnaire"})
        if state == "requested":
            return {**asked, "status": "requested", "businessStatus": coded("nep-report-status", "ikke-startet")}
        return asked | {
            "status": "completed",
            "businessStatus": coded("nep-report-status", "last"),
            "output": [
                _coded_part("status", "nep-traffic-light", self._drawn(_COLOURS)),
                {"type": coded("nep-task-io", "kommentar"), "valueMarkdown": words(self.random, 30)},
                _coded_part("risiko", "nep-traffic-light", self._drawn(_COLOURS)),
                {"type": coded("nep-task-io", "risikobeskrivelse"), "valueMarkdown": words(self.random, 20)},
            ],
        }

    def _delivery(self, number: int, place: int) -> Resource:
        status = self._drawn(_DELIVERIES)
        made = self._task(number, f"l{number}-{place}", "nep-delivery", "leveranse")
        return made | {
            "status": status,
            "code": {**made["code"], "text": words(self.random, 4)},
            "businessStatus": coded("nep-delivery-status", _DELIVERY[status]),
            "intent": "plan",
            "restriction": {"period": {"end": self._day(2020, 5).isoformat()}},
            "input": [_coded_part("maalgruppe", "nep-target-group", "fastlege")],
        }

    def _dependency(self, number: int, place: int) -> Resource:
        colour = self._drawn(_LIGHTS)
        other = 1 + (number + 6 * place) % self.initiatives
        made = self._task(number, f"a{number}-{place}", "nep-dependency", "avhengighet") | {
            "status": _DEPENDENCY[colour],
            "intent": "proposal",
            "description": words(self.random, 15),
            "focus": {"reference": f"PlanDefinition/i{other}"},
            "owner": self._owner(other),
            "restriction": {"period": {"end": self._day(2021, 3).isoformat()}},
            "input": [_coded_part("kritikalitet", "nep-criticality", self._drawn(_CRITICAL))],
        }
        category = coded("nep-dependency-category", self._drawn(_CATEGORIES))
        made["code"]["coding"] += category["coding"]
        if colour:
            made["businessStatus"] = coded("nep-dependency-status", colour)
        if self.random.random() < 0.4:
            agreed = self.random.random() < 0.75
            made["input"].append({"type": coded("nep-task-io", "avklart-plan"), "valueBoolean": agreed})
        return made

    def _prerequisite(self, number: int, kind: str) -> Resource:
        made = self._task(number, f"n{number}-{kind}", "nep-benefit-prerequisite", "nytteforutsetning") | {
            "status": "ready",
            "intent": "plan",
            "input": [_coded_part("kritikalitet", "nep-criticality", self._drawn(_CRITICAL))],
        }
        made["code"]["coding"] += coded("nep-benefit-prerequisite", kind)["coding"]
        return made

    def _task(self, number: int, id: str, profile: str, kind: str) -> Resource:
        owner = self._owner(number)
        return {
            "resourceType": "Task",
            "id": id,
            "meta": {"profile": [f"{C}/StructureDefinition/{profile}"]},
            "language": "nb",
            "identifier": [{"system": "https://synthetic.example/sid/task", "value": id}],
            "basedOn": [{"reference": f"PlanDefinition/i{number}"}],
            "code": coded("nep-task-type", kind),
            "authoredOn": "2021-11-01T08:00:00+01:00",
            "lastModified": "2021-11-30T12:00:00+01:00",
            "requester": owner,
            "owner": owner,
        }

    def _line(self, kind: str, year: int) -> Resource:
        parts: list[Resource] = [{"url": "type", "valueCode": kind}, {"url": "year", "valueDate": str(year)}]
        if kind == "drift":
            parts.append({"url": "solution", **_concept("nep-national-solution", self._drawn(_SOLUTIONS))})
        else:
            parts.append({"url": "source", **_concept("nep-funding-source", self._drawn(_SOURCES))})
        if self.random.random() > 0.03:
            money = {"value": 100_000 * self.random.randrange(1000), "currency": "NOK"}
            parts.append({"url": "amount", "valueMoney": money})
        return {"extension": parts, "url": f"{C}/StructureDefinition/nep-finance-line"}

    def _shape(self, number: int) -> tuple[str, int, int, int, int, int]:
        return SHAPES[(number - 1) % len(SHAPES)]  # type: ignore[return-value]

    def _owner(self, number: int) -> Resource:
        owner = 1 + number % self.owners
        return _reference(owner, f"Aktør {owner:03}")

    def _day(self, first_year: int, years: int) -> date:
        return date(first_year, 1, 1) + timedelta(days=self.random.randrange(365 * years))

    def _drawn(self, weights: dict[str, int]) -> str:
        return self.random.choices(list(weights), list(weights.values()))[0]


_PHASES = {"gjennomfore": 30, "planlegge": 5, "konsept": 3, "avslutte": 1, "realisere": 1}
_SOLUTIONS = {"helsenorge": 21, "kjernejournal": 12, "helseid": 12, "grunndata": 11, "e-resept": 6}
_SOURCES = {"oremerket": 40, "virksomhet": 30, "samfinansiering-rhf": 10, "forskningsradet": 5, "ukjent": 5}
_COLOURS = {"gronn": 19, "gul": 20, "rod": 1}
_DELIVERIES = {"completed": 80, "in-progress": 91, "ready": 66, "cancelled": 6}
_LIGHTS = {"": 42, "gul": 34, "gronn": 8, "rod": 4, "oppfylt": 3}
_CRITICAL = {"hoy": 66, "middels": 18, "lav": 7}
_CATEGORIES = {"nasjonale-losninger": 40, "grunnmur": 19, "standarder": 14, "annet": 14, "regelverk": 4}


def _organization(number: int, slug: str, name: str, kind: str) -> Resource:
    return {
        "resourceType": "Organization",
        "id": f"o{number}",
        "meta": {"profile": [f"{C}/StructureDefinition/nep-organization"]},
        "identifier": [
            {"system": ORGNR, "value": orgnr(number)},
            {"system": f"{C}/sid/aktor", "value": slug},
        ],
        "active": True,
        "type": [coded("nep-actor-type", kind)],
        "name": name,
    }


def orgnr(number: int) -> str:
    """An organisation number that nobody has (Norwegian ones begin with 8 or 9), with its check digit by modulus 11."""
    digits = f"7{number:06}"
    while True:
        for last in "0123456789":
            first = digits + last
            rest = -sum(int(one) * weight for one, weight in zip(first, (3, 2, 7, 6, 5, 4, 3, 2), strict=True)) % 11
            if rest < 10:
                return f"{first}{rest}"


def _round(value: str, state: str) -> Resource:
    start, end = _month(value)
    office = _reference(0, "Porteføljekontoret")
    return {
        "resourceType": "Task",
        "id": f"round-{value}",
        "meta": {"profile": [f"{C}/StructureDefinition/nep-reporting-round"]},
        "language": "nb",
        "identifier": [{"system": f"{C}/sid/runde", "value": value}],
        "status": "completed" if state == "completed" else "in-progress",
        "intent": "order",
        "code": {**coded("nep-task-type", "rapporteringsrunde"), "text": f"Runde {value}"},
        "authoredOn": f"{start}T00:00:00+01:00",
        "lastModified": f"{end}T12:00:00+01:00",
        "requester": office,
        "owner": office,
        "restriction": {"period": {"start": start, "end": end}},
        "input": [_form()],
    }


def _month(round: str) -> tuple[str, str]:
    """The first and the last day of 2021-11."""
    start = date.fromisoformat(f"{round[:7]}-01")
    return start.isoformat(), ((start + timedelta(days=31)).replace(day=1) - timedelta(days=1)).isoformat()


def _form() -> Resource:
    return {"type": {"coding": [{"system": _TEMP, "code": "questionnaire"}]}, "valueCanonical": _FORM}


def _reference(number: int, name: str) -> Resource:
    identifier = {"system": ORGNR, "value": orgnr(number)}
    return {"reference": f"Organization/o{number}", "identifier": identifier, "display": name}


def _concept(system: str, code: str) -> Resource:
    return {"valueCodeableConcept": coded(system, code)}


def _coded_part(kind: str, system: str, code: str) -> Resource:
    return {"type": coded("nep-task-io", kind), **_concept(system, code)}


def _number(number: int) -> str:
    return f"NEP-{number:04}"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="A synthetic portfolio as NDJSON files for python -m server load.")
    parser.add_argument("initiatives", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--round", action="append", help="a closed round, 2021-11; may be given several times")
    parser.add_argument("--open-round", default="")
    said = parser.parse_args(arguments)
    made = portfolio(
        said.initiatives, seed=said.seed, rounds=said.round or ROUNDS, open_round=said.open_round
    )  # fmt: skip
    for file in files(said.folder, made):
        print(file)


if __name__ == "__main__":
    main()
