"""URLs of the key figures: the pages, and the pictures that they show."""

from __future__ import annotations

from collections import OrderedDict
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
from server.pages.figures.gathering import Gatherer
from server.pages.figures.page import PATH, chart_of, figures
from server.pages.figures.pen import Pen
from server.pages.standpoint import Place, first_search, place

_OF_PICTURES = ("v", "w", "t")
"""Parameters of a picture: what it is drawn of, its width, and day or night."""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_LONG = f"private, max-age={int(timedelta(days=365).total_seconds())}, immutable"
_KEPT = 400


@dataclass(frozen=True)
class Figures:
    """The endpoints. `charts` are those of pages that were shown, each to whom it was shown: their pictures are asked
    for next."""

    desk: Desk
    gatherer: Gatherer = field(default_factory=Gatherer)
    pen: Pen = field(default_factory=Pen)
    charts: OrderedDict[tuple[str, str], Chart] = field(default_factory=OrderedDict)

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
            chart = self.charts.get((_whom(visitor.caller), said.get("v", "")))
            if chart is None or chart.name != name:
                chart = await self._drawn_anew(visitor.caller, plain, name)
            return await self._shown(request, chart, said)

        return await self.desk.drawn(request, f"{PATH}/bilde/{name}.svg", None, answer)

    async def _page(self, request: Request, name: str) -> Response:
        self.pen.wake()

        async def build(standing: Place, asked: Asked) -> tuple[str, Any]:
            page = await figures(standing, asked, self.gatherer, name)
            self._keep(standing.reader.caller, page)
            return "figures/figures.html", page

        return await self.desk.page(request, f"{PATH}/{name}" if name else PATH, build)

    async def _drawn_anew(self, caller: Caller, asked: Asked, name: str) -> Chart:
        """Where another process, or this one long ago, made the page."""
        house = self.desk.house
        found = await first_search(house, caller, asked)
        measure = name.partition("-")[0]
        page = await figures(await place(house, caller, asked, found), asked, self.gatherer, measure)
        chart = chart_of(page, name)
        if chart is None:
            raise FhirError("not-found", f"{name}: ingen slik figur / there is no such chart.")
        return chart

    async def _shown(self, request: Request, chart: Chart, said: dict[str, str]) -> Response:
        width, theme = said.get("w", "wide"), said.get("t", "light")
        if width not in ("wide", "narrow") or theme not in ("light", "dark"):
            text = f"w={width}, t={theme}: ventet / expected w=wide or narrow, t=light or dark."
            raise FhirError("value", text, expression="w")
        tag = f'"{chart.digest}-{width}-{theme}"'
        kept = _LONG if said.get("v") == chart.digest else "private, no-cache"
        headers = {"ETag": tag, "Cache-Control": kept, "Vary": "Authorization, Cookie"}
        if tag in (one.strip() for one in request.headers.get("if-none-match", "").split(",")):
            return Response(status_code=304, headers=headers)
        svg = await self.pen.draw(chart.specification("wide" if width == "wide" else "narrow"))
        content = painted(svg, "light" if theme == "light" else "dark")
        return Response(content, 200, {**headers, "Content-Security-Policy": _POLICY}, "image/svg+xml")

    def _keep(self, caller: Caller, page: FiguresPage) -> None:
        for section in page.sections:
            for view in section.views:
                if view.chart is not None:
                    self.charts[_whom(caller), view.chart.digest] = view.chart
        while len(self.charts) > _KEPT:
            self.charts.popitem(last=False)


def _whom(caller: Caller) -> str:
    return repr((caller.role, caller.organization, caller.scopes))
