"""A round of a thousand initiatives: opened in one call, closed into one edition, in each store; behind --long."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from scripts.benchmarks.synthetic import fill, portfolio
from server.app import create_app, store_of
from server.auth.tokens import Tokens
from server.editions import faults, keys_of
from server.settings import Settings, read_settings
from tests.conftest import BASE
from tests.portfolio.office import C, flag, opening, parameters
from tests.store import kinds

MANY = 1000
GROUP = f"{C}/sid/runde|2026-11"


@pytest.fixture(params=["sqlite", "motor"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    store = {"store": f"sqlite:///{tmp_path}/portfolio.db", **kinds.named(request.param, "thousand")}
    if request.param != "sqlite":
        # A unit of 1 000 resources takes SecantusDB longer than the seven seconds that an operation may take.
        store["store"] += f"{'&' if '?' in store['store'] else '?'}timeoutMS=300000"
    return read_settings(**store, keys=tmp_path / "keys", base_url=BASE, _env_file=None)


@pytest.mark.long
async def test_a_round_of_a_thousand_opens_in_one_call_and_closes_into_one_edition(settings: Settings) -> None:
    app = create_app(settings, store_of(settings))
    token = Tokens.of(settings.keys, settings.base).issue("secretariat", "", timedelta(hours=1))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url=f"{BASE}/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=None,
        ) as client,
    ):
        await fill(app.state.engine, portfolio(MANY, rounds=()))
        answer = await client.post("Task/$open-round", json=parameters(*opening("2026-11")))
        assert answer.status_code == 201, answer.text
        assert len(answer.json()["entry"]) == MANY + 1
        asked = await client.get(f"Task?group-identifier={GROUP}&status=requested&_summary=count")
        assert asked.json()["total"] == MANY
        (round,) = [one["resource"] for one in answer.json()["entry"] if "groupIdentifier" not in one["resource"]]
        closing = parameters(flag("final", True), flag("force", True))
        url = f"Task/{round['id']}/$close-round"
        answers = await asyncio.gather(*(client.post(url, json=closing) for _ in range(2)))
        assert [one.status_code for one in answers] == [200, 200]
        assert answers[0].content == answers[1].content
        stored = await client.get("Bundle/rapport-2026-11")
        assert sum(one["resource"]["resourceType"] == "PlanDefinition" for one in stored.json()["entry"]) == MANY
        keys = keys_of((await client.get(".well-known/edition-keys")).json())
        assert faults(stored.content, keys) == []
        assert (await client.get("Bundle/rapport-2026-11/_history?_count=1")).json()["total"] == 1
