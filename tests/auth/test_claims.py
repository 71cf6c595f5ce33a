"""What a token's claims make of its caller: HelseID's rights and organisations, SMART scopes. Domain model 13."""

from __future__ import annotations

import pytest

from server.access import Caller
from server.auth.claims import caller, own_caller
from server.auth.jose import NotAccepted
from server.auth.scopes import constraints
from server.outcome import FhirError

OURS = "nhn:eportefolje"
ORGNR = "helseid://claims/client/claims/orgnr"
VEST, BERGEN, VENDOR = "983658725", "983974724", "912345678"
NUMBER, TRAP, PAIR = "urn:oid:2.16.578.1.12.4.1.4.101", "urn:oid:2.16.578.1.12.4.1.2.101", "urn:oid:1.0.6523"


def claims(**more):
    return {"client_id": "c", "sub": "c", "scope": [f"{OURS}/rapporter"], f"{ORGNR}_parent": VEST, **more}


def details(system: str, value: object, kind: str = "helseid_authorization"):
    organization = {"identifier": {"system": system, "type": "ENH", "value": value}}
    return [{"type": "other"}, {"type": kind, "practitioner_role": {"organization": organization}}]


@pytest.mark.parametrize(
    ("scope", "role"),
    [
        (f"{OURS}/les", "reader"),
        (f"{OURS}/rapporter", "reporter"),
        (f"{OURS}/sekretariat", "secretariat"),
        (f"{OURS}/les {OURS}/rapporter", "reporter"),
        ([f"{OURS}/rapporter", "openid"], "reporter"),
        ("system/Task.rs", "reader"),
        ("system/Task.crus", "reporter"),
        ("system/*.cruds", "reporter"),  # SMART scopes alone make no one the secretariat
        (f"{OURS}/les system/*.cruds", "reader"),  # a right says the role
        ("evil:eportefolje/sekretariat", "reader"),  # another API's right
        (f"{OURS}/sekretariat/x", "reader"),
        (f"x{OURS}/sekretariat", "reader"),
        ("", "reader"),
        (None, "reader"),
        (7, "reader"),
    ],
)
def test_the_role_is_that_of_the_strongest_right(scope, role):
    assert caller(claims(scope=scope), OURS).role == role


@pytest.mark.parametrize(
    ("right", "given", "not_given"),
    [
        ("les", ["r*", "sTask"], ["cTask", "uTask", "dTask"]),
        ("rapporter", ["rAuditEvent", "cTask", "uTask", "uOrganization", "cMeasureReport", "uQuestionnaireResponse",
                       "cPlanDefinition"], ["cOrganization", "dTask", "cMeasure", "uCodeSystem"]),
        ("sekretariat", ["cTask", "dTask", "uCodeSystem"], []),
    ],
)  # fmt: skip
def test_a_right_stands_for_scopes(right, given, not_given):
    held = caller(claims(scope=f"{OURS}/{right}"), OURS).scopes
    for word in given + not_given:
        assert (constraints(held, word[0], word[1:]) is not None) is (word in given), word


@pytest.mark.parametrize(
    ("more", "organization", "supplier"),
    [
        ({}, VEST, ""),
        ({f"{ORGNR}_child": BERGEN}, BERGEN, ""),  # narrows
        ({f"{ORGNR}_supplier": VENDOR, "helseid://claims/client/client_tenancy": "multi-tenant"}, VEST, VENDOR),
        ({f"{ORGNR}_supplier": VENDOR, "client_tenancy": "multi-tenant"}, VEST, VENDOR),
        ({f"{ORGNR}_supplier": VENDOR, "client_tenancy": "single-tenant"}, VEST, ""),
        ({f"{ORGNR}_supplier": VENDOR}, VEST, VENDOR),
        ({f"{ORGNR}_supplier": VEST}, VEST, ""),
        ({"authorization_details": details(PAIR, f"NO:ORGNR:{VEST}:{BERGEN}")}, BERGEN, ""),
        ({"authorization_details": details(PAIR, f"NO:ORGNR:{VEST}:")}, VEST, ""),
        ({"authorization_details": details(PAIR, f"NO:ORGNR:{VEST}")}, VEST, ""),
        ({"authorization_details": details(NUMBER, BERGEN)}, BERGEN, ""),
        ({"authorization_details": details(TRAP, BERGEN)}, BERGEN, ""),  # a HelseID sample's OID
        ({f"{ORGNR}_parent": None, "authorization_details": details(PAIR, f"NO:ORGNR:{VEST}")}, VEST, ""),
        ({f"{ORGNR}_parent": None, "authorization_details": details(TRAP, VEST)[1]}, VEST, ""),
        ({"authorization_details": details("urn:x", "?", "another_type")}, VEST, ""),
    ],
)
def test_the_organisation_is_the_narrowest_that_is_named(more, organization, supplier):
    found = caller(claims(**more), OURS)
    assert (found.organization, found.supplier) == (organization, supplier)


@pytest.mark.parametrize(
    "more",
    [
        {f"{ORGNR}_parent": "123"},
        {f"{ORGNR}_parent": 983658725},
        {f"{ORGNR}_parent": f"{VEST} "},
        {f"{ORGNR}_child": "x"},
        {"authorization_details": details(PAIR, f"NO:ORGNR:{BERGEN}")},  # another than orgnr_parent
        {"authorization_details": details("urn:x", VEST)},
        {"authorization_details": details(PAIR, VEST)},
        {"authorization_details": details(PAIR, 7)},
        {"authorization_details": [{"type": "helseid_authorization"}]},
        {"client_id": ["c"]},
    ],
)
def test_claims_that_contradict_or_are_out_of_form_are_not_accepted(more):
    with pytest.raises(NotAccepted):
        caller(claims(**more), OURS)


def test_a_reporter_without_an_organisation_is_forbidden():
    with pytest.raises(FhirError) as caught:
        caller(claims(**{f"{ORGNR}_parent": None}, client_tenancy="multi-tenant"), OURS)
    assert caught.value.status == 403
    assert "authorization_details" in str(caught.value)


def test_a_caller_is_named_by_its_client_and_never_by_a_person():
    named = claims(**{"helseid://claims/client/client_name": "EPJ", "name": "Ola", "pid": "01010112345"})
    found = caller(named, OURS)
    assert (found.client, found.name) == ("c", "EPJ")
    assert "Ola" not in repr(found)
    assert "01010112345" not in repr(found)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"role": "reporter", "organization": VEST}, Caller("reporter", VEST, "s")),
        ({"role": "reader"}, Caller("reader", "", "s")),
        ({"role": "reader", "client_id": "c", "name": "C"}, Caller("reader", "", "C", "c")),
        ({"role": "secretariat"}, Caller("secretariat", "", "portefoljekontoret")),
    ],
)
def test_a_token_of_our_own_says_its_role(more, expected):
    assert own_caller({"sub": "s", **more}) == expected


def test_a_token_of_our_own_is_narrowed_by_its_scopes_when_it_has_any():
    assert own_caller({"sub": "s", "role": "reader"}).scopes is None
    assert own_caller({"sub": "s", "role": "secretariat", "scope": ""}).scopes == ()
    assert len(own_caller({"sub": "s", "role": "reader", "scope": "system/Task.rs"}).scopes) == 1
    with pytest.raises(NotAccepted):
        own_caller({"sub": "s", "role": "king"})
