"""Profiles on the way in: what is refused and with what, warnings with what is stored, and $validate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from server.app import create_app, store_of
from server.definitions.registry import CANONICAL
from server.settings import Settings
from tests.http.build import FHIR, bundle, entry
from tests.profile_definitions import Json
from tests.test_profiles_guide import EXAMPLES, FAULTS, read, spoilt

OUTCOME = {**FHIR, "Prefer": "return=OperationOutcome"}
DELIVERY = read(EXAMPLES / "nep-delivery.json")
YELLOW = read(EXAMPLES / "invalid" / "nep-status-report--nep-s3.json")
PROFILE = f"{CANONICAL}/StructureDefinition"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The default of an installation."""
    return settings.model_copy(update={"profiles": "enforce"})


@pytest.fixture
async def registry(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """The secretariat, in a registry that has an initiative and its organisations."""
    owner = read(EXAMPLES / "nep-organization.json")
    council = read(EXAMPLES / "nep-organization.council.json")
    office = {**council, "id": "portefoljekontoret", "name": "Porteføljekontoret"}
    office["identifier"] = [{"system": f"{CANONICAL}/sid/aktor", "value": "portefoljekontoret"}]
    plan = {**read(EXAMPLES / "nep-initiative.json"), "contact": [{"name": "Prosjektkontoret"}]}
    plan.pop("relatedArtifact", None)
    answer = await client.post("", json=bundle(*(put(one) for one in (owner, office, plan))), headers=FHIR)
    assert answer.status_code == 200, answer.text
    return client


def put(resource: Json) -> Json:
    return entry("PUT", f"{resource['resourceType']}/{resource['id']}", resource)


def without(resource: Json, *names: str) -> Json:
    return {key: value for key, value in resource.items() if key not in names}


def report(**changes: Any) -> Json:
    """A yellow status report without the comment that nep-s3 asks for."""
    kept = [one for one in YELLOW["output"] if "valueReference" not in one]
    return {**YELLOW, "id": "gul", "output": kept, **changes}


def told(answer: httpx.Response) -> set[tuple[str, str]]:
    issues = answer.json()["issue"]
    return {(issue["code"], issue.get("expression", [""])[0]) for issue in issues if issue["severity"] == "error"}


async def test_what_conforms_is_stored(registry: httpx.AsyncClient) -> None:
    answer = await registry.post("Task", json=without(DELIVERY, "id"), headers=FHIR)
    assert answer.status_code == 201


async def test_what_the_server_sets_need_not_be_sent(registry: httpx.AsyncClient) -> None:
    sent = without(DELIVERY, "id", "authoredOn", "lastModified")
    answer = await registry.post("Task", json=sent, headers=FHIR)
    assert answer.status_code == 201
    assert answer.json()["authoredOn"]


@pytest.mark.parametrize(
    ("resource", "status", "said"),
    [
        (without(DELIVERY, "owner"), 422, {("required", "Task.owner")}),
        ({**DELIVERY, "intent": "order"}, 422, {("value", "Task.intent")}),
        ({**DELIVERY, "intent": "x"}, 422, {("code-invalid", "Task.intent")}),
        ({**DELIVERY, "intent": 1}, 400, {("structure", "Task.intent")}),
        (without(DELIVERY, "code"), 422, {("required", "Task.code")}),
        ({"resourceType": "Task", "status": "ready", "intent": "plan"}, 422, None),
        ({"resourceType": "Organization", "name": "a"}, 422, None),
        ({"resourceType": "PlanDefinition", "status": "draft"}, 422, None),
    ],
)
async def test_what_does_not_is_refused(
    registry: httpx.AsyncClient, resource: Json, status: int, said: set[tuple[str, str]] | None
) -> None:
    answer = await registry.post(resource["resourceType"], json=without(resource, "id"), headers=FHIR)
    assert answer.status_code == status
    assert said is None or told(answer) == said


async def test_twelve_faults_of_form_and_profile_come_at_once(registry: httpx.AsyncClient) -> None:
    answer = await registry.post("Task", json=without(spoilt(*(row[1] for row in FAULTS)), "id"), headers=FHIR)
    assert answer.status_code == 400
    assert told(answer) == {row[2][:2] for row in FAULTS}
    keys = {issue["details"]["coding"][0]["code"] for issue in answer.json()["issue"] if "details" in issue}
    assert keys == {row[2][2] for row in FAULTS if row[2][2]}


async def test_the_entry_of_a_bundle_is_named(registry: httpx.AsyncClient) -> None:
    entries = [put(DELIVERY), entry("POST", "Task", without(DELIVERY, "id", "owner"))]
    answer = await registry.post("", json=bundle(*entries), headers=FHIR)
    assert answer.status_code == 422
    assert told(answer) == {("required", "Bundle.entry[1].resource.owner")}
    assert (await registry.get(f"Task/{DELIVERY['id']}")).status_code == 404


async def test_a_patch_holds_too(registry: httpx.AsyncClient) -> None:
    await registry.put(f"Task/{DELIVERY['id']}", json=DELIVERY, headers=FHIR)
    patch = [{"op": "remove", "path": "/owner"}]
    kind = {"Content-Type": "application/json-patch+json"}
    answer = await registry.patch(f"Task/{DELIVERY['id']}", json=patch, headers=kind)
    assert told(answer) == {("required", "Task.owner")}


async def test_warnings_come_with_the_created_one_when_asked_for(registry: httpx.AsyncClient) -> None:
    answer = await registry.put("Task/gul", json=report(), headers=OUTCOME)
    assert answer.status_code == 201
    assert [issue["severity"] for issue in answer.json()["issue"]] == ["information", "warning"]
    assert answer.json()["issue"][1]["details"]["coding"] == [{"code": "nep-s3"}]
    again = await registry.put("Task/gul", json=report(), headers=FHIR)
    assert again.json()["resourceType"] == "Task"


async def test_warnings_stand_beside_their_entry_of_a_transaction(registry: httpx.AsyncClient) -> None:
    answer = await registry.post("", json=bundle(put(report()), put(DELIVERY)), headers=FHIR)
    first, second = (one["response"] for one in answer.json()["entry"])
    assert [issue["severity"] for issue in first["outcome"]["issue"]] == ["warning"]
    assert "outcome" not in second


@pytest.mark.parametrize("mode", ["warn", "off"])
async def test_other_modes(settings: Settings, mode: str) -> None:
    app = create_app(settings.model_copy(update={"profiles": mode, "auth": "off"}), store_of(settings))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=f"{settings.base}/") as http:
            sent = {"resourceType": "Task", "status": "ready", "intent": "plan"}
            answer = await http.post("Task", json=sent, headers=OUTCOME)
            assert answer.status_code == 201
            warned = [issue for issue in answer.json()["issue"] if issue["severity"] == "warning"]
            assert bool(warned) is (mode == "warn")


