"""A server killed in the middle of closing a round leaves one edition or none, and closing again makes it whole."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.editions import faults, keys_of
from tests.portfolio.office import C, flag, opening, parameters, text
from tests.portfolio.sheets import REPORT
from tests.real.process import Installation, stop

# Of the time that a preview takes, which does all of a closing but its commit.
SHARES = (0.8, 1.0, 1.2)
ROUND = f"Task?code=rapporteringsrunde&identifier={C}/sid/runde|"
REPORTS = f"Task?code=statusrapport&_count=100&group-identifier={C}/sid/runde|"


@pytest.fixture
def office(tmp_path: Path) -> Installation:
    installation = Installation(tmp_path, PROFILES="enforce")
    status, output = installation.invoke("load", "--quiet", str(REPORT))
    assert status == 0, output
    return installation


async def found(client: httpx.AsyncClient, url: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in (await client.get(url)).raise_for_status().json().get("entry", [])]


async def standing(client: httpx.AsyncClient, number: str) -> tuple[bool, dict[str, Any]]:
    """Whether the round is closed, and the round; what is half of either is a failure."""
    (round,) = await found(client, f"{ROUND}{number}")
    edition = await client.get(f"Bundle/rapport-{number}")
    figures = await found(client, f"MeasureReport?_id=rapport-{number}-nep-m-status")
    states = {report["status"] for report in await found(client, f"{REPORTS}{number}")}
    closed = round["status"] == "completed"
    assert (edition.status_code, states) == ((200, {"cancelled"}) if closed else (404, {"requested"}))
    assert bool(figures) is closed
    return closed, round


async def opened(client: httpx.AsyncClient, number: str) -> str:
    """The URL of the round's closing."""
    rows = [*opening(number, title=number), text("initiatives", "context=samstyre")]
    answer = await client.post("Task/$open-round", json=parameters(*rows))
    assert answer.status_code == 201, answer.text
    closed, round = await standing(client, number)
    assert not closed
    return f"Task/{round['id']}/$close-round"


async def test_a_kill_while_a_round_is_closed_leaves_one_edition_or_none(office: Installation) -> None:
    process = office.serve()
    closing = parameters(flag("final", True), flag("force", True))
    try:
        for place, share in enumerate(SHARES, 1):
            number = f"2026-{place:02}"
            async with office.client() as client:
                url = await opened(client, number)
                began = time.monotonic()
                (await client.post(url, json=parameters(flag("final", False)))).raise_for_status()
                took = time.monotonic() - began
                sent = asyncio.create_task(client.post(url, json=closing))
                await asyncio.sleep(took * share)
                process.kill()
                answer = (await asyncio.gather(sent, return_exceptions=True))[0]
                process.communicate()
            process = office.serve()
            async with office.client() as client:
                closed, _ = await standing(client, number)
                acknowledged = isinstance(answer, httpx.Response) and answer.status_code == 200
                assert closed or not acknowledged
                again = await client.post(url, json=closing)
                assert again.status_code == 200, again.text
                assert (await standing(client, number))[0]
                stored = await client.get(f"Bundle/rapport-{number}")
                assert (await client.get(f"Bundle/rapport-{number}/_history")).json()["total"] == 1
                keys = keys_of((await client.get(".well-known/edition-keys")).json())
                assert faults(stored.content, keys) == []
    finally:
        stop(process)
    status, output = office.run("check")
    assert (status, output.splitlines()[-1]) == (0, "No faults.")
