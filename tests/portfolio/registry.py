"""A registry called over ASGI by tests that only look: no network, and no await in their sentences."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from server.app import create_app, engine_of, store_of
from server.auth.tokens import Tokens
from server.load import Loaded, load
from server.settings import Settings, read_settings
from tests.conftest import BASE
from tests.http.build import FHIR, link

Resource = dict[str, Any]


class Registry:
    """The store in `folder`, as one caller sees it: the secretariat, unless `seen_by` says who."""

    def __init__(self, runner: asyncio.Runner, client: httpx.AsyncClient, tokens: Tokens, role: str, org: str) -> None:
        self._runner = runner
        self._client = client
        self._tokens = tokens
        token = tokens.issue(role, org, timedelta(hours=1)) if role else ""
        self._caller = {"Authorization": f"Bearer {token}"} if token else {}

    def seen_by(self, role: str, organization: str = "") -> Registry:
        """The same for another caller; "" for an anonymous one."""
        return Registry(self._runner, self._client, self._tokens, role, organization)

    def get(self, url: str) -> Resource:
        """The answer's JSON. An unknown parameter is an error, so that no condition is left out unseen."""
        answer = self._runner.run(self._client.get(url, headers={"Prefer": "handling=strict", **self._caller}))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def send(self, method: str, url: str, resource: Resource) -> Resource:
        answer = self._runner.run(self._client.request(method, url, json=resource, headers={**FHIR, **self._caller}))
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def answer(self, method: str, url: str, **more: Any) -> httpx.Response:
        """Whatever the answer is: for what is refused, and for other callers than the secretariat."""
        return self._runner.run(self._client.request(method, url, **more))

    def pages(self, search: str, count: int = 50) -> list[Resource]:
        """All pages of a search, following `next`."""
        found = [self.get(f"{search}{'&' if '?' in search else '?'}_count={count}")]
        while url := link(found[-1], "next"):
            found.append(self.get(url))
        return found

    def pages_of(self, resource_type: str, pairs: list[tuple[str, str]]) -> list[Resource]:
        """The same for parameters that are not yet written as a URL."""
        found = [self.get(f"{resource_type}?{httpx.QueryParams(pairs)}")]
        while url := link(found[-1], "next"):
            found.append(self.get(url))
        return found

    def matches(self, search: str, count: int = 50) -> list[Resource]:
        return [resource for page in self.pages(search, count) for resource in of_mode(page, "match")]

    def included(self, search: str) -> list[Resource]:
        return [resource for page in self.pages(search) for resource in of_mode(page, "include")]

    def total(self, search: str) -> int:
        """How many match, without any of them being sent."""
        answer = self.get(f"{search}{'&' if '?' in search else '?'}_summary=count")
        assert "entry" not in answer
        return answer["total"]


def of_mode(page: Resource, mode: str) -> list[Resource]:
    return [entry["resource"] for entry in page.get("entry", []) if entry["search"]["mode"] == mode]


def settings_in(folder: Path, profiles: str = "enforce", **store: str) -> Settings:
    return read_settings(
        **{"store": f"sqlite:///{folder}/portfolio.db", **store},
        keys=folder / "keys",
        base_url=BASE,
        profiles=profiles,
        _env_file=None,
    )


def loaded(folder: Path, *paths: Path, round: str | None = None) -> list[Loaded]:
    """What `python -m server load` does, in this process: each path into the store in `folder`."""
    settings = settings_in(folder)

    async def run() -> list[Loaded]:
        store = store_of(settings)
        await store.open()
        try:
            engine = engine_of(settings, store)
            return [await load(engine, path, round=round) for path in paths]
        finally:
            await store.close()

    return asyncio.run(run())


@contextmanager
def registry_in(folder: Path, profiles: str = "off", **store: str) -> Iterator[Registry]:
    """Profiles are off by default: what tests add is about search, it is bare, and no profile of ours would take it.
    `store`: of the settings, what names another than the one in `folder`."""
    settings = settings_in(folder, profiles, **store)
    app = create_app(settings, store_of(settings))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"{BASE}/")
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(_entered(lifespan))
        try:
            yield Registry(runner, client, Tokens.of(settings.keys, settings.base), "secretariat", "")
        finally:
            runner.run(_left(lifespan, client))


async def _entered(lifespan: Any) -> None:
    await lifespan.__aenter__()


async def _left(lifespan: Any, client: httpx.AsyncClient) -> None:
    await client.aclose()
    await lifespan.__aexit__(None, None, None)
