"""URLs of the pages: the caller and the query in, one page out, with its headers; refusals as pages too."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from server import headers as fhir_headers
from server.access import Caller
from server.auth.callers import CallerOf
from server.interaction.engine import Engine
from server.interaction.search import unavailable
from server.outcome import FhirError
from server.pages import asked as asking
from server.pages.asked import Asked
from server.pages.contexts import RefusalPage
from server.pages.house import House
from server.pages.initiative import initiative
from server.pages.portfolio import portfolio
from server.pages.render import FOLDER, Renderer
from server.pages.standpoint import Place, first_search, place
from server.portfolio.codes import Codes
from server.store.store import Unavailable

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_GUARDS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}
_MEDIA = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


def routes(engine: Engine, caller_of: CallerOf) -> list[BaseRoute]:
    """`/`, `/tiltak/{number}` and `/static/{name}`. `caller_of` tells who asks."""
    root = urlsplit(engine.base).path.rstrip("/").removesuffix("fhir").rstrip("/")
    codes = Codes.of(engine.access.canonical, engine.registry.of_type("CodeSystem"))
    pages = Pages(House(engine, codes, root), caller_of, Renderer.of(engine.parser.zone))
    return [
        Route("/", pages.portfolio),
        Route("/tiltak/{number}", pages.initiative),
        Route("/static/{name}", pages.static),
    ]


@dataclass(frozen=True)
class Pages:
    """The endpoints. `started` tells pages of this process from those of an earlier program."""

    house: House
    caller_of: CallerOf
    renderer: Renderer
    files: dict[str, bytes] = field(
        default_factory=lambda: {file.name: file.read_bytes() for file in (FOLDER / "static").iterdir()}
    )
    started: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "started", self.house.engine.now().isoformat())

    async def portfolio(self, request: Request) -> Response:
        """GET /: a search of initiatives."""

        async def build(standing: Place, asked: Asked) -> tuple[str, Any]:
            return "portfolio.html", await portfolio(standing, asked)

        return await self._page(request, "/", build)

    async def initiative(self, request: Request) -> Response:
        """GET /tiltak/NEP-0025."""
        number = request.path_params["number"]

        async def build(standing: Place, asked: Asked) -> tuple[str, Any]:
            return "initiative.html", await initiative(standing, asked, number)

        return await self._page(request, f"/tiltak/{number}", build)

    async def static(self, request: Request) -> Response:
        """The style sheet and the icon; their links carry a digest, so that they are kept for a year."""
        name = request.path_params["name"]
        content = self.files.get(name)
        if content is None:
            return Response("Ikke funnet / Not found", 404, _GUARDS, "text/plain; charset=utf-8")
        age = int(timedelta(days=365).total_seconds())
        kept = {**_GUARDS, "Cache-Control": f"public, max-age={age}, immutable"}
        return Response(content, 200, kept, _MEDIA[f".{name.rpartition('.')[2]}"])

    async def _page(
        self, request: Request, path: str, build: Callable[[Place, Asked], Awaitable[tuple[str, Any]]]
    ) -> Response:
        language = request.headers.get("accept-language", "")
        asked = asking.blank(self.house.root, path, language)
        try:
            asked = asking.read(self.house.root, path, fhir_headers.query(request.scope), language)
            asking.check(asked)
            if asked.emptied:
                return RedirectResponse(asked.url(), 303, {**_GUARDS, "Cache-Control": "no-store"})
            return await self._answer(request, asked, build)
        except FhirError as error:
            return self._refusal(asked, error)
        except Unavailable as error:
            return self._refusal(asked, unavailable(error))

    async def _answer(
        self, request: Request, asked: Asked, build: Callable[[Place, Asked], Awaitable[tuple[str, Any]]]
    ) -> Response:
        caller = await self.caller_of(request)
        found = await first_search(self.house, caller, asked)
        tags = {
            **_GUARDS,
            "ETag": self._tag(caller, asked, found.moment.sequence),
            "Cache-Control": "private, no-cache",
            "Vary": "Accept-Language, Authorization",
        }
        known = request.headers.get("if-none-match", "")
        if tags["ETag"] in (tag.strip() for tag in known.split(",")):
            return Response(status_code=304, headers=tags)
        template, page = await build(await place(self.house, caller, asked, found), asked)
        return Response(self.renderer.render(template, page), 200, tags, "text/html; charset=utf-8")

    def _tag(self, caller: Caller, asked: Asked, sequence: int) -> str:
        """All that a page is made of: the program, the data's moment, the day, who asks, and for what."""
        made_of = (self.started, sequence, self.house.today(), caller.role, caller.organization, asked)
        return f'W/"{hashlib.sha256(repr(made_of).encode()).hexdigest()[:24]}"'

    def _refusal(self, asked: Asked, error: FhirError) -> Response:
        faults = tuple((issue.text, issue.expression) for issue in error.issues)
        page = RefusalPage(asked.frame(f"{self.house.engine.base}/metadata"), error.status, faults)
        headers = {**_GUARDS, **error.headers, "Cache-Control": "no-store"}
        return Response(self.renderer.render("refusal.html", page), error.status, headers, "text/html; charset=utf-8")
