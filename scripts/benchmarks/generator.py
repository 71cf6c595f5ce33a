"""Tasks and initiatives from a seed: the same for the same seed, of the size and spread of real reports."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

C = "http://eportefolje.example/fhir"
_KINDS = [("leveranse", 60), ("avhengighet", 25), ("nytteforutsetning", 15)]
_STATES = [("completed", 33), ("in-progress", 37), ("ready", 27), ("cancelled", 3)]
_WORDS = ["plan", "journal", "legemiddel", "dialog", "register", "terminologi", "innsyn", "deling", "måling", "pasient"]


def initiative(number: int) -> dict[str, Any]:
    """PlanDefinition/i<number>."""
    return {
        "resourceType": "PlanDefinition",
        "id": f"i{number}",
        "identifier": [{"system": f"{C}/sid/tiltaksnummer", "value": f"BENCH-{number:05}"}],
        "name": f"Tiltak{number}",
        "title": f"Tiltak {number}",
        "status": "active",
    }


def task(random: random.Random, number: int, initiatives: int) -> dict[str, Any]:
    """A Task of about 1.5 kB, based on one of `initiatives`; due between 2020 and 2026."""
    kind = random.choices(*zip(*_KINDS, strict=True))[0]
    status = random.choices(*zip(*_STATES, strict=True))[0]
    due = date(2020, 1, 1) + timedelta(days=random.randrange(2500))
    name = " ".join(random.choices(_WORDS, k=4))
    actor = {"identifier": {"system": "urn:oid:2.16.578.1.12.4.1.4.101", "value": f"98{random.randrange(40):07}"}}
    return {
        "resourceType": "Task",
        "meta": {"profile": [f"{C}/StructureDefinition/nep-delivery"]},
        "language": "nb",
        "identifier": [{"system": f"{C}/sid/import", "value": f"bench:{number}"}],
        "basedOn": [{"reference": f"PlanDefinition/i{random.randrange(initiatives)}"}],
        "status": status,
        "businessStatus": _coded("nep-delivery-status", "levert" if status == "completed" else "ikke-levert"),
        "intent": "plan",
        "code": {**_coded("nep-task-type", kind), "text": name},
        "description": " ".join(random.choices(_WORDS, k=30)),
        "authoredOn": "2021-11-01T08:00:00+01:00",
        "lastModified": f"2021-11-{random.randrange(1, 29):02}T09:30:00+01:00",
        "requester": {**actor, "display": "En aktør"},
        "owner": {**actor, "display": "En aktør"},
        "restriction": {"period": {"end": due.isoformat()}},
        "input": [
            {"type": _coded("nep-task-io", "kritikalitet"), "valueCodeableConcept": _coded("nep-criticality", "hoy")}
        ],
    }


def _coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": f"{C}/CodeSystem/{system}", "code": code, "display": code.capitalize()}]}
