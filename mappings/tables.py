"""The tables that an import stands on, read once from tables/ and profiles/: all of them are data, none is code."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

TABLES = Path(__file__).parent / "tables"
PROFILES = Path(__file__).parent.parent / "profiles"
_BASE = "http://eportefolje.example/fhir"


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _csv(name: str) -> list[dict[str, str]]:
    with (TABLES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def squeezed(text: str) -> str:
    """Outer white space gone, inner runs made one space: how the spellings of the tables are written."""
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Organization:
    """An actor. `number` "" when it has none or none is known; `end` the date it ceased, else ""."""

    slug: str
    name: str
    type: str
    number: str = ""
    end: str = ""


@dataclass(frozen=True, slots=True)
class Initiative:
    """An initiative that has its number. `initiative_id` is what reports call it, `owner` an Organization's slug."""

    initiative_id: str
    tiltaksnummer: str
    title: str
    owner: str


@dataclass(frozen=True, slots=True)
class Round:
    """A reporting round. Dates are the first and the last day; `source` begins the import identifiers of its
    rows; `initiatives` are the tiltaksnummer it asks, () when the report itself says it. `assumed`: the source
    gives the month only (decision 14)."""

    id: str
    title: str
    start: date
    end: date
    closed: bool
    source: str
    initiatives: tuple[str, ...] = ()
    assumed: bool = False

    def opened(self, zone: str) -> str:
        """The instant of the first midnight: authoredOn of what the round brought."""
        return datetime.combine(self.start, time(0), ZoneInfo(zone)).isoformat()

    def settled(self, zone: str) -> str:
        """Noon of the last day: lastModified of what the round brought. The reports give the month only."""
        return datetime.combine(self.end, time(12), ZoneInfo(zone)).isoformat()


def round_from(row: Mapping[str, Any]) -> Round:
    """A round from a row of rounds.json or from a report's own report.json. KeyError and ValueError when
    something is missing or no date."""
    return Round(
        id=str(row["round"]),
        title=str(row["title"]),
        start=date.fromisoformat(str(row["start"])),
        end=date.fromisoformat(str(row["end"])),
        closed=str(row["closed"]).lower() in ("true", "ja", "1"),
        source=str(row.get("source") or row["round"]),
        initiatives=tuple(row.get("initiatives", ())),
        assumed=bool(row.get("assumed", False)),
    )


@dataclass(frozen=True, slots=True)
class Note:
    """What a reader of the printed source found and the cells alone do not show. `seq` is "" for an initiative as
    a whole; `source` is what stood there, or how the cell can be known, or ""."""

    round: str
    sheet: str
    initiative_id: str
    seq: str
    column: str
    rule: str
    source: str


LOG_RULES: dict[str, dict[str, str]] = _json(TABLES / "log_rules.json")
FORMS: dict[str, dict[str, list[str]]] = _json(TABLES / "forms.json")
ROUNDS: dict[str, Round] = {row["round"]: round_from(row) for row in _json(TABLES / "rounds.json")}
ORGANIZATIONS: dict[str, Organization] = {
    row["slug"]: Organization(**row) for row in _json(TABLES / "organizations.json")
}
INITIATIVES: dict[str, Initiative] = {row["initiative_id"]: Initiative(**row) for row in _csv("initiatives.csv")}
NOTES: tuple[Note, ...] = tuple(Note(**row) for row in _csv("source_notes.csv"))
LOST_CELLS: frozenset[tuple[str, str, str, str, str]] = frozenset(
    (row["round"], row["sheet"], row["initiative_id"], row["seq"], row["column"]) for row in _csv("lost_cells.csv")
)
"""(round, sheet, initiative_id, seq, column) of the cells that the printed source lost at the page edge."""
MISREADINGS: dict[str, str] = {row["word"]: row["probably"] for row in _csv("misreadings.csv")}
"""A word that the source misprints -> what it probably is."""
ADOPTED: dict[tuple[str, str, str, str], str] = {
    (row["round"], row["initiative_id"], row["type"], row["seq"]): row["identifier"] for row in _csv("adopted.csv")
}
"""(round, initiative_id, type, seq) -> the import identifier that an earlier report gave the same thing."""

SECRETARIAT = ORGANIZATIONS["portefoljekontoret"]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a ConceptMap sends a word: a code, or "" when it is known to mean none."""

    code: str
    equivalence: str
    comment: str


def concept_map(id: str) -> dict[tuple[str, str], dict[str, tuple[Target, ...]]]:
    """(source, target), both without the canonical base, -> word -> targets, of profiles/ConceptMap-<id>.json."""
    found: dict[tuple[str, str], dict[str, tuple[Target, ...]]] = {}
    for group in _json(PROFILES / f"ConceptMap-{id}.json")["group"]:
        key = group["source"].removeprefix(f"{_BASE}/"), group["target"].removeprefix(f"{_BASE}/")
        found[key] = {
            element["code"]: tuple(
                Target(target.get("code", ""), target["equivalence"], target.get("comment", ""))
                for target in element["target"]
            )
            for element in group["element"]
        }
    return found


def displays(code_system: str) -> dict[str, str]:
    """Code -> Norwegian display of one of our CodeSystems, parents before children."""
    path = PROFILES / f"CodeSystem-{code_system}.json"
    return dict(_concepts(_json(path)["concept"]))


def _concepts(concepts: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for concept in concepts:
        yield concept["code"], concept["display"]
        yield from _concepts(concept.get("concept", []))
