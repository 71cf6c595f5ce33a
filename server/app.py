"""create_app: wires routes, pages and the error handler; no logic."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, lru_cache, partial
from pathlib import Path
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from server import editions, guards, health
from server.access import Access, Caller
from server.annex import routes as annexes
from server.asking import Asked, asking_of
from server.auth import endpoint
from server.auth.callers import CallerOf, caller_of
from server.auth.issuer import Issuer
from server.auth.sessions import Sessions
from server.definitions.capabilities import capabilities
from server.definitions.conformance import Conformance, Mode
from server.definitions.registry import Registry
from server.definitions.terminology import Terminology
from server.interaction import record, validate
from server.interaction.engine import Engine
from server.interaction.operations.analyses import ANALYSES
from server.interaction.operations.check import check
from server.interaction.operations.erase import erase_person
from server.interaction.operations.figures import figures
from server.interaction.operations.remarks import REMARKS
from server.interaction.operations.rounds import Rounds
from server.interaction.operations.terminology import TERMINOLOGY_OPERATIONS
from server.interaction.searchable import build_forever
from server.limits import Limits
from server.metrics import Metrics
from server.operations import Operation, Operations, of_ours
from server.outcome import FhirError
from server.pages.door import Door
from server.pages.lookup.routes import Lookup
from server.pages.routes import Pages
from server.portfolio.complete import Complete
from server.portfolio.labels import Labels
from server.portfolio.numbers import Numbers
from server.portfolio.rules import Rules
from server.portfolio.seal import Seal
from server.refusals import Refusals
from server.resource import Resource
from server.routes import Fhir
from server.search.parameters import Parameters
from server.search.parse import Parser
from server.search.values import Indexer
from server.settings import Settings
from server.store.mongo import MongoStore
from server.store.sqlite import SqliteStore
from server.store.store import Store, Unavailable

PROFILES = Path(__file__).parent.parent / "profiles"

# The types that the domain model names, and the conformance and terminology types that it publishes in.
RESOURCE_TYPES = frozenset(
    {
        "PlanDefinition", "Task", "Organization", "PractitionerRole", "Questionnaire", "QuestionnaireResponse",
        "Measure", "MeasureReport", "Composition", "Bundle", "Provenance", "AuditEvent",
        "CodeSystem", "ValueSet", "ConceptMap", "NamingSystem", "StructureDefinition", "SearchParameter",
        "OperationDefinition", "CapabilityStatement", "ImplementationGuide",
    }
)  # fmt: skip

OPERATIONS: Operations = {
    ("system", "$check"): Operation(check, of_ours("check"), affects_state=True, expensive=True),
    ("system", "$erase-person"): Operation(erase_person, of_ours("erase-person"), affects_state=True, writes=True),
    **REMARKS,
    **TERMINOLOGY_OPERATIONS,
    **ANALYSES,
    **validate.OPERATIONS,
}


@cache
def definitions(profiles: Path, canonical: str, mode: Mode) -> tuple[Registry, Conformance, Terminology]:
    """What R4 and the folder `profiles` define, read and compiled once in a process: nothing of it changes while it
    runs, and it is most of what a start takes. ValueError and DefinitionError name the file at fault."""
    registry = Registry.load(profiles, canonical)
    return registry, Conformance(registry, canonical, mode), Terminology.of(registry)


def engine_of(settings: Settings, store: Store, *, now: Callable[[], datetime] | None = None) -> Engine:
    """The engine over this store, with the definitions of R4 and of profiles/."""
    registry, conformance, terminology = definitions(PROFILES, settings.canonical, settings.profiles)
    parameters = Parameters(registry)
    zone = ZoneInfo(settings.timezone)
    clock = now or (lambda: datetime.now(UTC))
    access = Access(settings.canonical)
    access.rights.check(registry, RESOURCE_TYPES)
    parser = Parser(parameters, RESOURCE_TYPES, zone, settings.base, terminology.subsumes, clock, terminology.members)
    return Engine(
        store=store,
        registry=registry,
        conformance=conformance,
        parser=parser,
        indexer=Indexer(parameters, registry.schema, settings.base, settings.timezone),
        access=access,
        complete=Complete(
            settings.canonical,
            clock,
            Numbers(settings.canonical),
            Labels(settings.canonical, settings.profiles != "off"),
        ),
        rules=Rules(settings.canonical, access, settings.profiles),
        base=settings.base,
        resource_types=RESOURCE_TYPES,
        now=clock,
        recording=settings.auth != "off",
    )


def store_of(settings: Settings) -> Store:
    """The store that the settings name, not yet open."""
    if settings.store.startswith("mongodb"):
        return MongoStore(settings.store, driver=settings.mongo_driver)
    return SqliteStore(settings.sqlite_path)


def settle() -> None:
    """Before the first request: what was made at the start stays for good, so that the garbage collector need not go
    through it again; and it comes more rarely, for an answer over a thousand initiatives makes a hundred thousand
    objects that all go at once. With it such an answer took two thirds of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def rounds_of(settings: Settings) -> Rounds:
    """The operations on rounds, with the installation's key for editions. WrongSetting when that cannot be used."""
    return Rounds(Seal.of(settings.keys), figures)


