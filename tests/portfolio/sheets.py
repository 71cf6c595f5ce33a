"""The report's CSV files read as plainly as can be: what the tests expect is counted here, never by the server."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
REPORT = PROJECT / "mappings" / "data" / "portfolio-2021-11"
ROUND = "2021-11"

C = "http://eportefolje.example/fhir"
S = f"{C}/CodeSystem"
ENH = "urn:oid:2.16.578.1.12.4.1.4.101"

Row = dict[str, str]


def rows(sheet: str, folder: Path = REPORT) -> list[Row]:
    with (folder / f"{sheet}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


INITIATIVES = rows("initiatives")
DELIVERIES = rows("deliveries")
DEPENDENCIES = rows("dependencies")
COSTS = rows("costs")
OPERATIONS = rows("operations")
BENEFITS = rows("benefits")
PREREQUISITES = rows("benefit_prerequisites")

NUMBER = {row["initiative_id"]: f"NEP-{place:04}" for place, row in enumerate(INITIATIVES, 1)}
"""initiative_id -> tiltaksnummer: the order of the source (decision 14)."""

OWNER = {row["initiative_id"]: row["actor"] for row in INITIATIVES}


def delivery(row: Row) -> str:
    """The import identifier of a row of deliveries."""
    return f"001:{NUMBER[row['initiative_id']]}:LEV:{row['seq']}"


def dependency(row: Row) -> str:
    return f"001:{NUMBER[row['initiative_id']]}:AVH:{row['seq']}"


def spellings(target: str, code: str) -> set[str]:
    """The actor cells that the table of spellings takes for that actor (sid/aktor) or initiative
    (sid/tiltaksnummer): profiles/ConceptMap-nep-dependency-actors.json."""
    return _words("nep-dependency-actors", f"{C}/{target}", code)


def names(slug: str) -> set[str]:
    """The other spellings of an actor: profiles/ConceptMap-nep-actor-aliases.json."""
    return _words("nep-actor-aliases", f"{C}/sid/aktor", slug)


def _words(map_id: str, target: str, code: str) -> set[str]:
    path = PROJECT / "profiles" / f"ConceptMap-{map_id}.json"
    concept_map: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {
        element["code"]
        for group in concept_map["group"]
        if group["target"] == target
        for element in group["element"]
        if any(one.get("code") == code for one in element["target"])
    }


def identifier(resource: dict[str, Any], sid: str) -> str:
    """The value of the resource's identifier of {C}/sid/…."""
    (value,) = (one["value"] for one in resource["identifier"] if one["system"] == f"{C}/sid/{sid}")
    return value
