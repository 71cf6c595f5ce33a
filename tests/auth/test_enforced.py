"""Scopes over HTTP: each interaction needs its letter, and a scope's search bounds search, chains, includes, history,
reads and writes alike. SMART App Launch 2.2.0, scopes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from server.app import create_app, store_of
from server.auth.tokens import Tokens
from server.settings import read_settings
from tests.conftest import BASE
from tests.http.build import FHIR, bundle, entry, plan, task

pytestmark = pytest.mark.asyncio(loop_scope="module")

KINDS = "http://x.example/kinds"
Client = Callable[..., httpx.AsyncClient]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tokens(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[FastAPI, Tokens]]:
    folder = tmp_path_factory.mktemp("enforced")
    settings = read_settings(
        store=f"sqlite:///{folder}/x.db", keys=folder / "keys", base_url=BASE, profiles="off", _env_file=None
    )
    app = create_app(settings, store_of(settings))
    async with app.router.lifespan_context(app):
        yield app, Tokens.of(settings.keys, settings.base)


@pytest_asyncio.fixture(loop_scope="module")
async def scoped(tokens: tuple[FastAPI, Tokens]) -> Client:
    """scoped("system/Task.rs"): a client of the secretariat's whose token has these scopes; scoped() without any."""
    app, issuer = tokens

    def client(scope: str | None = None) -> httpx.AsyncClient:
        claims = {} if scope is None else {"scope": scope}
        token = issuer.issue("secretariat", "", timedelta(hours=1), **claims)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        return httpx.AsyncClient(
            transport=transport, base_url=f"{BASE}/", headers={**FHIR, "Authorization": f"Bearer {token}"}
        )

    await filled(client())
    return client


def a_task(id: str, code: str, **more):
    coding = {"coding": [{"system": KINDS, "code": code}]}
    return task(id, **more) | {"id": id, "code": coding, "basedOn": [{"reference": "PlanDefinition/p"}]}


async def filled(http: httpx.AsyncClient) -> None:
    """A plan, two deliveries, a dependency; and one more plan that nothing points to."""
    resources = [
        plan("p") | {"id": "p"},
        plan("q") | {"id": "q"},
        a_task("l1", "lev"),
        a_task("l2", "lev"),
        a_task("a", "avh"),
    ]
    entries = [entry("PUT", f"{one['resourceType']}/{one['id']}", one) for one in resources]
    answer = await http.post("", json=bundle(*entries))
    assert answer.status_code == 200, answer.text


LEV = f"code={KINDS}|lev"
KNOWN = {"p", "q", "l1", "l2", "a"}
ONLY = f"system/Task.cruds?{LEV}"


@pytest.mark.parametrize(
    ("letter", "method", "url", "body"),
    [
        ("r", "GET", "Task/l1", None),
        ("r", "GET", "Task/l1/_history/1", None),
        ("r", "GET", "Task/l1/_history", None),
        ("s", "GET", "Task?code=lev", None),
        ("s", "GET", "Task/_history", None),
        ("s", "GET", "Task?_summary=count", None),
        ("s", "GET", "Task?__explain=true", None),
        ("c", "POST", "Task", task("new")),
        ("c", "PUT", "Task/new", a_task("new", "lev")),
        ("u", "PUT", "Task/l1", a_task("l1", "lev")),
        ("u", "PATCH", "Task/l1", [{"op": "test", "path": "/status", "value": "in-progress"}]),
        ("d", "DELETE", "Task/a", None),
    ],
)
async def test_each_interaction_needs_its_letter(scoped, letter, method, url, body):
    others = "".join(one for one in "cruds" if one != letter)
    kind = "application/json-patch+json" if method == "PATCH" else FHIR["Content-Type"]
    content = json.dumps(body) if body else None
    for scope in (f"system/Task.{others}", "system/PlanDefinition.cruds", ""):
        answer = await scoped(scope).request(method, url, content=content, headers={"Content-Type": kind})
        assert answer.status_code == 403, (scope, answer.text)
        assert answer.json()["issue"][0]["code"] == "forbidden"
        assert f'error="insufficient_scope", scope="system/Task.{letter}"' in answer.headers["WWW-Authenticate"]
    answer = await scoped(f"system/Task.{letter}").request(method, url, content=content, headers={"Content-Type": kind})
    assert answer.status_code in (200, 201, 204), answer.text


async def found(http: httpx.AsyncClient, url: str) -> set[str]:
    """Of those that each test finds; what another test has made is left out."""
    answer = await http.get(url)
    assert answer.status_code == 200, answer.text
    return {one["resource"]["id"] for one in answer.json().get("entry", []) if "resource" in one} & KNOWN


