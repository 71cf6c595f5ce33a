"""Who asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from server.auth.scopes import Scopes
from server.resource import Resource

Role = Literal["anonymous", "reader", "reporter", "secretariat"]
Look = Callable[[str, str], Awaitable[Resource | None]]
"""(type, id) -> the resource as it will be once the request is done, or None"""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `organization` is the value of an identifier (organisation number or slug) for reporters; `client`
    the client's id, `supplier` the number of a vendor that acts for the organisation, `address` where from; `scopes`
    narrow what the role may do, None not at all."""

    role: Role
    organization: str = ""
    name: str = ""
    client: str = ""
    supplier: str = ""
    address: str = ""
    scopes: Scopes | None = None


ANONYMOUS = Caller("anonymous")
SECRETARIAT = Caller("secretariat", name="portefoljekontoret")
