"""transaction and batch. R4 http.html#transaction."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, get_args

from server import headers
from server.access import Caller
from server.bundle import history_bundle, searchset
from server.interaction.engine import Engine
from server.interaction.history import history
from server.interaction.read import read, vread
from server.interaction.search import search
from server.interaction.write import Intent, Method, Written, write
from server.outcome import FhirError, invalid, outcome
from server.resource import ID, Resource, decode, encode
from server.search.urls import pairs_of
from server.store.store import Version

MAX_ENTRIES = 5_000
_ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the answer. `body` is the JSON to show (a version's, a Bundle's, an OperationOutcome's)."""

    status: int
    version: Version | None = None
    body: bytes | None = None
    outcome: bytes | None = None
    changed: bool = True


async def transaction(engine: Engine, caller: Caller, bundle: Resource) -> list[Entry]:
    """All entries or none, processed DELETE, POST, PUT/PATCH, GET; the answers in the Bundle's order.
    FhirError names the entry ("Bundle.entry[3].resource.status")."""
    entries = _entries(engine, bundle)
    methods = [entry["request"]["method"] for entry in entries]
    writing = sorted((i for i, method in enumerate(methods) if _ORDER[method] < 3), key=lambda i: _ORDER[methods[i]])
    intents = [_intent(engine, entries[i], f"Bundle.entry[{i}]") for i in writing]
    answers: dict[int, Entry] = {}
    done = await write(engine, caller, intents) if intents else []
    for index, written in zip(writing, done, strict=True):
        answers[index] = entry_of(written)
    for index, entry in enumerate(entries):
        if index not in answers:
            try:
                answers[index] = await _get(engine, caller, entry["request"])
            except FhirError as error:
                raise error.within(f"Bundle.entry[{index}]") from None
    return [answers[index] for index in range(len(entries))]


async def batch(engine: Engine, caller: Caller, bundle: Resource) -> list[Entry]:
    """Each entry for itself; one that fails has its own status and OperationOutcome."""
    return [await _single(engine, caller, entry, index) for index, entry in enumerate(_entries(engine, bundle))]


async def _single(engine: Engine, caller: Caller, entry: Resource, index: int) -> Entry:
    try:
        if _ORDER[entry["request"]["method"]] == 3:
            return await _get(engine, caller, entry["request"])
        intent = _intent(engine, entry, f"Bundle.entry[{index}]")
        return entry_of((await write(engine, caller, [intent]))[0])
    except FhirError as error:
        return Entry(error.status, outcome=encode(outcome(error.issues)))


def entry_of(written: Written) -> Entry:
    """The answer to one write."""
    version = written.version
    return Entry(written.status, version, version.body if version is not None else None, changed=written.changed)


def _entries(engine: Engine, bundle: Resource) -> list[Resource]:
    """The entries, each with a request of a known method and a url. FhirError for a Bundle out of shape: its
    own elements are checked here, the resources within where they are written."""
    shell = {**bundle}
    if isinstance(bundle.get("entry"), list):
        shell["entry"] = [_without_resource(entry) for entry in bundle["entry"]]
    faults = [issue for issue in engine.faults(shell, "Bundle") if issue.code != "invariant"]
    if faults:
        raise invalid(faults)
    entries: list[Resource] = bundle.get("entry", [])
    if len(entries) > MAX_ENTRIES:
        raise FhirError("too-costly", f"{len(entries)} entries; a Bundle takes {MAX_ENTRIES}.", status=413)
    for index, entry in enumerate(entries):
        if "request" not in entry:
            raise FhirError("required", "Entry without a request.", expression=f"Bundle.entry[{index}].request")
    return entries


