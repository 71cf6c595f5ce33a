"""GET /innsyn/…: what GET /fhir/… answers, as a page and to the person who is signed in.

The API takes no cookie, for a browser sends cookies by itself, whoever made it ask. So that the links from pages to the
searches behind their figures show people what they may see, a browser with a session that opens one is led here.
"""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from server import headers
from server.pages.asked import Asked
from server.pages.desk import UNKEPT, Desk
from server.pages.lookup.page import PATH, lookup
from server.search.urls import query_of

_API = "/fhir/"
# Below the base, but no part of FHIR: tokens and keys.
_NOT_FHIR = ("/fhir/.well-known/", "/fhir/auth/")


@dataclass(frozen=True)
class Lookup:
    """`api` are FHIR's routes, whose caller is whoever the door lets in."""

    desk: Desk
    api: Router

    def routes(self) -> list[BaseRoute]:
        """The page."""
        return [Route(f"{PATH}/{{below:path}}", self.page, methods=["GET"])]

    async def page(self, request: Request) -> Response:
        """GET /innsyn/Task?code=…; refusals as pages."""
        below = request.path_params["below"]

        async def answer(asked: Asked) -> Response:
            query = query_of(pair for pair in asked.pairs if pair[0] != "lang")
            content = await self._asked(request.scope, f"{_API}{below}", query)
            path = f"{quote(below, safe='/$')}?{query}" if query else quote(below, safe="/$")
            page = await asyncio.to_thread(lookup, content, asked, path, self.desk.house.engine.base)
            return self.desk.shown(request, asked, "lookup/lookup.html", page)

        return await self.desk.drawn(request, f"{PATH}/{below}", None, answer)

    async def _asked(self, scope: Scope, path: str, query: str) -> bytes:
        """The body of the API's answer to that GET by this visitor. FhirError as the API raises it."""
        kept = [one for one in scope["headers"] if one[0] in (b"authorization", b"cookie", b"host", b"x-request-id")]
        inner = {
            **scope,
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [*kept, (b"accept", b"application/fhir+json")],
        }
        # Refusals are raised to us instead of being answered there.
        inner.pop("starlette.exception_handlers", None)
        parts: list[bytes] = []

        async def taken(message: MutableMapping[str, Any]) -> None:
            parts.append(message.get("body", b""))

        await self.api(inner, _nothing, taken)
        return b"".join(parts)

    def leading(self, app: ASGIApp) -> ASGIApp:
        """A middleware below the FHIR base: leads the browser of someone who is signed in to the page."""

        async def led(scope: Scope, receive: Receive, send: Send) -> None:
            if not self._is_led(scope):
                return await app(scope, receive, send)
            below, query = scope["path"].removeprefix(_API), scope["query_string"].decode("latin-1")
            url = f"{self.desk.house.root}{PATH}/{quote(below, safe='/$')}" + (f"?{query}" if query else "")
            await RedirectResponse(url, 303, {**UNKEPT, "Vary": "Accept, Cookie"})(scope, receive, send)

        return led

    def _is_led(self, scope: Scope) -> bool:
        """A page is asked for, not JSON, by a browser with a session."""
        if (
            scope["method"] not in ("GET", "HEAD")
            or b"text/html" not in (headers.sent(scope, b"accept") or "").encode()
        ):
            return False
        path = scope["path"]
        if not path.startswith(_API) or path.startswith(_NOT_FHIR) or b"_format=" in scope["query_string"]:
            return False
        return self.desk.door.session(Request(scope)) is not None


async def _nothing() -> MutableMapping[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}
