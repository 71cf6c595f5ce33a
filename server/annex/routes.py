"""URLs of the annex: GET /utgaver/{number}/vedlegg by Accept, and with .html, .pdf, .xlsx, .zip or .ndjson behind it.

An edition is read as its Composition's $document, by the caller: a published one by anyone, a preliminary one by the
secretariat alone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from server.access import Caller
from server.annex import html
from server.annex.formats import FORMATS, VERSION, Format, accepted
from server.annex.kept import Kept
from server.auth.callers import CallerOf
from server.interaction.engine import Engine
from server.limits import Limits
from server.operations import Call, Operation, Operations
from server.outcome import FhirError
from server.portfolio.seal import digest
from server.resource import Resource, restored

_FOR_GOOD = int(timedelta(days=365).total_seconds())
_GUARDS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "strict-origin-when-cross-origin"}


def routes(engine: Engine, caller_of: CallerOf, operations: Operations, limits: Limits) -> list[BaseRoute]:
    """`operations` are those of the FHIR API, $document among them, which is expensive: `limits` hold here too."""
    annexes = Annexes(engine, caller_of, operations["instance", "$document"], limits)
    return [
        Route("/utgaver/{number}/vedlegg", annexes.negotiated),
        Route("/utgaver/{number}/vedlegg.{extension}", annexes.named),
    ]


@dataclass(frozen=True)
class Annexes:
    """The endpoints."""

    engine: Engine
    caller_of: CallerOf
    operation: Operation
    limits: Limits
    kept: Kept = field(default_factory=Kept)

    async def negotiated(self, request: Request) -> Response:
        """GET …/vedlegg. FhirError not-supported (406) for a media type that is not offered."""
        answer = await self._answer(request, accepted(request.headers.get("accept", "")))
        answer.headers["Vary"] = "Accept, Authorization"
        return answer

    async def named(self, request: Request) -> Response:
        """GET …/vedlegg.pdf. FhirError not-found for an ending that is not offered."""
        extension = request.path_params["extension"]
        if extension not in FORMATS:
            offered = ", ".join(f".{one}" for one in FORMATS)
            raise FhirError("not-found", f"vedlegg.{extension[:40]}: finnes som / expected one of {offered}.")
        answer = await self._answer(request, FORMATS[extension])
        answer.headers["Vary"] = "Authorization"
        return answer

    async def _answer(self, request: Request, format: Format) -> Response:
        """FhirError throttled (429)."""
        caller = await self.caller_of(request)
        async with self.limits.slot(request.scope, caller, patient=True):
            return await self._made(request, caller, format)

    async def _made(self, request: Request, caller: Caller, format: Format) -> Response:
        number = request.path_params["number"]
        document = await self._document(caller, number)
        make = partial(format.make, document, self.engine.parser.zone)
        tags = {**_GUARDS, "Content-Disposition": _disposition(number, format)}
        if format.extension == "html":
            tags["Content-Security-Policy"] = html.policy()
        if document["entry"][0]["resource"]["status"] == "preliminary":
            return Response(await self.kept.once(make), 200, {**tags, "Cache-Control": "no-store"}, format.media)
        key = f"{await asyncio.to_thread(_digest, document)}-{format.extension}-{VERSION}"
        tags |= {"ETag": f'"{key}"', "Cache-Control": f"public, max-age={_FOR_GOOD}, immutable"}
        if tags["ETag"] in _known(request):
            return Response(status_code=304, headers=tags)
        return Response(await self.kept.get(key, make), 200, tags, format.media)

    async def _document(self, caller: Caller, number: str) -> Resource:
        """FhirError not-found for an edition that there is not, or not for this caller."""
        call = Call(caller, "Composition", f"rapport-{number}", (), None)
        try:
            found = (await self.operation.run(self.engine, call)).resource
        except FhirError as error:
            if error.status == 404:
                raise FhirError("not-found", f"Ingen utgave {number[:40]} / There is no such edition.") from None
            raise
        return await asyncio.to_thread(restored, found) if isinstance(found, bytes) else found


def _digest(document: Resource) -> str:
    """The digest that it was sealed with, else as it is now."""
    tags = document.get("meta", {}).get("tag", [])
    sealed = (str(tag["code"]) for tag in tags if str(tag.get("system", "")).endswith("/sid/digest"))
    return next(sealed, "").removeprefix("sha-256:") or digest(document)


def _known(request: Request) -> list[str]:
    return [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]


def _disposition(number: str, format: Format) -> str:
    """The number is that of an edition, letters, digits, hyphens and points: it needs no escape."""
    way = "inline" if format.inline else "attachment"
    return f'{way}; filename="nasjonal-e-helseportefolje-{number}-vedlegg.{format.extension}"'
