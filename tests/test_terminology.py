"""Terminology: over the API as R4 describes its operations, and in searches by :in, :not-in, :above and :below."""

from __future__ import annotations

import pytest

from server.definitions.terminology import Terminology
from server.outcome import FhirError
from tests.http.build import FHIR, names, task

C = "http://eportefolje.example/fhir"
LIGHT, GOALS = f"{C}/CodeSystem/nep-traffic-light", f"{C}/CodeSystem/nep-strategic-goal-2023"
X = "http://actor.example/codes"

SYSTEM = {
    "resourceType": "CodeSystem", "url": X, "version": "2", "name": "X", "status": "active", "content": "complete",
    "language": "nb",
    "concept": [
        {"code": "a", "display": "Første ting", "designation": [{"language": "en", "value": "First thing"}],
         "concept": [{"code": "a1", "display": "En"}, {"code": "a2", "display": "To",
                      "property": [{"code": "inactive", "valueBoolean": True}, {"code": "grade", "valueCode": "g"}],
                      "concept": [{"code": "a21", "display": "Tjueen"}]}]},
        {"code": "b", "display": "Annet"},
    ],
}  # fmt: skip


def value_set(url, *include, exclude=()):
    compose = {"include": list(include)} | ({"exclude": list(exclude)} if exclude else {})
    return {"resourceType": "ValueSet", "url": url, "status": "active", "compose": compose}


def codes(*include, exclude=(), also=()):
    terminology = Terminology([SYSTEM, *also])
    return [concept.code for concept in terminology.expand(value_set("http://v.example", *include, exclude=exclude))]


def rule(property, op, value):
    return {"system": X, "filter": [{"property": property, "op": op, "value": value}]}


@pytest.mark.parametrize(
    ("include", "found"),
    [
        ({"system": X}, ["a", "a1", "a2", "a21", "b"]),
        ({"system": X, "concept": [{"code": "b"}, {"code": "a"}]}, ["b", "a"]),
        (rule("concept", "is-a", "a2"), ["a2", "a21"]),
        (rule("concept", "descendent-of", "a"), ["a1", "a2", "a21"]),
        (rule("concept", "is-not-a", "a"), ["b"]),
        (rule("concept", "generalizes", "a21"), ["a", "a2", "a21"]),
        (rule("concept", "in", "a1, b"), ["a1", "b"]),
        (rule("concept", "not-in", "a1,b"), ["a", "a2", "a21"]),
        (rule("grade", "=", "g"), ["a2"]),
        (rule("grade", "exists", "false"), ["a", "a1", "a21", "b"]),
        (rule("display", "regex", "T.*"), ["a2", "a21"]),
        ({"system": "http://unknown.example", "concept": [{"code": "u"}]}, ["u"]),
    ],
)
def test_what_a_value_set_includes(include, found):
    assert codes(include) == found


def test_includes_add_up_value_sets_in_one_include_intersect_and_excludes_take_away():
    other = value_set("http://v.example/other", {"system": X, "concept": [{"code": "a1"}, {"code": "b"}]})
    assert codes({"system": X, "concept": [{"code": "b"}]}, rule("concept", "is-a", "a2")) == ["b", "a2", "a21"]
    assert codes({**rule("concept", "is-a", "a"), "valueSet": [other["url"]]}, also=[other]) == ["a1"]
    assert codes({"valueSet": [other["url"]]}, also=[other]) == ["a1", "b"]
    assert codes({"system": X}, exclude=[rule("concept", "is-a", "a")]) == ["b"]


def test_what_cannot_be_listed_is_an_error_and_never_an_empty_list():
    for include in ({"system": "http://unknown.example"}, {"valueSet": ["http://unknown.example"]}):
        with pytest.raises(FhirError, match="not known"):
            codes(include)
    own = value_set("http://v.example/own", {"valueSet": ["http://v.example/own"]})
    with pytest.raises(FhirError, match="itself"):
        Terminology([own]).expand(own)
    part = {**SYSTEM, "content": "fragment"}
    with pytest.raises(FhirError, match="not known here in full"):
        Terminology([part]).expand(value_set("http://v.example", {"system": X}))
    with pytest.raises(FhirError, match="says nothing of its codes"):
        Terminology([]).expand({"resourceType": "ValueSet", "url": "http://v.example", "status": "active"})


def test_a_binding_lists_what_an_expansion_lists_and_leaves_what_cannot_be_listed_unjudged():
    whole, unknown = value_set("http://v.example/1", {"system": X}), value_set("http://v.example/2", {"system": "x:y"})
    terminology = Terminology([SYSTEM, whole, unknown])
    listed = terminology.listed(whole["url"])
    assert listed is not None
    assert [(X, code) for code in listed.codes] == terminology.members(whole["url"])
    assert listed.has({"system": X, "code": "a21"})
    assert not listed.has({"system": "x:y", "code": "a21"})
    assert terminology.listed(unknown["url"]) is None
    with pytest.raises(FhirError, match="not known"):
        terminology.listed("http://v.example/3")


