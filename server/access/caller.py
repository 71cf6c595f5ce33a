"""Who asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from server.asking import Asking
from server.auth.scopes import Scopes
from server.resource import Resource

Role = Literal["anonymous", "reader", "reporter", "secretariat"]
Look = Callable[[str, str], Awaitable[Resource | None]]
"""(type, id) -> the resource as it will be once the request is done, or None"""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `organization` is the value of an identifier (organisation number or slug) for reporters; `client`
    the client's id, `supplier` the number of a vendor that acts for the organisation, `address` where from; `scopes`
    narrow what the role may do, None not at all; `user` is a signed-in person's subject at the issuer, never a name or
    a personal number, for it stays on record; `request` what else is known of the request, None outside of HTTP."""

    role: Role
    organization: str = ""
    name: str = ""
    client: str = ""
    supplier: str = ""
    address: str = ""
    scopes: Scopes | None = None
    user: str = ""
    request: Asking | None = field(default=None, compare=False, repr=False)


ANONYMOUS = Caller("anonymous")
SECRETARIAT = Caller("secretariat", name="portefoljekontoret")
