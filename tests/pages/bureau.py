"""People at work on the pages of one registry: each with cookies of its own, filling in forms as a browser does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from server.app import create_app, store_of
from server.auth.tokens import Tokens
from server.settings import read_settings
from tests.pages.html import Node, parse

HOME = "http://127.0.0.1:8000"
C = "http://eportefolje.example/fhir"


class Person:
    """Whoever is signed in, or nobody."""

    def __init__(self, bureau: Bureau, user: str = "") -> None:
        self.bureau = bureau
        transport = httpx.ASGITransport(bureau.app, client=("127.0.0.1", 1), raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url=HOME, headers={"Accept-Language": "nb"}, timeout=60)
        if user:
            assert self.submit(self.page("/logg-inn").one("main").one("form"), user=user).status_code == 303

    def get(self, url: str, **sent: str) -> httpx.Response:
        return self.bureau.run(self.http.get(url, headers=sent))

    def page(self, url: str, status: int = 200) -> Node:
        answer = self.get(url)
        assert answer.status_code == status, answer.text
        return parse(answer.text)

    async def sent(self, form: Node, **fields: str | None) -> httpx.Response:
        """The form as it stands, with these fields in place of its own; None leaves one out."""
        filled = {name: text for name, text in (filled_in(form) | fields).items() if text is not None}
        return await self.http.post(form["action"], data=filled, headers={"Origin": HOME})

    def submit(self, form: Node, **fields: str | None) -> httpx.Response:
        return self.bureau.run(self.sent(form, **fields))


def filled_in(form: Node) -> dict[str, str | None]:
    """What a browser would send of it, but for the button."""
    found: dict[str, str | None] = {}
    for one in form.walk():
        kind = one.attributes.get("type", "")
        if one.tag == "textarea":
            found[one["name"]] = one.text
        if one.tag == "input" and (kind != "checkbox" or "checked" in one.attributes):
            found[one["name"]] = one["value"]
    return found


class Bureau:
    """The registry in `folder`."""

    def __init__(self, folder: Path) -> None:
        given = {"store": f"sqlite:///{folder}/portfolio.db", "keys": folder / "keys", "auth": "dev"}
        self.settings = read_settings(**given, _env_file=None)
        self.app = create_app(self.settings, store_of(self.settings))
        self.runner = asyncio.Runner()
        self.tokens = Tokens.of(self.settings.keys, self.settings.base)

    def run(self, work: Any) -> Any:
        async def awaited() -> Any:
            return await work

        return self.runner.run(awaited())

    def api(self, method: str, url: str, json: dict[str, Any] | None = None, role: Any = "secretariat") -> Any:
        """The JSON of an answer of the API."""
        transport = httpx.ASGITransport(self.app)
        token = self.tokens.issue(role, "", timedelta(hours=1)) if role else ""
        headers = {"Authorization": f"Bearer {token}"} if token else {}

        async def asked() -> httpx.Response:
            async with httpx.AsyncClient(transport=transport, base_url=f"{HOME}/fhir/", timeout=60) as client:
                return await client.request(method, url, json=json, headers=headers)

        answer = self.run(asked())
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def found(self, url: str, role: Any = "secretariat") -> list[dict[str, Any]]:
        return [entry["resource"] for entry in self.api("GET", url, role=role).get("entry", [])]

    def report(self, round: str, initiative: str) -> dict[str, Any]:
        (task,) = self.found(f"Task?identifier={C}/sid/statusrapport|{round}:{initiative}")
        return task

    def submit(self, round: str, initiative: str, colour: str = "gul", status: str = "completed") -> None:
        """A report, given by the secretariat in its owner's stead."""
        report = self.report(round, initiative)
        del report["businessStatus"]
        slots = [
            {"type": _coding("nep-task-io", code), "valueCodeableConcept": _coding("nep-traffic-light", said)}
            for code, said in (("status", colour), ("risiko", "gronn"))
        ]
        comment = {"type": _coding("nep-task-io", "kommentar"), "valueMarkdown": "Etter planen."}
        self.api("PUT", f"Task/{report['id']}", {**report, "status": status, "output": [*slots, comment]})


def _coding(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": f"{C}/CodeSystem/{system}", "code": code}]}


@contextmanager
def bureau_in(folder: Path) -> Iterator[Bureau]:
    bureau = Bureau(folder)
    life = bureau.app.router.lifespan_context(bureau.app)
    bureau.run(life.__aenter__())
    try:
        yield bureau
    finally:
        bureau.run(life.__aexit__(None, None, None))
        bureau.runner.close()
