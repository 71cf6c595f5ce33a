"""$check of the system: a dry run of the Bundle in the body, as X-Dry-Run: true gives it. See dry_run.py."""

from __future__ import annotations

from server.bundle import response_bundle
from server.interaction.dry_run import dry_run
from server.interaction.engine import Engine
from server.operations import Answer, Call
from server.outcome import FhirError
from server.resource import Resource


async def check(engine: Engine, call: Call) -> Answer:
    """Takes a transaction or batch Bundle, or a Parameters that holds one as `resource`."""
    bundle = _bundle(call.body or {})
    entries = await dry_run(engine, call.caller, bundle)
    return Answer(response_bundle(bundle["type"], entries, engine.base, show=True))


def _bundle(body: Resource) -> Resource:
    if body.get("resourceType") == "Parameters" and isinstance(body.get("parameter"), list):
        named = [one for one in body["parameter"] if isinstance(one, dict) and one.get("name") == "resource"]
        body = named[0].get("resource", {}) if named else {}
    if (
        not isinstance(body, dict)
        or body.get("resourceType") != "Bundle"
        or body.get("type") not in ("transaction", "batch")
    ):
        text = "$check tar en Bundle / takes a Bundle of type transaction or batch."
        raise FhirError("invalid", text, expression="Bundle.type")
    return body
