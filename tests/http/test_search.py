"""Search over HTTP: what is shown, how it is paged, what is refused. The matching itself: tests/store, tests/search."""

from __future__ import annotations

import pytest

from tests.http.build import FHIR, SID, bundle, entry, link, names, organization, plan, task

STRICT = {"Prefer": "handling=strict"}


@pytest.fixture
async def portfolio(client):
    """Two initiatives of one actor; five tasks of the first."""
    entries = [
        entry("PUT", "Organization/actor", organization("actor") | {"id": "actor"}),
        entry("PUT", "PlanDefinition/p1", plan("p1") | {"id": "p1"}),
        entry("PUT", "PlanDefinition/p2", plan("p2", status="retired") | {"id": "p2"}),
    ]
    for number, name in enumerate("abcde"):
        done = {"status": "completed" if number % 2 else "ready", "authoredOn": f"2021-11-0{number + 1}"}
        links = {"basedOn": [{"reference": "PlanDefinition/p1"}], "owner": {"reference": "Organization/actor"}}
        entries.append(entry("PUT", f"Task/{name}", task(name, **done, **links) | {"id": name}))
    answer = await client.post("", json=bundle(*entries), headers=FHIR)
    assert answer.status_code == 200, answer.text


async def get(client, url, **headers):
    answer = await client.get(url, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.usefixtures("portfolio")
class TestSearch:
    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("status=completed", "db"),
            ("status=completed,ready&_sort=authored-on", "abcde"),
            ("_sort=-authored-on", "edcba"),
            ("_sort=status,-authored-on", "dbeca"),
            ("authored-on=gt2021-11-03&_sort=_id", "de"),
            ("_id=a,c&_sort=_id", "ac"),
            ("based-on=PlanDefinition/p1&status:not=ready&_sort=_id", "bd"),
            ("based-on:PlanDefinition.title=p1&_sort=_id", "abcde"),
            ("based-on:PlanDefinition.status=retired", ""),
            ("owner.name=act&_sort=_id&_count=2", "ab"),
            ("owner:Organization=actor&_sort=_id", "abcde"),
            ("owner=http://registry.example/fhir/Organization/actor&_sort=_id", "abcde"),
            ("period:missing=true&_sort=_id", "abcde"),
            ("authored-on:missing=true", ""),
        ],
    )
    async def test_matches(self, client, query, found):
        assert names(await get(client, f"Task?{query}", **STRICT)) == list(found)

    async def test_has(self, client):
        assert names(await get(client, "PlanDefinition?_has:Task:based-on:status=completed")) == ["p1"]
        assert names(await get(client, "Organization?_has:Task:owner:based-on:PlanDefinition.status=active")) == [
            "actor"
        ]

    async def test_post_search_is_get_search(self, client):
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await client.post("Task/_search?_sort=_id", content="status=completed", headers=form)
        assert names(answer.json()) == ["b", "d"]

    async def test_include_and_revinclude(self, client):
        answer = await get(client, "PlanDefinition?_id=p1&_revinclude=Task:based-on&_include:iterate=Task:owner")
        modes = {
            e["fullUrl"].rsplit("/", 2)[1] + "/" + e["resource"]["id"]: e["search"]["mode"] for e in answer["entry"]
        }
        assert modes == {"PlanDefinition/p1": "match", **{f"Task/{n}": "include" for n in "abcde"},
                         "Organization/actor": "include"}  # fmt: skip
        assert answer["total"] == 1

    async def test_an_include_is_never_a_match_again(self, client):
        answer = await get(client, "Task?_include=Task:*&_include=Task:owner")
        ids = [e["fullUrl"] for e in answer["entry"]]
        assert len(ids) == len(set(ids)) == 7

    async def test_pages_are_of_one_instant(self, client):
        page = await get(client, "Task?_count=2&_sort=status&_total=accurate")
        seen = names(page)
        for change in ("a", "e"):
            await client.delete(f"Task/{change}")
        await client.post("Task", json=task("new", status="ready"), headers=FHIR)
        while url := link(page, "next"):
            page = await get(client, url)
            assert page["total"] == 5
            seen += names(page)
        assert sorted(seen) == list("abcde")
        assert names(await get(client, link(page, "first")))[:2] == seen[:2]

    async def test_the_self_link_says_what_was_used(self, client):
        answer = await get(client, "Task?status=ready&colour=red&_count=9999&identifier=" + SID + "/task|a")
        assert link(answer, "self").endswith(f"Task?status=ready&_count=500&identifier={SID}/task%7Ca")
        remark = answer["entry"][-1]
        assert remark["search"]["mode"] == "outcome"
        assert remark["resource"]["issue"][0]["expression"] == ["colour"]
        assert names(answer) == ["a"]

    @pytest.mark.parametrize(
        ("query", "total"),
        [
            ("status=ready", 3),
            ("_count=2", None),
            ("_count=2&_total=accurate", 5),
            ("_summary=count", 5),
            ("_count=0", 5),
        ],
    )
    async def test_total(self, client, query, total):
        assert (await get(client, f"Task?{query}")).get("total") == total

    async def test_count_only_has_no_entries(self, client):
        assert "entry" not in await get(client, "Task?_summary=count")

    async def test_elements_and_summary(self, client):
        some = (await get(client, "Task?_id=a&_elements=status,intent"))["entry"][0]["resource"]
        assert set(some) == {"resourceType", "id", "meta", "status", "intent"}
        assert some["meta"]["tag"][-1]["code"] == "SUBSETTED"
        summary = (await get(client, "PlanDefinition?_id=p1&_summary=true"))["entry"][0]["resource"]
        assert summary["title"] == "p1"
        data = (await get(client, "PlanDefinition?_id=p1&_summary=data"))["entry"][0]["resource"]
        assert "text" not in data
        assert data["title"] == "p1"

    async def test_explain_shows_the_plan(self, client):
        answer = await get(client, "Task?status=ready&__explain=true")
        assert answer["resourceType"] == "OperationOutcome"
        assert any("Task.status" in issue["diagnostics"] for issue in answer["issue"])


