"""Rules that see more than one resource: domain model 9 («Who, condition») and 11 (last paragraph)."""

from __future__ import annotations

import copy

import pytest

import mappings
from server.access import CONTACT_REFERENCE, SECRETARIAT, Access, Caller
from server.app import engine_of, store_of
from server.interaction.intents import Intent
from server.interaction.transaction import transaction
from server.interaction.write import write
from server.load import load
from server.outcome import FhirError
from server.portfolio.rules import Change, Rules, is_organization_number
from server.resource import decode
from server.settings import read_settings
from tests.mappings.conftest import DATA
from tests.test_states import C, concept, in_state

ENH = "urn:oid:2.16.578.1.12.4.1.4.101"
OWNER, PART, OTHER = (Caller("reporter", number) for number in ("983658725", "994598759", "883658752"))


def organization(number, *kinds):
    identifier = {"identifier": [{"system": ENH, "value": number}]} if number else {}
    return {"resourceType": "Organization", "type": [concept("nep-actor-type", kind) for kind in kinds]} | identifier


def plan(state="aktiv/active", segment="samstyre", **more):
    made = in_state("tiltak", state)
    for code in ("segment", "fase"):
        if segment:
            value = concept(f"nep-{code}", segment)
            made["useContext"].append(
                {"code": concept("nep-context-type", code)["coding"][0], "valueCodeableConcept": value}
            )
    extension = [{"url": CONTACT_REFERENCE, "valueReference": {"reference": "Organization/vest"}}]
    return made | {"author": [{"extension": extension}]} | more


def task(kind, state, **more):
    owner = {"reference": "Organization/nhn" if kind == "avhengighet" else "Organization/vest"}
    made = in_state(kind, state) | {"basedOn": [{"reference": "PlanDefinition/p"}], "owner": owner} | more
    if kind == "statusrapport":
        made = {"groupIdentifier": {"system": f"{C}/sid/runde", "value": "2023-09"}, "output": [RISK]} | made
    return made


RISK = {"type": concept("nep-task-io", "risiko"), "valueCodeableConcept": concept("nep-traffic-light", "gul")}


def round(status):
    number = {"system": f"{C}/sid/runde", "value": "2023-09"}
    return in_state("rapporteringsrunde", status) | {
        "identifier": [number], "restriction": {"period": {"start": "2023-09-01", "end": "2023-09-30"}},
    }  # fmt: skip


class World:
    """What stands around a change: resources by reference, and since when they have their status."""

    def __init__(self, since=None, **resources):
        self.resources = {
            "Organization/vest": organization("983658725"),
            "Organization/nhn": organization("994598759"),
            "Organization/leverandorer": organization("", "aktorgruppe"),
            "PlanDefinition/p": plan(),
            **{name.replace("_", "/"): resource for name, resource in resources.items()},
        }
        self.sequences = since or {}

    async def look(self, reference):
        return self.resources.get(reference)

    async def find(self, resource_type, pairs, *, firm=False):
        def met(resource, name, value):
            code = value.rpartition("|")[2]
            match name:
                case "code":
                    return any(coding["code"] == code for coding in resource["code"]["coding"])
                case "identifier":
                    return any(identifier["value"] == code for identifier in resource.get("identifier", []))
                case "based-on":
                    return any(one["reference"] == value for one in resource.get("basedOn", []))
                case "focus":
                    return resource.get("focus", {}).get("reference") == value
                case "group-identifier":
                    return resource.get("groupIdentifier", {}).get("value") == code
                case "description:exact":
                    return value in (resource["code"].get("text"), resource.get("description"))
            raise AssertionError(name)

        pairs = list(pairs)
        return {
            reference: resource
            for reference, resource in self.resources.items()
            if resource["resourceType"] == resource_type and all(met(resource, *pair) for pair in pairs)
        }

    async def since(self, reference, status):
        return self.sequences.get(reference)


