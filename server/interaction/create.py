"""create, also conditional. R4 http.html#create, #ccreate."""

from __future__ import annotations

from server.access import Caller
from server.interaction.engine import Engine
from server.interaction.intents import Intent, Written
from server.interaction.write import write
from server.resource import Resource


async def create(
    engine: Engine, caller: Caller, resource_type: str, resource: Resource, *, if_none_exist: str | None = None
) -> Written:
    """A new resource with an id of the server's (201), or the one that the condition finds already (200)."""
    intent = Intent("POST", resource_type, condition=if_none_exist, resource=resource)
    return (await write(engine, caller, [intent]))[0]
