"""A whole registry for a test: its own SQLite file, its own keys, called over ASGI without a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from server.app import PROFILES, create_app, store_of
from server.auth.tokens import Tokens
from server.definitions.conformance import Conformance
from server.definitions.registry import CANONICAL, Registry
from server.settings import Settings, read_settings
from tests.store import kinds, mongodb

BASE = "http://registry.example/fhir"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also the tests that take minutes")
    parser.addoption("--store", default="sqlite", choices=kinds.REAL, help="where the tests over HTTP keep their data")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    left_out = [item for item in items if "long" in item.keywords]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if "long" not in item.keywords]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """On which stores and servers the tests of a store ran."""
    counts: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            counts.update(text for name, text in report.user_properties if name == "store")
    for text, count in sorted(counts.items()):
        terminalreporter.write_line(f"{count:>6} tests ran on the {text}")


def pytest_sessionfinish() -> None:
    mongodb.finished(kinds.DATABASE)


@pytest.fixture(scope="session")
def guide() -> Conformance:
    """The judge over the guide in profiles/."""
    return Conformance(Registry.load(PROFILES), CANONICAL)


@pytest.fixture
def settings(tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """R4 alone: most tests over HTTP are about the engine, and their Tasks are nobody's deliveries. What the
    profiles ask is tested in test_profiles_*.py, and over HTTP in test_profiles_http.py."""
    store = kinds.named(request.config.getoption("--store"), "http")
    return read_settings(
        **{"store": f"sqlite:///{tmp_path}/portfolio.db", **store},
        keys=tmp_path / "keys",
        base_url=BASE,
        profiles="off",
        _env_file=None,
    )


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    application = create_app(settings, store_of(settings))
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
def client_of(app: FastAPI, settings: Settings) -> Callable[..., httpx.AsyncClient]:
    """client_of("secretariat"), client_of("reporter", "983658725"), client_of() for anonymous."""
    tokens = Tokens.of(settings.keys, settings.base)

    def client(role: Any = None, organization: str = "") -> httpx.AsyncClient:
        bearer = {"Authorization": f"Bearer {tokens.issue(role, organization, timedelta(hours=1))}"} if role else {}
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=f"{BASE}/", headers=bearer)

    return client


@pytest.fixture
async def client(client_of: Callable[..., httpx.AsyncClient]) -> AsyncIterator[httpx.AsyncClient]:
    """The secretariat."""
    async with client_of("secretariat") as http:
        yield http
