"""Our validator and the independent judge over 300 mutants: where they differ, a rule of R4 says who is right."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from server.definitions.conformance import Conformance
from server.outcome import FhirError
from server.resource import decode, encode
from tests.profiles.mutants import GOLDEN, NUMBER, OPERATORS, Mutant, digest, mutants

KEPT = json.loads(GOLDEN.read_text("utf-8"))
MUTANTS = mutants()

# Mutants on which the two differ, by the rule that decides.
DISAGREEMENTS: dict[str, tuple[str, ...]] = {
    # datatypes.html#code: a code has content without leading or trailing white space; " " is none. We refuse.
    "code": ("015-empty-nep-delivery.successor", "290-empty-nep-delivery.redefined"),
    # references.html#literal: a literal reference is an absolute URL, Type/id with an id of R4's form, or #id. We
    # refuse.
    "reference": (
        "162-target-nep-portfolio-report",
        "262-target-nep-delivery.successor",
        "287-target-nep-dependency.text-only-counterpart",
    ),
    # datatypes.html#Coding: the code is one that the system defines, of every coding; the judge asks it of one. We
    # refuse.
    "coding": (
        "048-coding-nep-dependency.text-only-counterpart",
        "073-coding-nep-organization.merged",
        "298-coding-nep-reporting-round",
    ),
    # datatypes.html#oid: urn:oid:1.2.3 is of the form that R4 gives; the judge asks for more parts. We accept.
    "oid": ("092-uri-nep-dependency",),
    # extensibility.html: an extension that is not known, and does not change meaning, is no reason to refuse; the
    # judge is told to refuse those it does not know, so that ours are spelt right. We accept.
    "extension": ("113-extension-url-nep-organization.merged", "163-extension-url-nep-initiative"),
    # The judge itself fails (a status without the narrative that goes with it). We refuse.
    "crash": ("124-narrative-nep-status-response",),
}
LISTED = [name for names in DISAGREEMENTS.values() for name in names]


def refused(guide: Conformance, mutant: Mutant) -> bool:
    try:
        resource = decode(encode(mutant.resource))
    except FhirError:
        return True
    return any(issue.severity == "error" for issue in guide.issues(resource, resource["resourceType"]))


def test_the_verdicts_are_of_these_very_mutants() -> None:
    assert KEPT["mutants"] == digest(), "scripts/judge --keep judges the new ones"
    assert list(KEPT["errors"]) == [mutant.name for mutant in MUTANTS]


def test_there_are_300_of_all_kinds_and_of_both_verdicts() -> None:
    assert len({encode(mutant.resource) for mutant in MUTANTS}) == NUMBER == 300
    kinds = Counter(operator for mutant in MUTANTS for operator in OPERATORS if mutant.name[4:].startswith(operator))
    assert kinds.keys() == OPERATORS.keys()
    assert min(kinds.values()) >= NUMBER // len(OPERATORS)
    assert 50 < sum(not errors for errors in KEPT["errors"].values()) < 150


def test_at_most_one_in_twenty_is_judged_differently_and_each_is_listed(guide: Conformance) -> None:
    differing = [
        mutant.name
        for mutant in MUTANTS
        if "judge-crashed" in KEPT["errors"][mutant.name] or refused(guide, mutant) != bool(KEPT["errors"][mutant.name])
    ]
    assert sorted(differing) == sorted(LISTED)
    assert len(differing) <= 0.05 * NUMBER


@pytest.mark.parametrize("rule", ["oid", "extension"])
def test_what_we_alone_accept_r4_allows(guide: Conformance, rule: str) -> None:
    """All that the judge refuses and we do not is under a rule that says why."""
    by_name = {mutant.name: mutant for mutant in MUTANTS}
    for name in DISAGREEMENTS[rule]:
        assert not refused(guide, by_name[name])


def test_the_others_we_refuse(guide: Conformance) -> None:
    by_name: dict[str, Any] = {mutant.name: mutant for mutant in MUTANTS}
    for rule, names in DISAGREEMENTS.items():
        if rule not in ("oid", "extension"):
            assert all(refused(guide, by_name[name]) for name in names)
