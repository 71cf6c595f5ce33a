"""URLs of the pages of dependencies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from server.pages.asked import Asked
from server.pages.dependencies.impact import impact
from server.pages.dependencies.overview import dependencies
from server.pages.dependencies.selection import PATH
from server.pages.desk import Desk
from server.pages.responsibilities import SLIP
from server.pages.standpoint import Place


@dataclass(frozen=True)
class Dependencies:
    """The endpoints."""

    desk: Desk

    def routes(self) -> list[BaseRoute]:
        """`/avhengigheter` and `/avhengigheter/virkning`."""
        return [Route(PATH, self.overview), Route(SLIP, self.impact)]

    async def overview(self, request: Request) -> Response:
        """GET /avhengigheter: who waits for whom."""

        async def build(standing: Place, asked: Asked) -> tuple[str, Any]:
            return "dependencies/overview.html", await dependencies(standing, asked)

        return await self.desk.page(request, PATH, build)

    async def impact(self, request: Request) -> Response:
        """GET /avhengigheter/virkning?task=ID&days=90: what a slip breaks."""

        async def build(standing: Place, asked: Asked) -> tuple[str, Any]:
            return "dependencies/impact.html", await impact(standing, asked)

        return await self.desk.page(request, SLIP, build)
