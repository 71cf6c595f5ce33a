"""profiles/: names, URLs and completeness of the terminology and search artefacts, and that they agree."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest

from mappings.tables import INITIATIVES, ORGANIZATIONS
from mappings.terminology import actors
from server.definitions.fhirpath import compile as compiled
from server.definitions.registry import Schema
from tests.mappings.conftest import CANONICAL, DATA, PROJECT

Resource = dict[str, Any]
FILES = sorted((PROJECT / "profiles").glob("*.json"))
ALL: list[Resource] = [json.loads(path.read_text(encoding="utf-8")) for path in FILES]


def of(type: str) -> list[Resource]:
    return [resource for resource in ALL if resource["resourceType"] == type]


def named(resources: list[Resource]) -> list[Any]:
    return [pytest.param(resource, id=resource["id"]) for resource in resources]


def concepts(resource: Resource) -> list[Resource]:
    def below(listed: list[Resource]) -> list[Resource]:
        return [one for concept in listed for one in [concept, *below(concept.get("concept", []))]]

    return below(resource.get("concept", []))


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in FILES])
def test_file_id_url_and_name_follow_from_each_other(path: Any) -> None:
    resource = json.loads(path.read_text(encoding="utf-8"))
    id = resource["id"]
    assert path.name == f"{resource['resourceType']}-{id}.json"
    assert re.fullmatch(r"nep-[a-z0-9-]{1,60}", id) or id == resource.get("packageId") == "no.eportefolje.nep"
    assert resource["name"] == "".join(part[0].upper() + part[1:] for part in re.split("[-.]", id))
    if resource["resourceType"] != "NamingSystem":  # which has neither url nor version in R4
        assert resource["url"] == f"{CANONICAL}/{resource['resourceType']}/{id}"
        assert resource["version"] == "1.0.0"
    assert resource["status"] == ("draft" if id == "nep-focus-area-to-goal" else "active")
    assert resource["publisher"]


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in FILES])
def test_files_are_indented_by_two_with_letters_as_they_are(path: Any) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), ensure_ascii=False, indent=2) + "\n"


@pytest.mark.parametrize("system", named(of("CodeSystem")))
def test_code_systems_are_complete_in_both_languages(system: Resource) -> None:
    found = concepts(system)
    codes = [concept["code"] for concept in found]
    assert (system["content"], system["caseSensitive"], system["language"]) == ("complete", True, "nb")
    assert len(codes) == len(set(codes)) == system["count"]
    for concept in found:
        assert re.fullmatch(r"[A-Za-z0-9.-]+", concept["code"])
        english = [one["value"] for one in concept["designation"] if one["language"] == "en"]
        assert concept["display"]
        assert len(english) == 1
        assert english[0]


@pytest.mark.parametrize("system", named(of("CodeSystem")))
def test_every_code_system_has_its_value_set_of_all_codes(system: Resource) -> None:
    [found] = [one for one in of("ValueSet") if one["id"] == system["id"]]
    assert found["url"] == system["valueSet"]
    assert found["compose"] == {"include": [{"system": system["url"]}]}


def test_value_sets_have_their_code_system() -> None:
    of_others = {"nep-indicator-scoring", "nep-usage-context"}
    assert {one["id"] for one in of("ValueSet")} == {one["id"] for one in of("CodeSystem")} | of_others


@pytest.mark.parametrize("id", ["nep-traffic-light", "nep-criticality"])
def test_ordered_codes_carry_their_order(id: str) -> None:
    [system] = [one for one in of("CodeSystem") if one["id"] == id]
    assert [concept["extension"][0]["valueDecimal"] for concept in concepts(system)] == [1, 2, 3]


def test_traffic_light_carries_the_labels_of_2023() -> None:
    [system] = [one for one in of("CodeSystem") if one["id"] == "nep-traffic-light"]
    labels = {
        (concept["code"], one["use"]["code"]): one["value"]
        for concept in system["concept"]
        for one in concept["designation"]
        if "use" in one
    }
    assert labels == {
        ("gul", "status-2023"): "Noen utfordringer",
        ("gronn", "risiko-2023"): "Lav",
        ("gul", "risiko-2023"): "Middels",
        ("rod", "risiko-2023"): "Høy",
    }


def test_assessment_criteria_form_the_tree_that_scores_are_summed_in() -> None:
    [system] = [one for one in of("CodeSystem") if one["id"] == "nep-assessment-criterion"]
    aggregate = {concept["code"]: concept["property"][0]["valueCode"] for concept in concepts(system)}
    assert Counter(aggregate.values()) == {"none": 12, "mean": 5, "sum": 1}
    for concept in concepts(system):
        assert bool(concept.get("concept")) == (aggregate[concept["code"]] != "none")
    [score] = [concept for concept in system["concept"] if concept["code"] == "score"]
    assert [group["code"] for group in score["concept"]] == ["maaloppnaaelse", "kostnader", "nytte"]


@pytest.mark.parametrize("parameter", named(of("SearchParameter")))
def test_search_parameters_state_what_a_server_needs(parameter: Resource) -> None:
    [base] = parameter["base"]
    assert parameter["id"] == f"nep-{base.lower()}-{parameter['code']}"
    assert parameter["multipleOr"] is parameter["multipleAnd"] is True
    assert parameter["description"]
    assert (parameter["type"] == "reference") == ("target" in parameter)
    assert (parameter["type"] == "composite") == ("component" in parameter)


def test_composite_components_are_our_parameters_of_one_finance_line() -> None:
    known = {one["url"]: one for one in of("SearchParameter")}
    [finance] = [one for one in of("SearchParameter") if one["code"] == "finance"]
    parts = [known[part["definition"]] for part in finance["component"]]
    assert [(part["code"], part["type"]) for part in parts] == [
        ("finance-type", "token"),
        ("finance-year", "date"),
        ("funding-source", "token"),
        ("funder", "reference"),
        ("finance-solution", "token"),
        ("finance-stated", "token"),
    ]
    for part, component in zip(parts, finance["component"], strict=True):
        assert part["expression"] == f"{finance['expression']}.{component['expression']}"
        compiled(component["expression"], "Extension", Schema())


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("owner", 40),
        ("end", 36),
        ("funding-source", 10),
        ("finance-year", 10),
        ("finance-type", 10),
        ("funder", 7),
        ("finance", 10),
        ("counterpart", 375),
        ("due", 360),
        ("planned", 367),
        ("description", 388),
        ("reason", 0),
        ("status-color", 40),
        ("risk-color", 26),
        ("criticality", 142),
        ("plan-agreed", 36),
        ("target-group", 0),
        ("service", 0),
        ("score", 0),
        ("rank", 0),
    ],
)
def test_search_parameters_find_their_element_in_the_2021_import(
    resources: list[Resource], code: str, found: int
) -> None:
    """How many resources have a value: R4's types allow every path, and the import fills the ones it should."""
    [parameter] = [one for one in of("SearchParameter") if one["code"] == code]
    [base] = parameter["base"]
    expression = compiled(parameter["expression"], base, Schema())
    assert sum(bool(expression(one)) for one in resources if one["resourceType"] == base) == found


