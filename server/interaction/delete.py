"""delete, soft, also conditional (single match). R4 http.html#delete."""

from __future__ import annotations

from server.access import Caller
from server.interaction.engine import Engine
from server.interaction.intents import Intent, Written
from server.interaction.write import write


async def delete(
    engine: Engine,
    caller: Caller,
    resource_type: str,
    *,
    id: str | None = None,
    condition: str | None = None,
    if_match: str | None = None,
) -> Written:
    """Ends the resource; its history stays. What is not there, or gone already, is no error (204).
    FhirError conflict (409) while others point to it."""
    intent = Intent("DELETE", resource_type, id, condition, if_match=if_match)
    return (await write(engine, caller, [intent]))[0]
