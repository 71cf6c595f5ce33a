"""SearchParameters that are stored: in force from their commit on, searched once their index is whole.

How nothing is ever missing. A stored parameter's rows stand under keys that carry the ordinal of the version that
defines it. Every commit, in any process, states the newest SearchParameter version that its rows were made by
(Unit.defined) and is decided anew when there is a newer one. So each version written after the definition has its
rows, and the build (Store.build) has only those before it to see to. A search reads in its own snapshot what
is defined and how far the builds are; while one is not whole, its parameter is left out with a warning, or refused.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace

from server.interaction.engine import Engine, Reading
from server.outcome import FhirError
from server.resource import Resource, decode
from server.search.parameters import Parameters, Stored
from server.search.query import Query
from server.store.store import Indexing, Snapshot, Unavailable

log = logging.getLogger("server")
_DEFINING = ("code", "type", "base", "expression", "component", "target", "status")
_AT_ONCE = 500
_AGAIN = 1.0


async def caught_up(engine: Engine, snapshot: Snapshot | Reading) -> Indexing:
    """The state of the snapshot's index, once this process knows all definitions that the store has."""
    state = await snapshot.indexing()
    parameters = engine.parser.parameters
    if state.newest > parameters.newest:
        async with engine.store.snapshot() as present:
            newest = (await present.indexing()).newest
            stored = await _stored(present)
        if newest > parameters.newest:
            for fault in parameters.adopt(stored, newest):
                log.error("a stored SearchParameter is not in force: %s", fault)
    if any(state.shares.get(generation, 0.0) < 1 for generation, _ in parameters.stored):
        engine.unbuilt.set()
    return state


async def _stored(snapshot: Snapshot | Reading) -> list[Stored]:
    found: list[Stored] = []
    query = Query("SearchParameter", count=_AT_ONCE)
    while True:
        page = await snapshot.search(query)
        found += [(version.ordinal, decode(version.body)) for version in page.versions if version.body is not None]
        if page.next is None:
            return found
        query = replace(query, cursor=page.next)


def check_definitions(engine: Engine, defined: Iterable[Resource]) -> dict[str, FhirError]:
    """The faults of SearchParameters about to be stored, by id; those that are not active define nothing."""
    resources = list(defined)
    trial = engine.parser.parameters.trial({resource["id"] for resource in resources})
    faults = {}
    for resource in resources:
        try:
            _check(engine, trial, resource)
        except ValueError as error:
            text = f"Søkeparameteren kan ikke brukes / It cannot be searched by: {error}"
            faults[resource["id"]] = FhirError("processing", text, expression="SearchParameter.expression")
    return faults


def _check(engine: Engine, trial: Parameters, resource: Resource) -> None:
    if resource.get("status") != "active":
        return
    url = resource.get("url", "")
    if trial.is_shipped(url):
        ours = next((one for one in engine.registry.of_type("SearchParameter") if one.get("url") == url), None)
        if ours is not None and any(ours.get(name) != resource.get(name) for name in _DEFINING):
            raise ValueError(f"{url} is defined by this server itself; a definition of your own needs its own url.")
        return
    foreign = sorted(set(resource.get("base", ())) - engine.resource_types)
    if foreign:
        raise ValueError(f"base {', '.join(foreign)} is not served here.")
    trial.enter(resource, 1)


async def build_forever(engine: Engine) -> None:
    """Builds what is to be built, whenever there is something; ends by being cancelled."""
    while True:
        await engine.unbuilt.wait()
        engine.unbuilt.clear()
        try:
            await _build_all(engine)
        except Unavailable as error:
            log.warning("an index is not built yet: %s", error)
            await asyncio.sleep(_AGAIN)
            engine.unbuilt.set()


async def _build_all(engine: Engine) -> None:
    async with engine.store.snapshot() as snapshot:
        state = await caught_up(engine, snapshot)
    for generation, resource in engine.parser.parameters.stored:
        if state.shares.get(generation, 0.0) < 1:
            index = engine.indexer.partial(generation)
            await engine.store.build(generation, frozenset(resource["base"]), index)
    engine.unbuilt.clear()
