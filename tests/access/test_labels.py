"""Labels as the server sets them, and what follows from them. Domain model 0, decisions 5, 10 and 30."""

from __future__ import annotations

import pytest

from server.access import rights
from server.access.labels import CONFIDENTIALITY, label_of
from server.access.rights import TABLE
from tests.access.test_rights import NUMBERS, concept, context, initiative, organization, put, task
from tests.http.build import FHIR, bundle

LIVES = {"nominert": "draft", "akseptert": "draft", "aktiv": "active", "avsluttet": "retired", "avslatt": "retired"}


def living(life: str, id: str = "base"):
    plan = initiative() | {"id": id, "status": LIVES[life]}
    plan["useContext"][3] = context("livslop", concept("nep-lifecycle", life))
    return plan


def labelled(resource, code: str):
    return {**resource, "meta": {"security": [{"system": CONFIDENTIALITY, "code": code}]}}


@pytest.fixture
async def office(client):
    made = [organization("vest", NUMBERS["owner"]), organization("nhn", NUMBERS["other party"]),
            organization("nord", NUMBERS["stranger"]), organization("kontoret", "")]  # fmt: skip
    assert (await client.post("", json=bundle(*map(put, made)), headers=FHIR)).status_code == 200
    return client


async def stored(http, resource) -> str:
    url = f"{resource['resourceType']}/{resource['id']}"
    answer = await http.put(url, json=resource, headers=FHIR)
    assert answer.status_code in (200, 201), answer.text
    return label_of(answer.json())


@pytest.mark.parametrize(
    ("life", "label"), [("nominert", "R"), ("akseptert", "R"), ("aktiv", "U"), ("avsluttet", "U"), ("avslatt", "R")]
)
async def test_an_initiative_and_its_deliveries_are_labelled_by_its_state(office, life, label):
    assert await stored(office, living(life)) == label
    for kind in ("leveranse", "avhengighet", "nytteforutsetning"):
        assert await stored(office, {**task(kind), "id": kind}) == label


@pytest.mark.parametrize(
    ("kind", "more", "label"),
    [
        ("statusrapport", {"businessStatus": concept("nep-report-status", "godkjent")}, "R"),
        ("statusrapport", {"businessStatus": concept("nep-report-status", "last")}, "U"),
        ("nominasjon", {}, "R"),
        ("vurdering", {}, "R"),
        ("radssak", {}, "R"),
        ("rapporteringsrunde", {"status": "draft"}, "R"),
        ("rapporteringsrunde", {"status": "in-progress"}, "U"),
        ("veikartaktivitet", {}, "U"),
    ],
)
async def test_other_tasks_by_kind_and_state(office, kind, more, label):
    await stored(office, living("aktiv"))
    assert await stored(office, task(kind, **more)) == label


async def test_the_tasks_open_with_their_initiative_in_one_unit(office, client_of):
    await stored(office, living("akseptert"))
    for kind in ("leveranse", "nominasjon"):
        await stored(office, {**task(kind), "id": kind})
    async with client_of() as anonymous:
        assert (await anonymous.get("Task/leveranse")).status_code == 404
        await stored(office, living("aktiv"))
        opened = await anonymous.get("Task/leveranse")
        assert (opened.status_code, opened.headers["ETag"]) == (200, 'W/"2"')
        assert (await anonymous.get("Task/nominasjon")).status_code == 404
        # Its earlier version was restricted, and stays so; nor is it counted.
        story = (await anonymous.get("Task/leveranse/_history")).json()
        assert (len(story["entry"]), story["total"]) == (1, 1)
        assert (await anonymous.get("Task/leveranse/_history/1")).status_code == 404
    urls = ("PlanDefinition/base", "Task/leveranse")
    initiative_, relabelled = [(await office.get(url)).json()["meta"]["lastUpdated"] for url in urls]
    assert initiative_ == relabelled


async def test_a_label_that_is_asked_for_is_refused_and_never_dropped(office, client_of):
    await stored(office, living("akseptert"))
    await stored(office, task("leveranse"))
    vest = client_of("reporter", NUMBERS["owner"])
    answer = await vest.put("Task/it", json=labelled(task("leveranse"), "U"), headers=FHIR)
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (403, ["Task.meta.security[0]"])
    assert (await vest.put("Task/it", json=labelled(task("leveranse"), "R"), headers=FHIR)).status_code == 200
    assert (await office.put("Task/it", json=labelled(task("leveranse"), "U"), headers=FHIR)).status_code == 403


async def test_the_secretariat_publishes_assessments(office, client_of):
    await stored(office, living("aktiv"))
    assert await stored(office, task("vurdering")) == "R"
    assert await stored(office, labelled(task("vurdering"), "U")) == "U"
    assert await stored(office, task("vurdering")) == "U"
    async with client_of() as anonymous:
        assert (await anonymous.get("Task/it")).status_code == 200


async def test_other_security_codes_stay(office):
    other = {"system": "urn:other", "code": "x"}
    sent = {**living("aktiv"), "meta": {"security": [other]}}
    await stored(office, sent)
    found = (await office.get("PlanDefinition/base")).json()["meta"]["security"]
    assert found == [{"system": CONFIDENTIALITY, "code": "U"}, other]


