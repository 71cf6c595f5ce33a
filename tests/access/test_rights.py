"""Who may write which element of what: domain model 10, cell by cell, by PUT, in a Bundle and by PATCH.

The table below is written from the model; the server's own is server/access/rights.json. Life cycles and profiles are
tested elsewhere, and are off here.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from server.access import CONTACT_REFERENCE
from tests.http.build import FHIR, bundle, entry

C = "http://eportefolje.example/fhir"
S = f"{C}/CodeSystem"
ENH = "urn:oid:2.16.578.1.12.4.1.4.101"
NUMBERS = {"owner": "983658725", "other party": "994598759", "stranger": "883658752"}
REFERENCES = {"owner": "Organization/vest", "other party": "Organization/nhn", "office": "Organization/kontoret"}
PATCH = {"Content-Type": "application/json-patch+json"}

Resource = dict[str, Any]


def to(name: str) -> Resource:
    return {"reference": REFERENCES[name], "display": name}


def concept(system: str, code: str, text: str = "") -> Resource:
    coding = {"coding": [{"system": f"{S}/{system}", "code": code}]}
    return coding | ({"text": text} if text else {})


def slot(code: str, system: str = "nep-task-io", **value: Any) -> Resource:
    return {"type": concept(system, code), **value}


def context(code: str, value: Resource) -> Resource:
    system = f"{S}/nep-context-type"
    if code in ("program", "user"):
        system = "http://terminology.hl7.org/CodeSystem/usage-context-type"
    return {"code": {"system": system, "code": code}, "valueCodeableConcept": value}


def line(amount: int) -> Resource:
    return {
        "url": f"{C}/StructureDefinition/nep-finance-line",
        "extension": [{"url": "amount", "valueInteger": amount}],
    }


def initiative() -> Resource:
    author = {"name": "Vest", "extension": [{"url": CONTACT_REFERENCE, "valueReference": to("owner")}]}
    return {
        "resourceType": "PlanDefinition", "id": "it", "status": "active", "url": f"{C}/PlanDefinition/NEP-0001",
        "name": "Tiltak", "title": "Tiltak", "publisher": "Vest", "lastReviewDate": "2031-01-01",
        "approvalDate": "2030-01-01", "description": "a", "author": [author], "contact": [{"name": "a"}],
        "identifier": [{"system": f"{C}/sid/tiltaksnummer", "value": "NEP-0001"}, {"system": "urn:own", "value": "a"}],
        "type": {"text": "a"}, "effectivePeriod": {"end": "2032"}, "topic": [{"text": "a"}],
        "useContext": [
            context("program", concept("nep-portfolio", "nasjonal-e-helseportefolje")),
            context("segment", concept("nep-segment", "samstyre")), context("fase", concept("nep-phase", "konsept")),
            context("livslop", concept("nep-lifecycle", "aktiv")), context("innforingsstrategi", {"text": "a"}),
            context("user", {"text": "a"}),
        ],
        "goal": [{"description": {"text": "a"}}], "extension": [line(1)],
        "relatedArtifact": [{"type": "documentation", "label": "a"}, {"type": "composed-of", "label": "a"}],
    }  # fmt: skip


def task(kind: str, **more: Any) -> Resource:
    return {
        "resourceType": "Task", "id": "it", "status": "ready", "intent": "plan", "description": "a",
        "code": concept("nep-task-type", kind, "a"), "identifier": [{"system": "urn:own", "value": "a"}],
        "basedOn": [{"reference": "PlanDefinition/base", "display": "base"}], "requester": to("owner"),
        "owner": to("other party"), "note": [{"text": "a"}], "statusReason": {"text": "a"},
        "restriction": {"period": {"end": "2032"}}, "authoredOn": "2021-01-01T00:00:00Z",
        "lastModified": "2021-01-02T00:00:00Z", **more,
    }  # fmt: skip


def scored(*codes: str) -> list[Resource]:
    return [slot(code, "nep-assessment-criterion", valueDecimal=1) for code in codes]


STORED: dict[str, Resource] = {
    "tiltak": initiative(),
    "leveranse": task("leveranse", businessStatus={"text": "a"}, executionPeriod={"start": "2031"}),
    "nytteforutsetning": task("nytteforutsetning"),
    "avhengighet": task(
        "avhengighet", businessStatus={"text": "a"}, reasonCode={"text": "a"}, focus={"display": "a"},
        input=[slot("kritikalitet", valueString="a"), slot("avklart-plan", valueBoolean=True)],
        output=[slot("levert-av", valueReference={"display": "a"})],
    ),
    "statusrapport": task(
        "statusrapport", requester=to("office"), owner=to("owner"), businessStatus={"text": "a"},
        groupIdentifier={"value": "a"}, input=[slot("questionnaire", valueString="a")],
        output=[slot("status", valueString="a"), slot("kommentar", valueString="a")],
    ),
    "vurdering": task("vurdering", requester=to("office"), output=scored("teknisk", "score", "rang", "kostnader")),
    "nominasjon": task("nominasjon", owner=to("office"), output=[slot("vedtak", valueString="a")]),
    "rapporteringsrunde": task("rapporteringsrunde", requester=to("office"), owner=to("office")),
    "radssak": task("radssak", output=[slot("vedtak", valueString="a")]),
    "veikartaktivitet": task("veikartaktivitet"),
    "Organization": {
        "resourceType": "Organization", "id": "it", "name": "a", "partOf": {"reference": "Organization/vest"},
        "identifier": [{"system": "urn:own", "value": "a"}], "telecom": [{"value": "a", "system": "url"}],
    },
    "MeasureReport": {
        "resourceType": "MeasureReport", "id": "it", "status": "complete", "type": "summary", "reporter": to("owner"),
        "measure": "http://x.example/m", "period": {"start": "2031"}, "date": "2031",
    },
    "QuestionnaireResponse": {
        "resourceType": "QuestionnaireResponse", "id": "it", "status": "in-progress", "author": to("owner"),
        "authored": "2031", "item": [{"linkId": "a"}],
    },
    "Measure": {"resourceType": "Measure", "id": "it", "status": "active", "title": "a"},
    "CodeSystem": {"resourceType": "CodeSystem", "id": "it", "status": "active", "content": "complete", "title": "a"},
    "Composition": {
        "resourceType": "Composition", "id": "it", "status": "final", "type": {"text": "a"}, "date": "2031",
        "author": [{"display": "a"}], "title": "a",
    },
    "PractitionerRole": {"resourceType": "PractitionerRole", "id": "it", "organization": to("owner"), "active": True},
}  # fmt: skip

# kind -> caller -> the elements that it may change; all that is stored may be changed by the secretariat, and what is
# not named here by nobody else. «other party» is the counterpart of a dependency, the performer (Hvem) of a delivery
# and of a roadmap activity, and the assessor.
WRITES: dict[str, dict[str, set[str]]] = {
    "tiltak": {
        "owner": {
            "title", "description", "type", "contact", "effectivePeriod", "topic", "useContext[2]", "useContext[4]",
            "useContext[5]", "goal", "extension[0]", "identifier[1]", "relatedArtifact[0]",
        },
    },
    "leveranse": {
        "owner": {
            "status", "description", "code", "identifier[0]", "owner", "note", "statusReason", "restriction",
            "businessStatus", "executionPeriod", "intent",
        },
        "other party": {"status", "statusReason", "businessStatus", "executionPeriod", "note"},
    },
    "nytteforutsetning": {
        "owner": {
            "status", "description", "code", "identifier[0]", "owner", "note", "statusReason", "restriction", "intent",
        },
    },
    "avhengighet": {
        "owner": {
            "status", "description", "code", "identifier[0]", "owner", "note", "statusReason", "restriction",
            "businessStatus", "reasonCode", "focus", "input[0]", "input[1]", "intent",
        },
        "other party": {"status", "statusReason", "output[0]", "note", "focus"},
    },
    "statusrapport": {"owner": {"status", "businessStatus", "output[0]", "output[1]", "note"}},
    "vurdering": {"other party": {"status", "output[0]"}},
    "nominasjon": {"owner": {"status", "statusReason"}},
    "veikartaktivitet": {"other party": {"status", "note"}},
    "Organization": {"owner": {"telecom"}},
    "MeasureReport": {"owner": {"status", "type", "measure", "period", "date"}},
    "QuestionnaireResponse": {"owner": {"status", "authored", "item"}},
}  # fmt: skip
STAMPED = {"authoredOn", "lastModified"}
CODES = {
    "Task": {"status": "on-hold", "intent": "order"},
    "PlanDefinition": {"status": "retired"},
    "MeasureReport": {"status": "pending", "type": "individual"},
    "QuestionnaireResponse": {"status": "completed"},
    "Measure": {"status": "retired"},
    "CodeSystem": {"status": "retired", "content": "fragment"},
    "Composition": {"status": "amended"},
}


def elements(resource: Resource) -> list[str]:
    """What can be changed of it: items of its sliced lists one by one."""
    found = []
    for key, value in resource.items():
        if key in ("resourceType", "id", "meta") or key in STAMPED:
            continue
        sliced = key in ("useContext", "identifier", "relatedArtifact", "input", "output", "extension")
        found += [f"{key}[{index}]" for index in range(len(value))] if sliced else [key]
    return found


def changed(resource: Resource, element: str) -> Resource:
    """The resource with another value in that element, of the same form and, in a list, of the same slice."""
    result = copy.deepcopy(resource)
    key, _, index = element.removesuffix("]").partition("[")
    if key in CODES.get(resource["resourceType"], {}):
        result[key] = CODES[resource["resourceType"]][key]
    elif index:
        result[key][int(index)] = other(result[key][int(index)], key)
    else:
        result[key] = other(result[key], key)
    return result


def other(value: Any, key: str) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return value.replace("203", "204", 1) if value[:3] == "203" else f"{value}b"
        case list():
            return [other(value[0], key), *value[1:]]
        case {"reference": _}:
            return {"reference": "Organization/nord" if key != "basedOn" else "PlanDefinition/elsewhere"}
        case {"type": {"coding": _}}:
            return {name: other(one, name) if name.startswith("value") else one for name, one in value.items()}
        case {"code": _, "valueCodeableConcept": _}:
            return {**value, "valueCodeableConcept": {"text": "b"}}
        case {"system": system, "value": text}:
            return {"system": system, "value": f"{text}b"}
        case {"url": url, "extension": inner} if url.endswith("finance-line"):
            return {"url": url, "extension": other(inner, key)}
        case {"type": str() as type, "label": _}:
            return {"type": type, "label": "b"}
        case {"coding": coding}:
            return {"coding": coding, "text": "b"}
        case {"status": _} | {"url": _, "valueInteger": _}:
            return {**value, "valueInteger": 7}
        case {"name": name, **rest}:
            return {**rest, "name": f"{name}b"}
        case dict():
            ((name, one), *more) = value.items()
            return {name: other(one, name), **dict(more)}
    raise AssertionError(value)


def organization(id: str, number: str) -> Resource:
    identifier = [{"system": ENH, "value": number}] if number else []
    made = {"resourceType": "Organization", "id": id, "name": id}
    return made | ({"identifier": identifier} if identifier else {})


def put(resource: Resource) -> Resource:
    return entry("PUT", f"{resource['resourceType']}/{resource['id']}", resource)


@pytest.fixture
async def house(client):
    """The organisations, and two initiatives that Tasks are based on."""
    base = {**initiative(), "id": "base", "identifier": [], "useContext": initiative()["useContext"]}
    base = {key: value for key, value in base.items() if value}
    made = [
        organization("vest", NUMBERS["owner"]), organization("nhn", NUMBERS["other party"]),
        organization("nord", NUMBERS["stranger"]), organization("kontoret", ""), base, {**base, "id": "elsewhere"},
    ]  # fmt: skip
    answer = await client.post("", json=bundle(*map(put, made)), headers=FHIR)
    assert answer.status_code == 200, answer.text
    return client


def by_put(http, stored: Resource, wanted: Resource, element: str):
    return http.put(f"{stored['resourceType']}/it", json=wanted, headers=FHIR)


def in_a_bundle(http, stored: Resource, wanted: Resource, element: str):
    return http.post("", json=bundle(put(wanted)), headers=FHIR)


def by_patch(http, stored: Resource, wanted: Resource, element: str):
    key, _, index = element.removesuffix("]").partition("[")
    path, value = (f"/{key}/{index}", wanted[key][int(index)]) if index else (f"/{key}", wanted[key])
    patch = [{"op": "replace", "path": path, "value": value}]
    return http.patch(f"{stored['resourceType']}/it", json=patch, headers=PATCH)


WAYS = {"PUT": by_put, "Bundle": in_a_bundle, "PATCH": by_patch}


def said(answer) -> list[str]:
    issues = answer.json()["issue"]
    assert {issue["code"] for issue in issues} == {"forbidden"}, answer.text
    return [place for issue in issues for place in issue.get("expression", [])]


@pytest.mark.parametrize("kind", STORED)
async def test_every_element_is_written_by_those_whose_it_is(house, client_of, kind):
    sends, rights = STORED[kind], WRITES.get(kind, {})
    url = f"{sends['resourceType']}/it"
    assert (await house.put(url, json=sends, headers=FHIR)).status_code == 201
    stored = (await house.get(url)).json()
    wrong = []
    for caller, number in NUMBERS.items():
        http = client_of("reporter", number)
        for element in elements(sends):
            for way, write in WAYS.items():
                answer = await write(http, stored, changed(stored, element), element)
                allowed = element in rights.get(caller, set())
                if (answer.status_code == 200) is not allowed:
                    wrong.append((caller, element, way, answer.status_code, answer.text[:300]))
                elif allowed:
                    assert (await house.put(url, json=stored, headers=FHIR)).status_code == 200
                elif rights.get(caller) and way != "Bundle":
                    # Those who may write some of it are told which element it was.
                    place = f"{sends['resourceType']}.{element}"
                    assert any(one.startswith(place) for one in said(answer)), (element, way, answer.text)
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("kind", STORED)
async def test_the_secretariat_writes_all_and_readers_nothing(house, client_of, kind):
    sends = STORED[kind]
    url = f"{sends['resourceType']}/it"
    assert (await house.put(url, json=sends, headers=FHIR)).status_code == 201
    stored = (await house.get(url)).json()
    element = elements(sends)[-1]
    for way, write in WAYS.items():
        for caller, status in ((client_of(), 401), (client_of("reader", NUMBERS["owner"]), 403)):
            answer = await write(caller, stored, changed(stored, element), element)
            assert (way, answer.status_code) == (way, status)
    for element in elements(sends):
        answer = await house.put(url, json=changed(stored, element), headers=FHIR)
        assert (element, answer.status_code) == (element, 200), answer.text
    for number in NUMBERS.values():
        assert (await client_of("reporter", number).delete(url)).status_code == 403


# What a caller creates, of a resource as it is stored above. The secretariat creates all of them.
CREATES = {
    "tiltak": {"owner"},
    "leveranse": {"owner"},
    "nytteforutsetning": {"owner"},
    "avhengighet": {"owner"},
    "nominasjon": {"owner"},
    "MeasureReport": {"owner"},
    "QuestionnaireResponse": {"owner"},
}
# What a creator leaves to others: the secretariat's, the server's and the counterpart's.
LEFT = {"tiltak": ("approvalDate", "url", "lastReviewDate"), "avhengighet": ("output",), "nominasjon": ("output",)}


@pytest.mark.parametrize("kind", STORED)
async def test_what_is_created_by_whom(house, client_of, kind):
    new = {key: value for key, value in STORED[kind].items() if key not in LEFT.get(kind, ()) and key != "id"}
    if kind == "tiltak":
        new |= {"status": "draft", "identifier": new["identifier"][1:]}
    for caller, number in NUMBERS.items():
        http = client_of("reporter", number)
        status = 201 if caller in CREATES.get(kind, set()) else 403
        answers = [await http.post(new["resourceType"], json=new, headers=FHIR)]
        answers.append(await http.post("", json=bundle(entry("POST", new["resourceType"], new)), headers=FHIR))
        assert [one.status_code for one in answers] == [status, 200 if status == 201 else 403], (
            caller,
            answers[0].text,
        )
        for left in LEFT.get(kind, ()) if status == 201 else ():
            answer = await http.post(new["resourceType"], json={**new, left: STORED[kind][left]}, headers=FHIR)
            assert answer.status_code == 403
            assert said(answer)[0].startswith(f"{new['resourceType']}.{left}")


class TestMerge:
    """«Absent = keep, equal = accept, different = 403»; what changes nothing makes no version."""

    @pytest.fixture
    async def vest(self, house, client_of):
        assert (await house.put("PlanDefinition/it", json=STORED["tiltak"], headers=FHIR)).status_code == 201
        return client_of("reporter", NUMBERS["owner"])

    async def test_an_owner_sends_its_own_elements_alone(self, vest):
        own = {"resourceType": "PlanDefinition", "id": "it", "title": "Nytt navn",
               "useContext": [context("fase", concept("nep-phase", "gjennomfore"))]}  # fmt: skip
        kept = (await vest.put("PlanDefinition/it", json=own, headers=FHIR)).json()
        contexts = [one["code"]["code"] for one in kept["useContext"]]
        assert sorted(contexts) == ["fase", "livslop", "program", "segment"]
        assert (kept["title"], kept["status"], kept["approvalDate"]) == ("Nytt navn", "active", "2030-01-01")
        # What is its own and left out is removed.
        assert "goal" not in kept

    async def test_what_changes_nothing_makes_no_version(self, vest):
        stored = (await vest.get("PlanDefinition/it")).json()
        partial = {
            key: value for key, value in stored.items() if key not in ("status", "url", "name", "author", "meta")
        }
        partial["useContext"] = [
            one for one in stored["useContext"] if one["code"]["code"] not in ("segment", "livslop")
        ]
        answer = await vest.put("PlanDefinition/it", json=partial, headers=FHIR)
        assert (answer.status_code, answer.headers["ETag"]) == (200, 'W/"1"')

    async def test_each_forbidden_element_is_named_with_its_index(self, vest):
        stored = (await vest.get("PlanDefinition/it")).json()
        wrong = changed(changed(changed(stored, "useContext[1]"), "approvalDate"), "relatedArtifact[1]")
        answer = await vest.put("PlanDefinition/it", json=wrong, headers=FHIR)
        assert answer.status_code == 403
        assert set(said(answer)) == {
            "PlanDefinition.useContext[1]", "PlanDefinition.approvalDate", "PlanDefinition.relatedArtifact[1]",
        }  # fmt: skip

    @pytest.mark.parametrize(
        "path", ["/approvalDate", "/useContext/1", "/identifier/0", "/author", "/relatedArtifact/1"]
    )
    async def test_a_patch_that_removes_is_a_difference(self, vest, path):
        answer = await vest.patch("PlanDefinition/it", json=[{"op": "remove", "path": path}], headers=PATCH)
        assert answer.status_code == 403
        assert said(answer)[0].startswith(f"PlanDefinition.{path.split('/')[1]}")

    async def test_a_second_coding_does_not_bring_an_item_into_ones_own_slice(self, house, client_of):
        await house.put("Task/it", json=STORED["avhengighet"], headers=FHIR)
        both = slot("kommentar", valueString="x")
        both["type"]["coding"] += slot("levert-av")["type"]["coding"]
        sent = {**STORED["avhengighet"], "output": [*STORED["avhengighet"]["output"], both]}
        for name in ("owner", "other party"):
            answer = await client_of("reporter", NUMBERS[name]).put("Task/it", json=sent, headers=FHIR)
            assert answer.status_code == 403

    @pytest.mark.parametrize("part", [{"useContext": 7}, {"useContext": ["x"]}, {"meta": "x"}, {"author": None}])
    async def test_what_is_out_of_form_is_told_as_such(self, vest, part):
        stored = (await vest.get("PlanDefinition/it")).json()
        answer = await vest.put("PlanDefinition/it", json={**stored, **part}, headers=FHIR)
        assert answer.status_code in (400, 403)

    async def test_a_withdrawal_is_the_owners_move(self, house, vest):
        draft = copy.deepcopy(STORED["tiltak"]) | {"status": "draft"}
        draft["useContext"][3] = context("livslop", concept("nep-lifecycle", "nominert"))
        assert (await house.put("PlanDefinition/it", json=draft, headers=FHIR)).status_code == 200
        for life, status, answered in (
            ("akseptert", "draft", 403),
            ("aktiv", "active", 403),
            ("trukket", "retired", 200),
        ):
            wanted = copy.deepcopy(draft) | {"status": status}
            wanted["useContext"][3] = context("livslop", concept("nep-lifecycle", life))
            assert (await vest.put("PlanDefinition/it", json=wanted, headers=FHIR)).status_code == answered
