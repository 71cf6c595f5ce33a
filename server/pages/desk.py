"""The desk: what the endpoints of every area of the pages share. A request in; a page, a redirect or a refusal out."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server import headers as fhir_headers
from server.access import Caller
from server.asking import asking_of
from server.interaction import record
from server.interaction.search import unavailable
from server.limits import Turn
from server.outcome import FhirError
from server.pages import asked as asking
from server.pages.asked import Asked
from server.pages.contexts import Account, RefusalPage
from server.pages.door import Door, Visitor
from server.pages.house import House
from server.pages.render import Renderer
from server.pages.standpoint import Place, first_search, place
from server.portfolio.gather import view
from server.store.store import Unavailable

HTML = "text/html; charset=utf-8"
UNKEPT = {"Cache-Control": "no-store"}

Build = Callable[[Place, Asked], Awaitable[tuple[str, Any]]]
"""(where the page stands, what was asked) -> the template's name and the page of contexts"""
Shown = tuple[str, Any]
"""The template's name and the page of contexts."""
Fill = Callable[[Asked, Visitor, Mapping[str, str]], Awaitable[str | Shown]]
"""(what was asked, who asks, the form's fields) -> the URL of the page to go to when it is done, or a page to show
instead: a preview."""
Again = Callable[[Asked, Visitor, Mapping[str, str], FhirError], Awaitable[Shown]]
"""As Fill, with what was wrong -> the page of the form, with what was typed"""

MENDABLE = frozenset({400, 409, 412, 422})
"""Statuses of what whoever filled in a form can mend; the rest is a page of its own."""


@dataclass(frozen=True)
class Desk:
    """`started` tells pages of this process from those of an earlier program."""

    house: House
    door: Door
    renderer: Renderer
    started: str

    async def page(self, request: Request, path: str, build: Build) -> Response:
        """A page of the portfolio as it stands, or stood: all that it reads is of one moment."""

        async def answer(asked: Asked) -> Response:
            if asked.emptied:
                return RedirectResponse(asked.url(), 303, UNKEPT)
            return await self._answer(request, asked, build)

        return await self.drawn(request, path, None, answer)

    async def filled(self, request: Request, path: str, fill: Fill, again: Again) -> Response:
        """What a form of ours asks for: done, then a page by redirect (303), so that a reload does nothing twice. A
        refused form comes back as it was filled in, with what is wrong of it and the refusal's status, and is on
        record."""
        known = asking_of(request.scope)
        if known is not None:
            known.writing = True

        async def answer(asked: Asked) -> Response:
            visitor = await self.door.visitor(request)
            fields = await self.door.form(request, visitor)
            try:
                done, status = await fill(asked, visitor, fields), 200
            except FhirError as error:
                if error.status not in MENDABLE:
                    raise
                await record.refused_request(self.house.engine, known, error)
                done, status = await again(asked, visitor, fields, error), error.status
            if isinstance(done, str):
                return RedirectResponse(done, 303, UNKEPT)
            return self.shown(request, asked, *done, status=status)

        return await self.drawn(request, path, None, answer)

    async def place(self, visitor: Visitor, asked: Asked) -> Place:
        """Where a page stands that answers a form: at this moment."""
        return await place(self.house, visitor.caller, asked, await first_search(self.house, visitor.caller, asked))

    async def drawn(
        self, request: Request, path: str, kept: Sequence[str] | None, answer: Callable[[Asked], Awaitable[Response]]
    ) -> Response:
        """What `answer` makes of the request, or its refusal as a page. Links carry on the parameters that are named in
        `kept`; None for all."""
        async with self.turn(request):
            return await self._drawn(request, path, kept, answer)

    @asynccontextmanager
    async def turn(self, request: Request) -> AsyncIterator[None]:
        """What is expensive within takes one slot of its client (limits.take_turn), which is given back at the end."""
        known = asking_of(request.scope)
        async with Turn(self.door.limits, request.scope) as turn:
            if known is not None:
                known.turn = turn
            try:
                yield
            finally:
                if known is not None:
                    known.turn = None

    async def _drawn(
        self, request: Request, path: str, kept: Sequence[str] | None, answer: Callable[[Asked], Awaitable[Response]]
    ) -> Response:
        language = request.headers.get("accept-language", "")
        asked = asking.blank(self.house.root, path, language)
        try:
            asked = asking.read(self.house.root, path, fhir_headers.query(request.scope), language)
            if kept is not None:
                asked = replace(asked, pairs=tuple(pair for pair in asked.pairs if pair[0] in kept))
            asking.check(asked)
            return await answer(asked)
        except FhirError as error:
            await record.refused_request(self.house.engine, asking_of(request.scope), error)
            return self.refused(request, asked, error)
        except Unavailable as error:
            return self.refused(request, asked, unavailable(error))

    def shown(self, request: Request, asked: Asked, template: str, page: Any, *, status: int = 200) -> Response:
        """A page that is of this moment and this visitor, and that nobody keeps. What it holds is read, whatever its
        status."""
        if (known := asking_of(request.scope)) is not None:
            known.shown = True
        account = self.door.account(asked, self.door.session(request))
        return Response(self.renderer.render(template, page, account), status, UNKEPT, HTML)

    def refusal(self, request: Request, error: FhirError) -> Response:
        """The page of an error that arose outside any page, in the language that was asked for."""
        path, language = request.scope["path"], request.headers.get("accept-language", "")
        asked = asking.blank(self.house.root, path, language)
        with suppress(FhirError):
            asked = asking.read(self.house.root, path, fhir_headers.query(request.scope), language)
        return self.refused(request, asked, error)

    def refused(self, request: Request, asked: Asked, error: FhirError) -> Response:
        """An error as a page."""
        faults = tuple((issue.text, issue.expression) for issue in error.issues)
        page = RefusalPage(asked.frame(f"{self.house.engine.base}/metadata"), error.status, faults)
        account = self.door.account(asked, self.door.session(request))
        content = self.renderer.render("refusal.html", page, account)
        return Response(content, error.status, {**error.headers, **UNKEPT}, HTML)

    async def _answer(self, request: Request, asked: Asked, build: Build) -> Response:
        visitor = await self.door.visitor(request)
        account = self.door.account(asked, visitor.session)
        found = await first_search(self.house, visitor.caller, asked)
        # Rights are of now, whatever moment is looked at; and a round that is closed stands for its last close.
        newest = (await view(self.house.engine, visitor.caller)).instant if asked.as_of else found.moment.instant
        tags = {
            "ETag": self._tag(visitor.caller, account, asked, newest),
            "Cache-Control": "private, no-cache",
            "Vary": "Accept-Language, Authorization, Cookie",
        }
        known = request.headers.get("if-none-match", "")
        if tags["ETag"] in (tag.strip() for tag in known.split(",")):
            return Response(status_code=304, headers=tags)
        template, page = await build(await place(self.house, visitor.caller, asked, found), asked)
        return Response(self.renderer.render(template, page, account), 200, tags, HTML)

    def _tag(self, caller: Caller, account: Account, asked: Asked, newest: str) -> str:
        """All that a page is made of: the program, the instant of the newest data, the day, who asks, and for what."""
        whom = (caller.role, caller.organization, caller.scopes, account)
        made_of = (self.started, newest, self.house.today(), whom, asked)
        return f'W/"{hashlib.sha256(repr(made_of).encode()).hexdigest()[:24]}"'
