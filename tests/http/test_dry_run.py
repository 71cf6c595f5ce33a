"""X-Dry-Run: true, and $check: what a push would do, entry by entry, and nothing is done."""

from __future__ import annotations

import json

import pytest

import mappings
from server.load import load
from server.settings import read_settings
from tests.conftest import BASE
from tests.http.build import FHIR, SID, bundle, entry, organization, plan, task
from tests.mappings.conftest import CANONICAL, DATA

DRY = {**FHIR, "X-Dry-Run": "true"}


async def tried(client, *entries, type="transaction", **headers):
    answer = await client.post("", json=bundle(*entries, type=type), headers={**DRY, **headers})
    assert answer.status_code == 200, answer.text
    assert answer.json()["type"] == f"{type}-response"
    return answer.json()["entry"]


def said(answer):
    """(status, the word, the other issues) of an entry."""
    first, *rest = answer["response"]["outcome"]["issue"]
    return answer["response"]["status"], first["details"]["coding"][0]["code"], rest


def changed(answer):
    return {one["expression"][0]: one["diagnostics"] for one in said(answer)[2] if "details" in one}


async def test_each_entry_says_what_would_become_of_it(client):
    for name in "abcd":
        await client.put(f"Task/{name}", json=task(name) | {"id": name}, headers=FHIR)
    answers = await tried(
        client,
        entry("POST", "Task", task("new")),
        entry("PUT", "Task/a", task("a") | {"id": "a"}),
        entry("PUT", "Task/b", task("b", status="completed") | {"id": "b"}),
        entry("DELETE", "Task/c"),
        entry("POST", "Task", task("d"), ifNoneExist=f"identifier={SID}/task|d"),
        entry("GET", "Task/a"),
    )
    assert [said(answer)[:2] for answer in answers[:5]] == [
        ("201", "created"), ("200", "unchanged"), ("200", "updated"), ("204", "deleted"), ("200", "unchanged"),
    ]  # fmt: skip
    assert changed(answers[2]) == {"Task.status": '"in-progress" → "completed"'}
    assert answers[5]["response"]["status"] == "200"


async def test_changes_name_the_element_its_value_before_and_after(client):
    stood = task("a", note=[{"text": "one"}, {"text": "two"}], description="x", priority="routine") | {"id": "a"}
    await client.put("Task/a", json=stood, headers=FHIR)
    after = {**stood, "note": [{"text": "zero"}, {"text": "one"}, {"text": "2"}], "language": "nb"}
    after["code"] = {"text": "b"}
    del after["description"]
    (answer,) = await tried(client, entry("PUT", "Task/a", after))
    assert changed(answer) == {
        "Task.language": '– → "nb"',
        "Task.description": '"x" → –',
        "Task.code.text": '"a" → "b"',
        "Task.note[0].text": '"one" → "zero"',
        "Task.note[1].text": '"two" → "one"',
        "Task.note[2]": '– → {"text":"2"}',
    }
    one_more = {**stood, "note": [{"text": "zero"}, {"text": "one"}, {"text": "two"}]}
    (answer,) = await tried(client, entry("PUT", "Task/a", one_more))
    assert changed(answer) == {"Task.note[0]": '– → {"text":"zero"}'}


async def test_a_faulty_transaction_answers_for_every_entry(client):
    await client.put("PlanDefinition/p", json=plan("p") | {"id": "p"}, headers=FHIR)
    await client.put("Task/t", json=task("t", basedOn=[{"reference": "PlanDefinition/p"}]) | {"id": "t"}, headers=FHIR)
    answers = await tried(
        client,
        entry("POST", "Task", task("right")),
        entry("POST", "Task", task("wrong", status="finished")),
        entry("POST", "Task", task("lost", owner={"reference": "Organization/nobody"})),
        entry("PUT", "Task/x", task("misplaced")),
        entry("DELETE", "PlanDefinition/p"),
        entry("DELETE", "PlanDefinition/never"),
        entry("PUT", "Nonsense/7", task("y")),
        entry("PUT", "Task/7", task("y") | {"id": "7"}, ifMatch='W/"3"'),
    )
    assert [said(answer)[:2] for answer in answers] == [
        ("201", "created"), ("422", "refused"), ("422", "refused"), ("400", "refused"), ("409", "refused"),
        ("204", "unchanged"), ("404", "refused"), ("412", "refused"),
    ] or [said(answer)[0] for answer in answers]  # fmt: skip
    places = [said(answer)[2][0].get("expression", [""])[0] for answer in answers]
    assert places[1:4] == [
        "Bundle.entry[1].resource.status",
        "Bundle.entry[2].resource.owner",
        "Bundle.entry[3].resource.id",
    ]
    assert "whole" in said(answers[0])[2][0]["diagnostics"]
    assert "Task/t" in said(answers[4])[2][0]["diagnostics"]


async def test_entries_that_depend_on_a_faulty_one_are_not_blamed(client):
    a = "urn:uuid:11111111-1111-4111-8111-111111111111"
    answers = await tried(
        client,
        entry("POST", "Organization", organization("a", active="yes"), fullUrl=a),
        entry("POST", "Task", task("t", owner={"reference": a})),
    )
    assert [said(answer)[1] for answer in answers] == ["refused", "created"]


async def test_the_same_thing_twice_is_refused_where_it_comes_again(client):
    answers = await tried(
        client,
        entry("PUT", "Task/a", task("a") | {"id": "a"}),
        entry("PUT", "Task/a", task("b") | {"id": "a"}),
    )
    assert [said(answer)[:2] for answer in answers] == [("201", "created"), ("400", "refused")]