def test_a_value_set_that_many_include_is_expanded_once():
    """Thirty layers that each include the one below twice would else be expanded a thousand million times."""
    layers = [value_set("http://v.example/0", {"system": X})]
    for number in range(1, 31):
        below = {"valueSet": [f"http://v.example/{number - 1}"]}
        layers.append(value_set(f"http://v.example/{number}", below, below))
    assert len(Terminology([SYSTEM, *layers]).members("http://v.example/30")) == 5


async def call(client, path, **parameters):
    """The answer, the same by GET and by POST."""
    got = await client.get(path, params=parameters)
    rows = [{"name": name, "valueString": value} for name, value in parameters.items()]
    posted = await client.post(path, json={"resourceType": "Parameters", "parameter": rows}, headers=FHIR)
    assert (got.status_code, got.json().get("parameter")) == (posted.status_code, posted.json().get("parameter"))
    return got.status_code, got.json()


def values(answer):
    return {
        one["name"]: next(value for key, value in one.items() if key.startswith("value"))
        for one in answer["parameter"]
        if "part" not in one
    }


def parts(answer, name):
    return [
        {part["name"]: next(v for k, v in part.items() if k.startswith("value")) for part in one["part"]}
        for one in answer["parameter"]
        if one["name"] == name
    ]


class TestLookup:
    async def test_a_code_with_its_words_and_properties(self, client):
        status, answer = await call(client, "CodeSystem/$lookup", system=LIGHT, code="gul")
        assert (status, values(answer)["display"], values(answer)["name"]) == (200, "Gul", "Trafikklys")
        assert {"language": "en", "value": "Yellow"} in parts(answer, "designation")
        _, answer = await call(client, "CodeSystem/$lookup", system=GOALS, code="2B", displayLanguage="en")
        assert values(answer)["display"] == "Patient's medication list"
        assert {"code": "parent", "value": "2"} in parts(answer, "property")

    @pytest.mark.parametrize(
        ("asked", "status", "code"),
        [
            ({"system": LIGHT, "code": "lilla"}, 404, "not-found"),
            ({"system": "http://unknown.example", "code": "x"}, 404, "not-found"),
            ({"system": f"{LIGHT}", "code": "gul", "version": "9"}, 404, "not-found"),
            ({"code": "gul"}, 422, "required"),
            ({"system": LIGHT}, 422, "required"),
        ],
    )
    async def test_what_is_not_known_or_said_is_told(self, client, asked, status, code):
        found, answer = await call(client, "CodeSystem/$lookup", **asked)
        assert (found, answer["issue"][0]["code"]) == (status, code)

    async def test_on_an_instance_and_by_coding(self, client):
        await client.put("CodeSystem/x", json=SYSTEM | {"id": "x"}, headers=FHIR)
        _, answer = await call(client, "CodeSystem/x/$lookup", code="a")
        assert values(answer)["display"] == "Første ting"
        coding = {"name": "coding", "valueCoding": {"system": X, "code": "a"}}
        body = {"resourceType": "Parameters", "parameter": [coding]}
        answer = (await client.post("CodeSystem/$lookup", json=body, headers=FHIR)).json()
        assert values(answer)["version"] == "2"
        missing = await client.get("CodeSystem/nowhere/$lookup?code=a")
        assert missing.status_code == 404


@pytest.mark.parametrize(
    "rows",
    [
        [{"name": "coding", "valueCoding": {"system": ["x"], "code": {}}}],
        [{"name": "valueSet", "resource": {"resourceType": "ValueSet", "compose": {"include": ["x"]}}}],
        {"name": "url"},
    ],
)
@pytest.mark.parametrize("path", ["CodeSystem/$lookup", "ValueSet/$expand", "ConceptMap/$translate"])
async def test_what_is_out_of_form_is_the_callers_error(client, path, rows):
    body = {"resourceType": "Parameters", "parameter": rows}
    answer = await client.post(path, json=body, headers=FHIR)
    assert answer.status_code in (400, 422)


