"""R4 http.html, interaction by interaction, over the whole application."""

from __future__ import annotations

import json
from collections import Counter

import httpx
import pytest

from tests.http.build import FHIR, SID, names, organization, plan, task

TASKS = f"{SID}/task"


async def created(client: httpx.AsyncClient, resource: dict) -> dict:
    answer = await client.post(resource["resourceType"], json=resource, headers=FHIR)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_create_answers_with_its_id_version_and_place(client):
    answer = await client.post("Task", json=task("a"), headers=FHIR)
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["ETag"] == 'W/"1"'
    assert answer.headers["Location"] == f"{client.base_url}Task/{made['id']}/_history/1"
    assert answer.headers["Content-Type"].startswith("application/fhir+json")
    assert made["meta"]["versionId"] == "1"
    assert made["meta"]["lastUpdated"].endswith("Z")


async def test_a_read_gives_what_was_written_to_the_last_digit(client):
    sent = task("a", input=[{"type": {"text": "x"}, "valueDecimal": 1}], restriction={"period": {"end": "2021"}})
    raw = json.dumps(sent).replace('"valueDecimal": 1}', '"valueDecimal": 1.500000000000000000010e0}')
    made = (await client.post("Task", content=raw, headers=FHIR)).json()
    answer = await client.get(f"Task/{made['id']}")
    assert '"valueDecimal":1.500000000000000000010e0' in answer.text
    assert answer.json()["restriction"] == {"period": {"end": "2021"}}


@pytest.mark.parametrize("kind", ["PlanDefinition", "Task", "Organization"])
async def test_put_at_a_new_id_creates_there(client, kind):
    resource = {"PlanDefinition": plan, "Task": task, "Organization": organization}[kind]("a") | {"id": "my-id"}
    answer = await client.put(f"{kind}/my-id", json=resource, headers=FHIR)
    assert answer.status_code == 201
    assert (await client.get(f"{kind}/my-id")).json()["id"] == "my-id"


async def test_an_update_makes_a_version_and_the_old_one_stays(client):
    made = await created(client, task("a"))
    answer = await client.put(f"Task/{made['id']}", json={**made, "status": "completed"}, headers=FHIR)
    assert (answer.status_code, answer.headers["ETag"]) == (200, 'W/"2"')
    old = (await client.get(f"Task/{made['id']}/_history/1")).json()
    assert old == made
    history = (await client.get(f"Task/{made['id']}/_history")).json()
    assert [e["resource"]["status"] for e in history["entry"]] == ["completed", "in-progress"]
    assert [e["request"]["method"] for e in history["entry"]] == ["PUT", "POST"]
    assert history["total"] == 2


async def test_an_update_that_changes_nothing_makes_no_version(client):
    made = await created(client, task("a"))
    reordered = dict(reversed(made.items()))
    answer = await client.put(f"Task/{made['id']}", json=reordered, headers=FHIR)
    assert (answer.status_code, answer.headers["ETag"]) == (200, 'W/"1"')


async def test_a_decimal_with_other_digits_is_a_change(client):
    made = await created(client, task("a", input=[{"type": {"text": "x"}, "valueDecimal": 1.5}]))
    raw = json.dumps(made).replace("1.5", "1.50")
    answer = await client.put(f"Task/{made['id']}", content=raw, headers=FHIR)
    assert answer.headers["ETag"] == 'W/"2"'


async def test_a_delete_is_soft(client):
    made = await created(client, task("a"))
    assert (await client.delete(f"Task/{made['id']}")).status_code == 204
    gone = await client.get(f"Task/{made['id']}")
    assert (gone.status_code, gone.json()["issue"][0]["code"]) == (410, "deleted")
    assert (await client.get(f"Task/{made['id']}/_history/1")).json() == made
    assert names((await client.get("Task")).json()) == []
    assert (await client.delete(f"Task/{made['id']}")).status_code == 204
    history = (await client.get(f"Task/{made['id']}/_history")).json()
    assert [e["request"]["method"] for e in history["entry"]] == ["DELETE", "POST"]


async def test_what_was_deleted_can_be_put_again(client):
    made = await created(client, task("a"))
    await client.delete(f"Task/{made['id']}")
    answer = await client.put(f"Task/{made['id']}", json=made, headers=FHIR)
    assert (answer.status_code, answer.headers["ETag"]) == (201, 'W/"3"')