def test_every_identifier_system_has_its_naming_system() -> None:
    systems = {unique["value"].rpartition("/")[2] for one in of("NamingSystem") for unique in one["uniqueId"]}
    assert systems == {
        "tiltaksnummer", "runde", "statusrapport", "vurdering", "prioritering", "veikart",
        "radssak", "radsmote", "aktor", "rapport", "import", "indikator", "digest", "arbeidsbok",
    }  # fmt: skip


@pytest.mark.parametrize("found", named(of("ConceptMap")))
def test_concept_maps_lead_to_codes_that_exist(found: Resource) -> None:
    codes = {system["url"]: {concept["code"] for concept in concepts(system)} for system in of("CodeSystem")}
    codes[f"{CANONICAL}/sid/aktor"] = set(ORGANIZATIONS)
    codes[f"{CANONICAL}/sid/tiltaksnummer"] = {one.tiltaksnummer for one in INITIATIVES.values()}
    for group in found["group"]:
        words = [element["code"] for element in group["element"]]
        assert len(words) == len(set(words))
        assert all(word == " ".join(word.split()) for word in words), "R4's code has no double or outer spaces"
        targets = [target for element in group["element"] for target in element["target"]]
        if group["target"] in codes:
            assert {target["code"] for target in targets if "code" in target} <= codes[group["target"]]
        assert all(("code" in target) == (target["equivalence"] != "unmatched") for target in targets)


@pytest.mark.parametrize("id", ["nep-import-labels", "nep-actor-aliases", "nep-delivery-to-task-status"])
def test_many_to_one_rows_are_wider(id: str) -> None:
    [found] = [one for one in of("ConceptMap") if one["id"] == id]
    for group in found["group"]:
        single = [element["target"][0] for element in group["element"] if len(element["target"]) == 1]
        meant = Counter(target["code"] for target in single)
        assert all((target["equivalence"] == "wider") == (meant[target["code"]] > 1) for target in single)


def test_every_organisation_is_known_by_its_name() -> None:
    [found] = [one for one in of("ConceptMap") if one["id"] == "nep-actor-aliases"]
    words = {element["code"]: element["target"][0]["code"] for element in found["group"][0]["element"]}
    assert {words[actor.name] for actor in ORGANIZATIONS.values()} == set(ORGANIZATIONS)


def test_every_spelling_of_2021_is_in_the_table() -> None:
    [found] = [one for one in of("ConceptMap") if one["id"] == "nep-dependency-actors"]
    assert len(found["group"][0]["element"]) == 75
    cells = (DATA / "portfolio-2021-11" / "dependencies.csv").read_text(encoding="utf-8")
    for element in found["group"][0]["element"]:
        assert element["code"].replace('"', '""') in cells
        assert actors(element["code"]) is not None
