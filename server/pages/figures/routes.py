"""URLs of the key figures: the pages, and the pictures that they show."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from server.access import Caller
from server.outcome import FhirError
from server.pages.asked import Asked
from server.pages.desk import Desk
from server.pages.figures.charts import Chart, painted
from server.pages.figures.contexts import FiguresPage
from server.pages.figures.gathering import Gatherer, noted
from server.pages.figures.page import PATH, chart_of, figures
from server.pages.figures.pen import Pen
from server.pages.standpoint import Place, first_search, place

_OF_PICTURES = ("v", "w", "t")
"""Parameters of a picture: what it is drawn of, its width, and day or night."""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_LONG = f"private, max-age={int(timedelta(days=365).total_seconds())}, immutable"
_KEPT = 400
_AT_HAND = 60.0
"""Seconds for which pictures made of restricted resources belong to the page that was shown, and is on record."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart to be had without evaluating anew, `until` a time of the clock; None for as long as there is room: it is
    made of public things."""

    chart: Chart
    until: float | None = None


@dataclass(frozen=True)
class Figures:
    """The endpoints. `charts` are those of pages that were shown, each to whom it was shown: their pictures are asked
    for next. Those of restricted resources are one person's, and for a minute: another's reading, or a later one, is to
    be on record."""

    desk: Desk
    gatherer: Gatherer = field(default_factory=Gatherer)
    pen: Pen = field(default_factory=Pen)
    charts: OrderedDict[tuple[str, str], Drawing] = field(default_factory=OrderedDict)
    clock: Callable[[], float] = time.monotonic

    def routes(self) -> list[BaseRoute]:
        """`/nokkeltall`, `/nokkeltall/{name}`, `/nokkeltall/bilde/{name}.svg`."""
        return [
            Route(PATH, self.overview),
            Route(f"{PATH}/bilde/{{name}}.svg", self.picture),
            Route(f"{PATH}/{{name}}", self.details),
        ]

    async def overview(self, request: Request) -> Response:
        """All measures."""
        return await self._page(request, "")

    async def details(self, request: Request) -> Response:
        """One measure with all its tables."""
        return await self._page(request, request.path_params["name"])

    async def picture(self, request: Request) -> Response:
        """A chart as SVG: that of the page with the same parameters, of what this caller may see."""
        name = request.path_params["name"]

        async def answer(asked: Asked) -> Response:
            said = {key: text for key, text in asked.pairs if key in _OF_PICTURES}
            plain = replace(asked, pairs=tuple(pair for pair in asked.pairs if pair[0] not in _OF_PICTURES))
            visitor = await self.desk.door.visitor(request)
            drawing = self._at_hand(visitor.caller, said.get("v", ""))
            if drawing is None or drawing.chart.name != name:
                drawing = await self._drawn_anew(visitor.caller, plain, name)
            return await self._shown(request, drawing, said)

        return await self.desk.drawn(request, f"{PATH}/bilde/{name}.svg", None, answer)

    async def _page(self, request: Request, name: str) -> Response:
        self.pen.wake()

        async def build(standing: Place, asked: Asked) -> tuple[str, Any]:
            return "figures/figures.html", await self._made(standing, asked, name)

        return await self.desk.page(request, f"{PATH}/{name}" if name else PATH, build)

    async def _made(self, standing: Place, asked: Asked, name: str) -> FiguresPage:
        caller = standing.reader.caller
        before = noted(caller)
        page = await figures(standing, asked, self.gatherer, name)
        self._keep(caller, page, restricted=noted(caller) > before)
        return page

    async def _drawn_anew(self, caller: Caller, asked: Asked, name: str) -> Drawing:
        """Where another process, or this one long ago, made the page."""
        house = self.desk.house
        found = await first_search(house, caller, asked)
        measure = name.partition("-")[0]
        page = await self._made(await place(house, caller, asked, found), asked, measure)
        chart = chart_of(page, name)
        drawing = self._at_hand(caller, chart.digest) if chart else None
        if drawing is None:
            raise FhirError("not-found", f"{name}: ingen slik figur / there is no such chart.")
        return drawing

    async def _shown(self, request: Request, drawing: Drawing, said: dict[str, str]) -> Response:
        width, theme = said.get("w", "wide"), said.get("t", "light")
        if width not in ("wide", "narrow") or theme not in ("light", "dark"):
            text = f"w={width}, t={theme}: ventet / expected w=wide or narrow, t=light or dark."
            raise FhirError("value", text, expression="w")
        chart = drawing.chart
        tag = f'"{chart.digest}-{width}-{theme}"'
        kept = _LONG if said.get("v") == chart.digest and drawing.until is None else "private, no-cache"
        headers = {"ETag": tag, "Cache-Control": kept, "Vary": "Authorization, Cookie"}
        if tag in (one.strip() for one in request.headers.get("if-none-match", "").split(",")):
            return Response(status_code=304, headers=headers)
        svg = await self.pen.draw(chart.specification("wide" if width == "wide" else "narrow"))
        content = painted(svg, "light" if theme == "light" else "dark")
        return Response(content, 200, {**headers, "Content-Security-Policy": _POLICY}, "image/svg+xml")

    def _at_hand(self, caller: Caller, digest: str) -> Drawing | None:
        """One of their own while it holds, else a public one that callers like this one see."""
        own = self.charts.get((_who(caller), digest))
        if own is not None and own.until is not None and own.until > self.clock():
            return own
        return self.charts.get((_whom(caller), digest))

    def _keep(self, caller: Caller, page: FiguresPage, *, restricted: bool) -> None:
        whom, until = (_who(caller), self.clock() + _AT_HAND) if restricted else (_whom(caller), None)
        for section in page.sections:
            for view in section.views:
                if view.chart is not None:
                    self.charts[whom, view.chart.digest] = Drawing(view.chart, until)
        while len(self.charts) > _KEPT:
            self.charts.popitem(last=False)


def _whom(caller: Caller) -> str:
    """All who see the same."""
    return repr((caller.role, caller.organization, caller.scopes))


def _who(caller: Caller) -> str:
    """One of them, as the record knows them."""
    return repr((_whom(caller), caller.client, caller.supplier, caller.user, caller.name))
