"""URLs of the workbook: /runder/{number}/arbeidsbok, its page and the form that takes a file in, and …/{actor}.xlsx.

The form takes a program too: a multipart POST with a bearer token and `Accept: application/json` is answered with the
transaction-response, or with an OperationOutcome that names the cells.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from server import headers
from server.access import Caller
from server.asking import asking_of
from server.bundle import response_bundle
from server.interaction import record
from server.interaction.dry_run import dry_run
from server.limits import take_turn
from server.outcome import FhirError
from server.pages.asked import Asked
from server.pages.contexts import Fault as FormFault
from server.pages.desk import MENDABLE, UNKEPT, Desk
from server.pages.door import Upload
from server.pages.forms import said as half
from server.pages.workbook.contexts import Answer, Cell, Choice, Said, WorkbookPage
from server.workbook import reading
from server.workbook.book import Made, workbook
from server.workbook.changes import Fault, Outcome, refusal
from server.workbook.gathering import Actor, Reporting, offered
from server.workbook.sending import checked, errors, merged, sent

FILE, HANDLING, OVERWRITE = "fil", "handling", "overskriv"
_MEDIA = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_KEPT = ("lang", "aktor")


@dataclass(frozen=True)
class Workbooks:
    """The endpoints."""

    desk: Desk

    def routes(self) -> list[BaseRoute]:
        """Those of the head of this module."""
        return [
            Route("/runder/{number}/arbeidsbok", self.page, methods=["GET"]),
            Route("/runder/{number}/arbeidsbok", self.upload, methods=["POST"]),
            Route("/runder/{number}/arbeidsbok/{actor}.xlsx", self.file, methods=["GET"]),
        ]

    async def page(self, request: Request) -> Response:
        """GET: what to do, the workbook to fetch, and the form."""

        async def shown(asked: Asked) -> Response:
            visitor = await self.desk.door.visitor(request)
            reporting = await self._reporting(request, visitor.caller)
            done = asked.one("sendt") or ""
            count = int(done) if re.fullmatch(r"\d{1,6}", done) else None
            page = await self._page(asked, reporting, sent=count)
            return self.desk.shown(request, asked, "workbook/workbook.html", page)

        return await self.desk.drawn(request, _path(request), (*_KEPT, "sendt"), shown)

    async def file(self, request: Request) -> Response:
        """GET: an actor's workbook. FhirError conflict (409) for a round that takes no reports."""
        async with self.desk.turn(request):
            return await self._file(request)

    async def _file(self, request: Request) -> Response:
        visitor = await self.desk.door.visitor(request)
        reporting = await self._reporting(request, visitor.caller)
        actor = await reporting.actor(request.path_params["actor"])
        _check_open(reporting)
        await take_turn(visitor.caller)
        material, slots = await reporting.material(actor), await reporting.slots()
        made = Made(reporting.seen.instant, self.desk.house.engine.new_id())
        content = await asyncio.to_thread(workbook, material, slots, made, offered(slots))
        name = re.sub(r"[^A-Za-z0-9-]", "", f"{reporting.number}-{actor.slug}")
        tags = {**UNKEPT, "Content-Disposition": f'attachment; filename="arbeidsbok-{name}.xlsx"'}
        return Response(content, 200, tags, _MEDIA)

    async def upload(self, request: Request) -> Response:
        """POST: the file checked («handling=sjekk») or sent in («handling=send»)."""
        known = asking_of(request.scope)
        if known is not None:
            known.writing = True
        if _wants_json(request):
            async with self.desk.turn(request):
                return await self._for_program(request)

        async def taken(asked: Asked) -> Response:
            try:
                return await self._for_person(request, asked)
            except FhirError as error:
                if error.status not in MENDABLE:
                    raise
                return await self._again(request, asked, error)

        return await self.desk.drawn(request, _path(request), _KEPT, taken)

    async def _for_program(self, request: Request) -> Response:
        reporting, _, form, outcome = await self._taken(request, request.query_params.get("aktor"))
        engine, caller = reporting.engine, reporting.seen.caller
        if _sends(form):
            entries = await sent(engine, caller, outcome)
        else:
            if found := errors(await checked(engine, caller, outcome)):
                raise refusal(found)
            entries = await dry_run(engine, caller, outcome.bundle) if outcome.entries else []
        content = response_bundle("transaction", entries, engine.base, show=False)
        return Response(content, 200, UNKEPT, f"{headers.JSON}; charset=utf-8")

    async def _for_person(self, request: Request, asked: Asked) -> Response:
        reporting, actor, form, outcome = await self._taken(request, asked.one("aktor"))
        engine, caller = reporting.engine, reporting.seen.caller
        said: list[Fault]
        status = 200
        if _sends(form):
            try:
                await sent(engine, caller, outcome)
                pairs = [*((name, text) for name, text in asked.pairs if name == "lang"), ("aktor", actor.slug)]
                count = ("sendt", str(len(outcome.changes)))
                return RedirectResponse(asked.url(pairs=[*pairs, count]), 303, UNKEPT)
            except FhirError as error:
                if error.status >= 500:
                    raise
                await record.refused_request(engine, asking_of(request.scope), error)
                status = error.status
                said = await checked(engine, caller, outcome)
                said = said if errors(said) else [*_plain(error), *said]
        else:
            said = await checked(engine, caller, outcome)
            status = refusal(found).status if (found := errors(said)) else 200
        page = await self._page(asked, reporting, answer=_answer(form, outcome, said, asked), actor=actor)
        return self.desk.shown(request, asked, "workbook/workbook.html", page, status=status)

    async def _again(self, request: Request, asked: Asked, error: FhirError) -> Response:
        """The page with the form whose file could not be read as a workbook of this round and actor."""
        await record.refused_request(self.desk.house.engine, asking_of(request.scope), error)
        visitor = await self.desk.door.visitor(request)
        reporting = await self._reporting(request, visitor.caller)
        control = FILE if reporting.is_open else ""
        wrong = tuple(FormFault(control, half(issue.text, asked.lang)) for issue in error.issues)
        page = await self._page(asked, reporting, faults=wrong)
        return self.desk.shown(request, asked, "workbook/workbook.html", page, status=error.status)

    async def _taken(self, request: Request, slug: str | None) -> tuple[Reporting, Actor, Upload, Outcome]:
        """The form read, and its workbook merged. `slug` is the actor that the page was of; the file's own without."""
        visitor = await self.desk.door.visitor(request)
        form = await self.desk.door.upload(request, visitor, FILE)
        if (known := asking_of(request.scope)) is not None:
            known.writing = _sends(form)
        if form.fields.get(HANDLING, "") not in ("sjekk", "send"):
            raise FhirError("value", "handling: ventet / expected sjekk | send.", expression=HANDLING)
        reporting = await self._reporting(request, visitor.caller)
        if visitor.caller.role == "anonymous":
            await reporting.actor(slug or "-")
        if not form.content:
            raise FhirError("required", "Velg en fil. / Choose a file.", expression=FILE, status=400)
        _check_open(reporting)
        # To check a workbook is to check a transaction, as $check does.
        await take_turn(visitor.caller)
        book = await asyncio.to_thread(reading.book, form.content)
        actor = await reporting.actor(slug or book.facts.get("aktør", "-"))
        overwrite = form.fields.get(OVERWRITE, "") == "ja"
        if known is not None:
            # A refusal says what stands in a cell.
            known.shown = True
        return reporting, actor, form, await merged(reporting, actor, book, overwrite=overwrite)

    async def _reporting(self, request: Request, caller: Caller) -> Reporting:
        return await Reporting.of(self.desk.house.engine, caller, request.path_params["number"])

    async def _page(
        self, asked: Asked, reporting: Reporting, *, sent: int | None = None, answer: Answer | None = None,
        actor: Actor | None = None, faults: tuple[FormFault, ...] = (),
    ) -> WorkbookPage:  # fmt: skip
        if reporting.seen.caller.role == "anonymous":
            await reporting.actor("-")
        actors = await reporting.actors()
        wanted = asked.one("aktor")
        if actor is None and wanted is not None:
            actor = await reporting.actor(wanted)
        elif actor is None and len(actors) == 1:
            actor = actors[0]
        lang = [pair for pair in asked.pairs if pair[0] == "lang"]
        chosen = actor.slug if actor else ""
        return WorkbookPage(
            frame=asked.frame(f"{reporting.engine.base}/metadata"),
            round_title=reporting.title,
            round_url=asked.url(f"/runder/{reporting.number}", lang),
            deadline=reporting.deadline,
            open=reporting.is_open,
            choices=tuple(
                Choice(one.name, asked.url(pairs=[*lang, ("aktor", one.slug)]), one.slug == chosen) for one in actors
            ),
            actor=actor.name if actor else "",
            file_url=asked.url(f"/runder/{reporting.number}/arbeidsbok/{chosen}.xlsx", ()) if actor else "",
            form_url=asked.url(pairs=[*lang, ("aktor", chosen)]) if actor else "",
            initiatives=len((await reporting.material(actor)).initiatives) if actor else 0,
            sent=sent,
            answer=answer,
            most=self.desk.door.settings.body_limit // 2**20,
            faults=faults,
        )