class TestExpand:
    async def test_all_codes_in_order_in_a_language(self, client):
        answer = (await client.get(f"ValueSet/$expand?url={C}/ValueSet/nep-traffic-light&displayLanguage=en")).json()
        assert [one["display"] for one in answer["expansion"]["contains"]] == ["Green", "Yellow", "Red"]
        assert (answer["expansion"]["total"], answer["resourceType"]) == (3, "ValueSet")

    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ({"filter": "samhandling landegr"}, ["x-landegrenser"]),
            ({"filter": "MEDIC"}, ["2B"]),  # the English words too
            ({"filter": "2b"}, ["2B"]),
            ({"filter": "edisin"}, []),
            ({"offset": "1", "count": "2"}, ["1A", "1B"]),
            ({"offset": "500"}, []),
            ({"count": "0"}, []),
        ],
    )
    async def test_filter_and_pages(self, client, asked, found):
        url = f"{C}/ValueSet/nep-strategic-goal-2023"
        answer = (await client.get("ValueSet/$expand", params={"url": url, **asked})).json()["expansion"]
        assert [one["code"] for one in answer.get("contains", [])] == found
        assert answer["total"] == (len(found) if "filter" in asked else 21)

    async def test_active_only_leaves_out_what_is_not(self, client):
        await client.put("CodeSystem/x", json=SYSTEM | {"id": "x"}, headers=FHIR)
        body = {"resourceType": "Parameters", "parameter": [
            {"name": "valueSet", "resource": value_set("http://v.example", {"system": X})},
            {"name": "activeOnly", "valueBoolean": True},
        ]}  # fmt: skip
        answer = (await client.post("ValueSet/$expand", json=body, headers=FHIR)).json()
        assert [one["code"] for one in answer["expansion"]["contains"]] == ["a", "a1", "a21", "b"]

    async def test_one_of_r4s_own_value_sets(self, client):
        answer = (await client.get("ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/task-status&filter=comp")).json()
        assert [one["code"] for one in answer["expansion"]["contains"]] == ["completed"]

    async def test_an_unknown_one_is_not_found(self, client):
        answer = await client.get("ValueSet/$expand?url=http://unknown.example")
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (404, "not-found")


class TestValidateCode:
    @pytest.mark.parametrize(
        ("asked", "result"),
        [
            ({"system": LIGHT, "code": "gul"}, True),
            ({"system": LIGHT, "code": "gul", "display": "Gul"}, True),
            ({"system": LIGHT, "code": "gul", "display": "Yellow"}, True),
            ({"system": LIGHT, "code": "gul", "display": "Red"}, False),
            ({"system": LIGHT, "code": "lilla"}, False),
            ({"system": X, "code": "gul"}, False),
            ({"code": "gul"}, True),
        ],
    )
    async def test_in_a_value_set(self, client, asked, result):
        status, answer = await call(client, "ValueSet/$validate-code", url=f"{C}/ValueSet/nep-traffic-light", **asked)
        assert (status, values(answer)["result"]) == (200, result)
        assert ("message" in values(answer)) is not result

    async def test_in_a_code_system_and_of_a_concept(self, client):
        _, answer = await call(client, "CodeSystem/$validate-code", url=LIGHT, code="rod", display="Rød")
        assert values(answer) == {"result": True, "display": "Rød"}
        _, answer = await call(client, "CodeSystem/$validate-code", url=LIGHT, code="lilla")
        assert values(answer)["result"] is False
        coding = [{"system": X, "code": "a"}, {"system": LIGHT, "code": "gul"}]
        rows = [{"name": "url", "valueUri": f"{C}/ValueSet/nep-traffic-light"},
                {"name": "codeableConcept", "valueCodeableConcept": {"coding": coding}}]  # fmt: skip
        body = {"resourceType": "Parameters", "parameter": rows}
        answer = (await client.post("ValueSet/$validate-code", json=body, headers=FHIR)).json()
        assert values(answer)["result"] is True


class TestTranslate:
    async def test_forward_and_in_reverse(self, client):
        url, label = f"{C}/ConceptMap/nep-risk-2023", f"{C.removesuffix('/fhir')}/fhir/label/initiatives.risk"
        _, answer = await call(client, "ConceptMap/$translate", url=url, system=label, code="Middels")
        assert values(answer)["result"] is True
        assert parts(answer, "match") == [
            {"equivalence": "equivalent", "concept": {"system": LIGHT, "code": "gul", "display": "Gul"}, "source": url}
        ]
        _, answer = await call(client, "ConceptMap/$translate", url=url, system=LIGHT, code="gul", reverse="true")
        assert parts(answer, "match")[0]["concept"] == {"system": label, "code": "Middels"}

    async def test_all_maps_when_none_is_named(self, client):
        system = f"{C}/CodeSystem/nep-lifecycle"
        _, answer = await call(client, "ConceptMap/$translate", system=system, code="aktiv")
        (match,) = parts(answer, "match")
        assert (match["equivalence"], match["concept"]["code"]) == ("wider", "active")
        _, answer = await call(client, "ConceptMap/$translate", system=system, code="aktiv", targetsystem=X)
        assert values(answer)["result"] is False

    async def test_what_is_not_mapped(self, client):
        group = {"source": X, "target": LIGHT, "unmapped": {"mode": "fixed", "code": "gul"},
                 "element": [{"code": "a", "target": [{"equivalence": "unmatched"}]}]}  # fmt: skip
        made = {
            "resourceType": "ConceptMap",
            "id": "m",
            "url": "http://m.example",
            "status": "active",
            "group": [group],
        }
        await client.put("ConceptMap/m", json=made, headers=FHIR)
        _, answer = await call(client, "ConceptMap/m/$translate", system=X, code="a")
        assert (values(answer)["result"], parts(answer, "match")[0]["equivalence"]) == (False, "unmatched")
        _, answer = await call(client, "ConceptMap/m/$translate", system=X, code="z")
        assert parts(answer, "match")[0]["concept"]["code"] == "gul"