# ---- $validate


def parameters(**named: Any) -> Json:
    rows = []
    for name, value in named.items():
        key = "resource" if name == "resource" else "valueUri" if name == "profile" else "valueCode"
        rows.append({"name": name, key: value})
    return {"resourceType": "Parameters", "parameter": rows}


FINE: set[tuple[str, str]] = set()
VALIDATIONS: list[tuple[str, str, Json, set[tuple[str, str]]]] = [
    ("the bare resource", "Task/$validate", DELIVERY, FINE),
    ("as a parameter", "Task/$validate", parameters(resource=DELIVERY), FINE),
    ("what is wrong with it", "Task/$validate", without(DELIVERY, "owner"), {("required", "Task.owner")}),
    ("as it is, without a mode", "Task/$validate", without(DELIVERY, "authoredOn"),
     {("required", "Task.authoredOn"), ("invariant", "Task")}),
    ("as it would be created", "Task/$validate",
     parameters(resource=without(DELIVERY, "authoredOn"), mode="create"), FINE),
    ("as it would be updated", "Task/fj-lev-1/$validate", parameters(resource=DELIVERY, mode="update"), FINE),
    ("under another id", "Task/fj-lev-1/$validate",
     parameters(resource={**DELIVERY, "id": "b"}, mode="update"), {("value", "Task.id")}),
    ("another profile", "Task/$validate", parameters(resource=DELIVERY, profile=f"{PROFILE}/nep-task"), FINE),
    ("a profile it does not meet", "Task/$validate?profile=" + f"{PROFILE}/nep-nomination", DELIVERY,
     {("value", "Task.intent"), ("code-invalid", "Task.input[0]"), ("business-rule", "Task.businessStatus"),
      ("business-rule", "Task.code.text"), ("value", "Task.code.coding[0].code")}),
    ("a profile that is unknown", "Task/$validate", parameters(resource=DELIVERY, profile="http://a.example/b"),
     {("not-found", "Task")}),
    ("another type", "Task/$validate", {"resourceType": "Bundle", "type": "batch"},
     {("structure", "Task.resourceType")}),
    ("no form at all", "Task/$validate", {"resourceType": "Task", "code": [], "status": "x", "intent": "plan"},
     {("structure", "Task.code"), ("code-invalid", "Task.status")}),
]  # fmt: skip


