"""create_app: wires routes, pages and the error handler; no logic."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from fastapi.exception_handlers import http_exception_handler
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from server import headers, health
from server.access import Access
from server.auth.callers import caller_of
from server.definitions.capabilities import capabilities
from server.definitions.conformance import Conformance
from server.definitions.registry import Registry
from server.definitions.terminology import Terminology
from server.interaction import validate
from server.interaction.engine import Engine
from server.interaction.operations.check import check
from server.interaction.operations.terminology import TERMINOLOGY_OPERATIONS
from server.interaction.searchable import build_forever
from server.metrics import Metrics
from server.operations import Operation, Operations
from server.outcome import FhirError, Issue, outcome
from server.pages import routes as pages
from server.portfolio.complete import Complete
from server.portfolio.rules import Rules
from server.resource import Resource, encode
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
    ("system", "$check"): Operation(check, affects_state=True),
    **TERMINOLOGY_OPERATIONS,
    **validate.OPERATIONS,
}

log = logging.getLogger("server")


def engine_of(settings: Settings, store: Store, *, now: Callable[[], datetime] | None = None) -> Engine:
    """The engine over this store, with the definitions of R4 and of profiles/."""
    registry = Registry.load(PROFILES, settings.canonical)
    parameters = Parameters(registry)
    zone = ZoneInfo(settings.timezone)
    clock = now or (lambda: datetime.now(UTC))
    access = Access(settings.canonical)
    terminology = Terminology(
        [one for kind in ("CodeSystem", "ValueSet") for one in registry.of_type(kind)], registry.schema.codes
    )
    parser = Parser(parameters, RESOURCE_TYPES, zone, settings.base, terminology.subsumes, clock, terminology.members)
    return Engine(
        store=store,
        registry=registry,
        conformance=Conformance(registry, settings.canonical, settings.profiles),
        parser=parser,
        indexer=Indexer(parameters, registry.schema, settings.base, settings.timezone),
        access=access,
        complete=Complete(settings.canonical, clock),
        rules=Rules(settings.canonical, access, settings.profiles),
        base=settings.base,
        resource_types=RESOURCE_TYPES,
        now=clock,
    )


def store_of(settings: Settings) -> Store:
    """The store that the settings name, not yet open."""
    if settings.store.startswith("mongodb"):
        return MongoStore(settings.store, driver=settings.mongo_driver)
    return SqliteStore(settings.sqlite_path)


def create_app(settings: Settings, store: Store) -> FastAPI:
    """The whole application; opens and closes the store with its own life."""
    engine = engine_of(settings, store)
    started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

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
            base=settings.base,
            canonical=settings.canonical,
            started=started,
            secured=settings.auth != "off",
        )

    callers = caller_of(settings)
    fhir = Fhir(engine, callers, settings.body_limit, lambda: statement(engine.parser.parameters.newest), OPERATIONS)
    app.router.routes.extend([*fhir.routes(), *health.routes(store)])
    app.router.routes.extend(pages.routes(engine, callers))
    metrics = Metrics()
    app.router.routes.extend(metrics.routes())
    app.add_exception_handler(FhirError, _refused)
    app.add_exception_handler(Unavailable, _away)
    app.add_exception_handler(HTTPException, _unrouted)
    app.add_exception_handler(Exception, _our_bug)
    app.add_middleware(metrics.middleware)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["*"],
        expose_headers=["ETag", "Location", "Content-Location", "Last-Modified"],
    )
    return app


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, FhirError)
    return Response(
        encode(outcome(error.issues)), error.status, error.headers, media_type=f"{headers.JSON}; charset=utf-8"
    )


async def _away(request: Request, error: Exception) -> Response:
    fault = FhirError("no-store", f"Lageret svarer ikke nå / {error}", headers={"Retry-After": "5"})
    return await _refused(request, fault)


async def _unrouted(request: Request, error: Exception) -> Response:
    """What no route takes: an OperationOutcome below the FHIR base."""
    assert isinstance(error, HTTPException)
    path = request.scope["path"]
    if path != "/fhir" and not path.startswith("/fhir/"):
        return await http_exception_handler(request, error)
    code = "not-found" if error.status_code == 404 else "not-supported"
    text = f"{request.method} is not answered at {path}."
    tags = dict(error.headers or {})
    return await _refused(request, FhirError(code, text, status=error.status_code, headers=tags))


async def _our_bug(request: Request, error: Exception) -> Response:
    """Logged in full by the server; none of its text goes to the client."""
    log.error("%s %s", request.method, request.scope["path"], exc_info=error)
    fault = Issue("exception", "Feil hos oss / An error of ours; it is logged.")
    return await _refused(request, FhirError("exception", fault.text))
