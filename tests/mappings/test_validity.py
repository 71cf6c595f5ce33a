"""Every resource of an import holds against R4, by two judges: fhir.resources' models and our own validator."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from fhir.resources.R4B import get_fhir_model_class

import mappings
from mappings.fhir import typed
from mappings.tables import ORGANIZATIONS
from server.definitions.registry import Schema
from server.definitions.validation import Validator
from server.resource import decode
from tests.mappings.conftest import CANONICAL, PROJECT

Resource = dict[str, Any]


@pytest.fixture(scope="module")
def validator() -> Validator:
    return Validator(Schema())


def faults(validator: Validator, resource: Resource) -> list[str]:
    return [f"{issue.expression}: {issue.text}" for issue in validator.validate(decode(orjson.dumps(resource)))]


def test_our_validator_finds_nothing_in_the_bundles(
    validator: Validator, portfolio: mappings.ImportResult, autumn: mappings.ImportResult
) -> None:
    opened = mappings.round_bundle("2023-09", canonical=CANONICAL)
    for bundle in (portfolio.bundle, autumn.bundle, opened):
        assert faults(validator, bundle) == []


def test_fhir_resources_reads_every_resource_back_unchanged(resources: list[Resource]) -> None:
    for resource in resources:
        model = get_fhir_model_class(resource["resourceType"]).model_validate(resource)
        assert json.loads(model.model_dump_json()) == resource


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Task", "status": "ready", "intent": "plan", "nonsense": True},
        {"resourceType": "Organization", "name": 3},
    ],
)
def test_building_refuses_what_r4_does_not_know(resource: Resource) -> None:
    with pytest.raises(ValueError, match="validation error"):
        typed(resource)


def test_building_refuses_a_value_that_fhir_resources_would_change() -> None:
    zulu = {"resourceType": "Task", "status": "ready", "intent": "plan", "authoredOn": "2021-11-01T00:00:00+00:00"}
    with pytest.raises(ValueError, match="changes this Task"):
        typed(zulu)


def modulo_11(number: str) -> bool:
    """Brønnøysund's check digit of an organisation number."""
    weighted = sum(int(digit) * weight for digit, weight in zip(number[:8], (3, 2, 7, 6, 5, 4, 3, 2), strict=True))
    return (11 - weighted % 11) % 11 == int(number[8])


def test_organisation_numbers_have_their_check_digit() -> None:
    numbers = [actor.number for actor in ORGANIZATIONS.values() if actor.number]
    assert len(numbers) == len(set(numbers)) == 12
    assert [number for number in numbers if not modulo_11(number)] == []


def test_only_groups_council_and_secretariat_have_no_number() -> None:
    without = {actor.type for actor in ORGANIZATIONS.values() if not actor.number}
    assert without == {"aktorgruppe", "rad", "sekretariat"}


def test_the_directorate_has_its_end_and_is_still_active(resources: list[Resource]) -> None:
    [found] = [one for one in resources if one.get("name") == "Direktoratet for e-helse"]
    assert found["extension"][0]["valuePeriod"] == {"end": "2023-12-31"}
    assert found["active"] is True


@pytest.mark.parametrize("path", sorted((PROJECT / "profiles").glob("*.json")), ids=lambda path: path.stem)
def test_our_validator_finds_nothing_in_profiles(validator: Validator, path: Any) -> None:
    assert faults(validator, json.loads(path.read_text(encoding="utf-8"))) == []