async def issues(before, after, caller=OWNER, mode="enforce", reference="Task/t", **world):
    rules = Rules(C, Access(C), mode)
    return await rules(Change(reference, before, after), caller, World(**world))


async def codes(*args, severity="error", **world):
    return [issue.code for issue in await issues(*args, **world) if issue.severity == severity]


@pytest.mark.parametrize(
    ("before", "after", "caller", "code"),
    [
        ("received", "accepted", PART, None),
        ("received", "accepted", OWNER, "forbidden"),  # nep-a4
        ("received", "accepted", OTHER, "forbidden"),
        ("received", "accepted", SECRETARIAT, None),
        ("draft", "requested", OWNER, None),
        ("draft", "requested", PART, "forbidden"),
        ("in-progress", "completed", OWNER, None),
        ("in-progress", "completed", PART, None),
        ("requested", "cancelled", PART, "forbidden"),
        ("requested", "completed", OWNER, "business-rule"),  # the counterpart can answer for itself
    ],
)
async def test_each_party_makes_its_own_moves(before, after, caller, code):
    found = await issues(task("avhengighet", before), task("avhengighet", after), caller)
    assert [issue.code for issue in found if issue.severity == "error"] == ([code] if code else [])


async def test_a_foreign_answer_names_the_rule():
    (issue,) = await issues(task("avhengighet", "received"), task("avhengighet", "accepted"), OWNER)
    assert (issue.rule, issue.expression) == ("nep-a4", "Task.status")
    assert "counterpart" in issue.text


async def test_a_party_named_in_motpart_answers_too():
    slot = {"type": concept("nep-task-io", "motpart"), "valueReference": {"reference": "Organization/nhn"}}
    several = {"owner": {"display": "NHN og andre"}, "input": [slot]}
    before, after = (task("avhengighet", state, **several) for state in ("requested", "received"))
    assert await codes(before, after, PART) == []


@pytest.mark.parametrize("owner", [{"display": "NILAR"}, {"reference": "Organization/leverandorer"}])
async def test_the_owner_confirms_for_a_counterpart_that_cannot_sign_in(owner):
    before, after = (task("avhengighet", state, owner=owner) for state in ("requested", "completed"))
    assert await codes(before, after) == []


async def test_a_refusal_says_why():
    before, after = task("avhengighet", "received"), task("avhengighet", "rejected")
    (issue,) = await issues(before, after, PART)
    assert (issue.code, issue.expression) == ("business-rule", "Task.statusReason")
    reasoned = {**after, "statusReason": concept("nep-status-reason", "feil-adressat")}
    assert await issues(before, reasoned, PART) == []


@pytest.mark.parametrize(
    ("status", "code"), [("in-progress", None), ("completed", "conflict"), ("draft", "business-rule")]
)
async def test_a_report_is_made_inside_an_open_round(status, code):
    before, after = task("statusrapport", "requested/ikke-startet"), task("statusrapport", "completed/innsendt")
    assert await codes(before, after, Task_run=round(status)) == ([code] if code else [])
    again = {**after, "note": [{"text": "rettet"}]}
    assert await codes(after, again, Task_run=round(status)) == ([code] if code else [])


async def test_without_a_round_there_is_no_report():
    before, after = task("statusrapport", "requested/ikke-startet"), task("statusrapport", "completed/innsendt")
    assert await codes(before, after) == ["business-rule"]


async def test_one_report_per_initiative_and_round():
    asked = task("statusrapport", "requested/ikke-startet")
    (issue,) = await issues(None, asked, SECRETARIAT, Task_other=asked)
    assert (issue.code, issue.expression) == ("duplicate", "Task.groupIdentifier")
    elsewhere = task("statusrapport", "requested/ikke-startet", basedOn=[{"reference": "PlanDefinition/q"}])
    assert await issues(None, asked, SECRETARIAT, Task_other=elsewhere) == []


