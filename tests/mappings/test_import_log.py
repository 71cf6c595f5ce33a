"""What the import of November 2021 remarks on: every oddity that was found in the printed report, counted."""

from __future__ import annotations

from collections import Counter

import pytest

import mappings
from mappings.tables import LOG_RULES
from tests.mappings.conftest import CANONICAL, DATA

# The letters are the sections of the report's own list of oddities.
COUNTS = {
    # B: cells lost at the page edge: 41 statuses, 20 plans, 14 due dates
    "lost-cell": 75,
    # C: evident misreadings that were corrected: actor, solution, 2 criticalities, 2 separators
    "corrected-source": 6,
    # D: missing values
    "end-date-missing": 4,
    "focus-area-missing": 1,
    "solutions-none": 12,
    "risk-not-asked": 14,
    "strategy-missing": 4,
    "risk-description-missing": 2,
    "comment-missing": 10,
    "comment-missing-on-colour": 3,
    "finance-missing": 1,
    "dependencies-none": 3,
    "operations-none": 2,
    "delivered-not-stated": 66,
    "delivery-date-missing": 19,
    "amount-blank": 2,
    "amount-zero": 6,
    "benefit-unquantified": 3,
    "benefit-years-missing": 1,
    "benefit-value-missing": 2,
    "prerequisite-date-missing": 14,
    "prerequisite-criticality-missing": 4,
    "need-missing": 2,
    # E: doubles
    "duplicate-delivery": 2,
    "duplicate-operation": 1,
    "repeated-counterpart": 4,
    "delivery-in-two-initiatives": 1,
    "near-duplicate": 3,
    # F: texts that break off or are misprinted, as far as the shortened names still show it
    "truncated": 2,
    "misread": 16,
    "focus-area-spelling": 4,
    # G: vocabulary; 9 Medium, 1 Realisering, 8 Digdir with another dash
    "printed-word": 18,
    "mutual-plan-not-stated": 35,
    "dependency-status-not-stated": 1,
    "dependency-fulfilled": 3,
    "actor-unresolved": 34,
    "actor-several": 13,
    "comment-says-taken-out": 1,
    # H: dates that contradict each other
    "delivery-after-end": 8,
    "dependency-after-end": 3,
    "cost-after-end": 3,
    "end-passed": 2,
    "delivered-before-date": 2,
    "delivery-overdue": 12,
    "dependency-overdue": 6,
    "date-against-name": 1,
    "milestones-not-by-date": 4,
    "round-dates-assumed": 1,
}

# What only the full texts and names show.
FULL_ONLY = {
    "contact-missing": 1,
    "description-missing": 3,
    "purpose-missing": 8,
    "glued": 6,
    "name-repeated": 5,
    "truncated": 4,
    "footnotes": 1,
}


def test_every_oddity_is_remarked_as_often_as_it_was_counted(portfolio: mappings.ImportResult) -> None:
    assert Counter(remark.rule for remark in portfolio.log) == COUNTS


def test_full_texts_show_the_rest(full: mappings.Report) -> None:
    found = Counter(remark.rule for remark in mappings.bundle(full, canonical=CANONICAL).log)
    assert {rule: found[rule] for rule in FULL_ONLY} == FULL_ONLY
    assert {rule: n for rule, n in found.items() if rule not in FULL_ONLY and rule != "misread"} == {
        rule: n for rule, n in COUNTS.items() if rule not in FULL_ONLY and rule != "misread"
    }


# The rules that a report of one initiative, later in time, brings.
LATER = {"left-out-removed", "left-out-carried", "adopted", "not-reported"}


def test_every_rule_is_met_by_a_test() -> None:
    assert set(LOG_RULES) == {*COUNTS, *FULL_ONLY, *LATER}


@pytest.mark.parametrize(
    ("rule", "cells"),
    [
        ("duplicate-delivery", ["C82", "C83"]),
        ("duplicate-operation", ["B9"]),
        ("cost-after-end", ["C58", "C59", "C85"]),
        ("end-date-missing", ["H12", "H15", "H16", "H39"]),
        ("amount-blank", ["D56", "D57"]),
        ("comment-says-taken-out", ["M12"]),
    ],
)
def test_a_remark_names_its_cell(portfolio: mappings.ImportResult, rule: str, cells: list[str]) -> None:
    places = [remark.place for remark in portfolio.log if remark.rule == rule]
    assert [f"{place.letter}{place.row}" for place in places] == cells


def test_a_lost_cell_that_is_filled_in_is_not_lost(portfolio: mappings.ImportResult) -> None:
    """The table of lost cells speaks only of cells that are blank: all of its rows are."""
    assert (
        sum(remark.rule == "lost-cell" for remark in portfolio.log)
        == sum(1 for _ in (DATA.parent / "tables" / "lost_cells.csv").open(encoding="utf-8")) - 1
    )


def test_remarks_are_in_both_languages(portfolio: mappings.ImportResult) -> None:
    remark = next(remark for remark in portfolio.log if remark.rule == "delivery-overdue")
    assert str(remark) == (
        "warning deliveries.csv row 49 (E49): datoen 2021-03-01 var passert da runden åpnet, og leveransen er ikke "
        "levert / the date 2021-03-01 had passed when the round opened, and the delivery is not delivered "
        "[delivery-overdue]"
    )


def test_unresolved_spellings_are_listed(portfolio: mappings.ImportResult) -> None:
    unresolved = {
        remark.text.split("»")[0].lstrip("«") for remark in portfolio.log if remark.rule == "actor-unresolved"
    }
    assert len(unresolved) == 29
    assert {"Juridiske avklaringer", "NILAR", "SSB", "HN-IKT", "DIPS", "Helseplattformen"} <= unresolved
