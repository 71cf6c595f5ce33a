"""profiles/examples/: a valid example of every profile, one broken example of every invariant, by our own FHIRPath."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from fhir.resources.R4B import get_fhir_model_class

import mappings
from server.definitions.validation import Validator
from tests.profiles.guide import CANONICAL, PROFILES, PROJECT, SCHEMA, broken, elements, of, profile_of, read, rules

VALID = sorted((PROFILES / "examples").glob("*.json"))
INVALID = sorted((PROFILES / "examples" / "invalid").glob("*.json"))
EVERY = [pytest.param(path, id=path.stem) for path in (*VALID, *INVALID)]


def test_every_concrete_profile_has_a_valid_example_named_after_it() -> None:
    shown = {path.stem.partition(".")[0] for path in VALID}
    concrete = {one["id"] for one in of("StructureDefinition") if one["type"] != "Extension" and not one["abstract"]}
    assert shown == concrete
    for path in VALID:
        assert profile_of(read(path)) == f"{CANONICAL}/StructureDefinition/{path.stem.partition('.')[0]}"


def test_every_invariant_has_an_example_that_breaks_it() -> None:
    keys = {r["key"] for one in of("StructureDefinition") for e in elements(one) for r in e.get("constraint", ())}
    assert {path.stem.partition("--")[2] for path in INVALID} == keys


@pytest.mark.parametrize("path", VALID, ids=lambda path: str(path.stem))
def test_a_valid_example_breaks_no_invariant(path: Path) -> None:
    assert broken(read(path)) == set()


@pytest.mark.parametrize("path", INVALID, ids=lambda path: str(path.stem))
def test_an_invalid_example_breaks_its_invariant_alone(path: Path) -> None:
    resource = read(path)
    profile, _, key = path.stem.partition("--")
    assert profile_of(resource) == f"{CANONICAL}/StructureDefinition/{profile}"
    assert broken(resource) == {key}


@pytest.mark.parametrize("path", EVERY)
def test_examples_are_valid_r4(path: Path) -> None:
    assert Validator(SCHEMA).validate(read(path)) == []
    plain = json.loads(path.read_text("utf-8"))
    model = get_fhir_model_class(plain["resourceType"]).model_validate(plain)
    assert json.loads(model.model_dump_json()) == plain


@pytest.mark.parametrize("path", EVERY)
def test_examples_are_indented_as_the_artefacts_are(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text == json.dumps(json.loads(text), ensure_ascii=False, indent=2) + "\n"


@pytest.mark.parametrize(
    ("key", "titles"),
    [
        ("nep-i7", {"Realisere API-management som en tjeneste"}),
        ("nep-i8", {"Nasjonal Tarmscreening"}),
        ("nep-s3", {"2021-11:NEP-0030", "2021-11:NEP-0032", "2021-11:NEP-0033"}),
    ],
)
def test_warnings_about_the_2021_import_are_true(imported: list[Any], key: str, titles: set[str]) -> None:
    found = [one for one in imported if key in broken(one)]
    assert {one.get("title") or one["identifier"][0]["value"] for one in found} == titles


def test_the_2021_import_breaks_no_rule_that_is_an_error(imported: list[Any]) -> None:
    assert len(imported) == 495
    warnings = {key for one in imported for key, severity, _ in rules(profile_of(one)) if severity == "warning"}
    assert {key for one in imported for key in broken(one)} <= warnings == {"nep-i7", "nep-i8", "nep-s3"}


@pytest.fixture(scope="module")
def imported() -> list[Any]:
    report = mappings.read_report(PROJECT / "mappings" / "data" / "portfolio-2021-11")
    bundle = mappings.bundle(report, canonical=CANONICAL).bundle
    return [orjson.loads(orjson.dumps(entry["resource"])) for entry in bundle["entry"]]