@pytest.mark.parametrize(
    ("segment", "output", "wrong"), [("samstyre", [], True), ("samstyre", [RISK], False), ("observere", [], False)]
)
async def test_a_completed_report_of_a_followed_initiative_tells_its_risk(segment, output, wrong):
    report = task("statusrapport", "completed/innsendt", output=output)
    found = await issues(None, report, SECRETARIAT, PlanDefinition_p=plan(segment=segment))
    assert [issue.rule for issue in found] == (["nep-s2"] if wrong else [])


async def test_a_delivery_is_taken_back_only_in_the_round_it_was_made_in():
    before, after = task("leveranse", "completed/levert"), task("leveranse", "in-progress/ikke-levert")
    for completed, expected in ((7, []), (3, ["business-rule"])):
        since = {"Task/t": completed, "Task/run": 5}
        assert await codes(before, after, since=since, Task_run=round("in-progress")) == expected
    assert await codes(before, after, since={"Task/t": 7}, Task_run=round("completed")) == ["business-rule"]


@pytest.mark.parametrize("kind", ["leveranse", "avhengighet"])
async def test_a_retired_initiative_takes_nothing_new(kind):
    made = task(kind, "ready/ikke-levert" if kind == "leveranse" else "requested")
    retired = plan("avsluttet/retired")
    assert await codes(None, made, PlanDefinition_p=retired) == ["business-rule"]
    changed = {**made, "description": "x"}
    assert await codes(made, changed, PlanDefinition_p=retired) == []
    assert await codes(made, changed, PlanDefinition_p=retired, severity="warning") == ["business-rule"]


async def test_a_delivery_warns_of_a_missing_date_and_of_a_namesake():
    late = {"restriction": {"period": {"end": "2023-12-31"}}}
    done = task("leveranse", "completed/levert", **late)
    assert await codes(None, done, Task_run=round("in-progress"), severity="warning") == ["business-rule"]
    dated = {**done, "executionPeriod": {"end": "2023-09-08"}}
    assert await issues(None, dated, Task_run=round("in-progress")) == []
    named = task("leveranse", "ready/ikke-levert")
    named["code"] = {**named["code"], "text": "DIPS Arena"}
    (issue,) = await issues(None, named, Task_other=copy.deepcopy(named))
    assert (issue.rule, issue.severity, issue.expression) == ("nep-d3", "warning", "Task.code.text")
    assert await issues(named, named, Task_t=named) == []
    described = {**task("leveranse", "ready/ikke-levert"), "description": "DIPS Arena"}
    assert await issues(None, named, Task_other=described) == []


async def test_a_dependency_warns_of_itself_its_date_and_a_circle():
    own = task("avhengighet", "requested", requester={"reference": "Organization/nhn"})
    assert [i.expression for i in await issues(None, own)] == ["Task.owner"]
    late = task("avhengighet", "requested", restriction={"period": {"end": "2024-01-01"}})
    ends = plan(effectivePeriod={"end": "2023"})
    assert [i.expression for i in await issues(None, late, PlanDefinition_p=ends)] == ["Task.restriction.period.end"]
    here = task("avhengighet", "requested", focus={"reference": "PlanDefinition/q"})
    there = task("avhengighet", "requested", focus={"reference": "Task/delivery"})
    there["basedOn"] = [{"reference": "PlanDefinition/q"}]
    world = {"Task_back": there, "Task_delivery": task("leveranse", "ready/ikke-levert")}
    (issue,) = await issues(None, here, **world)
    assert (issue.rule, issue.severity, issue.expression) == ("nep-a3", "warning", "Task.focus")
    world["Task_back"] = {**there, "status": "completed"}
    assert await issues(None, here, **world) == []


