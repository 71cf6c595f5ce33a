"""The life cycles of domain model 9, read from states.json: what may follow what."""

from __future__ import annotations

import json

import pytest

from server.portfolio.states import INITIATIVE, judge, kind_of, machines, standard

C = "http://eportefolje.example/fhir"


def concept(system, code):
    return {"coding": [{"system": f"{C}/CodeSystem/{system}", "code": code}]}


def in_state(kind, state):
    """A resource of that kind in that state."""
    status, _, business = state.partition("/")
    if kind == INITIATIVE:
        context = {"code": concept("nep-context-type", "livslop")["coding"][0],
                   "valueCodeableConcept": concept("nep-lifecycle", status)}  # fmt: skip
        return {"resourceType": "PlanDefinition", "status": business, "useContext": [context]}
    task = {"resourceType": "Task", "status": status, "code": concept("nep-task-type", kind)}
    return task | ({"businessStatus": concept("nep-delivery-status", business)} if business else {})


def verdict(kind, before, after, secretariat=False):
    stood = in_state(kind, before) if before else None
    return judge(standard()[kind], stood, in_state(kind, after), secretariat=secretariat, canonical=C)


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("tiltak", "nominert/draft", "til-vurdering/draft"),
        ("tiltak", "nominert/draft", "akseptert/draft"),
        ("tiltak", "til-vurdering/draft", "trukket/retired"),
        ("tiltak", "akseptert/draft", "aktiv/active"),
        ("tiltak", "aktiv/active", "pa-vent/active"),
        ("tiltak", "pa-vent/active", "aktiv/active"),
        ("tiltak", "pa-vent/active", "stanset/retired"),
        ("tiltak", "avsluttet/retired", "aktiv/active"),
        ("leveranse", "ready/ikke-oppgitt", "in-progress/ikke-levert"),
        ("leveranse", "ready/ikke-oppgitt", "completed/levert"),
        ("leveranse", "on-hold/ikke-levert", "in-progress/ikke-levert"),
        ("leveranse", "on-hold/ikke-levert", "cancelled/utgaar"),
        ("leveranse", "completed/levert", "in-progress/ikke-levert"),
        ("avhengighet", "requested", "received"),
        ("avhengighet", "rejected", "requested"),
        ("avhengighet", "in-progress", "completed"),
        ("avhengighet", "accepted", "cancelled"),
        ("nytteforutsetning", "ready", "in-progress"),
        ("statusrapport", "requested/ikke-startet", "completed/innsendt"),
        ("statusrapport", "completed/innsendt", "in-progress/returnert"),
        ("statusrapport", "in-progress/returnert", "completed/innsendt"),
        ("statusrapport", "completed/godkjent", "completed/last"),
        ("statusrapport", "in-progress/kladd", "cancelled/kladd"),
        ("vurdering", "in-progress", "completed"),
        ("rapporteringsrunde", "in-progress", "completed"),
        ("rapporteringsrunde", "completed", "in-progress"),
        ("nominasjon", "requested", "cancelled"),
        ("veikartaktivitet", "on-hold", "in-progress"),
        ("radssak", "requested", "on-hold"),
    ],
)
def test_a_listed_move_is_open_to_somebody(kind, before, after):
    found = verdict(kind, before, after)
    assert found.issue is None
    assert found.moves


@pytest.mark.parametrize(
    ("kind", "before", "after", "place"),
    [
        ("tiltak", "nominert/draft", "aktiv/active", "PlanDefinition.useContext[0].valueCodeableConcept"),
        ("tiltak", "avslatt/retired", "aktiv/active", "PlanDefinition.useContext[0].valueCodeableConcept"),
        ("leveranse", "completed/levert", "ready/ikke-levert", "Task.status"),
        ("leveranse", "cancelled/utgaar", "in-progress/ikke-levert", "Task.status"),
        ("leveranse", "ready/ikke-levert", "ready/levert", "Task.businessStatus"),
        ("avhengighet", "requested", "accepted", "Task.status"),
        ("avhengighet", "completed", "in-progress", "Task.status"),
        ("nytteforutsetning", "completed", "ready", "Task.status"),
        ("statusrapport", "completed/innsendt", "requested/ikke-startet", "Task.status"),
        ("statusrapport", "completed/godkjent", "completed/innsendt", "Task.businessStatus"),
        ("vurdering", "completed", "in-progress", "Task.status"),
        ("nominasjon", "rejected", "requested", "Task.status"),
    ],
)
@pytest.mark.parametrize("secretariat", [False, True])
def test_an_unlisted_move_is_refused_with_the_allowed_ones_named(kind, before, after, place, secretariat):
    issue = verdict(kind, before, after, secretariat).issue
    assert (issue.code, issue.expression) == ("business-rule", place)
    assert f"{before} → {after}" in issue.text
    assert f"from {before}: {standard()[kind].onward(before)}" in issue.text