def _without_resource(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    kept = {key: value for key, value in entry.items() if key != "resource"}
    # An entry of nothing but its resource is refused for its missing request, not for being empty.
    return kept or {"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000000"}


def _intent(engine: Engine, entry: Resource, place: str) -> Intent:
    request = entry["request"]
    method: Method = request["method"]
    kind, id, condition = _target(engine, request["url"], f"{place}.request.url")
    if method not in get_args(Method):
        raise FhirError("not-supported", f"{method} is not taken in a Bundle.", expression=f"{place}.request.method")
    if method == "POST":
        if id is not None or condition is not None:
            raise FhirError(
                "value", f"POST {request['url']}: expected a type alone.", expression=f"{place}.request.url"
            )
        condition = request.get("ifNoneExist")
    elif id is None and condition is None:
        text = f"{method} {request['url']}: expected Type/id or Type?condition."
        raise FhirError("value", text, expression=f"{place}.request.url")
    sent = entry.get("resource")
    return Intent(
        method,
        kind,
        id,
        condition.removeprefix("?") if condition is not None else None,
        sent if method in ("POST", "PUT") else None,
        tuple(operations_of(sent, place)) if method == "PATCH" else (),
        headers.if_match(request.get("ifMatch")),
        request.get("ifNoneMatch") == "*" and method == "PUT",
        entry.get("fullUrl"),
        place,
    )


def operations_of(sent: Any, place: str) -> list[dict[str, Any]]:
    """The JSON Patch of a PATCH entry: a Binary of application/json-patch+json. R4 http.html#patch."""
    try:
        if sent["resourceType"] != "Binary" or not sent["contentType"].startswith("application/json-patch+json"):
            raise ValueError
        operations = json_patch(base64.b64decode(sent["data"], validate=True))
    except (TypeError, KeyError, ValueError, AttributeError, binascii.Error):
        text = "A PATCH entry holds a Binary with contentType application/json-patch+json and base64 data."
        raise FhirError("invalid", text, expression=f"{place}.resource") from None
    return operations


def json_patch(raw: bytes) -> list[dict[str, Any]]:
    """The operations of a JSON Patch document. FhirError structure when it is none."""
    found = decode(b'{"patch":' + (raw or b"null") + b"}")["patch"]
    if not isinstance(found, list) or not all(isinstance(operation, dict) for operation in found):
        raise FhirError("structure", "A JSON Patch is an array of operations. RFC 6902.")
    return found


def _target(engine: Engine, url: str, place: str) -> tuple[str, str | None, str | None]:
    """(type, id, condition) of a request's url, which may be absolute."""
    path, mark, query = url.removeprefix(f"{engine.base}/").lstrip("/").partition("?")
    kind, slash, id = path.partition("/")
    if kind not in engine.resource_types:
        raise FhirError("not-found", f"«{url}» names no resource type served here.", expression=place)
    if slash and not ID.match(id):
        raise FhirError("value", f"«{url}»: expected Type/id.", expression=place)
    return kind, id if slash else None, query if mark else None


async def _get(engine: Engine, caller: Caller, request: Resource) -> Entry:
    path, _, query = request["url"].removeprefix(f"{engine.base}/").lstrip("/").partition("?")
    pairs = pairs_of(query)
    match path.split("/"):
        case [kind]:
            found = await search(engine, caller, kind, pairs)
            return Entry(200, body=searchset(found, engine.base))
        case [kind, "_history"]:
            return Entry(200, body=history_bundle(await history(engine, caller, kind, None, pairs), engine.base))
        case [kind, id]:
            version = await read(engine, caller, kind, id, dict(pairs).get("_asOf"))
            if headers.not_modified(version, request.get("ifNoneMatch"), None):
                return Entry(304, version)
            return Entry(200, version, version.body)
        case [kind, id, "_history"]:
            return Entry(200, body=history_bundle(await history(engine, caller, kind, id, pairs), engine.base))
        case [kind, id, "_history", number]:
            version = await vread(engine, caller, kind, id, number)
            return Entry(200, version, version.body)
    raise FhirError("value", f"GET {request['url']} is not understood here.", expression="request.url")