@pytest.mark.parametrize(
    "query",
    [
        "status:exact=ready",
        "status:colour=red",
        "title:not=a",
        "authored-on=01.01.2021",
        "authored-on=2021-13-01",
        "authored-on:missing=maybe",
        "status=",
        "status=ready,",
        "identifier=a|b|c",
        "owner:Patient.name=x",
        "status.code=x",
        "_sort=context-type-value",
        "_count=-1",
        "_count=many",
        "_total=roughly",
        "_summary=some",
        "_include=Task",
        "_include=Task:status",
        "_include=PlanDefinition:owner",
        "_include:deep=Task:owner",
        "_revinclude=Patient:x",
        "_page=abc",
        "_has:Task:based-on=x",
        "_has:Patient:x:y=z",
        "_has:Task:owner:status=x",
        "_contained=true",
    ],
)
async def test_what_is_not_understood_is_refused_even_when_lenient(client, query):
    kind = (
        "PlanDefinition" if "context-type" in query or "title" in query or query.startswith("_has:Task:o") else "Task"
    )
    answer = await client.get(f"{kind}?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    "query",
    ["colour=red", "_text=x", "owner.colour=red", "_sort=colour", "_has:Task:based-on:colour=x", "patient.name=x"],
)
async def test_an_unknown_parameter_is_refused_when_strict_and_named_when_not(client, query):
    kind = "PlanDefinition" if query.startswith("_has") else "Task"
    assert (await client.get(f"{kind}?{query}", headers=STRICT)).status_code == 400
    lenient = await client.get(f"{kind}?{query}")
    assert lenient.status_code == 200, lenient.text
    assert lenient.json()["entry"][0]["search"]["mode"] == "outcome"
    assert link(lenient.json(), "self").endswith(f"/{kind}")


async def test_escapes(client):
    for name in ("a,b", "a$b", "a|b", "a\\b", "ab"):
        await client.post("Organization", json=organization(name), headers=FHIR)
    for name, written in (("a,b", "a\\,b"), ("a$b", "a\\$b"), ("a|b", "a\\|b"), ("a\\b", "a\\\\b")):
        answer = await client.get("Organization", params={"name:exact": written})
        assert names(answer.json()) == [name]
        answer = await client.get("Organization", params={"identifier": f"{SID}/org|{written}"})
        assert names(answer.json()) == [name]
    assert len(names((await client.get("Organization", params={"name": "a\\,b,a\\|b"})).json())) == 2
