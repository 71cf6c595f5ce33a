"""URLs of the pages: the caller and the query in, one page out, with its headers; refusals as pages too."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from server import headers as fhir_headers
from server.access import Caller
from server.auth.code_flow import CodeFlow
from server.auth.issuer import Issuer
from server.interaction.engine import Engine
from server.interaction.search import unavailable
from server.outcome import FhirError
from server.pages import asked as asking
from server.pages.asked import Asked
from server.pages.contexts import Account, RefusalPage
from server.pages.door import Door
from server.pages.house import House
from server.pages.initiative import initiative
from server.pages.portfolio import portfolio
from server.pages.render import FOLDER, Renderer
from server.pages.signin import ANSWER, SignIn
from server.pages.standpoint import Place, first_search, place
from server.portfolio.codes import Codes
from server.store.store import Unavailable

_MEDIA = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Pages:
    """The endpoints. `started` tells pages of this process from those of an earlier program."""

    house: House
    door: Door
    renderer: Renderer
    issuer: Issuer
    files: dict[str, bytes] = field(
        default_factory=lambda: {file.name: file.read_bytes() for file in (FOLDER / "static").iterdir()}
    )
    started: str = field(init=False)

    @classmethod
    def of(cls, engine: Engine, door: Door, issuer: Issuer) -> Pages:
        """The pages over an engine. `door` tells who comes in, `issuer` who signs in under oidc."""
        root = urlsplit(engine.base).path.rstrip("/").removesuffix("fhir").rstrip("/")
        codes = Codes.of(engine.access.canonical, engine.registry.of_type("CodeSystem"))
        return cls(House(engine, codes, root), door, Renderer.of(engine.parser.zone), issuer)

    def routes(self) -> list[BaseRoute]:
        """`/`, `/tiltak/{number}`, `/static/{name}`, and those of the sign-in where people sign in."""
        own = [
            Route("/", self.portfolio),
            Route("/tiltak/{number}", self.initiative),
            Route("/static/{name}", self.static),
        ]
        if self.door.sessions is None or not self.door.signs_in:
            return list(own)
        sign_in = SignIn(self.house, self.door, self.door.sessions, self._flow(), self.drawn, self.shown)
        return [*own, *sign_in.routes()]

    def _flow(self) -> CodeFlow | None:
        settings = self.door.settings
        if settings.auth != "oidc":
            return None
        base = urlsplit(settings.base)
        redirect = f"{base.scheme}://{base.netloc}{self.house.root}{ANSWER}"
        return CodeFlow(settings, self.issuer, redirect)

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
            return Response("Ikke funnet / Not found", 404, None, "text/plain; charset=utf-8")
        age = int(timedelta(days=365).total_seconds())
        kept = {"Cache-Control": f"public, max-age={age}, immutable"}
        return Response(content, 200, kept, _MEDIA[f".{name.rpartition('.')[2]}"])

    async def drawn(
        self, request: Request, path: str, kept: Sequence[str] | None, answer: Callable[[Asked], Awaitable[Response]]
    ) -> Response:
        """What `answer` makes of the request, or its refusal as a page. Links carry on the parameters that are named in
        `kept`; None for all."""
        language = request.headers.get("accept-language", "")
        asked = asking.blank(self.house.root, path, language)
        try:
            asked = asking.read(self.house.root, path, fhir_headers.query(request.scope), language)
            if kept is not None:
                asked = replace(asked, pairs=tuple(pair for pair in asked.pairs if pair[0] in kept))
            asking.check(asked)
            return await answer(asked)
        except FhirError as error:
            return self._refusal(request, asked, error)
        except Unavailable as error:
            return self._refusal(request, asked, unavailable(error))

    def shown(self, request: Request, asked: Asked, template: str, page: Any) -> Response:
        """A page that is of this moment and this visitor, and that nobody keeps."""
        account = self.door.account(asked, self.door.session(request))
        kept = {"Cache-Control": "no-store"}
        return Response(self.renderer.render(template, page, account), 200, kept, "text/html; charset=utf-8")

    async def _page(
        self, request: Request, path: str, build: Callable[[Place, Asked], Awaitable[tuple[str, Any]]]
    ) -> Response:
        async def answer(asked: Asked) -> Response:
            if asked.emptied:
                return RedirectResponse(asked.url(), 303, {"Cache-Control": "no-store"})
            return await self._answer(request, asked, build)

        return await self.drawn(request, path, None, answer)

    async def _answer(
        self, request: Request, asked: Asked, build: Callable[[Place, Asked], Awaitable[tuple[str, Any]]]
    ) -> Response:
        visitor = await self.door.visitor(request)
        account = self.door.account(asked, visitor.session)
        found = await first_search(self.house, visitor.caller, asked)
        tags = {
            "ETag": self._tag(visitor.caller, account, asked, found.moment.sequence),
            "Cache-Control": "private, no-cache",
            "Vary": "Accept-Language, Authorization, Cookie",
        }
        known = request.headers.get("if-none-match", "")
        if tags["ETag"] in (tag.strip() for tag in known.split(",")):
            return Response(status_code=304, headers=tags)
        template, page = await build(await place(self.house, visitor.caller, asked, found), asked)
        return Response(self.renderer.render(template, page, account), 200, tags, "text/html; charset=utf-8")

    def _tag(self, caller: Caller, account: Account, asked: Asked, sequence: int) -> str:
        """All that a page is made of: the program, the data's moment, the day, who asks, and for what."""
        whom = (caller.role, caller.organization, caller.scopes, account)
        made_of = (self.started, sequence, self.house.today(), whom, asked)
        return f'W/"{hashlib.sha256(repr(made_of).encode()).hexdigest()[:24]}"'

    def refusal(self, request: Request, error: FhirError) -> Response:
        """The page of an error that arose outside any page, in the language that was asked for."""
        path, language = request.scope["path"], request.headers.get("accept-language", "")
        asked = asking.blank(self.house.root, path, language)
        with suppress(FhirError):
            asked = asking.read(self.house.root, path, fhir_headers.query(request.scope), language)
        return self._refusal(request, asked, error)

    def _refusal(self, request: Request, asked: Asked, error: FhirError) -> Response:
        faults = tuple((issue.text, issue.expression) for issue in error.issues)
        page = RefusalPage(asked.frame(f"{self.house.engine.base}/metadata"), error.status, faults)
        headers = {**error.headers, "Cache-Control": "no-store"}
        account = self.door.account(asked, self.door.session(request))
        return Response(
            self.renderer.render("refusal.html", page, account), error.status, headers, "text/html; charset=utf-8"
        )
