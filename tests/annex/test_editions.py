"""Two rounds, two editions: each annex says what its own report said, and the earlier one stays as it was."""

from __future__ import annotations

import pytest

import mappings
from server.annex.tables import Annex, Light, annex
from server.resource import restored
from tests.conftest import BASE
from tests.portfolio import sheets
from tests.portfolio.office import C, Office, Resource, flag

pytestmark = pytest.mark.xdist_group("annex")

EPJ = sheets.REPORT.parent / "epj-loftet-2023-09"


@pytest.fixture(scope="module")
def before(office: Office) -> bytes:
    """The workbook of November 2021 before anything else was reported."""
    return office.run(office.anonymous.get(f"{BASE.removesuffix('/fhir')}/utgaver/2021-11/vedlegg.xlsx")).content


@pytest.fixture(scope="module")
def autumn(office: Office, before: bytes) -> Annex:
    """September 2023, for EPJ-løftet."""
    (plan,) = office.found(f"PlanDefinition?identifier={C}/sid/tiltaksnummer|NEP-0012")
    report = mappings.bundle(mappings.read_report(EPJ), canonical=C, standing={"NEP-0012": plan})
    for bundle in (mappings.round_bundle("2023-09", canonical=C), report.bundle):
        assert _sent(office, bundle) == 200
    return annex(restored(office.close("2023-09", flag("force", True)).content))


def _sent(office: Office, bundle: Resource) -> int:
    return office.run(office.secretariat.post(BASE, json=bundle)).status_code


def test_its_deliveries_stand_in_the_order_of_its_own_report(autumn: Annex) -> None:
    rows = sheets.rows("deliveries", EPJ)
    found = [
        (str(row["seq"]), row["name"], row["due_date"] or "", row["delivered"]) for row in autumn.rows("deliveries")
    ]
    assert found == [(row["seq"], row["name"], row["due_date"], row["delivered"]) for row in rows]
    groups = [row["target_groups"] for row in autumn.rows("deliveries")]
    assert groups == [(row["audience"],) for row in rows]


def test_its_words_are_those_of_its_own_form(autumn: Annex) -> None:
    (row,) = autumn.rows("initiatives")
    assert (row["status"], row["risk"]) == (Light("gul", "Noen utfordringer"), Light("gul", "Middels"))
    assert row["strategic_goals"] == ("2 - Enklere arbeidshverdag",)
    assert row["end_date"] is None


def test_the_earlier_edition_is_as_it_was(office: Office, autumn: Annex, before: bytes, facts: Annex) -> None:
    url = f"{BASE.removesuffix('/fhir')}/utgaver/2021-11/vedlegg.xlsx"
    assert office.run(office.anonymous.get(url)).content == before
    again = annex(restored(office.run(office.anonymous.get("Bundle/rapport-2021-11")).content))
    assert again == facts
