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


def of_r4(code: str) -> str:
    """Where R4 defines an operation that belongs to one type, such as CodeSystem-lookup."""
    return f"http://hl7.org/fhir/OperationDefinition/{{type}}-{code}"


def of_ours(code: str) -> str:
    """Where profiles/ defines one of ours."""
    return f"{{base}}/OperationDefinition/nep-{code}"


Run = Callable[[Engine, Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Operation:
    """`run` raises FhirError. `definition`: its OperationDefinition's canonical, with {base} for the canonical base and
    {type} for the type it is called on. `types`: the resource types that have it, empty for all that are served.
    `affects_state`: it is answered to POST alone, for a GET must change nothing. `expensive`: a client may have only
    a few of them running (PORTFOLIO_MAX_EXPENSIVE). `writes`: what it refuses goes on record."""

    run: Run
    definition: str
    types: frozenset[str] = frozenset()
    affects_state: bool = False
    expensive: bool = False
    writes: bool = False

    def canonical(self, base: str, resource_type: str = "") -> str:
        """The OperationDefinition as the CapabilityStatement names it."""
        return self.definition.format(base=base, type=resource_type)


Operations = Mapping[tuple[Level, str], Operation]
"""("type", "$validate") -> the operation"""
