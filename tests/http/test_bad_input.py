"""Bad input: each a 4xx with an OperationOutcome that names the place, and nothing written."""

from __future__ import annotations

import json

import pytest

from tests.http.build import FHIR, organization, task

DEEP = b'{"resourceType":"Task","extension":' + b"[" * 10_000 + b"]" * 10_000 + b"}"

URN = "urn:uuid:5f0f3a52-31a5-4f0e-9a7b-9d2b6f210026"


def raw(**more) -> bytes:
    return json.dumps({**task("a"), **more}).encode()


@pytest.mark.parametrize(
    ("body", "status", "code", "place"),
    [
        (b'{"resourceType":"Task",', 400, "structure", None),
        (b"", 400, "structure", None),
        (b"   ", 400, "structure", None),
        (b"[]", 400, "structure", None),
        (b'"Task"', 400, "structure", None),
        (b"\xff\xfe{}", 400, "structure", None),
        (DEEP, 400, "structure", None),
        (raw().replace(b'"plan"', b"NaN"), 400, "structure", None),
        (raw().replace(b'"plan"', b"Infinity"), 400, "structure", None),
        (raw().replace(b'"intent": "plan"', b'"intent": "plan", "intent": "order"'), 400, "structure", None),
        (json.dumps(organization("a")).encode(), 400, "invalid", "Task.resourceType"),
        (b'{"id":"a"}', 400, "invalid", "Task.resourceType"),
        (raw(colour="red"), 400, "structure", "Task.colour"),
        (raw(status=1), 400, "structure", "Task.status"),
        (raw(status="finished"), 422, "code-invalid", "Task.status"),
        (raw(intent=None), 400, "structure", "Task.intent"),
        (raw(code={"coding": {}}), 400, "structure", "Task.code.coding"),
        (raw(authoredOn="2023-02-30"), 400, "value", "Task.authoredOn"),
        (raw(authoredOn="yesterday"), 400, "value", "Task.authoredOn"),
        (raw(restriction={"period": {"end": "01.12.2021"}}), 400, "value", "Task.restriction.period.end"),
        (raw(owner={"reference": "Organization/none"}), 422, "not-found", "Task.owner"),
        (raw(owner={"reference": "Task/x"}), 400, "value", "Task.owner.reference"),
        (raw(owner={"reference": URN}), 422, "not-found", "Task.owner.reference"),
        (raw(owner={"reference": "Organization?name=none"}), 422, "not-found", "Task.owner.reference"),
        (raw(input=[{"valueBoolean": "true", "type": {"text": "x"}}]), 400, "structure", "Task.input[0].value"),
    ],
)  # fmt: skip
async def test_a_body_that_is_wrong(client, body, status, code, place):
    answer = await client.post("Task", content=body, headers=FHIR)
    fault = answer.json()
    assert (answer.status_code, fault["resourceType"]) == (status, "OperationOutcome"), answer.text
    assert code is None or fault["issue"][0]["code"] == code
    assert place is None or [place] in [issue.get("expression") for issue in fault["issue"]], answer.text
    assert fault["issue"][0]["diagnostics"]
    assert (await client.get("Task?_total=accurate")).json()["total"] == 0


async def test_all_faults_at_once(client):
    body = raw(colour="red", status="finished", authoredOn="x", priority="soon", note=[{}], owner={"reference": 1})
    issues = (await client.post("Task", content=body, headers=FHIR)).json()["issue"]
    assert {issue["expression"][0] for issue in issues} >= {
        "Task.colour", "Task.status", "Task.authoredOn", "Task.priority", "Task.note[0]", "Task.owner.reference",
    }  # fmt: skip


async def test_a_body_over_the_limit_is_413_said_or_sent(client):
    large = raw(description="x" * (6 * 1024 * 1024))

    async def unsaid():
        for start in range(0, len(large), 65536):
            yield large[start : start + 65536]

    for content in (large, unsaid()):
        answer = await client.post("Task", content=content, headers=FHIR)
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (413, "too-long")


@pytest.mark.parametrize("content_type", ["text/plain", "application/fhir+xml", "application/xml", "", None])
async def test_a_wrong_content_type_is_415(client, content_type):
    headers = {"Content-Type": content_type} if content_type is not None else {}
    answer = await client.post("Task", content=raw(), headers=headers)
    assert (answer.status_code, answer.json()["resourceType"]) == (415, "OperationOutcome")


async def test_another_charset_is_415(client):
    answer = await client.post("Task", content=raw(), headers={"Content-Type": "application/fhir+json; charset=latin1"})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("GET", "Task/none", 404),
        ("GET", "Patient", 404),
        ("GET", "Patient/1", 404),
        ("GET", "task", 404),
        ("GET", "Task/a/b/c", 404),
        ("GET", "Task/none/_history", 404),
        ("GET", "Task/none/_history/1", 404),
        ("GET", "Task/a%20b", 404),
        ("POST", "Task/abc", 405),
        ("POST", "Task/a/_history", 405),
        ("GET", "", 405),
        ("PUT", "Task/" + "x" * 65, 400),
        ("PUT", "Task/å", 400),
        ("POST", "Patient", 404),
    ],
)
async def test_urls_that_are_wrong(client, method, url, status):
    sends = {"json": task("a"), "headers": FHIR} if method in ("POST", "PUT") else {}
    answer = await client.request(method, url, **sends)
    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"


async def test_the_id_of_url_and_body_agree(client):
    for body in (task("a"), task("a") | {"id": "other"}):
        answer = await client.put("Task/mine", json=body, headers=FHIR)
        assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (400, ["Task.id"])


async def test_no_stack_trace_reaches_the_client(client, app, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(type(app.state.engine.store), "current", broken)
    answer = await client.get("Task/a")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (500, "exception")
    assert "secret" not in answer.text
