"""read and vread. R4 http.html#read, #vread."""

from __future__ import annotations

from server.access import Caller
from server.interaction.engine import Engine, moment_of
from server.outcome import FhirError
from server.store.store import Version


async def read(engine: Engine, caller: Caller, resource_type: str, id: str, as_of: str | None = None) -> Version:
    """The version current now, or as of an instant. FhirError not-found (404), deleted (410)."""
    engine.known_type(resource_type)
    if as_of is None:
        version = await engine.store.current(resource_type, id)
    else:
        async with engine.store.snapshot(await moment_of(engine.store, as_of)) as snapshot:
            version = await snapshot.read(resource_type, id)
    return _shown(engine, caller, version, f"{resource_type}/{id}")


async def vread(engine: Engine, caller: Caller, resource_type: str, id: str, version_id: str) -> Version:
    """That version. FhirError not-found (404), deleted (410) for the version that is a deletion."""
    engine.known_type(resource_type)
    number = int(version_id) if version_id.isascii() and version_id.isdigit() and len(version_id) < 10 else 0
    async with engine.store.snapshot() as snapshot:
        version = await snapshot.read_version(resource_type, id, number)
    return _shown(engine, caller, version, f"{resource_type}/{id}/_history/{version_id}")


def _shown(engine: Engine, caller: Caller, version: Version | None, name: str) -> Version:
    if version is None or not engine.access.may_read(caller, version):
        raise FhirError("not-found", f"Finnes ikke / {name} is not known here.")
    if version.deleted:
        raise FhirError("deleted", f"Slettet / {name} was deleted.")
    return version
