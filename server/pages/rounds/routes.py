"""URLs of the rounds: /runder, /runder/{number}, and the forms of the secretariat behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from server.outcome import FhirError
from server.pages.asked import Asked
from server.pages.desk import UNKEPT, Desk, Shown
from server.pages.door import Visitor
from server.pages.forms import Fields, typed
from server.pages.house import Reader
from server.pages.rounds import closing, opening
from server.pages.rounds.detail import round_page, task_of
from server.pages.rounds.listing import rounds
from server.pages.standpoint import Place


@dataclass(frozen=True)
class Rounds:
    """The endpoints."""

    desk: Desk

    def routes(self) -> list[BaseRoute]:
        """Of this area; the review and the workbook below a round are others'."""
        return [
            Route("/runder", self.listed, methods=["GET"]),
            Route("/runder", self.opened, methods=["POST"]),
            Route("/runder/{number}", self.shown, methods=["GET"]),
            Route("/runder/{number}/lukk", self.back, methods=["GET"]),
            Route("/runder/{number}/lukk", self.closed, methods=["POST"]),
            Route("/runder/{number}/rett", self.back, methods=["GET"]),
            Route("/runder/{number}/rett", self.amended, methods=["POST"]),
        ]

    async def listed(self, request: Request) -> Response:
        """GET /runder."""

        async def build(standing: Place, asked: Asked) -> Shown:
            return "rounds/rounds.html", await rounds(standing, asked)

        return await self.desk.page(request, "/runder", build)

    async def shown(self, request: Request) -> Response:
        """GET /runder/2026-11."""
        number = request.path_params["number"]

        async def build(standing: Place, asked: Asked) -> Shown:
            return "rounds/round.html", await round_page(standing, asked, number)

        return await self.desk.page(request, f"/runder/{number}", build)

    async def back(self, request: Request) -> Response:
        """GET of a form's address, as after a reload: the round."""

        async def answer(asked: Asked) -> Response:
            return RedirectResponse(asked.url(), 303, UNKEPT)

        return await self.desk.drawn(request, f"/runder/{request.path_params['number']}", None, answer)

    async def opened(self, request: Request) -> Response:
        """POST /runder: `step` preview shows whom a round would ask, `step` open asks them."""
        house = self.desk.house

        async def fill(asked: Asked, visitor: Visitor, fields: Fields) -> str | Shown:
            house.engine.access.check_secretariat(visitor.caller)
            form = opening.filled(house, asked, fields)
            place = await self.desk.place(visitor, asked)
            made = await opening.run(place.reader, form, dry=typed(fields, "step") != "open")
            if typed(fields, "step") == "open":
                return asked.plain(f"/runder/{form.number}")
            form = opening.previewed(house, form, made)
            return "rounds/rounds.html", await rounds(place, asked, form)

        async def again(asked: Asked, visitor: Visitor, fields: Fields, error: FhirError) -> Shown:
            form = opening.refused(opening.filled(house, asked, fields), error, asked)
            return "rounds/rounds.html", await rounds(await self.desk.place(visitor, asked), asked, form)

        return await self.desk.filled(request, "/runder", fill, again)

    async def closed(self, request: Request) -> Response:
        """POST /runder/2026-11/lukk: the round closed, then its edition."""
        number = request.path_params["number"]

        async def fill(asked: Asked, visitor: Visitor, fields: Fields) -> str:
            reader, task = await self._round(asked, visitor, number)
            return asked.plain(f"/utgaver/{await closing.close(reader, task, number, fields)}")

        async def again(asked: Asked, visitor: Visitor, fields: Fields, error: FhirError) -> Shown:
            return await self._returned(asked, visitor, number, closing.Sent("lukk", fields, error, asked.lang))

        return await self.desk.filled(request, f"/runder/{number}", fill, again)

    async def amended(self, request: Request) -> Response:
        """POST /runder/2026-11/rett: reports of a closed round opened again."""
        number = request.path_params["number"]

        async def fill(asked: Asked, visitor: Visitor, fields: Fields) -> str:
            reader, task = await self._round(asked, visitor, number)
            await closing.amend(reader, task, number, fields)
            return asked.plain(f"/runder/{number}")

        async def again(asked: Asked, visitor: Visitor, fields: Fields, error: FhirError) -> Shown:
            return await self._returned(asked, visitor, number, closing.Sent("rett", fields, error, asked.lang))

        return await self.desk.filled(request, f"/runder/{number}", fill, again)

    async def _round(self, asked: Asked, visitor: Visitor, number: str) -> tuple[Reader, dict[str, Any]]:
        """As it stands. FhirError login, forbidden for all but the secretariat, not-found without such a round."""
        self.desk.house.engine.access.check_secretariat(visitor.caller)
        reader = (await self.desk.place(visitor, asked)).reader
        task, _ = await task_of(reader, number)
        return reader, task

    async def _returned(self, asked: Asked, visitor: Visitor, number: str, sent: closing.Sent) -> Shown:
        return "rounds/round.html", await round_page(await self.desk.place(visitor, asked), asked, number, sent)