def create_app(settings: Settings, store: Store) -> FastAPI:
    """The whole application; opens and closes the store with its own life."""
    engine = engine_of(settings, store)
    started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    rounds = rounds_of(settings)
    operations = {**OPERATIONS, **rounds.operations()}

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await store.open()
        engine.unbuilt.set()
        building = asyncio.create_task(build_forever(engine))
        yield
        building.cancel()
        with suppress(asyncio.CancelledError):
            await building
        await store.close()

    app = FastAPI(title="Portfolio registry", lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    app.state.engine = engine

    @lru_cache(maxsize=1)
    def statement(newest: int) -> Resource:
        """Computed anew when a stored SearchParameter came or went; `newest` says which was the last."""
        return capabilities(
            RESOURCE_TYPES,
            engine.parser.parameters,
            operations,
            engine.registry,
            base=settings.base,
            canonical=settings.canonical,
            profiles=settings.profiles,
            started=started,
            auth=settings.auth,
        )

    limits = Limits(settings)
    issuer = Issuer(settings.oidc_issuer)
    callers = _asking(limits.callers(caller_of(settings, issuer)))
    fhir = Fhir(
        engine, callers, settings.body_limit, lambda: statement(engine.parser.parameters.newest), operations, limits
    )
    sessions = None if settings.auth == "off" else Sessions.of(settings)
    door = Door(settings, callers, limits, sessions)
    pages = Pages.of(engine, door, issuer, operations)
    # The same endpoints, asked by people: the page of an answer is made of what they answer.
    asked_by_people = Fhir(engine, door.caller, settings.body_limit, fhir.capabilities, operations, limits)
    lookup = Lookup(pages.desk, Router(asked_by_people.routes()))
    metrics = Metrics()
    # Those for tokens and keys stand before FHIR's own, which take any two names for a type and an id.
    app.router.routes.extend([*endpoint.routes(settings, issuer), *editions.routes(rounds.seal)])
    app.router.routes.extend([*fhir.routes(), *health.routes(store)])
    app.router.routes.extend([*annexes.routes(engine, door.caller, operations, limits), *pages.routes()])
    app.router.routes.extend([*lookup.routes(), *metrics.routes()])
    app.add_middleware(guards.below_fhir(lookup.leading))
    _handle_errors(app, engine, Refusals(pages))
    _surround(app, settings, engine, limits, Refusals(pages), metrics)
    return app


def _asking(caller_of: CallerOf) -> CallerOf:
    """Callers that know the request they came with, and requests that know their caller."""

    async def caller(request: Request) -> Caller:
        found, asking = await caller_of(request), asking_of(request.scope)
        if asking is None:
            return found
        asking.caller = replace(found, request=asking)
        return asking.caller

    return caller


def _handle_errors(app: FastAPI, engine: Engine, refusals: Refusals) -> None:
    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, FhirError)
        try:
            await record.refused_request(engine, asking_of(request.scope), error)
        except Unavailable as unkept:
            return await away(request, unkept)
        return refusals.answer(request, error)

    async def away(request: Request, error: Exception) -> Response:
        return refusals.answer(request, _away(error))

    async def unrouted(request: Request, error: Exception) -> Response:
        """What no route takes."""
        assert isinstance(error, HTTPException)
        code = "not-found" if error.status_code == 404 else "not-supported"
        text = f"Finnes ikke her / {request.method} is not answered at {request.scope['path']}."
        fault = FhirError(code, text, status=error.status_code, headers=dict(error.headers or {}))
        return refusals.answer(request, fault)

    app.add_exception_handler(FhirError, refused)
    app.add_exception_handler(Unavailable, away)
    app.add_exception_handler(HTTPException, unrouted)


def _away(error: Exception) -> FhirError:
    return FhirError("no-store", f"Lageret svarer ikke nå / {error}", headers={"Retry-After": "5"})


def _surround(
    app: FastAPI, settings: Settings, engine: Engine, limits: Limits, refusals: Refusals, metrics: Metrics
) -> None:
    """The last added stands outermost."""
    app.add_middleware(Asked, engine.new_id, partial(record.put_on_record, engine), partial(_unrecorded, refusals))
    app.add_middleware(guards.admitted(settings, limits, refusals.answer))
    if settings.auth != "off":
        # Where everyone is the secretariat, no page of another site may look in.
        app.add_middleware(guards.below_fhir(_open_for_reading))
    app.add_middleware(guards.shielded(settings))
    app.add_middleware(metrics.middleware)
    if settings.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=settings.trusted_proxies)


def _unrecorded(refusals: Refusals, error: Exception) -> ASGIApp:
    """The answer instead of one that could not be put on record."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if not isinstance(error, Unavailable):
            raise error
        await refusals.answer(Request(scope), _away(error))(scope, receive, send)

    return answer


def _open_for_reading(app: ASGIApp) -> ASGIApp:
    """CORS: pages of other sites may read, with a token of their own if they have one; never with a cookie."""
    return CORSMiddleware(
        app,
        allow_origins=["*"],
        allow_methods=["GET", "HEAD"],
        allow_headers=["Authorization", "Prefer", "If-None-Match", "If-Modified-Since", "DPoP", "X-Request-Id"],
        expose_headers=["ETag", "Location", "Content-Location", "Last-Modified", "Retry-After", "X-Request-Id"],
    )
