"""URLs of the review."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from server.outcome import FhirError
from server.pages.asked import Asked
from server.pages.desk import Desk, Shown
from server.pages.door import Visitor
from server.pages.forms import Fields
from server.pages.review.decision import Sent, decide
from server.pages.review.queue import queue
from server.pages.review.report import Refused, review
from server.pages.review.reports import number_of, path_of, reports_of
from server.pages.standpoint import Place

QUEUE = "/runder/{number}/gjennomgang"
REPORT = "/runder/{number}/gjennomgang/{initiative}"


@dataclass(frozen=True)
class Review:
    """The endpoints."""

    desk: Desk

    def routes(self) -> list[BaseRoute]:
        """The queue of a round, and each of its reports, which takes the secretariat's decision too."""
        return [
            Route(QUEUE, self.queue),
            Route(REPORT, self.report),
            Route(REPORT, self.decide, methods=["POST"]),
        ]

    async def queue(self, request: Request) -> Response:
        """GET /runder/2026-11/gjennomgang."""
        number = request.path_params["number"]

        async def build(standing: Place, asked: Asked) -> tuple[str, Any]:
            return "review/queue.html", await queue(standing, asked, number)

        return await self.desk.page(request, QUEUE.format(number=number), build)

    async def report(self, request: Request) -> Response:
        """GET /runder/2026-11/gjennomgang/NEP-0012."""
        number, initiative = request.path_params["number"], request.path_params["initiative"]

        async def build(standing: Place, asked: Asked) -> tuple[str, Any]:
            return "review/report.html", await review(standing, asked, number, initiative)

        return await self.desk.page(request, REPORT.format(**request.path_params), build)

    async def decide(self, request: Request) -> Response:
        """POST of the forms of a report: then on to the next one that waits. A form that is refused comes back with
        what was typed, upon the report as it now stands."""
        number, initiative = request.path_params["number"], request.path_params["initiative"]

        async def fill(asked: Asked, visitor: Visitor, fields: Fields) -> str:
            self.desk.house.engine.access.check_secretariat(visitor.caller)
            found = await reports_of(await self.desk.place(visitor, asked), number)
            report = found.of(initiative)
            if report is None:
                raise FhirError("not-found", f"{initiative} har ingen rapport her / has no report here.")
            await decide(self.desk.house, visitor.caller, report["id"], Sent.of(fields))
            ahead = found.next_waiting(initiative)
            lasting = [pair for pair in asked.pairs if pair[0] in ("lang", "round")]
            return asked.url(path_of(found.round, number_of(ahead) if ahead else ""), [*lasting, ("done", initiative)])

        async def again(asked: Asked, visitor: Visitor, fields: Fields, error: FhirError) -> Shown:
            place = await self.desk.place(visitor, asked)
            return "review/report.html", await review(place, asked, number, initiative, Refused(Sent.of(fields), error))

        return await self.desk.filled(request, REPORT.format(**request.path_params), fill, again)