async def test_validate(registry: httpx.AsyncClient) -> None:
    await registry.put(f"Task/{DELIVERY['id']}", json=DELIVERY, headers=FHIR)
    found = {}
    for name, url, sent, _ in VALIDATIONS:
        answer = await registry.post(url, json=sent, headers=FHIR)
        assert (answer.status_code, answer.json()["resourceType"]) == (200, "OperationOutcome")
        found[name] = told(answer)
    assert found == {name: said for name, _, _, said in VALIDATIONS}
    assert (await registry.get("Task?_summary=count")).json()["total"] == 1


async def test_validate_of_what_is_stored(registry: httpx.AsyncClient) -> None:
    await registry.put("Task/gul", json=report(), headers=FHIR)
    answer = await registry.get("Task/gul/$validate")
    assert [issue["severity"] for issue in answer.json()["issue"]] == ["warning"]
    strict = await registry.get("Task/gul/$validate", params={"profile": f"{PROFILE}/nep-delivery"})
    assert told(strict)
    fine = await registry.post("Task/gul/$validate?mode=delete", headers=FHIR)
    assert [issue["severity"] for issue in fine.json()["issue"]] == ["information"]


CALLS: list[tuple[str, Json, int]] = [
    ("Task/$validate", {"resourceType": "Parameters"}, 422),
    ("Task/$validate", parameters(resource=DELIVERY, mode="perhaps"), 400),
    ("Task/$validate", {"resourceType": "Parameters", "parameter": [{"value": "a"}]}, 400),
    ("Task/$validate?mode=delete", {"resourceType": "Parameters"}, 422),
    ("Task/unknown/$validate", parameters(mode="delete"), 404),
    ("Nothing/$validate", DELIVERY, 404),
    ("Task/$valdate", DELIVERY, 404),
    ("$validate", DELIVERY, 404),
    ("Task/1/validate", DELIVERY, 404),
]


async def test_calls_that_cannot_be_understood(client: httpx.AsyncClient) -> None:
    for url, sent, status in CALLS:
        answer = await client.post(url, json=sent, headers=FHIR)
        assert (url, answer.status_code) == (url, status)
        assert answer.json()["resourceType"] == "OperationOutcome"


async def test_a_reporter_validates_what_it_may_see_alone(
    registry: httpx.AsyncClient, client_of: Callable[..., httpx.AsyncClient]
) -> None:
    secret = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}
    await registry.put("Task/gul", json=report(meta=secret), headers=FHIR)
    async with client_of() as anonymous:
        assert (await anonymous.get("Task/gul/$validate")).status_code == 404
