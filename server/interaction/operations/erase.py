"""$erase-person: a person's name taken out of all versions of all resources. Domain model, decision 22.

The record tells that, when and by whom something was erased, and from which versions; never what. Version ids and
instants stay, so page links go on working; a client that keeps a copy keeps what it has.
"""

from __future__ import annotations

from collections import Counter

from server.interaction import record
from server.interaction.engine import Engine, Reading
from server.interaction.operations.parameters import Asked, parameters, row
from server.interaction.search import unavailable
from server.operations import Answer, Call
from server.outcome import FhirError
from server.portfolio.names import Erasing, texts_of
from server.resource import restored
from server.search.urls import query_of
from server.search.values import fold
from server.store.store import Rewritten, Unavailable

_MOST_VERSIONS = 500
_REMAINS = (
    "MongoDBs egen logg og frie plass kan ennå holde gamle byte / MongoDB's own log and free space may still hold "
    "old bytes"
)


async def erase_person(engine: Engine, call: Call) -> Answer:
    """Takes `name` (given and family name) or `person` (a PractitionerRole, whose names and contacts of all its
    versions are meant), or both; with `dryRun` it only counts. FhirError for a name that would take other things along.
    """
    engine.access.check_secretariat(call.caller)
    if call.parameters:
        raise FhirError("invalid", "Send navnet i en / Send the name in a Parameters, not in the URL, which is logged.")
    asked = Asked(call)
    try:
        erasing = await _erasing(engine, asked)
        if asked.flag("dryRun", False):
            return _answer(await engine.store.rewrite(erasing, engine.indexer.indexed, None))
        trace = await record.operation_trace(engine, call.caller, _described)
        found = await engine.store.rewrite(erasing, engine.indexer.indexed, trace)
    except Unavailable as error:
        raise unavailable(error) from None
    engine.kept_terminology.key = ()
    return _answer(found)


async def _erasing(engine: Engine, asked: Asked) -> Erasing:
    names: list[str] = []
    contacts: list[str] = []
    if name := asked.text("name"):
        await _check_no_organization(engine, name)
        names.append(name)
    if asked.object("person") is not None:
        more, contacts = await _texts_of(engine, str((asked.object("person") or {}).get("reference", "")))
        names += more
    if not names and not contacts:
        raise FhirError("required", "Oppgi name eller person / Give a name or a person.", expression="name")
    try:
        return Erasing.of(names, contacts)
    except ValueError:
        # The name itself is not said back: refusals are kept elsewhere too.
        text = "Fullt navn kreves / A full name is needed, given and family: one word is part of much else."
        raise FhirError("business-rule", text, expression="name") from None


async def _check_no_organization(engine: Engine, name: str) -> None:
    async with Reading(engine.store) as snapshot:
        query = engine.parser.condition("Organization", query_of([("name", name.replace(",", "\\,"))]), place="name")
        found = [restored(version.body) for version in (await snapshot.search(query)).versions if version.body]
    called = {fold(text) for one in found for text in (one.get("name", ""), *one.get("alias", ()))}
    if fold(name) in called:
        text = "En organisasjon heter dette / An organisation has this name; it is not a person's."
        raise FhirError("business-rule", text, expression="name")


async def _texts_of(engine: Engine, reference: str) -> tuple[list[str], list[str]]:
    """Names and contacts of all versions of a PractitionerRole."""
    kind, _, id = reference.partition("/")
    if kind != "PractitionerRole":
        raise FhirError("value", "person: expected a reference PractitionerRole/id.", expression="person")
    async with Reading(engine.store) as snapshot:
        page = await snapshot.history(kind, id, count=_MOST_VERSIONS)
    if not page.versions:
        raise FhirError("not-found", f"Finnes ikke / {reference} is not known here.", expression="person")
    found = [texts_of(restored(version.body)) for version in page.versions if version.body is not None]
    names = {name for some, _ in found for name in some if not name.startswith("[")}
    contacts = {contact for _, some in found for contact in some}
    return sorted(names), sorted(contacts)


def _described(rewritten: Rewritten) -> str:
    resources = {(kind, id) for kind, id, _ in rewritten.versions}
    return f"erase-person: {len(rewritten.versions)} versions of {len(resources)} resources"


def _answer(found: Rewritten) -> Answer:
    counts = Counter(kind for kind, _, _ in found.versions)
    resources = {(kind, id) for kind, id, _ in found.versions}
    changed = [
        row("changed", parts=[row("type", valueCode=kind), row("versions", valueInteger=count)])
        for kind, count in sorted(counts.items())
    ]
    kept = [row("kept", valueReference={"reference": "/".join(ref)}) for ref in found.kept]
    return Answer(
        parameters(
            row("versions", valueInteger=len(found.versions)),
            row("resources", valueInteger=len(resources)),
            *changed,
            *kept,
            *([row("remains", valueString=_REMAINS)] if found.remains else []),
        )
    )
