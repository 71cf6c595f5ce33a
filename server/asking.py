"""What is known of one HTTP request, from its beginning to its answer; and the X-Request-Id that names it.

`Asked` wraps the whole application: it gives each request its id, and before the first byte of an answer it puts on
record what restricted data that answer holds. So nothing restricted is sent that is not on record, whoever made it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Receive, Scope, Send

from server import headers

if TYPE_CHECKING:
    from server.access import Caller
    from server.limits import Turn
    from server.store.store import Version

_SANE = re.compile(r"[A-Za-z0-9._~:+/=-]{1,64}\Z")
_PERSONAL = re.compile(r"(?<![0-9A-Za-z])\d{6}[ +]?\d{5}(?![0-9A-Za-z])")
_KEY = "portfolio.asking"


@dataclass(slots=True)
class Asking:
    """One request. `query` and `provenance` (the header X-Provenance) are as sent. `writing`: something is to be
    written. `caller` is None until it is known. `given`: the restricted versions that the answer holds, and
    `interactions` (R4's codes) what they were found by. `shown`: the answer holds them whatever its status, as a form
    that comes back. `turn`: the slot of a page, before what is expensive."""

    id: str
    method: str = ""
    path: str = ""
    query: str = ""
    address: str = ""
    provenance: str = ""
    writing: bool = False
    caller: Caller | None = None
    given: list[Version] = field(default_factory=list)
    interactions: dict[str, None] = field(default_factory=dict)
    shown: bool = False
    turn: Turn | None = None


def asking_of(scope: Scope) -> Asking | None:
    """That of a request; None outside the application."""
    found: Asking | None = scope.get(_KEY)
    return found


def without_personal(text: str) -> str:
    """The text with what may be a personal number (eleven digits) taken out."""
    return _PERSONAL.sub("…", text)


class Asked:
    """The middleware. `put_on_record` keeps what `given` holds, or raises; `away` answers when it could not."""

    def __init__(
        self,
        app: ASGIApp,
        new_id: Callable[[], str],
        put_on_record: Callable[[Asking], Awaitable[None]],
        away: Callable[[Exception], ASGIApp],
    ) -> None:
        self._app = app
        self._new_id = new_id
        self._put_on_record = put_on_record
        self._away = away

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        asking = scope[_KEY] = self._begun(scope)
        name = (b"x-request-id", asking.id.encode())
        replaced = False

        async def recorded(message: MutableMapping[str, Any]) -> None:
            nonlocal replaced
            if replaced:
                return
            if message["type"] == "http.response.start":
                if asking.given and (message["status"] < 300 or asking.shown):
                    try:
                        await self._put_on_record(asking)
                    except Exception as error:
                        replaced = True
                        asking.given.clear()
                        return await self._away(error)(scope, receive, named)
                message["headers"] = [*message.get("headers", ()), name]
            await send(message)

        async def named(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), name]
            await send(message)

        await self._app(scope, receive, recorded)

    def _begun(self, scope: Scope) -> Asking:
        client = scope.get("client")
        sent = headers.sent(scope, b"x-request-id") or ""
        sane = _SANE.match(sent) and not _PERSONAL.search(sent)
        return Asking(
            id=sent if sane else self._new_id(),
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            address=client[0] if client else "",
            provenance=headers.sent(scope, b"x-provenance") or "",
            writing=scope["method"] in ("PUT", "PATCH", "DELETE"),
        )
