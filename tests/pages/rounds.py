"""Autumn 2023 in tests of pages: the round is open, everyone is asked, and EPJ-løftet's own report has come."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

import mappings
from server.auth.tokens import Tokens
from server.resource import encode
from tests.pages.conftest import DATA, fill
from tests.pages.test_signin import Browser
from tests.portfolio.office import FORM, C, Resource, identifier, output, parameters, text

E_HEALTH, HELSE_VEST = "915933149", "983658725"
FHIR = {"Content-Type": "application/fhir+json"}


class People(Browser):
    """Several people at one registry: `people.of("secretariat")` is the browser of one, signed in once."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._clients = {"": self.http}

    def __exit__(self, *what: object) -> None:
        for client in self._clients.values():
            self._runner.run(client.aclose())
        super().__exit__(*what)

    def of(self, user: str = "") -> People:
        """The same, as "secretariat", "reporter:983658725", "reader", or anonymous."""
        if user not in self._clients:
            transport = httpx.ASGITransport(self.app, client=("127.0.0.1", 1), raise_app_exceptions=False)
            headers = {"Accept-Language": "nb"}
            self._clients[user] = httpx.AsyncClient(transport=transport, base_url=self.home, headers=headers)
            self.http = self._clients[user]
            assert self.sign_in(user).status_code == 303
        self.http = self._clients[user]
        return self

    def fhir(self, method: str, url: str, resource: Resource | None = None, *, actor: str = "") -> Resource:
        """A request to the API, as the secretariat or as that organisation."""
        role: Any = "reporter" if actor else "secretariat"
        token = Tokens.of(self.settings.keys, self.settings.base).issue(role, actor, timedelta(minutes=5))
        sent = {"Authorization": f"Bearer {token}", **FHIR}
        content = encode(resource) if resource is not None else None
        answer = self._runner.run(self._clients[""].request(method, f"/fhir/{url}", content=content, headers=sent))
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def found(self, url: str) -> list[Resource]:
        return [entry["resource"] for entry in self.fhir("GET", url).get("entry", [])]

    def report(self, number: str, initiative: str) -> Resource:
        (task,) = self.found(f"Task?identifier={C}/sid/statusrapport|{number}:{initiative}")
        return task

    def send(self, number: str, initiative: str, *, actor: str = "", colour: str = "gul") -> Resource:
        """The report with a colour, sent by that organisation or in its owner's stead."""
        report = self.report(number, initiative)
        comment = {"type": {"coding": [{"system": f"{C}/CodeSystem/nep-task-io", "code": "kommentar"}]}}
        report["output"] = [output("status", colour), output("risiko", "gronn"), {**comment, "valueMarkdown": "Ny."}]
        report["status"] = "completed"
        del report["businessStatus"]
        return self.fhir("PUT", f"Task/{report['id']}", report, actor=actor)


def autumn(portfolio: Path, to: Path) -> Path:
    """A copy of the registry with the portfolio of 2021, in which the round of 2023 asks everyone."""
    folder = Path(shutil.copytree(portfolio, to / "copy"))
    fill(folder, "round-2023-09.json")
    with People(folder) as people:
        (plan,) = people.found(f"PlanDefinition?identifier={C}/sid/tiltaksnummer|NEP-0012")
        report = mappings.read_report(DATA / "epj-loftet-2023-09")
        pushed = mappings.push(report, plan, canonical=C, own="https://ehelse.example/sid")
        people.fhir("POST", "", pushed.bundle, actor=E_HEALTH)
        opening = parameters(
            identifier("round", "runde", "2023-09"),
            text("title", "September 2023"),
            {"name": "period", "valuePeriod": {"start": "2023-09-01", "end": "2023-09-30"}},
            {"name": "questionnaire", "valueCanonical": FORM},
        )
        people.fhir("POST", "Task/$open-round", opening)
        people.send("2023-09", "NEP-0025", actor=HELSE_VEST, colour="rod")
    return folder


@contextmanager
def copied(folder: Path, to: Path) -> Iterator[People]:
    """People at a copy of a registry, for a test that writes."""
    with People(Path(shutil.copytree(folder, to / "copy"))) as people:
        yield people
