"""URLs of the review."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from server.access import Caller
from server.asking import asking_of
from server.interaction import record
from server.outcome import FhirError
from server.pages.asked import Asked
from server.pages.desk import HTML, UNKEPT, Desk
from server.pages.door import Visitor
from server.pages.review.decision import Sent, decide
from server.pages.review.queue import queue
from server.pages.review.report import Refused, review
from server.pages.review.reports import number_of, path_of, reports_of
from server.pages.standpoint import Place, first_search, place

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
        known = asking_of(request.scope)
        if known is not None:
            known.writing = True

        async def answer(asked: Asked) -> Response:
            visitor = await self.desk.door.visitor(request)
            sent = await self.desk.door.form(request, visitor)
            self.desk.house.engine.access.check_secretariat(visitor.caller)
            try:
                url = await self._decided(visitor.caller, asked, request.path_params, Sent.of(sent))
            except FhirError as error:
                if error.status not in (400, 409, 412, 422):
                    raise
                await record.refused_request(self.desk.house.engine, known, error)
                return await self._again(asked, visitor, request.path_params, Refused(Sent.of(sent), error))
            return RedirectResponse(url, 303, UNKEPT)

        return await self.desk.drawn(request, REPORT.format(**request.path_params), ("lang", "round"), answer)

    async def _decided(self, caller: Caller, asked: Asked, path: Mapping[str, str], sent: Sent) -> str:
        """The page to go to."""
        house, initiative = self.desk.house, path["initiative"]
        found = await reports_of(await self._place(caller, asked), path["number"])
        report = found.of(initiative)
        if report is None:
            raise FhirError("not-found", f"{initiative} har ingen rapport her / has no report here.")
        await decide(house, caller, report["id"], sent)
        ahead = found.next_waiting(initiative)
        lasting = [pair for pair in asked.pairs if pair[0] in ("lang", "round")]
        return asked.url(path_of(found.round, number_of(ahead) if ahead else ""), [*lasting, ("done", initiative)])

    async def _again(self, asked: Asked, visitor: Visitor, path: Mapping[str, str], refused: Refused) -> Response:
        standing = await self._place(visitor.caller, asked)
        page = await review(standing, asked, path["number"], path["initiative"], refused)
        account = self.desk.door.account(asked, visitor.session)
        content = self.desk.renderer.render("review/report.html", page, account)
        return Response(content, refused.error.status, UNKEPT, HTML)

    async def _place(self, caller: Caller, asked: Asked) -> Place:
        return await place(self.desk.house, caller, asked, await first_search(self.desk.house, caller, asked))
