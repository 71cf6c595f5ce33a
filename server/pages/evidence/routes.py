"""URLs of the disagreements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from server.pages.asked import Asked
from server.pages.desk import Desk
from server.pages.evidence.page import evidence
from server.pages.standpoint import Place

PATH = "/avvik"


@dataclass(frozen=True)
class EvidencePages:
    """The endpoints."""

    desk: Desk

    def routes(self) -> list[BaseRoute]:
        """`/avvik`."""
        return [Route(PATH, self.evidence)]

    async def evidence(self, request: Request) -> Response:
        """GET /avvik: the disagreements; with all=true every initiative."""

        async def build(standing: Place, asked: Asked) -> tuple[str, Any]:
            return "evidence/evidence.html", await evidence(standing, asked)

        return await self.desk.page(request, PATH, build)