# Who reads what is restricted, of a Task of each kind whose initiative is Vest's, asked of NHN.
READS = {
    "leveranse": {"owner", "other party"},
    "avhengighet": {"owner", "other party"},
    "statusrapport": {"owner"},
    "vurdering": {"other party"},
    "nominasjon": {"owner"},
}


@pytest.mark.parametrize("kind", READS)
async def test_the_parties_read_what_is_restricted(office, client_of, kind):
    await stored(office, living("akseptert"))
    office_ = {"reference": "Organization/kontoret"}
    more = {"requester": office_} if kind in ("vurdering", "statusrapport") else {}
    more |= {"owner": office_} if kind in ("nominasjon", "statusrapport") else {}
    assert await stored(office, task(kind, **more)) == "R"
    for caller, number in NUMBERS.items():
        for role in ("reporter", "reader"):
            http = client_of(role, number)
            sees = caller in READS[kind]
            assert ((await http.get("Task/it")).status_code, caller) == (200 if sees else 404, caller)
            assert (await http.get("Task?_id=it&_summary=count")).json()["total"] == int(sees)
            assert (await http.get("Task/it/_history")).status_code == (200 if sees else 404)


class TestNothingIsTold:
    """Of what is hidden, by conditions, references, plans and histories."""

    @pytest.fixture
    async def nord(self, office, client_of):
        await stored(office, living("akseptert"))
        await stored(office, living("aktiv", "open"))
        await stored(office, task("leveranse", description="HEMMELIG"))
        return client_of("reporter", NUMBERS["stranger"])

    async def test_a_condition_on_hidden_texts_finds_nothing(self, nord):
        made = {"resourceType": "QuestionnaireResponse", "status": "completed",
                "author": {"reference": "Organization/nord"}}  # fmt: skip
        for condition, status in (("description=HEMM", 403), ("description=ANNET", 403), ("identifier=urn:own|a", 403)):
            headers = {**FHIR, "If-None-Exist": condition}
            answer = await nord.post("Task", json=task("leveranse") | {"id": "x"}, headers=headers)
            assert answer.status_code == status
            assert "HEMM" not in answer.text
        assert (await nord.post("QuestionnaireResponse", json=made, headers=FHIR)).status_code == 201

    async def test_a_reference_to_it_leads_to_nothing(self, nord):
        for subject, status in (("Task/it", 422), ("Task/nothing", 422), ("PlanDefinition/open", 201)):
            made = {"resourceType": "QuestionnaireResponse", "status": "completed",
                    "author": {"reference": "Organization/nord"}, "subject": {"reference": subject}}  # fmt: skip
            answer = await nord.post("QuestionnaireResponse", json=made, headers=FHIR)
            assert answer.status_code == status
            if status == 422:
                assert answer.json()["issue"][0]["diagnostics"] == f"Finnes ikke / {subject} does not exist here."

    async def test_a_patch_of_it_finds_nothing(self, nord):
        headers = {"Content-Type": "application/json-patch+json"}
        answers = [await nord.patch(f"Task/{id}", json=[], headers=headers) for id in ("it", "nothing")]
        assert [one.status_code for one in answers] == [404, 404]

    async def test_the_plan_counts_are_the_secretariats(self, office, nord):
        url = "Task?identifier=urn:own|a&__explain=true"
        assert "candidates" in (await office.get(url)).text
        assert "candidates" not in (await nord.get(url)).text

    async def test_history_has_neither_gaps_nor_a_total_of_it(self, nord, client_of):
        async with client_of() as anonymous:
            page = (await anonymous.get("PlanDefinition/_history?_count=1")).json()
            assert [one["resource"]["id"] for one in page["entry"]] == ["open"]
            assert (page["total"], [one["relation"] for one in page["link"]]) == (1, ["self"])


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"owner": "PlanDefinition.owner"', '"king": "PlanDefinition.owner"', "king"),
        ('"at": ["basedOn"], "then": "PlanDefinition.owner"', '"at": ["basedOn"], "then": "Nobody.x"', "Nobody.x"),
        ('"derived"', '"derives"', "derives"),
    ],
)
def test_a_table_with_an_unknown_word_stops_the_start(tmp_path, old, new, reason):
    path = tmp_path / "rights.json"
    path.write_text(TABLE.read_text().replace(old, new, 1))
    with pytest.raises(ValueError, match=reason) as error:
        rights.rights(path)
    assert str(path) in str(error.value)


def test_elements_are_checked_against_r4_and_the_profiles(tmp_path):
    from server.app import PROFILES, RESOURCE_TYPES
    from server.definitions.registry import Registry

    registry = Registry.load(PROFILES)
    rights.standard_rights().check(registry, RESOURCE_TYPES)
    for wrong in ("titel", "useContext[fasen]"):
        path = tmp_path / "rights.json"
        path.write_text(TABLE.read_text().replace('["title",', f'["{wrong}",', 1))
        with pytest.raises(ValueError, match="tiltak"):
            rights.rights(path).check(registry, RESOURCE_TYPES)