@pytest.mark.parametrize(
    ("before", "after", "nomination", "caller", "expected"),
    [
        (None, "nominert/draft", "requested", OWNER, []),
        (None, "nominert/draft", None, OWNER, ["business-rule"]),
        (None, "aktiv/active", None, SECRETARIAT, []),
        ("nominert/draft", "til-vurdering/draft", "received", SECRETARIAT, []),
        ("nominert/draft", "til-vurdering/draft", "requested", SECRETARIAT, ["business-rule"]),
        ("nominert/draft", "til-vurdering/draft", None, SECRETARIAT, []),
        ("nominert/draft", "til-vurdering/draft", "received", OWNER, ["forbidden"]),
        ("nominert/draft", "trukket/retired", "cancelled", OWNER, []),
        ("aktiv/active", "stanset/retired", None, OWNER, ["forbidden"]),
    ],
)
async def test_an_initiative_moves_with_its_nomination(before, after, nomination, caller, expected):
    world = {"Task_nom": task("nominasjon", nomination)} if nomination else {}
    stood = plan(before) if before else None
    assert await codes(stood, plan(after), caller, reference="PlanDefinition/p", **world) == expected


async def test_an_initiative_is_accepted_with_its_segment():
    found = await issues(plan("til-vurdering/draft"), plan("akseptert/draft", segment=""), SECRETARIAT)
    assert [issue.rule for issue in found] == ["nep-i3"]


async def test_an_initiative_that_ends_names_what_it_leaves_open():
    upon = task("avhengighet", "requested", focus={"reference": "PlanDefinition/p"}, basedOn=[])
    open_one, closed = task("leveranse", "ready/ikke-levert"), task("leveranse", "completed/levert")
    world = {"Task_a": upon, "Task_b": open_one, "Task_c": closed}
    (issue,) = await issues(plan(), plan("avsluttet/retired"), SECRETARIAT, reference="PlanDefinition/p", **world)
    assert issue.severity == "warning"
    assert "Task/a, Task/b." in issue.text


@pytest.mark.parametrize(("year", "wrong"), [("2000", False), ("2050", False), ("1999", True), ("20210", True)])
async def test_the_years_of_a_budget_are_of_this_half_century(year, wrong):
    line = {"url": f"{C}/StructureDefinition/nep-finance-line", "extension": [{"url": "year", "valueDate": year[:4]}]}
    if year == "20210":
        line["extension"][0]["valueDate"] = "2051"
    found = await issues(plan(), plan(extension=[line]), SECRETARIAT)
    assert [i.expression for i in found] == (["PlanDefinition.extension[0].extension[0].valueDate"] if wrong else [])


async def test_a_task_does_not_become_another_kind():
    found = await issues(task("leveranse", "ready/ikke-levert"), task("avhengighet", "draft"))
    assert [(issue.code, issue.expression) for issue in found] == [("business-rule", "Task.code")]


@pytest.mark.parametrize(
    ("number", "right"),
    [
        ("983658725", True), ("991324968", True), ("883658752", True), ("915933149", True),
        ("983658726", False), ("98365872", False), ("98365872x", False), ("۹۸۳۶۵۸۷۲۵", False), ("", False),
    ],
)  # fmt: skip
def test_an_organisation_number_has_its_control_digit(number, right):
    assert is_organization_number(number) is right


async def test_a_wrong_organisation_number_is_refused_for_anyone():
    found = await issues(None, organization("983658726"), SECRETARIAT)
    assert [(issue.rule, issue.expression) for issue in found] == [("nep-o2", "Organization.identifier[0].value")]


async def test_the_setting_makes_warnings_of_errors_or_nothing_but_gives_no_rights():
    before, after = task("avhengighet", "received"), task("avhengighet", "rejected")
    assert [i.severity for i in await issues(before, after, PART, "warn")] == ["warning"]
    assert await issues(before, after, PART, "off") == []
    assert [(i.code, i.severity) for i in await issues(before, after, OWNER, "warn")] == [("forbidden", "error")]


# In the registry itself


