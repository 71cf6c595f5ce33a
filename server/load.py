"""Loading files through the same interactions as the API, as the secretariat; and publishing profiles/.

A file or folder is one unit: all of it is written, or nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mappings
from server.access import SECRETARIAT
from server.interaction.engine import Engine
from server.interaction.transaction import transaction
from server.interaction.write import Intent, write
from server.outcome import FhirError
from server.resource import Resource, decode


@dataclass
class Loaded:
    """What became of one unit: resources by «type: what happened», remarks, and what was refused."""

    counts: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


async def load(engine: Engine, path: Path, *, round: str | None = None) -> Loaded:
    """A FHIR Bundle or resource (.json), NDJSON, or a report (a folder of CSVs, or .xlsx) of `round`."""
    try:
        match path.suffix.lower():
            case ".ndjson":
                return await _resources(engine, _lines(path))
            case ".json":
                return await _json(engine, _read(path))
            case _:
                return await _report(engine, path, round)
    except FhirError as error:
        return Loaded(refused=[_line(path, error, index) for index in range(len(error.issues))])
    except (OSError, UnicodeDecodeError) as error:
        return Loaded(refused=[f"{path}: {error}"])


async def publish(engine: Engine) -> Loaded:
    """Puts every artefact of profiles/ at its id, so that clients read what the server goes by."""
    return await _resources(engine, [dict(resource) for resource in engine.registry.resources])


async def _report(engine: Engine, path: Path, round: str | None) -> Loaded:
    try:
        report = mappings.read_report(path, round=round)
    except mappings.ReportError as error:
        return Loaded(refused=[str(refusal) for refusal in error.refusals])
    result = mappings.bundle(report, canonical=engine.access.canonical)
    if result.refused:
        return Loaded(remarks=[str(entry) for entry in result.log], refused=[str(row) for row in result.refused])
    loaded = await _json(engine, result.bundle)
    loaded.remarks = [str(entry) for entry in result.log]
    return loaded


async def _json(engine: Engine, resource: Resource) -> Loaded:
    if resource.get("resourceType") != "Bundle" or resource.get("type") in ("document", "message"):
        return await _resources(engine, [resource])
    if resource.get("type") in ("transaction", "batch"):
        # A batch, too, is one unit here: nothing of it is written when any of it is refused.
        entries = await transaction(engine, SECRETARIAT, {**resource, "type": "transaction"})
        return Loaded(Counter(_what(entry.version, entry.status, entry.changed) for entry in entries))
    return await _resources(engine, [entry["resource"] for entry in resource.get("entry", []) if "resource" in entry])


async def _resources(engine: Engine, resources: Sequence[Resource]) -> Loaded:
    """Each at its id, or as a new one when it has none."""
    done = await write(engine, SECRETARIAT, [_intent(resource, i) for i, resource in enumerate(resources)])
    return Loaded(Counter(_what(written.version, written.status, written.changed) for written in done))


def _intent(resource: Resource, index: int) -> Intent:
    kind, id = str(resource.get("resourceType", "")), resource.get("id")
    return Intent("PUT" if id else "POST", kind, id, resource=resource, place=f"Bundle.entry[{index}].resource")


def _what(version: Any, status: int, changed: bool) -> str:
    kind = version.resource_type if version is not None else "–"
    return f"{kind}: {'unchanged' if not changed else 'created' if status == 201 else 'updated'}"


def _read(path: Path) -> Resource:
    return decode(path.read_bytes())


def _lines(path: Path) -> list[Resource]:
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if line.strip():
            try:
                found.append(decode(line))
            except FhirError as error:
                raise FhirError("structure", f"line {number}: {error}") from None
    return found


def _line(path: Path, error: FhirError, index: int) -> str:
    issue = error.issues[index]
    return f"{path}: {issue.expression or '–'}: {issue.code}: {issue.text}"
