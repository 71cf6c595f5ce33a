"""read and vread. R4 http.html#read, #vread."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.access import Caller, Sight
from server.auth.scopes import Letter
from server.interaction.engine import Engine, Reading, moment_of
from server.outcome import FhirError
from server.store.store import Snapshot, Version


async def read(engine: Engine, caller: Caller, resource_type: str, id: str, as_of: str | None = None) -> Version:
    """The version current now, or as of an instant. FhirError not-found (404), deleted (410), forbidden (403) for a
    token without the scope."""
    engine.known_type(resource_type)
    engine.narrowing.check(caller.scopes, "r", resource_type)
    name = f"{resource_type}/{id}"
    if as_of is None and caller.scopes is None:
        version = await engine.store.current(resource_type, id)
        if version is None or (not version.deleted and engine.access.sees_at_once(caller, version)):
            return _shown(name, version, version is not None)
    async with looking(engine, caller, as_of) as (snapshot, sight):
        version = await snapshot.read(resource_type, id)
        return _shown(name, version, await may_read(snapshot, sight, version))


async def vread(engine: Engine, caller: Caller, resource_type: str, id: str, version_id: str) -> Version:
    """That version. FhirError not-found (404), deleted (410) for the version that is a deletion, forbidden (403) for
    a token without the scope."""
    engine.known_type(resource_type)
    engine.narrowing.check(caller.scopes, "r", resource_type)
    number = int(version_id) if version_id.isascii() and version_id.isdigit() and len(version_id) < 10 else 0
    async with looking(engine, caller) as (snapshot, sight):
        version = await snapshot.read_version(resource_type, id, number)
        allowed = await may_read(snapshot, sight, version)
    return _shown(f"{resource_type}/{id}/_history/{version_id}", version, allowed)


@asynccontextmanager
async def looking(engine: Engine, caller: Caller, as_of: str | None = None) -> AsyncIterator[tuple[Snapshot, Sight]]:
    """The snapshot of an `_asOf` (None: the present), and what the caller sees of it by its rights of the present."""
    moment = await moment_of(engine.store, as_of)
    async with engine.store.snapshot(moment) as snapshot, Reading(engine.store) as present:
        yield snapshot, engine.sight(caller, snapshot, present if moment is not None else None)


async def may_read(snapshot: Snapshot, sight: Sight, version: Version | None, letter: Letter = "r") -> bool:
    """Whether there is such a version and this caller may see it. A deletion is seen by those who may see what it
    deleted: it carries no label of its own."""
    if version is not None and version.deleted:
        version = await snapshot.read_version(version.resource_type, version.id, version.version_id - 1)
    return version is not None and await sight.reads(version, letter)


def _shown(name: str, version: Version | None, allowed: bool) -> Version:
    if version is None or not allowed:
        raise FhirError("not-found", f"Finnes ikke / {name} is not known here.")
    if version.deleted:
        raise FhirError("deleted", f"Slettet / {name} was deleted.")
    return version
