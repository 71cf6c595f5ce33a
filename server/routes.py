"""URL, method and headers in; one interaction called; one Response out. R4 http.html."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from server import headers
from server.access import Caller
from server.asking import asking_of
from server.auth.callers import CallerOf
from server.bundle import history_bundle, response_bundle, searchset
from server.interaction import create, delete, dry_run, read, transaction, update
from server.interaction import history as history_interaction
from server.interaction import search as search_interaction
from server.interaction.engine import Engine
from server.interaction.intents import Written
from server.limits import Limits
from server.operations import Call, Level, Operation, Operations
from server.outcome import FhirError, Issue, outcome
from server.resource import Resource, decode, encode, pretty
from server.search.urls import pairs_of
from server.store.store import Version

_FORM = "application/x-www-form-urlencoded"
_PATCH = "application/json-patch+json"
_SHOWN = ("_format", "_pretty")
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
Endpoint = Callable[[Request], Awaitable[Response]]


class Json(Response):
    """FHIR's JSON. Its headers are put together here, for Starlette's own way shows in the profile of a read."""

    def __init__(self, content: bytes, status: int, tags: Mapping[str, str] | None) -> None:
        self.status_code = status
        self.body = content
        self.background = None
        self.raw_headers = [
            (b"content-type", b"application/fhir+json; charset=utf-8"),
            (b"content-length", b"%d" % len(content)),
            *((name.lower().encode(), text.encode("latin-1")) for name, text in (tags or {}).items()),
        ]


class Fhir:
    """The FHIR endpoints over one engine. `caller_of` tells who asks."""

    def __init__(
        self,
        engine: Engine,
        caller_of: CallerOf,
        body_limit: int,
        capabilities: Callable[[], Resource],
        operations: Operations,
        limits: Limits,
    ) -> None:
        self.engine = engine
        self.caller_of = caller_of
        self.body_limit = body_limit
        self.capabilities = capabilities
        self.operations = operations
        self.limits = limits

    def routes(self) -> list[BaseRoute]:
        """Few and generic, so that the last is found as fast as the first."""
        return [
            _route(
                "/fhir/{type}/{id}",
                GET=self.read,
                POST=self.search_by_post,
                PUT=self.update,
                PATCH=self.patch,
                DELETE=self.delete,
            ),
            _route(
                "/fhir/{type}",
                GET=self.search_or_metadata,
                POST=self.create,
                PUT=self.update,
                PATCH=self.patch,
                DELETE=self.delete,
            ),
            _route("/fhir", POST=self.bundle),
            _route("/fhir/", POST=self.bundle),
            _route("/fhir/{type}/{id}/_history/{version}", GET=self.vread),
            _route("/fhir/{type}/{id}/_history", GET=self.history),
            _route("/fhir/{type}/{id}/{operation}", GET=self.operation, POST=self.operation),
            Route("/fhir/{rest:path}", _nowhere, methods=_METHODS),
        ]

    async def read(self, request: Request) -> Response:
        """GET [type]/[id]; GET [type]/_history comes here too, for `_history` looks like an id."""
        if request.path_params["id"] == "_history":
            return await self.history(request)
        if request.path_params["id"].startswith("$"):
            return await self.operation(request)
        caller = await self._caller(request)
        kind, id = request.path_params["type"], request.path_params["id"]
        as_of = request.query_params.get("_asOf") if b"_asOf=" in request.scope["query_string"] else None
        version = await read.read(self.engine, caller, kind, id, as_of)
        return self._version(request, version)

    async def vread(self, request: Request) -> Response:
        """GET [type]/[id]/_history/[vid]."""
        path = request.path_params
        return self._version(
            request,
            await read.vread(self.engine, await self._caller(request), path["type"], path["id"], path["version"]),
        )

    async def history(self, request: Request) -> Response:
        """GET _history of an instance, a type, or the system."""
        path = request.path_params
        id = path.get("id")
        story = await history_interaction.history(
            self.engine,
            await self._caller(request),
            path.get("type"),
            None if id == "_history" else id,
            pairs_of(headers.query(request.scope)),
        )
        return self._json(request, history_bundle(story, self.engine.base))

    async def search_or_metadata(self, request: Request) -> Response:
        """GET [type]?…; GET metadata; GET _history of the system."""
        kind = request.path_params["type"]
        if kind == "metadata":
            return self._json(request, encode(self.capabilities()))
        if kind == "_history":
            del request.path_params["type"]
            return await self.history(request)
        if kind.startswith("$"):
            return await self.operation(request)
        return await self._search(request, pairs_of(headers.query(request.scope)))

    async def create(self, request: Request) -> Response:
        """POST [type]; POST $name of the system."""
        if request.path_params["type"].startswith("$"):
            return await self.operation(request)
        _writing(request)
        caller = await self._writer(request)
        if any(name not in _SHOWN for name, _ in pairs_of(headers.query(request.scope))):
            # Some clients send the condition of a conditional create here; ignored, it would make a duplicate.
            raise FhirError("not-supported", "A create has its condition in the header If-None-Exist, not in the URL.")
        resource = await self._resource(request)
        condition = headers.condition(request.scope)
        written = await create.create(
            self.engine, caller, request.path_params["type"], resource, if_none_exist=condition
        )
        return self._written(request, written)

    async def search_by_post(self, request: Request) -> Response:
        """POST [type]/_search with a form; parameters of the URL count too. R4 http.html#search.
        POST [type]/$name comes here too."""
        if request.path_params["id"].startswith("$"):
            return await self.operation(request)
        if request.path_params["id"] != "_search":
            raise FhirError("not-supported", "A POST goes to the type; PUT to an id.", status=405)
        headers.takes_json(headers.sent(request.scope, b"content-type"), also=(_FORM,))
        if not (headers.sent(request.scope, b"content-type") or "").startswith(_FORM):
            raise FhirError("not-supported", f"_search takes {_FORM}.", status=415)
        form = (await self._body(request)).decode("utf-8", "replace")
        return await self._search(request, [*pairs_of(headers.query(request.scope)), *pairs_of(form)])

    async def update(self, request: Request) -> Response:
        """PUT [type]/[id], PUT [type]?condition."""
        caller = await self._writer(request)
        resource = await self._resource(request)
        written = await update.update(
            self.engine,
            caller,
            request.path_params["type"],
            resource,
            id=request.path_params.get("id"),
            condition=self._condition(request),
            if_match=headers.if_match(headers.sent(request.scope, b"if-match")),
            create_only=headers.sent(request.scope, b"if-none-match") == "*",
        )
        return self._written(request, written)

    async def patch(self, request: Request) -> Response:
        """PATCH with a JSON Patch."""
        caller = await self._writer(request)
        headers.takes_json(headers.sent(request.scope, b"content-type"), also=(_PATCH,))
        if not (headers.sent(request.scope, b"content-type") or "").startswith(_PATCH):
            raise FhirError("not-supported", f"A PATCH is sent as {_PATCH}.", status=415)
        written = await update.patch(
            self.engine,
            caller,
            request.path_params["type"],
            transaction.json_patch(await self._body(request)),
            id=request.path_params.get("id"),
            condition=self._condition(request),
            if_match=headers.if_match(headers.sent(request.scope, b"if-match")),
        )
        return self._written(request, written)

    async def delete(self, request: Request) -> Response:
        """DELETE [type]/[id], DELETE [type]?condition."""
        written = await delete.delete(
            self.engine,
            await self._writer(request),
            request.path_params["type"],
            id=request.path_params.get("id"),
            condition=self._condition(request),
            if_match=headers.if_match(headers.sent(request.scope, b"if-match")),
        )
        tags = {"ETag": headers.etag(written.version)} if written.version is not None else {}
        return Response(status_code=204, headers=tags)

    async def bundle(self, request: Request) -> Response:
        """POST of a transaction or batch Bundle to the base."""
        dry = headers.dry_run(headers.sent(request.scope, b"x-dry-run"))
        if not dry:
            _writing(request)
        caller = await self._caller(request)
        sent = await self._resource(request)
        kind = sent.get("type")
        if sent.get("resourceType") != "Bundle" or kind not in ("transaction", "batch"):
            raise FhirError(
                "invalid", "The base takes a Bundle of type transaction or batch.", expression="Bundle.type"
            )
        show = "return=representation" in (headers.sent(request.scope, b"prefer") or "")
        if dry:
            entries = await dry_run.dry_run(self.engine, caller, sent, show=show)
        else:
            run = transaction.transaction if kind == "transaction" else transaction.batch
            entries = await run(self.engine, caller, sent)
        return self._json(request, response_bundle(kind, entries, self.engine.base, show=show))

    async def operation(self, request: Request) -> Response:
        """GET or POST of $name, [type]/$name, [type]/[id]/$name, as the table of operations has them."""
        path = request.path_params
        *above, name = (path[part] for part in ("type", "id", "operation") if part in path)
        if not name.startswith("$"):
            return await _nowhere(request)
        level: Level = ("system", "type", "instance")[len(above)]
        kind, id, *_ = [*above, "", ""]
        if kind:
            self.engine.known_type(kind)
        found = self._operation(level, name, kind)
        if found.writes:
            _writing(request)
        if found.affects_state and request.method != "POST":
            raise FhirError("not-supported", f"{name} is called by POST.", status=405, headers={"Allow": "POST"})
        caller, body = await self._caller(request), None
        if request.method == "POST" and (raw := await self._body(request)):
            headers.takes_json(headers.sent(request.scope, b"content-type"))
            body = decode(raw)
        call = Call(caller, kind, id, tuple(pairs_of(headers.query(request.scope))), body)
        async with self.limits.slot(request.scope, caller) if found.expensive else nullcontext():
            answer = await found.run(self.engine, call)
        content = answer.resource if isinstance(answer.resource, bytes) else encode(answer.resource)
        return self._json(request, content, status=answer.status)

    def _operation(self, level: Level, name: str, kind: str) -> Operation:
        found = self.operations.get((level, name))
        if found is None or (found.types and kind not in found.types):
            known = sorted(
                other
                for (at, other), one in self.operations.items()
                if at == level and (not one.types or kind in one.types)
            )
            text = f"Ukjent operasjon / No operation {name} here; known are: {', '.join(known) or 'none'}."
            raise FhirError("not-found", text)
        return found

    async def _search(self, request: Request, pairs: list[tuple[str, str]]) -> Response:
        caller = await self._caller(request)
        kind = request.path_params["type"]
        if ("__explain", "true") in pairs:
            lines = await search_interaction.explain(self.engine, caller, kind, pairs)
            return self._json(request, encode(outcome(lines)))
        strict = headers.prefer(headers.sent(request.scope, b"prefer")).strict
        found = await search_interaction.search(self.engine, caller, kind, pairs, strict=strict)
        return self._json(request, searchset(found, self.engine.base))

    async def _writer(self, request: Request) -> Caller:
        """The caller of a single write, which is never tried out: a client that asks for it must not be fooled."""
        if headers.dry_run(headers.sent(request.scope, b"x-dry-run")):
            text = "X-Dry-Run: send det som en Bundle / send it as a transaction or batch; a single write has none."
            raise FhirError("not-supported", text)
        return await self._caller(request)

    async def _caller(self, request: Request) -> Caller:
        headers.accepts_json(headers.sent(request.scope, b"accept"), _format_of(request))
        return await self.caller_of(request)

    async def _resource(self, request: Request) -> Resource:
        headers.takes_json(headers.sent(request.scope, b"content-type"))
        return decode(await self._body(request))

    async def _body(self, request: Request) -> bytes:
        """The whole body. FhirError too-long (413) as soon as it is over the limit, said or sent."""
        said = headers.sent(request.scope, b"content-length") or ""
        if said.isdigit() and int(said) > self.body_limit:
            raise self._too_long()
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > self.body_limit:
                raise self._too_long()
            parts.append(part)
        return b"".join(parts)

    def _too_long(self) -> FhirError:
        return FhirError("too-long", f"For stor / The body is larger than {self.body_limit} bytes.")

    def _condition(self, request: Request) -> str | None:
        """The query string of a conditional request, without what only says how to answer."""
        if "id" in request.path_params:
            return None
        parts = headers.query(request.scope).split("&")
        return "&".join(part for part in parts if part.partition("=")[0] not in _SHOWN)

    def _version(self, request: Request, version: Version) -> Response:
        tags = {"ETag": headers.etag(version), "Last-Modified": headers.last_modified(version)}
        if headers.not_modified(
            version, headers.sent(request.scope, b"if-none-match"), headers.sent(request.scope, b"if-modified-since")
        ):
            return Response(status_code=304, headers=tags)
        return self._json(request, version.body or b"", tags)

    def _written(self, request: Request, written: Written) -> Response:
        version = written.version
        assert version is not None
        tags = {"ETag": headers.etag(version), "Last-Modified": headers.last_modified(version)}
        name = f"{version.resource_type}/{version.id}/_history/{version.version_id}"
        if written.status == 201 or request.method == "POST":
            tags["Location"] = f"{self.engine.base}/{name}"
        tags["Content-Location"] = f"{self.engine.base}/{name}"
        match headers.prefer(headers.sent(request.scope, b"prefer")).returns:
            case "minimal":
                return Response(status_code=written.status, headers=tags)
            case "OperationOutcome":
                done = "Lagret / Stored." if written.changed else "Uendret / Unchanged."
                said = encode(outcome([Issue("informational", done, severity="information"), *written.warnings]))
                return self._json(request, said, tags, written.status)
            case _:
                return self._json(request, version.body or b"", tags, written.status)

    def _json(
        self, request: Request, content: bytes, tags: Mapping[str, str] | None = None, status: int = 200
    ) -> Response:
        if b"_pretty=true" in request.scope["query_string"]:
            content = pretty(content)
        return Json(content, status, tags)


def _writing(request: Request) -> None:
    """From here on, a refusal of this request is the refusal of a write."""
    if (asking := asking_of(request.scope)) is not None:
        asking.writing = True


def _format_of(request: Request) -> str | None:
    return request.query_params.get("_format") if b"_format" in request.scope["query_string"] else None


def _route(path: str, **endpoints: Endpoint) -> Route:
    """A route that answers these methods, HEAD as GET, and 405 with an OperationOutcome to the rest."""

    async def endpoint(request: Request) -> Response:
        found = endpoints.get("GET" if request.method == "HEAD" else request.method)
        if found is None:
            allowed = ", ".join(endpoints)
            text = f"{request.method} is not answered at {request.scope['path']}; {allowed} is."
            raise FhirError("not-supported", text, status=405, headers={"Allow": allowed})
        return await found(request)

    return Route(path, endpoint, methods=_METHODS)


async def _nowhere(request: Request) -> Response:
    raise FhirError("not-found", f"There is nothing at {request.scope['path']}; the FHIR base is /fhir.")
