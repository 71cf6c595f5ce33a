"""The record over HTTP: who did what, what was refused, who read what is restricted. Domain model 5.8 and 13."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest

from server.outcome import FhirError
from server.store.store import Unavailable
from tests.http.build import FHIR, bundle, entry, organization, plan, task

VEST = "983658725"
ENH = "urn:oid:2.16.578.1.12.4.1.4.101"
SLUG = "http://eportefolje.example/fhir/sid/aktor"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
RESTRICTED = {"meta": {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}}
REQUEST = {"X-Request-Id": "req-1"}

Resource = dict[str, Any]


async def of_type(client: httpx.AsyncClient, kind: str, query: str = "") -> list[Resource]:
    """The records of a type, the oldest first, and what their own reading adds left out."""
    found = (await client.get(f"{kind}?_count=500{query}")).json()
    return [one["resource"] for one in reversed(found.get("entry", []))]


async def events(client: httpx.AsyncClient, query: str = "") -> list[Resource]:
    found = await of_type(client, "AuditEvent", query)
    return [one for one in found if not (references(one) and references(one)[0].startswith(("AuditEvent", "Prov")))]


def references(event: Resource) -> list[str]:
    return [one["what"]["reference"] for one in event.get("entity", []) if "reference" in one.get("what", {})]


def queries(event: Resource) -> list[str]:
    return [base64.b64decode(one["query"]).decode() for one in event.get("entity", []) if "query" in one]


def subtypes(event: Resource) -> list[str]:
    return [one["code"] for one in event["subtype"]]


def request_ids(record: Resource) -> list[str]:
    found = [one["what"].get("identifier", {}) for one in record.get("entity", []) if "what" in one]
    return [one["value"] for one in found if one]


async def stand(client: httpx.AsyncClient, resource: Resource) -> httpx.Response:
    return await client.put(f"{resource['resourceType']}/{resource['id']}", json=resource, headers=FHIR)


class TestWrites:
    @pytest.mark.parametrize(
        ("method", "url", "sent", "activity", "action", "subtype"),
        [
            ("POST", "Task", task("x"), "CREATE", "C", "create"),
            ("PUT", "Task/new", {**task("x"), "id": "new"}, "CREATE", "C", "update"),
            ("PUT", "Task/t", {**task("other"), "id": "t"}, "UPDATE", "U", "update"),
            ("PATCH", "Task/t", [{"op": "replace", "path": "/status", "value": "completed"}], "UPDATE", "U", "patch"),
            ("DELETE", "Task/t", None, "DELETE", "D", "delete"),
        ],
    )
    async def test_each_has_a_provenance_and_an_audit_event(self, client, method, url, sent, activity, action, subtype):
        await stand(client, {**task("t"), "id": "t"})
        kind = "application/json-patch+json" if method == "PATCH" else FHIR["Content-Type"]
        told = {"Content-Type": kind, **REQUEST}
        answer = await client.request(method, url, content=json.dumps(sent) if sent else None, headers=told)
        assert answer.status_code < 300
        assert answer.headers["X-Request-Id"] == "req-1"
        provenance, event = (await of_type(client, "Provenance"))[-1], (await events(client))[-1]
        (target,) = (one["reference"] for one in provenance["target"])
        assert references(event) == [target]
        assert (await client.get(target)).status_code == (410 if method == "DELETE" else 200)
        assert provenance["activity"]["coding"][0]["code"] == activity
        assert (event["action"], subtypes(event), event["outcome"]) == (action, [subtype], "0")
        assert request_ids(provenance) == request_ids(event) == ["req-1"]

    async def test_a_transaction_has_one_of_each_for_all_of_its_targets(self, client):
        await stand(client, {**task("t"), "id": "t"})
        sent = bundle(entry("POST", "Task", task("a")), entry("PUT", "Task/t", {**task("b"), "id": "t"}))
        before = len(await of_type(client, "Provenance"))
        await client.post("", json=sent, headers=FHIR)
        made = (await of_type(client, "Provenance"))[before:]
        assert [len(one["target"]) for one in made] == [2]
        event = (await events(client))[-1]
        assert sorted(references(event)) == sorted(one["reference"] for one in made[0]["target"])
        assert (subtypes(event), event["action"]) == (["transaction", "create", "update"], "E")
        assert [one["lifecycle"]["code"] for one in event["entity"] if "lifecycle" in one] == ["1", "3"]

    async def test_each_entry_of_a_batch_is_a_unit_of_its_own(self, client):
        sent = bundle(*(entry("POST", "Task", task(name)) for name in "ab"), type="batch")
        await client.post("", json=sent, headers=FHIR)
        assert [len(one["target"]) for one in await of_type(client, "Provenance")] == [1, 1]

    async def test_they_stand_at_the_moment_of_what_they_tell_of(self, client):
        made = (await client.post("Task", json=task("a"), headers=FHIR)).json()
        (provenance,), (event,) = await of_type(client, "Provenance"), await events(client)
        assert provenance["meta"]["lastUpdated"] == event["meta"]["lastUpdated"] == made["meta"]["lastUpdated"]

    async def test_what_writes_nothing_leaves_none(self, client):
        await stand(client, {**task("t"), "id": "t"})
        before = len(await events(client))
        assert (await stand(client, {**task("t"), "id": "t"})).status_code == 200
        await client.post("", json=bundle(entry("POST", "Task", task("a"))), headers={**FHIR, "X-Dry-Run": "true"})
        await client.post("", json=bundle(entry("POST", "Task", {})), headers={**FHIR, "X-Dry-Run": "true"})
        await client.post("$validate", json=task("a"), headers=FHIR)
        await client.get("Task?status=in-progress")
        assert len(await events(client)) == before

    async def test_a_deleted_resource_may_go_although_records_point_to_it(self, client):
        await stand(client, {**organization("o"), "id": "o"})
        assert (await client.delete("Organization/o")).status_code == 204


class TestWhoActs:
    async def test_is_named_by_number_until_it_is_registered(self, client, client_of):
        vest = client_of("reporter", VEST)
        await vest.post("CodeSystem", json={"resourceType": "CodeSystem"}, headers=FHIR)
        registered = organization("x") | {"id": "vest", "identifier": [{"system": ENH, "value": VEST}]}
        await stand(client, registered)
        await vest.post("CodeSystem", json={"resourceType": "CodeSystem"}, headers=FHIR)
        whos = [event["agent"][0]["who"] for event in await events(client, "&outcome=4,8")]
        assert whos == [
            {"type": "Organization", "identifier": {"system": ENH, "value": VEST}},
            {"reference": "Organization/vest"},
        ]
        assert len(await of_type(client, "AuditEvent", "&agent=Organization/vest")) == 1

    async def test_the_secretariat_is_an_organisation_too(self, client):
        await client.post("Task", json=task("a"), headers=FHIR)
        (provenance,) = await of_type(client, "Provenance")
        assert provenance["agent"][0]["who"]["identifier"] == {"system": SLUG, "value": "portefoljekontoret"}

    async def test_the_event_knows_the_address_and_this_server(self, client):
        await client.post("Task", json=task("a"), headers=FHIR)
        (event,) = await events(client)
        assert event["agent"][0]["network"] == {"address": "127.0.0.1", "type": "2"}
        assert event["source"]["observer"]["display"] == str(client.base_url).rstrip("/")

    @pytest.mark.parametrize("sent", ["", "a b", "x" * 65, "01017012345", 'he"llo', "request\\1"])
    async def test_an_id_that_is_not_sane_is_replaced(self, client, sent):
        answer = await client.post("Task", json=task("a"), headers={**FHIR, "X-Request-Id": sent})
        assert len(answer.headers["X-Request-Id"]) == 36
        (event,) = await events(client)
        assert request_ids(event) == [answer.headers["X-Request-Id"]]

    async def test_every_answer_carries_its_id(self, client_of):
        async with client_of() as anonymous:
            for url in ("Task", "Task/none", "../", "../health/live", "metadata"):
                assert (await anonymous.get(url, headers=REQUEST)).headers["X-Request-Id"] == "req-1"


class TestRefusals:
    @pytest.mark.parametrize(
        ("role", "method", "url", "sent", "status", "reason", "tried"),
        [
            (None, "POST", "Task", task("a"), 401, "401 login", "POST Task"),
            ("reader", "POST", "Task", task("a"), 403, "403 forbidden", "POST Task"),
            ("reporter", "PUT", "Task/t", {**task("a"), "id": "t"}, 403, "403 forbidden Task", "Task/t"),
            ("reporter", "DELETE", "Task/t", None, 403, "403 forbidden", "Task/t"),
            ("secretariat", "DELETE", "Organization/o", None, 409, "409 conflict", "Organization/o"),
            ("secretariat", "POST", "Task", {**task("a"), "status": 1}, 400, "400 structure Task.status", "POST Task"),
            ("secretariat", "POST", "Task", {}, 400, "400 invalid Task.resourceType", "POST Task"),
            ("secretariat", "POST", "Task", "{", 400, "400 structure", "POST /fhir/Task"),
            ("secretariat", "PUT", "Nothing/1", {"resourceType": "Nothing"}, 404, "404 not-found", "PUT …"),
            ("secretariat", "PATCH", "Task/none", [], 404, "404 not-found", "Task/none"),
            ("secretariat", "POST", "", {"resourceType": "Bundle"}, 400, "400 invalid Bundle.type", "POST /fhir/"),
        ],
    )
    async def test_each_is_on_record_with_what_was_tried_and_why(
        self, client, client_of, role, method, url, sent, status, reason, tried
    ):
        await stand(client, {**organization("o"), "id": "o"})
        await stand(client, {**task("t"), "id": "t", "owner": {"reference": "Organization/o"}})
        before = len(await events(client))
        kind = "application/json-patch+json" if method == "PATCH" else FHIR["Content-Type"]
        content = sent if isinstance(sent, str) else json.dumps(sent) if sent is not None else None
        asking = client_of(role, VEST) if role else client_of()
        answer = await asking.request(method, url, content=content, headers={"Content-Type": kind})
        assert answer.status_code == status, answer.text
        (event,) = (await events(client))[before:]
        assert event["outcome"] == ("8" if status in (401, 403) else "4")
        assert event["outcomeDesc"] == reason
        assert tried in (*references(event), *queries(event))

    @pytest.mark.parametrize(
        ("header", "status"),
        [({"Authorization": "Bearer no.token.atall"}, 401), ({"If-Match": "x"}, 400), ({"X-Dry-Run": "true"}, 400),
         ({"Content-Type": "text/plain"}, 415), ({"Accept": "text/html"}, 406)],
    )  # fmt: skip
    async def test_a_request_that_never_came_to_a_write_is_too(self, client, header, status):
        answer = await client.put("Task/t", json={**task("t"), "id": "t"}, headers={**FHIR, **header})
        assert answer.status_code == status
        (event,) = await events(client)
        assert event["outcomeDesc"].startswith(str(status))
        assert "atall" not in json.dumps(event)

    async def test_of_a_transaction_the_entries_at_fault_are_named(self, client):
        sent = bundle(
            entry("PUT", "Task/good", {**task("a"), "id": "good"}),
            entry("PUT", "Task/bad", {**task("b"), "id": "bad", "status": "x"}),
        )
        assert (await client.post("", json=sent, headers=FHIR)).status_code >= 400
        (event,) = await events(client)
        assert references(event) == ["Task/bad"]
        assert subtypes(event)[0] == "transaction"
        assert "Bundle.entry[1].resource.status" in event["outcomeDesc"]

    async def test_of_a_batch_each_entry_that_fails(self, client):
        sent = bundle(
            entry("POST", "Task", task("a")), entry("POST", "Task", {}), entry("POST", "Nothing", {}), type="batch"
        )
        await client.post("", json=sent, headers=FHIR)
        assert [event["outcome"] for event in await events(client)] == ["0", "4", "4"]

    async def test_what_was_sent_is_never_in_it(self, client):
        secret = "Kari Nordmann 01017012345"
        await client.post("Task", json={**task(secret), "status": secret, secret: 1}, headers=FHIR)
        await client.put(f"Task?identifier=x|01017012345&description={secret}", json=task("a"), headers=FHIR)
        await client.put("Task/01017012345", json={}, headers=FHIR)
        await client.post("Task", content=secret, headers={"Content-Type": "text/plain"})
        told = json.dumps([[one, *queries(one)] for one in await events(client)], ensure_ascii=False)
        assert len(await events(client)) == 4
        for part in ("Kari", "Nordmann", "01017012345", "Bearer"):
            assert part not in told

    async def test_our_own_bug_and_a_store_that_is_away_leave_none(self, client, app, monkeypatch):
        async def away(unit: Any) -> Any:
            raise Unavailable("The disk is full.")

        monkeypatch.setattr(app.state.engine.store, "commit", away)
        assert (await client.post("Task", json=task("a"), headers=FHIR)).status_code == 503
        monkeypatch.undo()
        assert await events(client) == []

    async def test_a_refusal_that_cannot_be_recorded_is_not_answered(self, client, app, monkeypatch):
        async def away(unit: Any) -> Any:
            raise Unavailable("The disk is full.")

        monkeypatch.setattr(app.state.engine.store, "commit", away)
        for method, url in (("POST", "Task"), ("PUT", "Nothing/1")):
            answer = await client.request(method, url, json={}, headers=FHIR)
            assert (answer.status_code, answer.json()["issue"][0]["code"]) == (503, "no-store")


class TestReads:
    @pytest.fixture(autouse=True)
    async def secret(self, client: httpx.AsyncClient) -> None:
        await stand(client, {**task("open"), "id": "open"})
        await stand(client, {**task("secret"), "id": "secret", **RESTRICTED})

    @pytest.mark.parametrize(
        ("url", "subtype", "action"),
        [
            ("Task/secret", "read", "R"),
            ("Task/secret/_history/1", "vread", "R"),
            ("Task?_id=secret", "search-type", "E"),
            ("Task/secret/_history", "history-instance", "E"),
            ("Task/_history", "history-type", "E"),
        ],
    )
    async def test_of_what_is_restricted_are_on_record(self, client, url, subtype, action):
        before = len(await events(client))
        await client.get(url)
        (event,) = (await events(client))[before:]
        assert references(event) == ["Task/secret/_history/1"]
        assert (subtypes(event), event["action"]) == ([subtype], action)
        assert queries(event) == [f"GET /fhir/{url}"]

    @pytest.mark.parametrize("url", ["Task/open", "Task?_id=open", "Task?_id=secret&_summary=count", "metadata"])
    async def test_of_what_is_public_are_not(self, client, url):
        before = len(await events(client))
        await client.get(url)
        assert len(await events(client)) == before

    async def test_that_show_nothing_are_not(self, client, client_of):
        before = len(await events(client))
        async with client_of() as anonymous:
            assert (await anonymous.get("Task/secret")).status_code == 404
        tagged = await client.get("Task/secret", headers={"If-None-Match": 'W/"1"'})
        assert tagged.status_code == 304
        assert len(await events(client)) == before

    async def test_in_a_bundle_are_one_event(self, client):
        before = len(await events(client))
        sent = bundle(entry("GET", "Task/secret"), entry("GET", "Task?_id=secret"), type="batch")
        await client.post("", json=sent, headers=FHIR)
        (event,) = (await events(client))[before:]
        assert subtypes(event) == ["read", "search-type"]
        assert references(event) == ["Task/secret/_history/1"]

    async def test_by_post_keep_no_free_text(self, client):
        form = {"_id": "secret", "code:text": "secret"}
        found = await client.post("Task/_search", data=form)
        assert found.json()["total"] == 1
        assert queries((await events(client))[-1]) == ["POST /fhir/Task/_search"]

    async def test_are_not_answered_when_they_cannot_be_recorded(self, client, app, monkeypatch):
        async def away(unit: Any) -> Any:
            raise Unavailable("The disk is full.")

        monkeypatch.setattr(app.state.engine.store, "commit", away)
        answer = await client.get("Task/secret", headers=REQUEST)
        assert (answer.status_code, answer.headers["X-Request-Id"]) == (503, "req-1")
        assert "secret" not in answer.text
        assert (await client.get("Task/open")).status_code == 200

    async def test_on_a_page_are_on_record(self, client):
        nomination = {**plan("Hemmelig"), "id": "p", "status": "draft", **RESTRICTED}
        await stand(client, nomination)
        before = len(await events(client))
        answer = await client.get("../")
        assert answer.status_code == 200
        made = (await events(client))[before:]
        assert [references(event)[0] for event in made] == ["PlanDefinition/p/_history/1"] * len(made)
        assert len(made) == ("Hemmelig" in answer.text)


class TestAppendOnly:
    @pytest.mark.parametrize("kind", ["Provenance", "AuditEvent"])
    @pytest.mark.parametrize("role", ["secretariat", "reporter"])
    async def test_nobody_writes_a_record(self, client, client_of, role, kind):
        await client.post("Task", json=task("a"), headers=FHIR)
        (record,) = [one for one in await of_type(client, kind) if one["meta"]["versionId"] == "1"][:1]
        asking = client_of(role, VEST)
        url = f"{kind}/{record['id']}"
        patch = {"Content-Type": "application/json-patch+json"}
        answers = [
            await asking.post(kind, json=record, headers=FHIR),
            await asking.put(url, json=record, headers=FHIR),
            await asking.patch(url, json=[{"op": "remove", "path": "/recorded"}], headers=patch),
            await asking.delete(url),
            await asking.put(f"{kind}?_id={record['id']}", json=record, headers=FHIR),
            await asking.post("", json=bundle(entry("DELETE", url)), headers=FHIR),
        ]
        assert [answer.status_code for answer in answers] == [405] * 6
        assert (await client.get(url)).json() == record

    async def test_only_the_secretariat_sees_it(self, client, client_of):
        await client.post("Task", json=task("a"), headers=FHIR)
        for asking in (client_of(), client_of("reporter", VEST), client_of("reader")):
            for url in ("AuditEvent", "Provenance", "Task?_revinclude=Provenance:target", "_history"):
                assert "AuditEvent/" not in (answer := (await asking.get(url)).text)
                assert "Provenance/" not in answer


CLAIM: Resource = {
    "resourceType": "Provenance",
    "recorded": "2020-01-01T00:00:00Z",
    "occurredDateTime": "2026-11-01",
    "reason": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HOPERAT"}]}],
    "agent": [{"who": {"type": "Device", "identifier": {"value": "portal"}}}],
    "entity": [{"role": "source", "what": {"identifier": {"system": "https://actor.example", "value": "row-7"}}}],
}


class TestClaims:
    async def push(self, client: httpx.AsyncClient, claim: Any) -> httpx.Response:
        sent = claim if isinstance(claim, str) else json.dumps(claim)
        return await client.post("Task", json=task("a"), headers={**FHIR, "X-Provenance": sent})

    async def test_are_merged_after_what_the_server_says(self, client):
        assert (await self.push(client, CLAIM)).status_code == 201
        (provenance,) = await of_type(client, "Provenance")
        assert provenance["occurredDateTime"] == "2026-11-01"
        assert provenance["recorded"] > "2026"
        assert provenance["reason"] == CLAIM["reason"]
        assert provenance["agent"][0]["who"]["identifier"]["value"] == "portefoljekontoret"
        assert provenance["agent"][-1] == CLAIM["agent"][0]
        assert provenance["entity"][-1] == CLAIM["entity"][0]
        assert len(await of_type(client, "Provenance", "&entity:identifier=row-7")) == 1

    @pytest.mark.parametrize(
        ("claim", "status", "place"),
        [
            ("{", 400, "X-Provenance"),
            ({"resourceType": "Task"}, 400, "X-Provenance.resourceType"),
            ({**CLAIM, "target": [{"reference": "Task/other"}]}, 422, "X-Provenance.target"),
            ({**CLAIM, "activity": {"coding": [{"code": "x"}]}}, 422, "X-Provenance.activity"),
            ({**CLAIM, "signature": []}, 422, "X-Provenance.signature"),
            ({**CLAIM, "occurredDateTime": "soon"}, 400, "X-Provenance.occurred"),
            ({**CLAIM, "agent": [{"who": {"reference": "Organization/o"}}]}, 422, "X-Provenance.agent[0].who"),
            ({**CLAIM, "agent": [{"who": {"identifier": {"system": ENH, "value": VEST}}}]}, 422,
             "X-Provenance.agent[0].who"),
            ({**CLAIM, "agent": [{"who": {"type": "Device", "display": "Kari Nordmann"}}]}, 422,
             "X-Provenance.agent[0].who.display"),
            ({**CLAIM, "reason": [{"text": "fordi Kari sa det"}]}, 422, "X-Provenance.reason[0].text"),
            ({**CLAIM, "entity": [{"role": "source", "what": {"identifier": {"value": "01017012345"}}}]}, 422,
             "X-Provenance.entity[0].what.identifier.value"),
        ],
    )  # fmt: skip
    async def test_that_are_not_the_clients_are_refused_and_nothing_is_written(self, client, claim, status, place):
        answer = await self.push(client, claim)
        assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (status, [place])
        assert (await client.get("Task?_summary=count")).json()["total"] == 0
        assert len(await events(client, "&outcome=4")) == 1

    async def test_that_point_nowhere_are_refused(self, client):
        claim = {**CLAIM, "entity": [{"role": "source", "what": {"reference": "Task/none"}}]}
        assert (await self.push(client, claim)).status_code == 422


async def test_an_error_is_recorded_once(app):
    from server.access import SECRETARIAT
    from server.interaction import record

    error = FhirError("forbidden", "no")
    for _ in range(2):
        await record.refused(app.state.engine, SECRETARIAT, error)
    async with app.state.engine.store.snapshot() as snapshot:
        assert (await snapshot.history("AuditEvent", None)).total == 1
