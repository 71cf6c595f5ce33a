"""transaction and batch. R4 http.html#transaction."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, get_args

from server import headers
from server.access import Caller
from server.bundle import history_bundle, searchset
from server.interaction import record
from server.interaction.engine import Engine
from server.interaction.history import history
from server.interaction.intents import Intent, Method, Written
from server.interaction.read import read, vread
from server.interaction.search import search, unavailable
from server.interaction.write import write
from server.outcome import FhirError, invalid, outcome
from server.resource import ID, Resource, decode_any, encode
from server.search.urls import pairs_of
from server.store.store import Unavailable, Version

MAX_ENTRIES = 5_000
ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the answer. `body` is the JSON to show (a version's, a Bundle's); `read`: always, for it was
    asked for by GET."""

    status: int
    version: Version | None = None
    body: bytes | None = None
    outcome: bytes | None = None
    changed: bool = True
    read: bool = False


async def transaction(engine: Engine, caller: Caller, bundle: Resource) -> list[Entry]:
    """All writes or none, processed DELETE, POST, PUT/PATCH, then the GETs, of the moment they made; the answers in
    the Bundle's order. FhirError names the entry ("Bundle.entry[3].resource.status"). A GET that is not understood
    stops the whole before anything is written; one that finds nothing has its own status."""
    entries = entries_of(engine, bundle)
    methods = [entry["request"]["method"] for entry in entries]
    writing = sorted((i for i, method in enumerate(methods) if ORDER[method] < 3), key=lambda i: ORDER[methods[i]])
    reading = [i for i, method in enumerate(methods) if ORDER[method] == 3]
    intents = [intent_of(engine, entries[i], f"Bundle.entry[{i}]") for i in writing]
    for index in reading:
        _check_get(engine, entries[index]["request"], f"Bundle.entry[{index}].request.url")
    done = await write(engine, caller, intents) if intents else []
    answers = {index: entry_of(written) for index, written in zip(writing, done, strict=True)}
    as_of = (await engine.store.moment()).instant if len(reading) > 1 else None
    for index in reading:
        answers[index] = await _answered(engine, caller, entries[index]["request"], as_of)
    return [answers[index] for index in range(len(entries))]


async def batch(engine: Engine, caller: Caller, bundle: Resource) -> list[Entry]:
    """Each entry for itself; one that fails has its own status and OperationOutcome."""
    return [await _single(engine, caller, entry, index) for index, entry in enumerate(entries_of(engine, bundle))]


async def _single(engine: Engine, caller: Caller, entry: Resource, index: int) -> Entry:
    if ORDER[entry["request"]["method"]] == 3:
        return await _answered(engine, caller, entry["request"], None)
    try:
        intent = intent_of(engine, entry, f"Bundle.entry[{index}]")
        return entry_of((await write(engine, caller, [intent]))[0])
    except FhirError as error:
        try:
            await record.refused(engine, caller, error)
        except Unavailable as away:
            error = unavailable(away)
        return Entry(error.status, outcome=encode(outcome(error.issues)))


async def _answered(engine: Engine, caller: Caller, request: Resource, as_of: str | None) -> Entry:
    try:
        return await get(engine, caller, request, as_of)
    except FhirError as error:
        return Entry(error.status, outcome=encode(outcome(error.issues)))


def entry_of(written: Written) -> Entry:
    """The answer to one write."""
    version = written.version
    said = encode(outcome(written.warnings)) if written.warnings else None
    return Entry(written.status, version, version.body if version is not None else None, said, changed=written.changed)


def entries_of(engine: Engine, bundle: Resource) -> list[Resource]:
    """The entries, each with a request of a known method and a url. FhirError for a Bundle out of shape: its
    own elements are checked here, the resources within where they are written."""
    shell = {**bundle}
    if isinstance(bundle.get("entry"), list):
        shell["entry"] = [_without_resource(entry) for entry in bundle["entry"]]
    faults = engine.form_faults(shell, "Bundle")
    if faults:
        raise invalid(faults)
    entries: list[Resource] = bundle.get("entry", [])
    if len(entries) > MAX_ENTRIES:
        raise FhirError("too-costly", f"{len(entries)} entries; a Bundle takes {MAX_ENTRIES}.", status=413)
    named: dict[str, int] = {}
    for index, entry in enumerate(entries):
        place = f"Bundle.entry[{index}]"
        for part in ("method", "url"):
            if not isinstance(entry.get("request", {}).get(part), str):
                missing = "request" if "request" not in entry else f"request.{part}"
                raise FhirError("required", f"{place} has no {missing}.", expression=f"{place}.{missing}", status=400)
        if (first := named.setdefault(entry.get("fullUrl", place), index)) != index:
            text = f"{place} has the fullUrl of Bundle.entry[{first}]; one name, one entry (bdl-7)."
            raise FhirError("duplicate", text, expression=f"{place}.fullUrl", status=400)
    return entries


def _without_resource(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    kept = {key: value for key, value in entry.items() if key != "resource"}
    # An entry of nothing but its resource is refused for its missing request, not for being empty.
    return kept or {"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000000"}


def intent_of(engine: Engine, entry: Resource, place: str) -> Intent:
    """What an entry wants written. FhirError for a request that is not understood."""
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
        _if_match(request.get("ifMatch"), place),
        request.get("ifNoneMatch") == "*" and method == "PUT",
        entry.get("fullUrl"),
        place,
    )


def _if_match(text: str | None, place: str) -> str | None:
    try:
        return headers.if_match(text)
    except FhirError as error:
        raise FhirError("value", error.issues[0].text, expression=f"{place}.request.ifMatch") from None


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
    found = decode_any(raw or b"null")
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


def _check_get(engine: Engine, request: Resource, place: str) -> None:
    """That a GET can be answered: its path has a form, and its search is understood."""
    path, _, query = _relative(engine, request["url"])
    match path.split("/"):
        case ["metadata"]:
            text = "GET metadata is answered at the base, not in a Bundle."
            raise FhirError("not-supported", text, expression=place)
        case [kind] if kind in engine.resource_types:
            try:
                engine.parser.parse(kind, pairs_of(query))
            except FhirError as error:
                raise FhirError(error.issues[0].code, error.issues[0].text, expression=place) from None
        case [kind, *rest] if kind in engine.resource_types and len(rest) <= 3:
            return
        case _:
            raise FhirError("not-found", f"GET {request['url']} is not understood here.", expression=place)


def _relative(engine: Engine, url: str) -> tuple[str, str, str]:
    return url.removeprefix(f"{engine.base}/").lstrip("/").partition("?")


async def get(engine: Engine, caller: Caller, request: Resource, as_of: str | None = None) -> Entry:
    """The answer to a GET or HEAD entry, of the instant `as_of` unless it asks for one itself."""
    path, _, query = _relative(engine, request["url"])
    pairs = pairs_of(query)
    if as_of is not None and "_asOf" not in dict(pairs):
        pairs.append(("_asOf", as_of))
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
            return Entry(200, version, version.body, read=True)
        case [kind, id, "_history"]:
            return Entry(200, body=history_bundle(await history(engine, caller, kind, id, pairs), engine.base))
        case [kind, id, "_history", number]:
            version = await vread(engine, caller, kind, id, number)
            return Entry(200, version, version.body, read=True)
    raise FhirError("value", f"GET {request['url']} is not understood here.", expression="request.url")