@pytest.mark.parametrize(
    ("scope", "query", "expected"),
    [
        ("system/*.rs", "Task?_total=accurate", {"l1", "l2", "a"}),
        (f"system/Task.s?{LEV}", "Task", {"l1", "l2"}),
        (f"system/Task.s?{LEV}", "Task?code=avh", set()),
        (f"system/Task.s?{LEV}&_id=l1", "Task", {"l1"}),
        ("system/Task.s?_id=l1 system/Task.s?code=avh", "Task", {"l1", "a"}),
        ("system/Task.s?nonsense=x", "Task", set()),
        # A chain or _has leads only to what may be searched.
        ("system/Task.s", "Task?based-on:PlanDefinition.name=p", set()),
        ("system/Task.s system/PlanDefinition.s?name=q", "Task?based-on:PlanDefinition.name=p", set()),
        ("system/Task.s system/PlanDefinition.s?name=p", "Task?based-on:PlanDefinition.name=p", {"l1", "l2", "a"}),
        ("system/PlanDefinition.s", "PlanDefinition?_has:Task:based-on:code=lev", set()),
        ("system/PlanDefinition.s system/Task.s?code=avh", "PlanDefinition?_has:Task:based-on:code=lev", set()),
        (f"system/PlanDefinition.s system/Task.s?{LEV}", "PlanDefinition?_has:Task:based-on:code=lev", {"p"}),
        # What is included must be readable.
        ("system/Task.s", "Task?_id=l1&_include=Task:based-on", {"l1"}),
        ("system/Task.s system/PlanDefinition.r", "Task?_id=l1&_include=Task:based-on", {"l1", "p"}),
        ("system/Task.s system/PlanDefinition.r?name=q", "Task?_id=l1&_include=Task:based-on", {"l1"}),
        (f"system/PlanDefinition.s system/Task.r?{LEV}", "PlanDefinition?_id=p&_revinclude=Task:based-on",
         {"p", "l1", "l2"}),
        # The histories.
        (f"system/Task.s?{LEV}", "Task/_history", {"l1", "l2"}),
        (f"system/Task.s?{LEV} system/PlanDefinition.s?name=q", "_history", {"l1", "l2", "q"}),
    ],
)  # fmt: skip
async def test_a_scope_bounds_whatever_is_found(scoped, scope, query, expected):
    assert await found(scoped(scope), query) == expected


async def test_a_total_counts_what_the_scope_leaves(scoped):
    answer = await scoped(f"system/Task.s?{LEV}").get("Task?_id=l1,l2,a&_summary=count")
    assert answer.json()["total"] == 2


async def test_what_is_found_is_what_can_be_read(scoped):
    http = scoped(f"system/Task.rs?{LEV}")
    readable = {id for id in ("l1", "l2", "a") if (await http.get(f"Task/{id}")).status_code == 200}
    assert readable == await found(http, "Task") == {"l1", "l2"}
    assert (await http.get("Task/a")).status_code == 404
    assert (await http.get("Task/a/_history/1")).status_code == 404


@pytest.mark.parametrize(
    ("method", "url", "body", "status"),
    [
        ("PUT", "Task/l1", a_task("l1", "lev", priority="urgent"), 200),
        ("PUT", "Task/a", a_task("a", "avh", priority="urgent"), 403),  # not within, before
        ("PUT", "Task/l1", a_task("l1", "avh"), 403),  # not within, after
        ("PUT", "Task/a", a_task("a", "lev"), 403),
        ("PUT", "Task/b1", a_task("b1", "lev"), 201),
        ("PUT", "Task/b2", a_task("b2", "avh"), 403),
        ("DELETE", "Task/a", None, 403),
        ("DELETE", "Task/l2", None, 204),
    ],
)
async def test_a_scope_bounds_whatever_is_written(scoped, method, url, body, status):
    answer = await scoped(ONLY).request(method, url, content=json.dumps(body) if body else None)
    assert answer.status_code == status, answer.text


async def test_a_transaction_is_bounded_entry_by_entry_and_nothing_of_it_is_written(scoped):
    entries = [entry("PUT", f"Task/{id}", a_task(id, code)) for id, code in (("t1", "lev"), ("t2", "avh"))]
    answer = await scoped(ONLY).post("", json=bundle(*entries))
    assert answer.status_code == 403
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[1]"]
    assert (await scoped().get("Task/t1")).status_code == 404


async def test_a_create_that_finds_what_is_there_shows_it_to_those_who_may_read_it(scoped):
    condition = {"If-None-Exist": "_id=a"}
    body = json.dumps(task("again"))
    hidden = await scoped("system/Task.c system/Task.r?code=lev").post("Task", content=body, headers=condition)
    assert hidden.status_code == 403
    shown = await scoped("system/Task.cr").post("Task", content=body, headers=condition)
    assert (shown.status_code, shown.json()["id"]) == (200, "a")


async def test_a_reference_needs_no_scope_of_its_target(scoped):
    """Else a client that reports Tasks alone could report none: each is based on an initiative."""
    answer = await scoped("system/Task.c").put("Task/r1", content=json.dumps(a_task("r1", "lev")))
    assert answer.status_code == 201


async def test_scopes_give_no_right_that_the_role_has_not(tokens, scoped):
    app, issuer = tokens
    token = issuer.issue("reader", "", timedelta(hours=1), scope="system/*.cruds")
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=f"{BASE}/") as http:
        headers = {**FHIR, "Authorization": f"Bearer {token}"}
        assert (await http.put("Task/l1", content=json.dumps(a_task("l1", "lev")), headers=headers)).status_code == 403
