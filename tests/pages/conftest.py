"""The portfolio of November 2021 behind the pages, loaded once; and a reader of HTML for the assertions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.app import create_app, engine_of, store_of
from server.auth.tokens import Tokens
from server.load import load
from server.settings import Settings, read_settings
from tests.pages.html import Node, parse

DATA = Path(__file__).parents[2] / "mappings" / "data"
BASE = "http://registry.example/fhir"


def settings_in(folder: Path, **given: object) -> Settings:
    return read_settings(
        **{"store": f"sqlite:///{folder}/portfolio.db", "keys": folder / "keys", "base_url": BASE, **given},
        _env_file=None,
    )


def fill(folder: Path, *reports: str) -> Path:
    """A registry in this folder with these reports of mappings/data."""

    async def run() -> None:
        settings = settings_in(folder)
        store = store_of(settings)
        await store.open()
        for report in reports:
            loaded = await load(engine_of(settings, store), DATA / report)
            assert not loaded.refused
        await store.close()

    asyncio.run(run())
    return folder


@pytest.fixture(scope="session")
def portfolio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a registry with the 40 initiatives."""
    return fill(tmp_path_factory.mktemp("portfolio"), "portfolio-2021-11")


class Site:
    """A registry called over ASGI by tests that wait for its answers."""

    def __init__(self, folder: Path) -> None:
        self.settings = settings_in(folder)
        self.app = create_app(self.settings, store_of(self.settings))
        self._runner = asyncio.Runner()
        self._life = self.app.router.lifespan_context(self.app)
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self._http = httpx.AsyncClient(transport=transport, base_url="http://registry.example")
        self._http.headers["Accept-Language"] = "nb"

    def __enter__(self) -> Site:
        self._runner.run(self._life.__aenter__())
        return self

    def __exit__(self, *what: object) -> None:
        self._runner.run(self._http.aclose())
        self._runner.run(self._life.__aexit__(None, None, None))
        self._runner.close()

    def get(self, url: str, **given: Any) -> httpx.Response:
        return self._runner.run(self._http.get(url, **given))

    def post(self, url: str, resource: dict[str, Any]) -> dict[str, Any]:
        """Creates a resource as the secretariat."""
        token = Tokens.of(self.settings.keys, self.settings.base).issue("secretariat", "", timedelta(minutes=5))
        bearer = {"Authorization": f"Bearer {token}"}
        answer = self._runner.run(self._http.post(url, json=resource, headers=bearer))
        assert answer.status_code == 201, answer.text
        return answer.json()


@pytest.fixture(scope="session")
def site(portfolio: Path) -> Iterator[Site]:
    """An anonymous reader of the portfolio; nothing is written through it."""
    with Site(portfolio) as site:
        yield site


class Reader:
    """Gets pages and reads them."""

    def __init__(self, client: Site) -> None:
        self.client = client

    def __call__(self, url: str, status: int = 200, **headers: str) -> Node:
        answer = self.client.get(url, headers={name.replace("_", "-"): text for name, text in headers.items()})
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        return parse(answer.text)

    def found(self, query: str) -> list[str]:
        """The tiltaksnumre that the API finds."""
        answer = self.client.get(f"/fhir/PlanDefinition?{query}", headers={"Prefer": "handling=strict"})
        assert answer.status_code == 200, answer.text
        entries = answer.json().get("entry", [])
        return sorted(e["resource"]["identifier"][0]["value"] for e in entries if e["search"]["mode"] == "match")


@pytest.fixture
def page(site: Site) -> Reader:
    return Reader(site)
