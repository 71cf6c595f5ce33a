"""Access in its first form: anonymous reads, a reporter writes its own, the secretariat all. Domain model 10, 13."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey

from server.access import CONFIDENTIALITY, CONTACT_REFERENCE
from server.auth.tokens import Tokens
from tests.http.build import FHIR, bundle, entry, names, organization, plan, task

ENH = "urn:oid:2.16.578.1.12.4.1.4.101"
KINDS = "http://eportefolje.example/fhir/CodeSystem/nep-task-type"
VEST, NORD = "983658725", "883658752"


def owned(name: str, owner: str, **more):
    extension = [{"url": CONTACT_REFERENCE, "valueReference": {"reference": f"Organization/{owner}"}}]
    return plan(name, author=[{"name": owner, "extension": extension}], **more) | {"id": name}


def of_kind(name: str, kind: str, initiative: str = "p-vest", **more):
    code = {"coding": [{"system": KINDS, "code": kind}], "text": name}
    return task(name, basedOn=[{"reference": f"PlanDefinition/{initiative}"}], **more) | {"code": code, "id": name}


LABEL = {"system": CONFIDENTIALITY, "code": "R"}
NORD_REFERENCE = {"reference": "Organization/nord"}
NUMBER = {"system": "http://eportefolje.example/fhir/sid/tiltaksnummer", "value": "NEP-0001"}


def two_plans(name: str, kind: str = "leveranse"):
    return of_kind(name, kind) | {"basedOn": [{"reference": f"PlanDefinition/{p}"} for p in ("p-vest", "p-nord")]}


def two_kinds(name: str, other: str, system: str):
    codings = [{"system": KINDS, "code": "leveranse"}, {"system": system, "code": other}]
    return of_kind(name, "leveranse") | {"code": {"coding": codings, "text": name}}


def measured(name: str, reporter: str):
    return {
        "resourceType": "MeasureReport", "id": name, "status": "complete", "type": "summary",
        "measure": "http://x.example/m", "period": {"start": "2021"},
        "reporter": {"reference": f"Organization/{reporter}"},
    }  # fmt: skip


@pytest.fixture
async def actors(client):
    made = [
        organization(slug, partOf=part) | {"id": slug, "identifier": [{"system": ENH, "value": number}]}
        if part
        else organization(slug) | {"id": slug, "identifier": [{"system": ENH, "value": number}]}
        for slug, number, part in (
            ("vest", VEST, None), ("nord", NORD, None), ("bergen", "983974724", {"reference": "Organization/vest"}),
        )
    ]  # fmt: skip
    made += [owned("p-vest", "vest"), owned("p-nord", "nord"), owned("p-bergen", "bergen")]
    made += [of_kind("report", "statusrapport", owner={"reference": "Organization/vest"})]
    made += [measured("theirs", "nord")]
    made += [of_kind("asked", "avhengighet", "p-nord", owner={"reference": "Organization/vest"})]
    entries = [entry("PUT", f"{r['resourceType']}/{r['id']}", r) for r in made]
    answer = await client.post("", json=bundle(*entries), headers=FHIR)
    assert answer.status_code == 200, answer.text


@pytest.mark.usefixtures("actors")
class TestReporter:
    @pytest.mark.parametrize(
        ("method", "url", "resource", "status"),
        [
            ("PUT", "PlanDefinition/p-vest", owned("p-vest", "vest", title="new"), 200),
            ("PUT", "PlanDefinition/p-bergen", owned("p-bergen", "bergen", title="new"), 200),
            ("PUT", "PlanDefinition/p-nord", owned("p-nord", "nord", title="new"), 403),
            ("PUT", "PlanDefinition/p-vest", owned("p-vest", "nord"), 403),
            ("PUT", "PlanDefinition/p-nord", owned("p-nord", "vest"), 403),
            ("PUT", "PlanDefinition/new", owned("new", "vest", status="draft"), 201),
            ("PUT", "PlanDefinition/new", owned("new", "vest"), 403),
            ("POST", "Task", of_kind("d", "leveranse"), 201),
            ("POST", "Task", of_kind("d", "leveranse", "p-bergen"), 201),
            ("POST", "Task", of_kind("d", "leveranse", "p-nord"), 403),
            ("POST", "Task", of_kind("d", "statusrapport"), 403),
            ("POST", "Task", of_kind("d", "rapporteringsrunde"), 403),
            ("POST", "Task", task("no kind"), 403),
            ("POST", "Task", two_plans("d"), 403),
            ("POST", "Task", two_kinds("d", "vurdering", KINDS), 403),
            ("POST", "Task", two_kinds("d", "leveranse", "http://other.example"), 201),
            ("PUT", "Task/report", two_plans("report", "statusrapport"), 403),
            ("PUT", "Task/report", of_kind("report", "vurdering"), 403),
            ("PUT", "Task/report", of_kind("report", "statusrapport", requester={"display": "x"}), 200),
            ("PUT", "Task/report", of_kind("report", "statusrapport", requester=NORD_REFERENCE), 403),
            ("PUT", "Task/report", of_kind("report", "statusrapport", groupIdentifier={"value": "x"}), 403),
            ("PUT", "Task/report", of_kind("report", "statusrapport", meta={"security": [LABEL]}), 403),
            ("PUT", "PlanDefinition/p-vest", owned("p-vest", "vest", status="retired"), 403),
            ("PUT", "PlanDefinition/p-vest", owned("p-vest", "vest", identifier=[NUMBER]), 403),
            ("PUT", "PlanDefinition/new", owned("new", "vest", status="draft", identifier=[NUMBER]), 403),
            ("PUT", "PlanDefinition/p-vest", owned("p-vest", "vest", meta={"security": [LABEL]}), 403),
            ("PUT", "MeasureReport/theirs", measured("theirs", "vest"), 403),
            ("PUT", "MeasureReport/new", measured("new", "vest"), 201),
            ("PUT", "MeasureReport/new", measured("new", "nord"), 403),
            ("PUT", "Task/report", of_kind("report", "statusrapport", status="completed"), 200),
            ("PUT", "Task/report", of_kind("report", "statusrapport", "p-nord"), 403),
            ("PUT", "Task/asked", of_kind("asked", "avhengighet", "p-nord", status="accepted"), 200),
            ("PUT", "Organization/vest", organization("x") | {"id": "vest"}, 403),
            ("POST", "CodeSystem", {"resourceType": "CodeSystem", "status": "active", "content": "complete"}, 403),
            ("DELETE", "Task/report", None, 403),
        ],
    )
    async def test_writes_what_belongs_to_its_organisation(self, client, client_of, method, url, resource, status):
        before = (await client.get("_history")).json()["total"]
        vest = client_of("reporter", VEST)
        sends = {"json": resource, "headers": FHIR} if resource else {}
        answer = await vest.request(method, url, **sends)
        assert answer.status_code == status, answer.text
        assert (await client.get("_history")).json()["total"] == before + (status < 300)
        if status == 403:
            assert answer.json()["issue"][0]["code"] == "forbidden"

    async def test_the_same_in_a_bundle_and_by_patch(self, client_of):
        vest = client_of("reporter", VEST)
        mixed = bundle(
            entry("POST", "Task", of_kind("mine", "leveranse")),
            entry("POST", "Task", of_kind("theirs", "leveranse", "p-nord")),
        )
        answer = await vest.post("", json=mixed, headers=FHIR)
        assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (
            403, ["Bundle.entry[1].resource.basedOn"],
        )  # fmt: skip
        patch = [{"op": "replace", "path": "/title", "value": "x"}]
        headers = {"Content-Type": "application/json-patch+json"}
        assert (await vest.patch("PlanDefinition/p-nord", json=patch, headers=headers)).status_code == 403
        assert (await vest.patch("PlanDefinition/p-vest", json=patch, headers=headers)).status_code == 200

    async def test_a_slug_names_the_actor_too(self, client, client_of):
        slug = {"system": "http://eportefolje.example/fhir/sid/aktor", "value": "helse-vest"}
        organization_ = organization("vest") | {"id": "vest", "identifier": [slug]}
        await client.put("Organization/vest", json=organization_, headers=FHIR)
        answer = await client_of("reporter", "helse-vest").post("Task", json=of_kind("d", "leveranse"), headers=FHIR)
        assert answer.status_code == 201

    async def test_the_server_dates_what_a_reporter_sends(self, client, client_of):
        vest = client_of("reporter", VEST)
        sent = of_kind("d", "leveranse", authoredOn="2001-01-01T00:00:00Z", owner={"reference": "Organization/vest"})
        made = (await vest.post("Task", json=sent, headers=FHIR)).json()
        assert made["authoredOn"][:4] == made["lastModified"][:4] == f"{datetime.now(UTC):%Y}"
        assert made["owner"]["identifier"] == {"system": ENH, "value": VEST}
        again = await vest.put(f"Task/{made['id']}", json={**sent, "id": made["id"]}, headers=FHIR)
        assert again.headers["ETag"] == 'W/"1"'
        found = await client.get(f"Task?owner:identifier={ENH}|{VEST}&code=leveranse")
        assert names(found.json()) == ["d"]

    async def test_the_server_tells_a_pushed_report_from_a_draft(self, client_of):
        vest = client_of("reporter", VEST)
        sent = of_kind("report", "statusrapport", status="completed")
        answer = await vest.put("Task/report", json=sent, headers=FHIR)
        assert answer.json()["businessStatus"]["coding"][0]["code"] == "innsendt"


async def test_anonymous_reads_and_does_not_write(client, client_of):
    made = (await client.post("Task", json=task("a"), headers=FHIR)).json()
    async with client_of() as anonymous:
        assert (await anonymous.get(f"Task/{made['id']}")).status_code == 200
        refused = await anonymous.post("Task", json=task("b"), headers=FHIR)
        assert (refused.status_code, refused.json()["issue"][0]["code"]) == (401, "login")
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")


async def test_what_is_labelled_r_is_not_there_for_anonymous(client, client_of):
    label = {"meta": {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}}
    made = (await client.post("Organization", json=organization("secret", **label), headers=FHIR)).json()
    pointing = task("t", owner={"reference": f"Organization/{made['id']}"})
    await client.post("Task", json=pointing, headers=FHIR)
    async with client_of() as anonymous:
        assert (await anonymous.get(f"Organization/{made['id']}")).status_code == 404
        assert (await anonymous.get(f"Organization/{made['id']}/_history/1")).status_code == 404
        assert (await anonymous.get("Organization?_total=accurate")).json()["total"] == 0
        assert len((await anonymous.get("Task?_include=Task:owner")).json()["entry"]) == 1
        assert "secret" not in (await anonymous.get("Organization/_history")).text
    assert (await client.get(f"Organization/{made['id']}")).status_code == 200


async def test_nothing_of_what_stands_is_told_to_those_who_may_not_write_it(client, client_of):
    label = {"meta": {"security": [LABEL]}, "description": "HEMMELIG"}
    made = (await client.post("Task", json=task("a", **label), headers=FHIR)).json()
    probe = [{"op": "test", "path": "/description", "value": "x"}]
    patch = {"Content-Type": "application/json-patch+json"}
    for http, status in ((client_of(), 401), (client_of("reader"), 403), (client_of("reporter", VEST), 403)):
        exists = {**FHIR, "If-None-Exist": f"_id={made['id']}"}
        answers = [
            await http.post("Task", json=task("b"), headers=exists),
            await http.patch(f"Task/{made['id']}", json=probe, headers=patch),
            await http.delete(f"Task?_id={made['id']}&status=in-progress"),
            await http.put(f"Task/{made['id']}", json=made, headers={**FHIR, "If-Match": 'W/"9"'}),
        ]
        assert [answer.status_code for answer in answers] == [status] * 4
        assert not any("HEMMELIG" in answer.text for answer in answers)


@pytest.mark.usefixtures("actors")
@pytest.mark.parametrize("order", [1, -1])
async def test_the_order_of_entries_decides_nothing_about_access(client_of, order):
    plan_url = "urn:uuid:11111111-1111-4111-8111-111111111111"
    author = owned("new", "vest", status="draft")["author"]
    author[0]["extension"][0]["valueReference"] = {"reference": f"Organization?identifier={ENH}|{VEST}"}
    initiative = plan("new", status="draft", author=author)
    delivery = of_kind("d", "leveranse") | {"basedOn": [{"reference": plan_url}]}
    entries = [entry("POST", "PlanDefinition", initiative, fullUrl=plan_url), entry("POST", "Task", delivery)]
    answer = await client_of("reporter", VEST).post("", json=bundle(*entries[::order]), headers=FHIR)
    assert answer.status_code == 200, answer.text


def forged(settings, key=None, **changed):
    now = datetime.now(UTC)
    claims = {"iss": settings.base, "aud": settings.base, "sub": "x", "role": "secretariat",
              "iat": int(now.timestamp()), "exp": now + timedelta(hours=1), **changed}  # fmt: skip
    claims = {name: value for name, value in claims.items() if value is not None}
    signer = key or Tokens.of(settings.keys, settings.base).key
    return jwt.encode({"alg": "Ed25519"}, claims, signer, algorithms=["Ed25519"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"exp": datetime.now(UTC) - timedelta(minutes=5)},
        {"exp": None},
        {"aud": "http://other.example/fhir"},
        {"iss": "http://other.example/fhir"},
        {"role": "king"},
        {"sub": None},
        {"key": OKPKey.generate_key("Ed25519")},
    ],
)
async def test_a_token_that_does_not_hold_is_401(client_of, settings, wrong):
    async with client_of() as http:
        answer = await http.get("Task", headers={"Authorization": f"Bearer {forged(settings, **wrong)}"})
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (401, "login")


@pytest.mark.parametrize("authorization", ["Bearer", "Bearer x.y.z", "Basic dXNlcjpwYXNz", "Bearer " + "a" * 9000])
async def test_a_header_that_is_no_token_is_401(client_of, authorization):
    async with client_of() as http:
        assert (await http.get("Task", headers={"Authorization": authorization})).status_code == 401


async def test_an_unsigned_token_is_401(client_of, settings):
    claims = {
        "iss": settings.base,
        "aud": settings.base,
        "sub": "x",
        "role": "secretariat",
        "iat": 1,
        "exp": 4102444800,
    }
    async with client_of() as http:
        bearer = {"Authorization": f"Bearer {jwt.encode({'alg': 'none'}, claims, None, algorithms=['none'])}"}
        assert (await http.get("Task", headers=bearer)).status_code == 401
