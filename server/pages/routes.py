"""URLs of the pages: those of the portfolio itself, and of each area beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from server.auth.code_flow import CodeFlow
from server.auth.issuer import Issuer
from server.interaction.engine import Engine
from server.operations import Operations
from server.outcome import FhirError
from server.pages.actors.routes import Actors
from server.pages.asked import Asked
from server.pages.dependencies.routes import Dependencies
from server.pages.desk import Desk
from server.pages.door import Door
from server.pages.editions.routes import Editions
from server.pages.evidence.routes import EvidencePages
from server.pages.figures.routes import Figures
from server.pages.house import House
from server.pages.initiative import initiative
from server.pages.portfolio import portfolio
from server.pages.render import FOLDER, Renderer
from server.pages.review.routes import Review
from server.pages.rounds.routes import Rounds
from server.pages.signin import ANSWER, SignIn
from server.pages.standpoint import Place
from server.pages.workbook.routes import Workbooks
from server.portfolio.codes import Codes

_MEDIA = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Pages:
    """The endpoints."""

    desk: Desk
    issuer: Issuer
    files: dict[str, bytes] = field(
        default_factory=lambda: {file.name: file.read_bytes() for file in (FOLDER / "static").iterdir()}
    )

    @classmethod
    def of(cls, engine: Engine, door: Door, issuer: Issuer, operations: Operations) -> Pages:
        """The pages over an engine and the operations of its API. `door` tells who comes in, `issuer` who signs in
        under oidc."""
        root = urlsplit(engine.base).path.rstrip("/").removesuffix("fhir").rstrip("/")
        codes = Codes.of(engine.access.canonical, engine.registry.of_type("CodeSystem"))
        house = House(engine, codes, root, operations)
        return cls(Desk(house, door, Renderer.of(engine.parser.zone), engine.now().isoformat()), issuer)

    def routes(self) -> list[BaseRoute]:
        """`/`, `/tiltak/{number}`, `/static/{name}`, those of the areas, and of the sign-in where people sign in."""
        return [
            Route("/", self.portfolio),
            Route("/tiltak/{number}", self.initiative),
            Route("/static/{name}", self.static),
            *Review(self.desk).routes(),
            *EvidencePages(self.desk).routes(),
            *Rounds(self.desk).routes(),
            *Editions(self.desk).routes(),
            *Workbooks(self.desk).routes(),
            *Dependencies(self.desk).routes(),
            *Actors(self.desk).routes(),
            *Figures(self.desk).routes(),
            *self._sign_in(),
        ]

    def _sign_in(self) -> list[BaseRoute]:
        desk = self.desk
        if desk.door.sessions is None or not desk.door.signs_in:
            return []
        return SignIn(desk.house, desk.door, desk.door.sessions, self._flow(), desk.drawn, desk.shown).routes()

    def _flow(self) -> CodeFlow | None:
        settings = self.desk.door.settings
        if settings.auth != "oidc":
            return None
        base = urlsplit(settings.base)
        redirect = f"{base.scheme}://{base.netloc}{self.desk.house.root}{ANSWER}"
        return CodeFlow(settings, self.issuer, redirect)

    async def portfolio(self, request: Request) -> Response:
        """GET /: a search of initiatives."""

        async def build(standing: Place, asked: Asked) -> tuple[str, Any]:
            return "portfolio.html", await portfolio(standing, asked)

        return await self.desk.page(request, "/", build)

    async def initiative(self, request: Request) -> Response:
        """GET /tiltak/NEP-0025."""
        number = request.path_params["number"]

        async def build(standing: Place, asked: Asked) -> tuple[str, Any]:
            return "initiative.html", await initiative(standing, asked, number)

        return await self.desk.page(request, f"/tiltak/{number}", build)

    async def static(self, request: Request) -> Response:
        """The style sheet and the icon; their links carry a digest, so that they are kept for a year."""
        name = request.path_params["name"]
        content = self.files.get(name)
        if content is None:
            return Response("Ikke funnet / Not found", 404, None, "text/plain; charset=utf-8")
        age = int(timedelta(days=365).total_seconds())
        kept = {"Cache-Control": f"public, max-age={age}, immutable"}
        return Response(content, 200, kept, _MEDIA[f".{name.rpartition('.')[2]}"])

    def refusal(self, request: Request, error: FhirError) -> Response:
        """The page of an error that arose outside any page."""
        return self.desk.refusal(request, error)
