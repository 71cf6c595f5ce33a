"""Loading files through the same interactions as the API, as the secretariat; and publishing profiles/.

A file or folder is one unit: all of it is written, or nothing.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import mappings
from server.access import SECRETARIAT, Caller
from server.asking import Asking
from server.interaction.engine import Engine
from server.interaction.intents import Intent, Method
from server.interaction.operations.rounds import Rounds
from server.interaction.transaction import transaction
from server.interaction.write import write
from server.outcome import FhirError, Issue, invalid
from server.portfolio import elements
from server.portfolio.gather import resources, view
from server.resource import Resource, decode

_LINE = re.compile(r"(line \d+: .*?)\.resource\b")
_NO_LINK = "urn:uuid:00000000-0000-4000-8000-000000000000"
_ABSENT: Any = object()


@dataclass
class Loaded:
    """What became of one unit: resources by «type: what happened», remarks, and what was refused."""

    counts: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Item:
    """What should be a resource, and where it stands: "Bundle.entry[3]", "line 3: Task", or "" when it is the file."""

    resource: Any
    place: str = ""
    full_url: str | None = None


async def load(engine: Engine, path: Path, *, round: str | None = None) -> Loaded:
    """A FHIR Bundle or resource (.json), NDJSON, or a report (a folder of CSVs, or .xlsx) of `round`."""
    caller = _secretariat(engine, "import")
    try:
        match path.suffix.lower():
            case ".ndjson":
                return await _resources(engine, caller, _lines(path))
            case ".json":
                return await _json(engine, caller, decode(_read(path)))
            case _:
                return await _report(engine, caller, path, round)
    except FhirError as error:
        return Loaded(refused=[_line(path, issue) for issue in error.issues])
    except OSError as error:
        return Loaded(refused=[f"{path}: {error.strerror}"])


async def publish_closed(engine: Engine, rounds: Rounds) -> list[str]:
    """The editions of rounds that were loaded as closed: references to those made now."""
    return await rounds.publish_closed(engine, _secretariat(engine, "import"))


async def publish(engine: Engine) -> Loaded:
    """Puts every artefact of profiles/ at its id, so that clients read what the server goes by; stand-ins for
    what others define are not ours to publish (decision 27)."""
    base = f"{engine.access.canonical}/"
    ours = [dict(resource) for resource in engine.registry.resources if resource.get("url", base).startswith(base)]
    return await _resources(engine, _secretariat(engine, "guide"), _at_entries(ours))


def _secretariat(engine: Engine, device: str) -> Caller:
    """The secretariat, by this device and as one request on record."""
    return replace(SECRETARIAT, client=device, request=Asking(engine.new_id()))


async def _report(engine: Engine, caller: Caller, path: Path, round: str | None) -> Loaded:
    try:
        report = mappings.read_report(path, round=round)
    except mappings.ReportError as error:
        return Loaded(refused=[str(refusal) for refusal in error.refusals])
    standing = {} if report.is_whole else await _standing(engine, caller, report)
    result = mappings.bundle(
        report, canonical=engine.access.canonical, timezone=str(engine.parser.zone), standing=standing
    )
    if result.refused:
        return Loaded(remarks=[str(entry) for entry in result.log], refused=[str(row) for row in result.refused])
    loaded = await _json(engine, caller, result.bundle)
    loaded.remarks = [str(entry) for entry in result.log]
    return loaded


async def _standing(engine: Engine, caller: Caller, report: mappings.Report) -> dict[str, Resource]:
    """The report's initiatives as they stand, by tiltaksnummer: a form that does not ask for all of an initiative must
    not take away what it does not ask (decision 15)."""
    system = f"{engine.access.canonical}/sid/tiltaksnummer"
    numbers = [row.known.tiltaksnummer for row in report.initiatives]
    named = ",".join(f"{system}|{number}" for number in numbers)
    found = await (await view(engine, caller)).versions("PlanDefinition", [("identifier", named)]) if named else []
    return {elements.number(plan, system): plan for plan in resources(found)}


async def _json(engine: Engine, caller: Caller, resource: Resource) -> Loaded:
    if resource.get("resourceType") != "Bundle" or resource.get("type") in ("document", "message"):
        return await _resources(engine, caller, [_Item(resource)])
    items = _items(engine, resource)
    if resource.get("type") not in ("transaction", "batch"):
        return await _resources(engine, caller, items)
    _check([item for item in items if item.resource is not _ABSENT])
    # A batch, too, is one unit here: nothing of it is written when any of it is refused.
    entries = await transaction(engine, caller, {**resource, "type": "transaction"})
    methods = [entry["request"]["method"] for entry in resource.get("entry", [])]
    return Loaded(
        Counter(
            _what(entry.version, entry.status, entry.changed)
            for method, entry in zip(methods, entries, strict=True)
            if method not in ("GET", "HEAD")
        )
    )


def _items(engine: Engine, bundle: Resource) -> list[_Item]:
    """The entries of a Bundle, whose own elements are checked here; _ABSENT where one has no resource."""
    entries = bundle.get("entry", [])
    shell = {**bundle}
    if isinstance(entries, list) and entries:
        shell["entry"] = [_without_resource(entry) for entry in entries]
    faults = [issue for issue in engine.form_faults(shell, "Bundle") if issue.code != "invariant"]
    if faults:
        raise invalid(faults)
    return [
        _Item(entry.get("resource", _ABSENT), f"Bundle.entry[{index}]", entry.get("fullUrl"))
        for index, entry in enumerate(entries)
    ]


def _without_resource(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    # An entry of nothing but its resource shall not be refused for being empty.
    return {key: value for key, value in entry.items() if key != "resource"} or {"fullUrl": _NO_LINK}


def _at_entries(resources: Sequence[Resource]) -> list[_Item]:
    return [_Item(resource, f"Bundle.entry[{index}]") for index, resource in enumerate(resources)]


async def _resources(engine: Engine, caller: Caller, items: Sequence[_Item]) -> Loaded:
    """Each at its id, or as a new one when it has none."""
    _check(items)
    done = await write(engine, caller, [_intent(item) for item in items])
    return Loaded(Counter(_what(written.version, written.status, written.changed) for written in done))


def _intent(item: _Item) -> Intent:
    kind, id = item.resource["resourceType"], item.resource.get("id")
    method: Method = "PUT" if id else "POST"
    return Intent(method, kind, id, resource=item.resource, full_url=item.full_url, place=item.place)


def _what(version: Any, status: int, changed: bool) -> str:
    kind = version.resource_type if version is not None else "–"
    done = {200: "updated", 201: "created", 204: "deleted"}[status]
    return f"{kind}: {done if changed else 'unchanged'}"


def _check(items: Sequence[_Item]) -> None:
    """Every one is a resource with a type, and an id that can be told. FhirError for all that are none."""
    faults = [fault for item in items for fault in _misshapen(item)]
    if faults:
        raise invalid(faults)


def _misshapen(item: _Item) -> Iterator[Issue]:
    found = item.resource
    within = f"{item.place}.resource" if item.place else ""
    if found is _ABSENT:
        yield Issue("required", "Entry without a resource.", within)
    elif not isinstance(found, dict):
        yield Issue("structure", f"Expected a resource {{ … }}, found {found!r:.40}.", within)
    elif not isinstance(found.get("resourceType"), str):
        yield Issue("required", "Expected a resourceType as text.", f"{within}.resourceType".lstrip("."))
    elif "id" in found and not (isinstance(found["id"], str) and found["id"]):
        text = f"An id is text of 1 to 64 characters; found {found['id']!r:.40}."
        yield Issue("value", text, f"{within or found['resourceType']}.id")


def _read(path: Path) -> bytes:
    """The file without a UTF-8 byte order mark, which editors set and R4's JSON has no use for."""
    raw = path.read_bytes()
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise FhirError("structure", "UTF-16; expected UTF-8.")
    return raw.removeprefix(codecs.BOM_UTF8)


def _lines(path: Path) -> list[_Item]:
    found: list[_Item] = []
    faults: list[Issue] = []
    for number, line in enumerate(_read(path).splitlines(), 1):
        if line.strip():
            try:
                resource = decode(line)
                kind = resource.get("resourceType")
                found.append(_Item(resource, f"line {number}: {kind if isinstance(kind, str) else 'resource'}"))
            except FhirError as error:
                faults += [issue.within(f"line {number}") for issue in error.issues]
    if faults:
        raise invalid(faults)
    return found


def _line(path: Path, issue: Issue) -> str:
    # A line is a resource; only an entry of a Bundle holds one.
    place = _LINE.sub(r"\1", issue.expression)
    return f"{path}: {place or '–'}: {issue.code}: {issue.text}"
