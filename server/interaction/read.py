"""read and vread. R4 http.html#read, #vread."""

from __future__ import annotations

from server.access import Caller
from server.interaction.engine import Engine, moment_of
from server.interaction.record import given
from server.outcome import FhirError
from server.store.store import Snapshot, Version


async def read(engine: Engine, caller: Caller, resource_type: str, id: str, as_of: str | None = None) -> Version:
    """The version current now, or as of an instant. FhirError not-found (404), deleted (410)."""
    engine.known_type(resource_type)
    name = f"{resource_type}/{id}"
    if as_of is None:
        version = await engine.store.current(resource_type, id)
        if version is None or not version.deleted:
            allowed = version is not None and engine.access.may_read(caller, version)
            return _given(engine, caller, "read", _shown(name, version, allowed))
    async with engine.store.snapshot(await moment_of(engine.store, as_of)) as snapshot:
        version = await snapshot.read(resource_type, id)
        allowed = await may_read(engine, caller, snapshot, version)
    return _given(engine, caller, "read", _shown(name, version, allowed))


async def vread(engine: Engine, caller: Caller, resource_type: str, id: str, version_id: str) -> Version:
    """That version. FhirError not-found (404), deleted (410) for the version that is a deletion."""
    engine.known_type(resource_type)
    number = int(version_id) if version_id.isascii() and version_id.isdigit() and len(version_id) < 10 else 0
    async with engine.store.snapshot() as snapshot:
        version = await snapshot.read_version(resource_type, id, number)
        allowed = await may_read(engine, caller, snapshot, version)
    shown = _shown(f"{resource_type}/{id}/_history/{version_id}", version, allowed)
    return _given(engine, caller, "vread", shown)


async def may_read(engine: Engine, caller: Caller, snapshot: Snapshot, version: Version | None) -> bool:
    """Whether there is such a version and this caller may see it. A deletion is seen by those who may see what it
    deleted: it carries no label of its own."""
    if version is not None and version.deleted:
        version = await snapshot.read_version(version.resource_type, version.id, version.version_id - 1)
    return version is not None and engine.access.may_read(caller, version)


def _given(engine: Engine, caller: Caller, interaction: str, version: Version) -> Version:
    given(engine, caller, interaction, (version,))
    return version


def _shown(name: str, version: Version | None, allowed: bool) -> Version:
    if version is None or not allowed:
        raise FhirError("not-found", f"Finnes ikke / {name} is not known here.")
    if version.deleted:
        raise FhirError("deleted", f"Slettet / {name} was deleted.")
    return version