def test_the_allowed_ones_come_with_who_may():
    text = verdict("avhengighet", "received", "completed").moves
    assert text  # open to the owner of a dependency whose counterpart cannot answer
    refused = verdict("avhengighet", "received", "in-progress").issue.text
    assert "accepted (motpart" in refused
    assert "cancelled (eier" in refused


@pytest.mark.parametrize(
    ("kind", "allowed"),
    [
        ("tiltak", {"nominert/draft"}),
        ("leveranse", {"ready/ikke-oppgitt", "ready/ikke-levert", "in-progress/ikke-levert", "completed/levert"}),
        ("avhengighet", {"draft", "requested", "completed"}),
        ("nytteforutsetning", {"ready", "completed"}),
        ("nominasjon", {"requested"}),
        ("statusrapport", set()),
        ("rapporteringsrunde", set()),
        ("vurdering", set()),
        ("radssak", set()),
    ],
)
def test_an_owner_starts_in_few_states_the_secretariat_in_all(kind, allowed):
    states = standard()[kind].states
    assert {state for state in states if verdict(kind, None, state).issue is None} == allowed
    assert all(verdict(kind, None, state, secretariat=True).issue is None for state in states)
    refused = [state for state in states if state not in allowed]
    assert all(verdict(kind, None, state).issue.code == "business-rule" for state in refused)


def test_a_state_that_the_machine_does_not_know_is_refused_even_to_the_secretariat():
    issue = verdict("leveranse", None, "ready/levert", secretariat=True).issue
    assert issue.code == "business-rule"
    assert "ready/ikke-oppgitt" in issue.text


@pytest.mark.parametrize("kind", sorted(set(standard()) - {"tiltak"}))
def test_entered_in_error_is_the_secretariats_from_anywhere(kind):
    for state in standard()[kind].states:
        assert verdict(kind, state, "entered-in-error", secretariat=True).issue is None
        assert verdict(kind, state, "entered-in-error").issue.code == "forbidden"


def test_a_locked_report_changes_for_nobody():
    for secretariat in (False, True):
        issue = verdict("statusrapport", "completed/last", "completed/last", secretariat).issue
        assert issue.code == "conflict"


def test_an_approved_report_is_returned_before_its_owner_changes_it():
    assert verdict("statusrapport", "completed/godkjent", "completed/godkjent").issue.code == "business-rule"
    assert verdict("statusrapport", "completed/godkjent", "completed/godkjent", secretariat=True).issue is None


def test_only_the_portfolios_own_have_a_life_cycle():
    assert kind_of({"resourceType": "Task", "code": {"coding": [{"code": "leveranse"}]}}, C) == ""
    assert kind_of({"resourceType": "PlanDefinition", "status": "active"}, C) == ""
    assert kind_of(in_state("leveranse", "ready/ikke-levert"), C) == "leveranse"


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"states": ["a"], "start": [], "moves": [{"from": ["b"], "to": ["a"], "who": ["owner"]}]}, "'b'"),
        ({"states": ["a"], "start": [], "moves": [{"from": ["a"], "to": ["a"], "who": ["king"]}]}, "'king'"),
        ({"states": ["a"], "start": [{"to": ["a"], "who": ["owner"], "needs": ["luck"]}], "moves": []}, "'luck'"),
        ({"states": ["a/x"], "start": [], "moves": [], "locked": ["b/*"]}, "'b/*'"),
    ],
)
def test_a_table_with_a_word_too_many_stops_the_start(tmp_path, row, named):
    (tmp_path / "states.json").write_text(json.dumps({"leveranse": row}))
    with pytest.raises(ValueError, match="leveranse") as refused:
        machines(tmp_path / "states.json")
    assert named in str(refused.value)
