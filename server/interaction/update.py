"""update, update as create, conditional update; patch. R4 http.html#update, #cond-update, #patch."""

from __future__ import annotations

from typing import Any

from server.access import Caller
from server.interaction.engine import Engine
from server.interaction.intents import Intent, Written
from server.interaction.write import write
from server.resource import Resource


async def update(
    engine: Engine,
    caller: Caller,
    resource_type: str,
    resource: Resource,
    *,
    id: str | None = None,
    condition: str | None = None,
    if_match: str | None = None,
    create_only: bool = False,
) -> Written:
    """Puts the resource at `id`, or at the one match of `condition`; 200, or 201 when it is new. An update that
    changes nothing makes no version."""
    intent = Intent("PUT", resource_type, id, condition, resource, if_match=if_match, create_only=create_only)
    return (await write(engine, caller, [intent]))[0]


async def patch(
    engine: Engine,
    caller: Caller,
    resource_type: str,
    operations: list[dict[str, Any]],
    *,
    id: str | None = None,
    condition: str | None = None,
    if_match: str | None = None,
) -> Written:
    """Applies a JSON Patch (RFC 6902) to what stands."""
    intent = Intent("PATCH", resource_type, id, condition, patch=tuple(operations), if_match=if_match)
    return (await write(engine, caller, [intent]))[0]