async def test_what_others_point_to_is_not_deleted(client):
    actor = await created(client, organization("a"))
    pointing = await created(client, task("t", owner={"reference": f"Organization/{actor['id']}"}))
    answer = await client.delete(f"Organization/{actor['id']}")
    assert answer.status_code == 409
    assert f"Task/{pointing['id']}" in answer.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": 'W/"1"'}, 304),
        ({"If-None-Match": '"1"'}, 304),
        ({"If-None-Match": 'W/"7", W/"1"'}, 304),
        ({"If-None-Match": 'W/"2"'}, 200),
        ({"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 304),
        ({"If-Modified-Since": "Fri, 01 Jan 2010 00:00:00 GMT"}, 200),
        ({"If-None-Match": 'W/"2"', "If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 200),
    ],
)
async def test_conditional_read(client, headers, status):
    made = await created(client, task("a"))
    assert (await client.get(f"Task/{made['id']}", headers=headers)).status_code == status


@pytest.mark.parametrize(
    ("if_match", "status"), [('W/"1"', 200), ('"1"', 200), ('W/"2"', 412), ('W/"x"', 412), ("1", 400)]
)
async def test_version_aware_update(client, if_match, status):
    made = await created(client, task("a"))
    changed = {**made, "status": "completed"}
    answer = await client.put(f"Task/{made['id']}", json=changed, headers={**FHIR, "If-Match": if_match})
    assert answer.status_code == status


async def test_if_none_match_star_creates_only(client):
    headers = {**FHIR, "If-None-Match": "*"}
    assert (await client.put("Task/a", json=task("a") | {"id": "a"}, headers=headers)).status_code == 201
    again = await client.put("Task/a", json=task("b") | {"id": "a"}, headers=headers)
    assert again.status_code == 412


async def test_conditional_create(client):
    headers = {**FHIR, "If-None-Exist": f"identifier={TASKS}|a"}
    first = await client.post("Task", json=task("a"), headers=headers)
    second = await client.post("Task", json=task("a", status="completed"), headers=headers)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()
    await created(client, task("a"))
    assert (await client.post("Task", json=task("a"), headers=headers)).status_code == 412


async def test_conditional_update(client):
    url = f"Task?identifier={TASKS}|a"
    assert (await client.put(url, json=task("a"), headers=FHIR)).status_code == 201
    changed = await client.put(url, json=task("a", status="completed"), headers=FHIR)
    assert (changed.status_code, changed.headers["ETag"]) == (200, 'W/"2"')
    other = await client.put(url, json=task("a") | {"id": "other"}, headers=FHIR)
    assert (other.status_code, other.json()["issue"][0]["expression"]) == (400, ["Task.id"])
    await created(client, task("a"))
    assert (await client.put(url, json=task("a"), headers=FHIR)).status_code == 412


async def test_conditional_update_with_an_id_creates_at_it(client):
    answer = await client.put(f"Task?identifier={TASKS}|a", json=task("a") | {"id": "mine"}, headers=FHIR)
    assert (answer.status_code, answer.json()["id"]) == (201, "mine")


async def test_conditional_delete(client):
    url = f"Task?identifier={TASKS}|a"
    assert (await client.delete(url)).status_code == 204
    made = await created(client, task("a"))
    assert (await client.delete(url)).status_code == 204
    assert (await client.get(f"Task/{made['id']}")).status_code == 410
    await created(client, task("a"))
    await created(client, task("a"))
    assert (await client.delete(url)).status_code == 412


@pytest.mark.parametrize("query", ["", "_count=1", "unknown=1", "identifier="])
async def test_a_condition_must_say_what_it_means(client, query):
    await created(client, task("a"))
    assert (await client.delete(f"Task?{query}")).status_code == 400
    assert (await client.put(f"Task?{query}", json=task("b"), headers=FHIR)).status_code == 400


async def test_json_patch(client):
    made = await created(client, task("a"))
    operations = [{"op": "test", "path": "/status", "value": "in-progress"},
                  {"op": "replace", "path": "/status", "value": "completed"}]  # fmt: skip
    headers = {"Content-Type": "application/json-patch+json"}
    answer = await client.patch(f"Task/{made['id']}", json=operations, headers=headers)
    assert (answer.status_code, answer.json()["status"], answer.headers["ETag"]) == (200, "completed", 'W/"2"')
    assert (await client.patch(f"Task/{made['id']}", json=operations, headers=headers)).status_code == 412
    wrong = [{"op": "replace", "path": "/nothing/here", "value": 1}]
    assert (await client.patch(f"Task/{made['id']}", json=wrong, headers=headers)).status_code == 422
    assert (await client.patch("Task/none", json=operations, headers=headers)).status_code == 404
    invalid = [{"op": "replace", "path": "/status", "value": "finished"}]
    refused = await client.patch(f"Task/{made['id']}", json=invalid, headers=headers)
    assert (refused.status_code, refused.json()["issue"][0]["expression"]) == (422, ["Task.status"])


@pytest.mark.parametrize(
    ("prefer", "length", "kind"),
    [
        ("return=minimal", 0, None),
        ("return=representation", 1, "Task"),
        ("return=OperationOutcome", 1, "OperationOutcome"),
    ],
)
async def test_prefer_says_what_comes_back(client, prefer, length, kind):
    answer = await client.post("Task", json=task("a"), headers={**FHIR, "Prefer": prefer})
    assert answer.status_code == 201
    assert bool(answer.content) == bool(length)
    assert kind is None or answer.json()["resourceType"] == kind


async def test_pretty_is_the_same_resource_on_more_lines(client):
    made = await created(client, task("a"))
    pretty = await client.get(f"Task/{made['id']}?_pretty=true")
    assert pretty.json() == made
    assert pretty.text.count("\n") > 5


@pytest.mark.parametrize(
    ("accept", "format", "status"),
    [
        ("application/fhir+json", None, 200),
        ("*/*", None, 200),
        ("text/html, application/json;q=0.9", None, 200),
        ("application/fhir+json; fhirVersion=4.0", None, 200),
        ("application/fhir+json; fhirVersion=5.0", None, 406),
        ("application/fhir+xml", None, 406),
        ("application/fhir+xml", "json", 200),
        ("*/*", "xml", 406),
        ("*/*", "application/fhir+json", 200),
    ],
)
async def test_json_is_what_is_answered(client, accept, format, status):
    url = "Task?_format=" + format if format else "Task"
    assert (await client.get(url, headers={"Accept": accept})).status_code == status


async def test_history_of_type_and_system_in_pages_of_one_instant(client):
    for name in "abcde":
        await created(client, task(name))
    await created(client, organization("o"))
    page = (await client.get("Task/_history?_count=2")).json()
    seen = [e["resource"]["code"]["text"] for e in page["entry"]]
    await created(client, task("later"))
    while url := next((link["url"] for link in page["link"] if link["relation"] == "next"), None):
        page = (await client.get(url)).json()
        seen += [e["resource"]["code"]["text"] for e in page["entry"]]
    assert seen == list("edcba")
    system = (await client.get("_history?_count=500")).json()["entry"]
    kinds = Counter(entry["resource"]["resourceType"] for entry in system)
    # Each of the seven writes has its records.
    assert kinds == {"Task": 6, "Organization": 1, "Provenance": 7, "AuditEvent": 7}


async def test_history_since(client):
    await created(client, task("a"))
    second = await created(client, task("b"))
    answer = await client.get("Task/_history", params={"_since": second["meta"]["lastUpdated"]})
    assert [e["resource"]["id"] for e in answer.json()["entry"]] == [second["id"]]


async def test_as_of_reads_the_past(client):
    made = await created(client, task("a"))
    changed = (await client.put(f"Task/{made['id']}", json={**made, "status": "completed"}, headers=FHIR)).json()
    await client.delete(f"Task/{made['id']}")
    first = {"_asOf": made["meta"]["lastUpdated"]}
    second = {"_asOf": changed["meta"]["lastUpdated"]}
    assert (await client.get(f"Task/{made['id']}", params=first)).json() == made
    assert (await client.get(f"Task/{made['id']}", params=second)).json() == changed
    assert names((await client.get("Task", params={**second, "status": "completed"})).json()) == ["a"]
    assert names((await client.get("Task", params={**first, "status": "completed"})).json()) == []
    assert (await client.get(f"Task/{made['id']}", params={"_asOf": "2000-01-01T00:00:00Z"})).status_code == 404


@pytest.mark.parametrize("as_of", ["2100-01-01T00:00:00Z", "2021-11-30", "2021-11-30T12:00:00", "yesterday", ""])
async def test_as_of_is_a_past_instant(client, as_of):
    answer = await client.get("Task", params={"_asOf": as_of})
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (400, ["_asOf"])


async def test_metadata_says_what_is_there(client):
    statement = (await client.get("metadata")).json()
    assert (statement["resourceType"], statement["fhirVersion"]) == ("CapabilityStatement", "4.0.1")
    of = {resource["type"]: resource for resource in statement["rest"][0]["resource"]}
    for code in {parameter["name"] for parameter in of["Task"]["searchParam"]} - {"_id", "_lastUpdated"}:
        strict = {"Prefer": "handling=strict"}
        assert (await client.get(f"Task?{code}:missing=true", headers=strict)).status_code == 200, code
    assert "Task:based-on" in of["PlanDefinition"]["searchRevInclude"]


async def test_cors_is_open(client):
    answer = await client.get("metadata", headers={"Origin": "https://app.example"})
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_health_and_metrics(client):
    await created(client, task("a"))
    root = str(client.base_url).removesuffix("/fhir/")
    assert (await client.get(f"{root}/health/live")).status_code == 200
    assert (await client.get(f"{root}/health/ready")).json() == {"status": "ok", "sequence": 1}
    text = (await client.get(f"{root}/metrics")).text
    assert 'http_requests_total{area="fhir",method="POST",status="201"} 1.0' in text
