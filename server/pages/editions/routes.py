"""URLs of the editions: /utgaver and /utgaver/{number}. Their files are server/annex's."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from server.pages.asked import Asked
from server.pages.desk import Desk, Shown
from server.pages.editions.facts import Documents
from server.pages.editions.pages import Pages
from server.pages.standpoint import Place


@dataclass(frozen=True)
class Editions:
    """The endpoints."""

    desk: Desk
    pages: Pages = field(default_factory=lambda: Pages(Documents()))

    def routes(self) -> list[BaseRoute]:
        """Of this area."""
        return [Route("/utgaver", self.listed), Route("/utgaver/{number}", self.shown)]

    async def listed(self, request: Request) -> Response:
        """GET /utgaver."""

        async def build(standing: Place, asked: Asked) -> Shown:
            return "editions/editions.html", await self.pages.all(standing, asked)

        return await self.desk.page(request, "/utgaver", build)

    async def shown(self, request: Request) -> Response:
        """GET /utgaver/2021-11."""
        number = request.path_params["number"]

        async def build(standing: Place, asked: Asked) -> Shown:
            return "editions/edition.html", await self.pages.one(standing, asked, number)

        return await self.desk.page(request, f"/utgaver/{number}", build)