@pytest.fixture
async def engine(tmp_path):
    settings = read_settings(
        store=f"sqlite:///{tmp_path}/p.db", base_url="http://registry.example/fhir", _env_file=None
    )
    store = store_of(settings)
    await store.open()
    yield engine_of(settings, store)
    await store.close()


async def found(engine, kind, condition):
    async with engine.store.snapshot() as snapshot:
        page = await snapshot.search(engine.parser.condition(kind, condition, place=""))
    return decode(page.versions[0].body)


async def test_the_reports_of_2021_and_2023_pass_all_rules_and_lock(engine):
    assert (await load(engine, DATA / "portfolio-2021-11")).refused == []
    await transaction(engine, SECRETARIAT, mappings.round_bundle("2023-09", canonical=C))
    standing = await found(engine, "PlanDefinition", "identifier=NEP-0012")
    report = mappings.read_report(DATA / "epj-loftet-2023-09")
    pushed = mappings.push(report, standing, canonical=C, own="https://ehelse.example/sid").bundle
    entries = await transaction(engine, Caller("reporter", "915933149"), pushed)
    assert {entry.status for entry in entries} == {200, 201}

    locked = await found(engine, "Task", "identifier=2021-11:NEP-0025")
    intent = Intent("PUT", "Task", locked["id"], resource={**locked, "note": [{"text": "rettet"}]})
    with pytest.raises(FhirError) as refused:
        await write(engine, SECRETARIAT, [intent])
    assert (refused.value.status, refused.value.issues[0].code) == (409, "conflict")


async def test_put_patch_and_bundle_meet_the_same_rules(engine):
    assert (await load(engine, DATA / "portfolio-2021-11")).refused == []
    delivery = await found(engine, "Task", "code=leveranse&status=completed")
    wrong = {**delivery, "status": "ready", "businessStatus": concept("nep-delivery-status", "ikke-levert")}
    patch = tuple({"op": "replace", "path": f"/{name}", "value": wrong[name]} for name in ("status", "businessStatus"))
    for intent in (
        Intent("PUT", "Task", delivery["id"], resource=wrong),
        Intent("PATCH", "Task", delivery["id"], patch=patch),
        Intent("PUT", "Task", delivery["id"], resource=wrong, place="Bundle.entry[0]"),
    ):
        with pytest.raises(FhirError) as refused:
            await write(engine, SECRETARIAT, [intent])
        (issue,) = refused.value.issues
        where = f"{intent.place}.resource" if intent.place else "Task"
        assert (refused.value.status, issue.code, issue.expression) == (422, "business-rule", f"{where}.status")


async def test_a_warning_comes_with_what_was_written(engine):
    assert (await load(engine, DATA / "portfolio-2021-11")).refused == []
    one = await found(engine, "Task", "code=leveranse&status=ready")
    # A name is no query: what separates values there stands for itself.
    name = " A, B|C $5 & D\\E=100 % + «æøå» "
    for number, rules in enumerate([[], ["nep-d3"]]):
        identifier = {"system": "https://actor.example/sid", "value": str(number)}
        twin = {**one, "identifier": [identifier], "code": {**one["code"], "text": name}}
        (written,) = await write(engine, SECRETARIAT, [Intent("POST", "Task", resource=twin)])
        assert [warning.rule for warning in written.warnings] == rules


async def test_a_dependency_that_its_counterpart_completes_is_met(engine):
    assert (await load(engine, DATA / "portfolio-2021-11")).refused == []
    condition = "code=avhengighet&status=requested&owner:identifier=994598759&business-status=gul"
    asked = await found(engine, "Task", condition)
    for status in ("received", "accepted", "in-progress", "completed"):
        patch = ({"op": "replace", "path": "/status", "value": status},)
        (written,) = await write(engine, PART, [Intent("PATCH", "Task", asked["id"], patch=patch)])
    met = decode(written.version.body)
    assert met["businessStatus"]["coding"][0]["code"] == "oppfylt"
