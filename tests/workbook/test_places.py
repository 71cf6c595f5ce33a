"""What the registry says of an element is told of the cell that it came from."""

from __future__ import annotations

import pytest

from server.outcome import Issue
from tests.workbook.test_changes import DELIVERY, LINE, NEW, TestReports

FILLED = [
    ("Tiltak", "G2", "2024-01-01"), ("Tiltak", "J2", "Helsenorge; Grunndata"), ("Kostnader", "F2", 1),
    ("Kostnader", f"B{LINE}", "NEP-0001"), ("Kostnader", f"C{LINE}", "Andre"), ("Kostnader", f"E{LINE}", 2026),
    ("Drift", "D2", 2030), ("Nytte", "D2", 5), TestReports.FIRST, *DELIVERY, ("Avhengigheter", "C2", "NHN"),
    ("Avhengigheter", "G3", "Lav"), ("Nytteforutsetninger", "E2", "Lav"),
]  # fmt: skip


@pytest.fixture(scope="module")
def outcome(ehelse):
    found = ehelse.after(*FILLED)
    assert found.faults == ()
    return found


def index(outcome, kind, number=0):
    """The entry of the n-th resource of this profile."""
    named = [i for i, one in enumerate(outcome.entries) if f"nep-{kind}" in one["resource"]["meta"]["profile"][0]]
    return named[number]


@pytest.mark.parametrize(
    ("kind", "expression", "rule", "cell"),
    [
        ("initiative", "effectivePeriod", "per-1", "Tiltak!G2"),
        ("initiative", "effectivePeriod.end", "", "Tiltak!H2"),
        ("initiative", "title", "", "Tiltak!D2"),
        ("initiative", "topic[1].coding[0].code", "", "Tiltak!J2"),
        ("initiative", "extension[0].extension[4].valueMoney.value", "", "Kostnader!F2"),
        ("initiative", "extension[0]", "nep-i6", "Kostnader!C2"),
        ("initiative", "extension[13].extension[1].valueDate", "", "Drift!D2"),
        ("initiative", "goal[0].target[0].detailQuantity", "", "Nytte!D2"),
        ("initiative", "", "nep-i3", "Tiltak!D2"),
        ("status-report", "", "nep-s1", "Statusrapport!C2"),
        ("status-report", "output", "nep-s2", "Statusrapport!E2"),
        ("status-report", "output[1].valueMarkdown", "", "Statusrapport!D2"),
        ("status-report", "output[3]", "", "Statusrapport!F2"),
        ("status-report", "status", "", "Statusrapport!G2"),
        ("status-report", "groupIdentifier", "", "Statusrapport!C2"),
        ("delivery", "code.text", "nep-d3", f"Leveranser!C{NEW}"),
        ("delivery", "businessStatus", "", f"Leveranser!F{NEW}"),
        ("delivery", "status", "", f"Leveranser!F{NEW}"),
        ("delivery", "restriction.period.end", "", f"Leveranser!E{NEW}"),
        ("dependency", "owner", "nep-a3", "Avhengigheter!C2"),
        ("dependency", "status", "", "Avhengigheter!K2"),
        ("dependency", "reasonCode.text", "", "Avhengigheter!E2"),
        ("dependency", "code.coding[1].code", "", "Avhengigheter!F2"),
        ("benefit-prerequisite", "input[0].valueCodeableConcept", "", "Nytteforutsetninger!E2"),
    ],
)
def test_by_element_rule_or_row(outcome, kind, expression, rule, cell):
    entry = index(outcome, kind)
    place = f"Bundle.entry[{entry}].resource" + (f".{expression}" if expression else "")
    (fault,) = outcome.named([Issue("invalid", "nei / no", place, rule=rule)])
    assert (str(fault.place), fault.issue.text) == (cell, f"{cell}: nei / no")


def test_a_warning_names_its_element_without_the_bundle(outcome):
    entry = index(outcome, "delivery")
    (fault,) = outcome.named([Issue("business-rule", "hm", "Task.code.text", "warning", "nep-d3")], entry)
    assert str(fault.place) == f"Leveranser!C{NEW}"


def test_what_is_of_no_entry_is_told_of_the_file(outcome):
    (fault,) = outcome.named([Issue("too-costly", "for mye / too much")])
    assert (fault.place.sheet, fault.issue.text) == ("", "for mye / too much")