def _path(request: Request) -> str:
    return f"/runder/{request.path_params['number']}/arbeidsbok"


def _wants_json(request: Request) -> bool:
    accept = headers.sent(request.scope, b"accept") or ""
    return "json" in accept and "html" not in accept


def _sends(form: Upload) -> bool:
    return form.fields.get(HANDLING) == "send"


def _check_open(reporting: Reporting) -> None:
    if not reporting.is_open:
        text = f"Runden {reporting.number} tar ikke imot rapporter nå / The round takes no reports now."
        raise FhirError("conflict", text)


def _plain(error: FhirError) -> list[Fault]:
    return [Fault.of("", "", issue.text, issue.code) for issue in error.issues]


def _answer(form: Upload, outcome: Outcome, said: list[Fault], asked: Asked) -> Answer:
    found = errors(said)
    return Answer(
        file=form.name[:120],
        faults=tuple(_said(fault) for fault in found),
        remarks=tuple(_said(fault) for fault in said if fault.severity != "error"),
        changes=tuple(
            Cell(
                str(one.place),
                one.initiative,
                one.column.nb if asked.lang == "nb" else one.column.en,
                one.before,
                one.after,
                one.new,
            )
            for one in outcome.changes
        ),
        refused=_sends(form),
        conflict=any(fault.code == "conflict" for fault in found),
    )


def _said(fault: Fault) -> Said:
    return Said(str(fault.place) if fault.place.sheet else "", fault.text)
