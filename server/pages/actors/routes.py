"""URLs of the pages of actors, and of their calendars."""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from server.outcome import FhirError
from server.pages.actors.actor import actor, feed_path
from server.pages.actors.calendar import FORM, written
from server.pages.actors.feed import feed
from server.pages.actors.overview import PATH, actors
from server.pages.asked import Asked
from server.pages.desk import Desk
from server.pages.house import Reader
from server.pages.standpoint import Place, first_search

CALENDAR = "text/calendar; charset=utf-8"
_PLAIN = re.compile(r"[A-Za-z0-9-]{1,64}\Z")


@dataclass(frozen=True)
class Actors:
    """The endpoints."""

    desk: Desk

    def routes(self) -> list[BaseRoute]:
        """`/aktorer`, `/aktorer/{key}` and `/aktorer/{key}/kalender.ics`."""
        return [
            Route(PATH, self.overview),
            Route(f"{PATH}/{{key}}", self.actor),
            Route(feed_path("{key}"), self.calendar),
        ]

    async def overview(self, request: Request) -> Response:
        """GET /aktorer: everyone."""

        async def build(standing: Place, asked: Asked) -> tuple[str, Any]:
            return "actors/overview.html", await actors(standing, asked)

        return await self.desk.page(request, PATH, build)

    async def actor(self, request: Request) -> Response:
        """GET /aktorer/norsk-helsenett, or by organisation number."""
        key = request.path_params["key"]

        async def build(standing: Place, asked: Asked) -> tuple[str, Any]:
            return "actors/actor.html", await actor(standing, asked, key)

        return await self.desk.page(request, f"{PATH}/{key}", build)

    async def calendar(self, request: Request) -> Response:
        """GET /aktorer/norsk-helsenett/kalender.ics: the deadlines that the caller may see, as they are now. Its ETag
        is that of its content, so that a subscriber fetches it anew only when a deadline has changed."""
        key = request.path_params["key"]

        async def answer(asked: Asked) -> Response:
            _check(asked)
            visitor = await self.desk.door.visitor(request)
            found = await first_search(self.desk.house, visitor.caller, asked)
            calendar = await feed(Reader(self.desk.house, visitor.caller, found.moment.instant), asked, key)
            tags = {
                "ETag": f'"{hashlib.sha256(repr((FORM, calendar)).encode()).hexdigest()[:32]}"',
                "Cache-Control": "private, no-cache",
                "Vary": "Accept-Language, Authorization, Cookie",
            }
            known = request.headers.get("if-none-match", "").split(",")
            if tags["ETag"] in (tag.strip().removeprefix("W/") for tag in known):
                return Response(status_code=304, headers=tags)
            name = key if _PLAIN.match(key) else "kalender"
            tags["Content-Disposition"] = f'inline; filename="{name}.ics"'
            # A thousand deadlines take half a second to write.
            return Response(await asyncio.to_thread(written, calendar), 200, tags, CALENDAR)

        return await self.desk.drawn(request, feed_path(key), None, answer)


def _check(asked: Asked) -> None:
    """FhirError not-supported (400): a calendar is of the present, and of no round."""
    for name, _ in asked.pairs:
        if name != "lang":
            text = f"{name}: kalenderen tar bare lang / the calendar takes lang alone."
            raise FhirError("not-supported", text, expression=name)
