"""Crosswalks on intake: a reporter sends its own codes, and the concept map of its organisation adds ours."""

from __future__ import annotations

import pytest

from server.interaction.crosswalk import USAGE
from tests.http.build import FHIR, names
from tests.http.test_access import ENH, NORD, VEST, of_kind, owned

C = "http://eportefolje.example/fhir"
OURS, THEIRS = f"{C}/CodeSystem/nep-criticality", "https://helse-vest.example/koder/viktighet"
ROWS = {"KRITISK": "hoy", "VANLIG": "middels", "UVIKTIG": "lav"}


def crosswalk(organization="vest", status="active", **more):
    context = {
        "code": {"system": USAGE, "code": "user"},
        "valueReference": {"reference": f"Organization/{organization}"},
    }
    element = [{"code": code, "target": [{"code": ours, "equivalence": "equivalent"}]} for code, ours in ROWS.items()]
    element.append({"code": "UKJENT", "target": [{"equivalence": "unmatched"}]})
    return {
        "resourceType": "ConceptMap", "id": "viktighet", "url": "https://helse-vest.example/ConceptMap/viktighet",
        "status": status, "useContext": [context], "group": [{"source": THEIRS, "target": OURS, "element": element}],
        **more,
    }  # fmt: skip


def dependency(*codings, initiative="p-vest"):
    slot = {"type": {"coding": [{"system": f"{C}/CodeSystem/nep-task-io", "code": "kritikalitet"}]},
            "valueCodeableConcept": {"coding": list(codings), "text": "svært viktig"}}  # fmt: skip
    return of_kind("d", "avhengighet", initiative, status="requested", input=[slot])


def theirs(code):
    return {"system": THEIRS, "code": code, "display": code.capitalize()}


@pytest.fixture(autouse=True)
async def actors(client):
    for slug, number in (("vest", VEST), ("nord", NORD)):
        made = {"resourceType": "Organization", "id": slug, "identifier": [{"system": ENH, "value": number}]}
        await client.put(f"Organization/{slug}", json=made, headers=FHIR)
        await client.put(f"PlanDefinition/p-{slug}", json=owned(f"p-{slug}", slug), headers=FHIR)


async def registered(client, **more):
    answer = await client.put("ConceptMap/viktighet", json=crosswalk(**more), headers=FHIR)
    assert answer.status_code in (200, 201), answer.text


def codings(resource):
    return resource["input"][0]["valueCodeableConcept"]["coding"]


async def test_our_coding_comes_first_and_theirs_stays(client, client_of):
    await registered(client)
    vest = client_of("reporter", VEST)
    made = (await vest.put("Task/d", json=dependency(theirs("KRITISK")), headers=FHIR)).json()
    assert codings(made) == [{"system": OURS, "code": "hoy", "display": "Høy"}, theirs("KRITISK")]
    assert made["input"][0]["valueCodeableConcept"]["text"] == "svært viktig"
    assert names((await client.get(f"Task?criticality={OURS}|hoy")).json()) == ["d"]
    for again in (dependency(theirs("KRITISK")), made):
        answer = await vest.put("Task/d", json=again, headers=FHIR)
        assert (answer.status_code, answer.headers["ETag"]) == (200, 'W/"1"')


async def test_an_unmapped_code_is_refused_with_the_nearest_named(client, client_of):
    await registered(client)
    answer = await client_of("reporter", VEST).post("Task", json=dependency(theirs("KRITISKT")), headers=FHIR)
    (issue,) = answer.json()["issue"]
    assert (answer.status_code, issue["code"]) == (422, "code-invalid")
    assert issue["expression"] == ["Task.input[0].valueCodeableConcept.coding[0].code"]
    assert "Nearest: «KRITISK» → hoy" in issue["diagnostics"]


@pytest.mark.parametrize("code", ["UKJENT", "helt feil"])
async def test_what_the_map_says_is_unmatched_is_unmapped(client, client_of, code):
    await registered(client)
    answer = await client_of("reporter", VEST).post("Task", json=dependency(theirs(code)), headers=FHIR)
    assert answer.json()["issue"][0]["code"] == "code-invalid"


@pytest.mark.parametrize("wrong", [{"system": [THEIRS], "code": "x"}, {"system": THEIRS, "code": {"a": 1}}, "KRITISK"])
async def test_what_is_out_of_form_is_left_to_the_validation(client, client_of, wrong):
    await registered(client)
    answer = await client_of("reporter", VEST).post("Task", json=dependency(wrong), headers=FHIR)
    assert answer.status_code == 400


async def test_two_codings_that_contradict_are_refused(client, client_of):
    await registered(client)
    sent = dependency({"system": OURS, "code": "lav"}, theirs("KRITISK"))
    answer = await client_of("reporter", VEST).post("Task", json=sent, headers=FHIR)
    assert answer.json()["issue"][0]["expression"] == ["Task.input[0].valueCodeableConcept.coding"]


@pytest.mark.parametrize(("role", "organization"), [("reporter", NORD), ("secretariat", "")])
async def test_a_map_is_for_the_reports_of_its_organisation_alone(client, client_of, role, organization):
    await registered(client)
    sent = dependency(theirs("KRITISK"), initiative="p-nord")
    made = (await client_of(role, organization).post("Task", json=sent, headers=FHIR)).json()
    assert codings(made) == [theirs("KRITISK")]


async def test_a_map_that_is_not_active_maps_nothing(client, client_of):
    await registered(client, status="draft")
    made = (await client_of("reporter", VEST).post("Task", json=dependency(theirs("X")), headers=FHIR)).json()
    assert codings(made) == [theirs("X")]


async def test_a_patch_is_mapped_too(client, client_of):
    await registered(client)
    vest = client_of("reporter", VEST)
    await vest.put("Task/d", json=dependency(theirs("VANLIG")), headers=FHIR)
    patch = [{"op": "replace", "path": "/input/0/valueCodeableConcept/coding", "value": [theirs("UVIKTIG")]}]
    answer = await vest.patch("Task/d", json=patch, headers={"Content-Type": "application/json-patch+json"})
    assert [one["code"] for one in codings(answer.json())] == ["lav", "UVIKTIG"]