async def test_a_batch_is_tried_entry_by_entry(client):
    answers = await tried(
        client,
        entry("POST", "Task", task("right")),
        entry("POST", "Task", task("wrong", status="finished")),
        type="batch",
    )
    assert [said(answer)[:2] for answer in answers] == [("201", "created"), ("422", "refused")]
    assert said(answers[0])[2] == []


async def test_nothing_is_written_not_even_a_number(client, app):
    await client.put("Task/a", json=task("a") | {"id": "a"}, headers=FHIR)
    store = app.state.engine.store
    before, counts = await store.moment(), (await store.check(app.state.engine.indexer.indexed))[0]
    for type in ("transaction", "batch"):
        await tried(
            client,
            entry("PUT", "Task/a", task("a", status="completed", owner={"reference": "Organization/o"}) | {"id": "a"}),
            entry("PUT", "Organization/o", organization("o") | {"id": "o"}),
            type=type,
        )
    assert await store.moment() == before
    assert (await store.check(app.state.engine.indexer.indexed))[0] == counts
    made = await client.post("Task", json=task("b"), headers=FHIR)
    assert made.status_code == 201
    assert (await store.moment()).sequence == before.sequence + 1
    assert (await store.check(app.state.engine.indexer.indexed))[1] == []


async def test_the_resource_as_it_would_stand_comes_when_asked_for(client):
    (answer,) = await tried(client, entry("POST", "Task", task("a")), Prefer="return=representation")
    assert answer["resource"]["code"]["text"] == "a"
    (answer,) = await tried(client, entry("POST", "Task", task("a")))
    assert "resource" not in answer


async def test_check_answers_the_same_from_a_bundle_or_parameters(client):
    sent = bundle(entry("POST", "Task", task("a")), entry("POST", "Task", task("b", status="finished")))
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": sent}]}
    for body in (sent, parameters):
        answer = (await client.post("$check", json=body, headers=FHIR)).json()
        assert [said(one)[1] for one in answer["entry"]] == ["created", "refused"]
    refused = await client.post("$check", json=task("a"), headers=FHIR)
    assert (refused.status_code, refused.json()["issue"][0]["expression"]) == (400, ["Bundle.type"])


async def test_rights_hold_in_a_dry_run(client_of):
    async with client_of() as anonymous:
        (answer,) = await tried(anonymous, entry("POST", "Task", task("a")))
        assert said(answer)[:2] == ("401", "refused")


@pytest.mark.parametrize(
    ("method", "url"), [("POST", "Task"), ("PUT", "Task/a"), ("PATCH", "Task/a"), ("DELETE", "Task/a")]
)
async def test_a_single_write_is_never_tried_out(client, method, url):
    """A client that believes it is trying must not write."""
    answer = await client.request(method, url, json=task("a") | {"id": "a"}, headers=DRY)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "not-supported")
    assert (await client.get("Task?_total=accurate")).json()["total"] == 0


async def test_a_header_that_is_neither_true_nor_false_writes_nothing(client):
    answer = await client.post("", json=bundle(entry("POST", "Task", task("a"))), headers={**FHIR, "X-Dry-Run": "yes"})
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "value")


class TestAPush:
    """EPJ-løftet's own report of 2023 on the portfolio of 2021, under `enforce`."""

    @pytest.fixture
    def settings(self, tmp_path):
        return read_settings(
            store=f"sqlite:///{tmp_path}/portfolio.db", keys=tmp_path / "keys", base_url=BASE, _env_file=None
        )

    @pytest.fixture
    async def pushed(self, app, client):
        assert (await load(app.state.engine, DATA / "portfolio-2021-11")).refused == []
        opened = await client.post("", json=mappings.round_bundle("2023-09", canonical=CANONICAL), headers=FHIR)
        assert opened.status_code == 200, opened.text
        found = (await client.get("PlanDefinition?identifier=NEP-0012")).json()["entry"][0]["resource"]
        report = mappings.read_report(DATA / "epj-loftet-2023-09")
        return mappings.push(report, found, canonical=CANONICAL, own="https://ehelse.example/sid").bundle

    async def test_the_dry_run_foretells_the_push(self, app, client_of, pushed):
        owner = client_of("reporter", "915933149")
        before = await app.state.engine.store.moment()
        dry = (await owner.post("", json=pushed, headers=DRY)).json()["entry"]
        assert await app.state.engine.store.moment() == before
        real = (await owner.post("", json=pushed, headers=FHIR)).json()["entry"]
        assert [one["response"]["status"] for one in dry] == [one["response"]["status"] for one in real]
        assert [said(one)[1] for one in dry].count("created") == 16
        assert "Task.businessStatus.coding[0].code" in changed(dry[-1])
        again = (await owner.post("", json=pushed, headers=DRY)).json()["entry"]
        assert {said(one)[1] for one in again} == {"unchanged"}

    async def test_a_wrong_move_is_told_beforehand(self, client_of, pushed):
        owner = client_of("reporter", "915933149")
        wrong = json.loads(json.dumps(pushed))
        wrong["entry"][-1]["resource"]["status"] = "draft"
        dry = (await owner.post("", json=wrong, headers=DRY)).json()["entry"]
        assert said(dry[-1])[1] == "refused"
        assert {said(one)[1] for one in dry[:-1]} <= {"created", "updated", "unchanged"}
