"""R4 http.html#transaction: all or nothing, in R4's order, references and conditions resolved."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest

from tests.http.build import FHIR, SID, bundle, entry, names, organization, plan, task

A = "urn:uuid:11111111-1111-4111-8111-111111111111"
B = "urn:uuid:22222222-2222-4222-8222-222222222222"


async def post(client, *entries, type="transaction", **headers):
    return await client.post("", json=bundle(*entries, type=type), headers={**FHIR, **headers})


async def total(client, kind="Task"):
    return (await client.get(f"{kind}?_total=accurate")).json()["total"]


async def test_entries_point_to_each_other_by_full_url_at_any_depth(client):
    pointing = task(
        "t",
        basedOn=[{"reference": B}],
        owner={"reference": "http://elsewhere.example/fhir/Organization/7"},
        requester={"reference": "Organization/7"},
        input=[{"type": {"text": "x"}, "valueReference": {"reference": A}}],
        text={"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{B}">x</a></div>'},
    )
    answer = await post(
        client,
        entry("POST", "Task", pointing),
        entry("POST", "Organization", organization("a"), fullUrl=A),
        entry("POST", "PlanDefinition", plan("p"), fullUrl=B),
        entry("POST", "Organization", organization("b"), fullUrl="http://elsewhere.example/fhir/Organization/7"),
        Prefer="return=representation",
    )
    assert answer.status_code == 200, answer.text
    made = [e["resource"] for e in answer.json()["entry"]]
    assert [e["response"]["status"] for e in answer.json()["entry"]] == ["201"] * 4
    written, first, initiative, second = made
    assert written["basedOn"][0]["reference"] == f"PlanDefinition/{initiative['id']}"
    assert written["owner"]["reference"] == written["requester"]["reference"] == f"Organization/{second['id']}"
    assert written["input"][0]["valueReference"]["reference"] == f"Organization/{first['id']}"
    assert f'href="PlanDefinition/{initiative["id"]}"' in written["text"]["div"]


async def test_all_of_one_instant(client):
    answer = await post(client, *(entry("POST", "Task", task(name)) for name in "abc"))
    assert len({e["response"]["lastModified"] for e in answer.json()["entry"]}) == 1


async def test_one_bad_entry_writes_nothing_and_is_named(client):
    answer = await post(
        client,
        entry("POST", "Task", task("a")),
        entry("POST", "Task", task("b", status="finished", colour="red")),
        entry("PUT", "Task/x", task("c")),
    )
    issues = answer.json()["issue"]
    assert {issue["expression"][0] for issue in issues} == {
        "Bundle.entry[1].resource.status", "Bundle.entry[1].resource.colour", "Bundle.entry[2].resource.id",
    }  # fmt: skip
    assert await total(client) == 0


async def test_conditional_references_see_the_store_and_the_bundle(client):
    await client.post("Organization", json=organization("stored"), headers=FHIR)
    answer = await post(
        client,
        entry(
            "POST",
            "Task",
            task(
                "t",
                owner={"reference": f"Organization?identifier={SID}/org%7Cstored"},
                requester={"reference": f"Organization?identifier={SID}/org|new"},
            ),
        ),
        entry("POST", "Organization", organization("new")),
        Prefer="return=representation",
    )
    assert answer.status_code == 200, answer.text
    written, new = (e["resource"] for e in answer.json()["entry"])
    assert written["requester"]["reference"] == f"Organization/{new['id']}"
    assert written["owner"]["reference"].startswith("Organization/")


@pytest.mark.parametrize(("stored", "status"), [(0, 422), (1, 200), (2, 412)])
async def test_a_conditional_reference_needs_exactly_one(client, stored, status):
    for _ in range(stored):
        await client.post("Organization", json=organization("a"), headers=FHIR)
    pointing = task("t", owner={"reference": f"Organization?identifier={SID}/org|a"})
    answer = await post(client, entry("POST", "Task", pointing))
    assert answer.status_code == status
    if status != 200:
        assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[0].resource.owner.reference"]
        assert await total(client) == 0


async def test_what_the_bundle_deletes_is_no_longer_found(client):
    made = (await client.post("Organization", json=organization("a"), headers=FHIR)).json()
    pointing = task("t", owner={"reference": f"Organization?identifier={SID}/org|a"})
    answer = await post(client, entry("POST", "Task", pointing), entry("DELETE", f"Organization/{made['id']}"))
    assert answer.status_code == 422
    assert await total(client, "Organization") == 1


async def test_order_is_delete_post_put_get_whatever_the_bundle_says(client):
    made = (await client.post("Task", json=task("old"), headers=FHIR)).json()
    answer = await post(
        client,
        entry("GET", "Task?_total=accurate"),
        entry("PUT", "Task/put", task("put") | {"id": "put"}),
        entry("POST", "Task", task("posted")),
        entry("DELETE", f"Task/{made['id']}"),
    )
    first, *rest = answer.json()["entry"]
    assert sorted(names(first["resource"])) == ["posted", "put"]
    assert [e["response"]["status"] for e in rest] == ["201", "201", "204"]


async def test_if_none_exist_and_conditional_put(client):
    condition = f"identifier={SID}/task|"
    entries = [
        entry("POST", "Task", task("a"), ifNoneExist=f"{condition}a"),
        entry("PUT", f"Task?{condition}b", task("b")),
    ]
    first = await post(client, *entries)
    second = await post(client, *entries)
    assert [e["response"]["status"] for e in first.json()["entry"]] == ["201", "201"]
    assert [e["response"]["status"] for e in second.json()["entry"]] == ["200", "200"]
    assert [e["response"]["etag"] for e in second.json()["entry"]] == ['W/"1"', 'W/"1"']
    assert await total(client) == 2


@pytest.mark.parametrize(
    "entries",
    [
        [entry("PUT", "Task/a", task("a") | {"id": "a"}), entry("PUT", "Task/a", task("b") | {"id": "a"})],
        [entry("PUT", "Task/a", task("a") | {"id": "a"}), entry("DELETE", "Task/a")],
        [entry("PUT", f"Task?identifier={SID}/task|a", task("a"))] * 2,
        [
            entry("POST", "Task", task("a"), ifNoneExist=f"identifier={SID}/task|a"),
            entry("POST", "Task", task("a"), ifNoneExist=f"identifier={SID}/task|a"),
        ],
        [
            entry("POST", "Task", task("a"), ifNoneExist=f"identifier={SID}/task|a"),
            entry("PUT", f"Task?identifier={SID}/task|a&status=in-progress", task("a")),
        ],
        [entry("POST", "Task", task("a")), entry("PUT", f"Task?identifier={SID}/task|a", task("a"))],
    ],
)  # fmt: skip
async def test_one_identity_twice_is_refused(client, entries):
    answer = await post(client, *entries)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "duplicate"), answer.text
    assert await total(client) == 0


async def test_the_same_stored_resource_by_id_and_by_condition_is_refused(client):
    made = (await client.post("Task", json=task("a"), headers=FHIR)).json()
    changed = {**made, "status": "completed"}
    answer = await post(
        client,
        entry("PUT", f"Task/{made['id']}", changed),
        entry("PUT", f"Task?identifier={SID}/task|a", changed),
    )
    assert answer.json()["issue"][0]["code"] == "duplicate"


async def test_if_match_in_an_entry(client):
    made = (await client.post("Task", json=task("a"), headers=FHIR)).json()
    changed = {**made, "status": "completed"}
    refused = await post(client, entry("PUT", f"Task/{made['id']}", changed, ifMatch='W/"7"'))
    assert (refused.status_code, refused.json()["issue"][0]["expression"]) == (412, ["Bundle.entry[0]"])
    assert (await post(client, entry("PUT", f"Task/{made['id']}", changed, ifMatch='W/"1"'))).status_code == 200


async def test_patch_in_a_bundle(client):
    made = (await client.post("Task", json=task("a"), headers=FHIR)).json()
    operations = json.dumps([{"op": "replace", "path": "/status", "value": "completed"}]).encode()
    binary = {
        "resourceType": "Binary",
        "contentType": "application/json-patch+json",
        "data": base64.b64encode(operations).decode(),
    }
    answer = await post(client, entry("PATCH", f"Task/{made['id']}", binary))
    assert answer.status_code == 200, answer.text
    assert (await client.get(f"Task/{made['id']}")).json()["status"] == "completed"
    assert (await post(client, entry("PATCH", f"Task/{made['id']}", task("x")))).status_code == 400


async def test_references_that_do_not_resolve(client):
    for reference, at in (("Organization/none", "owner"), (A, "owner.reference")):
        answer = await post(client, entry("POST", "Task", task("t", owner={"reference": reference})))
        assert answer.status_code == 422
        assert answer.json()["issue"][0]["expression"] == [f"Bundle.entry[0].resource.{at}"]


@pytest.mark.parametrize("order", [1, -1])
async def test_a_get_that_finds_nothing_has_its_own_status_and_undoes_nothing(client, order):
    entries = [entry("POST", "Task", task("a")), entry("GET", "Task/nope")][::order]
    answer = await post(client, *entries)
    statuses = [e["response"]["status"] for e in answer.json()["entry"]]
    assert (answer.status_code, statuses[::order]) == (200, ["201", "404"])
    assert answer.json()["entry"][(0, 1)[order == 1]]["response"]["outcome"]["issue"][0]["code"] == "not-found"


@pytest.mark.parametrize("url", ["Patient/1", "Task?status:exact=x", "Task/a/b/c/d/e", "$x"])
async def test_a_get_that_is_not_understood_stops_the_transaction_first(client, url):
    answer = await post(client, entry("POST", "Task", task("a")), entry("GET", url))
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[1].request.url"]
    assert await total(client) == 0


async def test_what_is_asked_for_by_get_is_in_the_answer(client):
    made = (await client.post("Task", json=task("a"), headers=FHIR)).json()
    urls = [f"Task/{made['id']}", f"Task/{made['id']}/_history/1", "PlanDefinition?_summary=true"]
    await client.post("PlanDefinition", json=plan("p", purpose="why"), headers=FHIR)
    one, version, found = (
        e["resource"] for e in (await post(client, *(entry("GET", u) for u in urls))).json()["entry"]
    )
    assert one == version == made
    assert "purpose" not in found["entry"][0]["resource"]


async def test_one_full_url_names_one_entry(client):
    answer = await post(
        client, entry("POST", "Task", task("a"), fullUrl=A), entry("POST", "Organization", organization("o"), fullUrl=A)
    )
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (400, ["Bundle.entry[1].fullUrl"])


async def test_only_references_and_uris_are_rewritten(client):
    written = task("t", description=A, instantiatesUri=A, owner={"reference": A})
    written["identifier"] = [{"system": "urn:ietf:rfc:3986", "value": A}]
    answer = await post(
        client,
        entry("POST", "Task", written),
        entry("POST", "Organization", organization("o"), fullUrl=A),
        Prefer="return=representation",
    )
    stored, made = (e["resource"] for e in answer.json()["entry"])
    real = f"Organization/{made['id']}"
    assert (stored["owner"]["reference"], stored["instantiatesUri"]) == (real, real)
    assert (stored["description"], stored["identifier"][0]["value"]) == (A, A)


async def test_a_conditional_reference_sees_what_a_patch_changes(client):
    made = (await client.post("Organization", json=organization("before"), headers=FHIR)).json()
    operations = json.dumps([{"op": "replace", "path": "/identifier/0/value", "value": "after"}]).encode()
    binary = {"resourceType": "Binary", "contentType": "application/json-patch+json"}
    patch = entry("PATCH", f"Organization/{made['id']}", binary | {"data": base64.b64encode(operations).decode()})
    for value, status in (("before", 422), ("after", 200)):
        pointing = task("t", owner={"reference": f"Organization?identifier={SID}/org|{value}"})
        assert (await post(client, patch, entry("POST", "Task", pointing))).status_code == status


@pytest.mark.parametrize("sent", ["x", 5, [], True, {"resourceType": "Task", "id": {"a": 1}}])
@pytest.mark.parametrize("type", ["transaction", "batch"])
async def test_a_resource_that_is_none_is_a_fault_of_its_entry(client, sent, type):
    broken = entry("PUT", f"Task?identifier={SID}/task|a") | {"resource": sent}
    answer = await post(client, broken, entry("POST", "Organization", organization("o")), type=type)
    if type == "batch":
        assert [e["response"]["status"] for e in answer.json()["entry"]] == ["400", "201"]
    else:
        assert (answer.status_code, await total(client, "Organization")) == (400, 0)


async def test_an_entry_at_fault_is_no_danger_to_another_that_looks_at_it(client):
    answer = await post(
        client,
        entry("POST", "Task", task("t", owner={"reference": A})),
        entry("POST", "Organization", organization("o") | {"identifier": ["abc"]}, fullUrl=A),
    )
    assert answer.status_code == 400
    assert all(issue["expression"][0].startswith("Bundle.entry[1].resource.") for issue in answer.json()["issue"])


async def test_an_absolute_reference_to_here_is_named_when_it_leads_nowhere(client):
    reference = {"reference": f"{client.base_url}Organization/none"}
    answer = await client.post("Task", json=task("t", owner=reference), headers=FHIR)
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (422, ["Task.owner"])


async def test_a_batch_does_each_for_itself(client):
    answer = await post(
        client,
        entry("POST", "Task", task("a")),
        entry("POST", "Task", task("b", status="finished")),
        entry("GET", "Task/none"),
        entry("GET", "Task?_total=accurate"),
        type="batch",
    )
    statuses = [e["response"]["status"] for e in answer.json()["entry"]]
    assert (answer.status_code, statuses) == (200, ["201", "422", "404", "200"])
    assert answer.json()["type"] == "batch-response"
    fault = answer.json()["entry"][1]["response"]["outcome"]["issue"][0]
    assert fault["expression"] == ["Task.status"] or fault["expression"] == ["Bundle.entry[1].resource.status"]
    assert await total(client) == 1


@pytest.mark.parametrize(
    ("sent", "place"),
    [
        ({"resourceType": "Bundle", "type": "searchset"}, "Bundle.type"),
        ({"resourceType": "Bundle", "type": "transactions"}, "Bundle.type"),
        ({"resourceType": "Task"}, "Bundle.type"),
        (bundle({"resource": task("a")}), "Bundle.entry[0].request"),
        (bundle(entry("POST", "Patient", {"resourceType": "Patient"})), "Bundle.entry[0].request.url"),
        (bundle(entry("POST", "Task/1", task("a"))), "Bundle.entry[0].request.url"),
        (bundle(entry("PUT", "Task", task("a"))), "Bundle.entry[0].request.url"),
        (bundle(entry("POST", "Task")), "Bundle.entry[0].resource.resourceType"),
        (bundle(entry("SEND", "Task", task("a"))), "Bundle.entry[0].request.method"),
        (bundle({"request": {"method": "POST"}, "resource": task("a")}), "Bundle.entry[0].request.url"),
        ({"resourceType": "Bundle", "type": "transaction", "entry": {}}, "Bundle.entry"),
    ],
)
async def test_bundles_out_of_shape(client, sent, place):
    answer = await client.post("", json=sent, headers=FHIR)
    assert 400 <= answer.status_code < 500, answer.text
    assert [place] in [issue.get("expression") for issue in answer.json()["issue"]], answer.text


async def test_an_empty_transaction_is_fine(client):
    answer = await client.post("", json={"resourceType": "Bundle", "type": "transaction"}, headers=FHIR)
    assert answer.json() == {"resourceType": "Bundle", "type": "transaction-response"}


@pytest.mark.parametrize("way", ["create", "update", "bundle"])
async def test_200_at_once_make_one(client, way):
    condition = f"identifier={SID}/task|a"

    async def send():
        if way == "create":
            return await client.post("Task", json=task("a"), headers={**FHIR, "If-None-Exist": condition})
        if way == "update":
            return await client.put(f"Task?{condition}", json=task("a"), headers=FHIR)
        return await post(client, entry("POST", "Task", task("a"), ifNoneExist=condition))

    answers = await asyncio.gather(*(send() for _ in range(200)))
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert await total(client) == 1


async def test_50_writers_of_one_resource_all_get_through(client):
    made = (await client.post("Task", json=task("a"), headers=FHIR)).json()

    async def send(number):
        return await client.put(f"Task/{made['id']}", json={**made, "description": f"{number}"}, headers=FHIR)

    answers = await asyncio.gather(*(send(number) for number in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert (await client.get(f"Task/{made['id']}/_history?_count=500")).json()["total"] == 51
