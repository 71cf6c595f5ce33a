"""Tasks and initiatives from a seed: the same for the same seed, of the size and spread of real reports."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

C = "http://eportefolje.example/fhir"
USAGE = "http://terminology.hl7.org/CodeSystem/usage-context-type"
CONTACT_REFERENCE = "http://hl7.org/fhir/StructureDefinition/cqf-contactReference"
_PREREQUISITE = ("nep-benefit-prerequisite", "epj-kommune")
_KINDS = [("leveranse", 60), ("avhengighet", 25), ("nytteforutsetning", 15)]
_STATES = [("completed", 33), ("in-progress", 37), ("ready", 27), ("cancelled", 3)]
_WORDS = ["plan", "journal", "legemiddel", "dialog", "register", "terminologi", "innsyn", "deling", "måling", "pasient"]


def initiative(number: int) -> dict[str, Any]:
    """PlanDefinition/i<number>, as nep-initiative asks for it."""
    return {
        "resourceType": "PlanDefinition",
        "id": f"i{number}",
        "url": f"{C}/PlanDefinition/BENCH-{number:05}",
        "identifier": [{"use": "official", "system": f"{C}/sid/tiltaksnummer", "value": f"BENCH-{number:05}"}],
        "name": f"Tiltak{number}",
        "title": f"Tiltak {number}",
        "status": "active",
        "subjectCodeableConcept": {
            "coding": [{"system": "http://hl7.org/fhir/resource-types", "code": "Organization"}]
        },
        "date": "2021-11-01",
        "publisher": "En aktør",
        "useContext": [
            context(USAGE, "program", "nep-portfolio", "nasjonal-e-helseportefolje"),
            context(f"{C}/CodeSystem/nep-context-type", "segment", "nep-segment", "koordinere"),
            context(f"{C}/CodeSystem/nep-context-type", "fase", "nep-phase", "gjennomfore"),
            context(f"{C}/CodeSystem/nep-context-type", "livslop", "nep-lifecycle", "aktiv"),
        ],
        "jurisdiction": [{"coding": [{"system": "urn:iso:std:iso:3166", "code": "NO"}]}],
        "topic": [coded("nep-focus-area-2017", "1.1")],
        "author": [{"extension": [{"url": CONTACT_REFERENCE, "valueReference": _actor(number)}], "name": "En aktør"}],
    }


def task(random: random.Random, number: int, initiatives: int) -> dict[str, Any]:
    """A Task of about 1.5 kB, as its profile asks for it, based on one of `initiatives`; due between 2020 and 2026."""
    kind = random.choices(*zip(*_KINDS, strict=True))[0]
    status = random.choices(*zip(*_STATES, strict=True))[0]
    due = date(2020, 1, 1) + timedelta(days=random.randrange(2500))
    name = words(random, 4)
    actor = _actor(random.randrange(40))
    return {
        "resourceType": "Task",
        "language": "nb",
        "identifier": [{"system": "https://bench.example/sid/task", "value": f"bench:{number}"}],
        "basedOn": [{"reference": f"PlanDefinition/i{random.randrange(initiatives)}"}],
        "status": status,
        **_KIND[kind](status, name),
        "description": words(random, 30),
        "authoredOn": "2021-11-01T08:00:00+01:00",
        "lastModified": f"2021-11-{random.randrange(1, 29):02}T09:30:00+01:00",
        "requester": actor,
        "owner": actor,
        "restriction": {"period": {"end": due.isoformat()}},
    }


def _delivery(status: str, name: str) -> dict[str, Any]:
    state = {"completed": "levert", "cancelled": "utgaar", "ready": "ikke-oppgitt"}.get(status, "ikke-levert")
    return {
        "meta": {"profile": [f"{C}/StructureDefinition/nep-delivery"]},
        "businessStatus": coded("nep-delivery-status", state),
        "intent": "plan",
        "code": {**coded("nep-task-type", "leveranse"), "text": name},
        "input": [_input("maalgruppe", "nep-target-group", "fastlege")],
    }


def _dependency(status: str, name: str) -> dict[str, Any]:
    return {
        "meta": {"profile": [f"{C}/StructureDefinition/nep-dependency"]},
        "businessStatus": coded("nep-dependency-status", "oppfylt" if status == "completed" else "gronn"),
        # What is ready in a delivery has been asked for in a dependency.
        "status": "requested" if status == "ready" else status,
        "intent": "proposal",
        "code": {**coded("nep-task-type", "avhengighet"), "text": name},
        "input": [_input("kritikalitet", "nep-criticality", "hoy")],
    }


def _prerequisite(status: str, name: str) -> dict[str, Any]:
    kinds = [*coded("nep-task-type", "nytteforutsetning")["coding"], *coded(*_PREREQUISITE)["coding"]]
    return {
        "meta": {"profile": [f"{C}/StructureDefinition/nep-benefit-prerequisite"]},
        "intent": "plan",
        "code": {"coding": kinds, "text": name},
        "input": [_input("kritikalitet", "nep-criticality", "hoy")],
    }


_KIND = {"leveranse": _delivery, "avhengighet": _dependency, "nytteforutsetning": _prerequisite}


def _actor(number: int) -> dict[str, Any]:
    number_of = {"system": "urn:oid:2.16.578.1.12.4.1.4.101", "value": f"98{number % 40:07}"}
    return {"identifier": number_of, "display": "En aktør"}


def words(random: random.Random, many: int) -> str:
    """So many words of the field."""
    return " ".join(random.choices(_WORDS, k=many))


def context(system: str, code: str, value_system: str, value: str) -> dict[str, Any]:
    """A useContext of a coded value."""
    return {"code": {"system": system, "code": code}, "valueCodeableConcept": coded(value_system, value)}


def _input(kind: str, system: str, code: str) -> dict[str, Any]:
    return {"type": coded("nep-task-io", kind), "valueCodeableConcept": coded(system, code)}


def coded(system: str, code: str) -> dict[str, Any]:
    """A concept of one of our code systems."""
    return {"coding": [{"system": f"{C}/CodeSystem/{system}", "code": code, "display": code.capitalize()}]}