@pytest.mark.parametrize(
    ("a", "b", "outcome"),
    [("2", "2B", "subsumes"), ("2B", "2", "subsumed-by"), ("2B", "2B", "equivalent"), ("1", "2B", "not-subsumed")],
)
async def test_how_two_codes_stand(client, a, b, outcome):
    _, answer = await call(client, "CodeSystem/$subsumes", system=GOALS, codeA=a, codeB=b)
    assert values(answer) == {"outcome": outcome}
    status, _ = await call(client, "CodeSystem/$subsumes", system=GOALS, codeA=a, codeB="9Z")
    assert status == 404


async def test_a_stored_definition_stands_in_for_the_shipped_one_from_its_writing_on(client):
    light = (await client.get(f"ValueSet/$expand?url={C}/ValueSet/nep-traffic-light")).json()["expansion"]
    assert light["total"] == 3
    blue = {"resourceType": "CodeSystem", "id": "light", "url": LIGHT, "status": "active", "content": "complete",
            "concept": [{"code": "bla", "display": "Blå"}]}  # fmt: skip
    await client.put("CodeSystem/light", json=blue, headers=FHIR)
    answer = (await client.get(f"ValueSet/$expand?url={C}/ValueSet/nep-traffic-light")).json()["expansion"]
    assert [one["code"] for one in answer["contains"]] == ["bla"]
    await client.delete("CodeSystem/light")
    answer = (await client.get(f"ValueSet/$expand?url={C}/ValueSet/nep-traffic-light")).json()["expansion"]
    assert answer["total"] == 3


class TestSearch:
    @pytest.fixture(autouse=True)
    async def coded(self, client):
        await client.put("CodeSystem/x", json=SYSTEM | {"id": "x"}, headers=FHIR)
        await client.put("ValueSet/v", json=value_set("http://v.example", rule("concept", "is-a", "a2")) | {"id": "v"},
                         headers=FHIR)  # fmt: skip
        for code in ("a", "a1", "a2", "a21", "b"):
            coded = {"code": {"coding": [{"system": X, "code": code}], "text": code}}
            await client.post("Task", json=task(code) | coded, headers=FHIR)
        await client.post("Task", json=task("uncoded"), headers=FHIR)

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("code:in=http://v.example", {"a2", "a21"}),
            ("code:not-in=http://v.example", {"a", "a1", "b", "uncoded"}),
            (f"code:below={X}|a", {"a", "a1", "a2", "a21"}),
            (f"code:above={X}|a21", {"a", "a2", "a21"}),
            ("code:below=a2", {"a2", "a21"}),
        ],
    )
    async def test_by_value_set_and_hierarchy_of_what_is_stored(self, client, query, found):
        answer = await client.get(f"Task?{query}")
        assert answer.status_code == 200, answer.text
        assert set(names(answer.json())) == found

    async def test_an_unknown_value_set_is_an_error_and_an_empty_one_finds_nothing(self, client):
        answer = await client.get("Task?code:in=http://unknown.example")
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (404, "not-found")
        empty = value_set("http://empty.example", rule("concept", "is-a", "zz"))
        await client.put("ValueSet/e", json=empty | {"id": "e"}, headers=FHIR)
        assert names((await client.get("Task?code:in=http://empty.example")).json()) == []
        assert len(names((await client.get("Task?code:not-in=http://empty.example")).json())) == 6

    async def test_a_past_moment_uses_the_terminology_of_then(self, client):
        moment = (await client.get("Task")).json()["meta"]["lastUpdated"]
        changed = value_set("http://v.example", rule("concept", "is-a", "b")) | {"id": "v"}
        await client.put("ValueSet/v", json=changed, headers=FHIR)
        assert set(names((await client.get("Task?code:in=http://v.example")).json())) == {"b"}
        past = await client.get("Task", params={"code:in": "http://v.example", "_asOf": moment})
        assert set(names(past.json())) == {"a2", "a21"}

    async def test_a_condition_may_ask_by_value_set(self, client):
        answer = await client.post(
            "Task", json=task("new"), headers={**FHIR, "If-None-Exist": "code:in=http://v.example"}
        )
        assert answer.status_code == 412
