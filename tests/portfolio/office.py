"""The secretariat's office in tests: a registry with the portfolio under enforce, and its operations called by name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx

from server.app import create_app, store_of
from server.auth.tokens import Tokens
from tests.conftest import BASE
from tests.portfolio.registry import settings_in

C = "http://eportefolje.example/fhir"
FORM = f"{C}/Questionnaire/nep-status-report|1.0.0"
Resource = dict[str, Any]
T = TypeVar("T")


class Office:
    """Calls over ASGI; `secretariat` is the caller unless another client is named."""

    def __init__(self, runner: asyncio.Runner, app: Any, tokens: Tokens) -> None:
        self._runner = runner
        self._app = app
        self._tokens = tokens
        self.secretariat = self.client("secretariat")
        self.anonymous = self.client("")

    def client(self, role: Any, actor: str = "") -> httpx.AsyncClient:
        headers = {}
        if role:
            headers["Authorization"] = f"Bearer {self._tokens.issue(role, actor, timedelta(hours=1))}"
        transport = httpx.ASGITransport(self._app)
        return httpx.AsyncClient(transport=transport, base_url=f"{BASE}/", headers=headers, timeout=60)

    def run(self, work: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await work

        return self._runner.run(awaited())

    def call(self, url: str, *rows: Resource, by: httpx.AsyncClient | None = None) -> httpx.Response:
        return self.run((by or self.secretariat).post(url, json=parameters(*rows)))

    def get(self, url: str, by: httpx.AsyncClient | None = None) -> Resource:
        answer = self.run((by or self.secretariat).get(url))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def put(self, resource: Resource, by: httpx.AsyncClient | None = None) -> httpx.Response:
        url = f"{resource['resourceType']}/{resource['id']}"
        return self.run((by or self.secretariat).put(url, json=resource))

    def found(self, url: str, by: httpx.AsyncClient | None = None) -> list[Resource]:
        return [entry["resource"] for entry in self.get(url, by).get("entry", [])]

    def round(self, number: str) -> Resource:
        (task,) = self.found(f"Task?identifier={C}/sid/runde|{number}")
        return task

    def report(self, number: str, initiative: str) -> Resource:
        (task,) = self.found(f"Task?identifier={C}/sid/statusrapport|{number}:{initiative}")
        return task

    def open(self, number: str, *rows: Resource) -> httpx.Response:
        return self.call("Task/$open-round", *opening(number), *rows)

    def close(self, number: str, *rows: Resource, final: bool = True) -> httpx.Response:
        return self.call(f"Task/{self.round(number)['id']}/$close-round", flag("final", final), *rows)

    def submit(self, number: str, initiative: str, colour: str = "gul") -> Resource:
        """The report as submitted by the secretariat in its owner's stead."""
        report = self.report(number, initiative)
        slots = [("status", colour), ("risiko", "gronn")]
        report["output"] = [output(*slot) for slot in slots] + [
            {"type": {"coding": [{"system": f"{C}/CodeSystem/nep-task-io", "code": "kommentar"}]}, "valueMarkdown": "…"}
        ]
        report["status"] = "completed"
        del report["businessStatus"]
        answer = self.put(report)
        assert answer.status_code == 200, answer.text
        return answer.json()


def output(code: str, colour: str) -> Resource:
    return {
        "type": {"coding": [{"system": f"{C}/CodeSystem/nep-task-io", "code": code}]},
        "valueCodeableConcept": {"coding": [{"system": f"{C}/CodeSystem/nep-traffic-light", "code": colour}]},
    }


def parameters(*rows: Resource) -> Resource:
    return {"resourceType": "Parameters", "parameter": list(rows)}


def flag(name: str, value: bool) -> Resource:
    return {"name": name, "valueBoolean": value}


def text(name: str, value: str) -> Resource:
    return {"name": name, "valueString": value}


def identifier(name: str, sid: str, value: str) -> Resource:
    return {"name": name, "valueIdentifier": {"system": f"{C}/sid/{sid}", "value": value}}


def opening(number: str, title: str = "November 2026", end: str = "2026-11-30") -> list[Resource]:
    return [
        identifier("round", "runde", number),
        text("title", title),
        {"name": "period", "valuePeriod": {"start": "2026-11-01", "end": end}},
        {"name": "questionnaire", "valueCanonical": FORM},
    ]


@contextmanager
def office_in(folder: Path) -> Iterator[Office]:
    settings = settings_in(folder)
    app = create_app(settings, store_of(settings))
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(_entered(lifespan))
        try:
            yield Office(runner, app, Tokens.of(settings.keys, settings.base))
        finally:
            runner.run(_left(lifespan))


async def _entered(lifespan: Any) -> None:
    await lifespan.__aenter__()


async def _left(lifespan: Any) -> None:
    await lifespan.__aexit__(None, None, None)
