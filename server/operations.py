"""Operations ($name) as a table that routes.py dispatches by. R4 operations.html."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from server.access import Caller
from server.interaction.engine import Engine
from server.resource import Resource

Level = Literal["system", "type", "instance"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call: by whom, on what ("" where the level has none), the parameters of the URL in their order, and
    the resource in the body (None: no body), as it was sent: nothing of it is checked."""

    caller: Caller
    resource_type: str
    id: str
    parameters: tuple[tuple[str, str], ...]
    body: Resource | None


@dataclass(frozen=True, slots=True)
class Answer:
    """The resource to send, or its bytes, and the HTTP status."""

    resource: Resource | bytes
    status: int = 200


@dataclass(frozen=True, slots=True)
class Operation:
    """`run` raises FhirError. `types`: the resource types that have it, empty for all that are served.
    `affects_state`: it is answered to POST alone, for a GET must change nothing. `writes`: what it refuses goes on
    record."""

    run: Callable[[Engine, Call], Awaitable[Answer]]
    types: frozenset[str] = frozenset()
    affects_state: bool = False
    writes: bool = False


Operations = Mapping[tuple[Level, str], Operation]
"""("type", "$validate") -> the operation"""
