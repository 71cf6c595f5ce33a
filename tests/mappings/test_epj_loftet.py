"""EPJ-løftet in autumn 2023: the round that asks for its report, and the report as its owner pushes it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import mappings
from tests.mappings.conftest import CANONICAL, DATA, code, context, value, values

Resource = dict[str, Any]


def entries(bundle: Resource, kind: str) -> list[Resource]:
    return [
        entry
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == kind
        or code(entry["resource"].get("code", {"coding": [{"code": ""}]})) == kind
    ]


def rules(result: mappings.ImportResult, start: str) -> list[tuple[str, str]]:
    return [(remark.rule, remark.place.column) for remark in result.log if remark.rule.startswith(start)]


def test_the_round_stands_open_with_its_one_requested_report() -> None:
    opened = mappings.round_bundle("2023-09", canonical=CANONICAL)
    round, report = (entry["resource"] for entry in opened["entry"])
    assert (round["status"], round["code"]["text"]) == ("in-progress", "September 2023")
    assert round["restriction"]["period"] == {"start": "2023-09-01", "end": "2023-09-30"}
    assert round["authoredOn"] == "2023-09-01T00:00:00+02:00"
    assert (report["status"], code(report["businessStatus"])) == ("requested", "ikke-startet")
    assert "output" not in report
    assert report["for"] == report["basedOn"][0]
    assert report["for"]["reference"] == f"PlanDefinition?identifier={CANONICAL}/sid/tiltaksnummer%7CNEP-0012"
    assert opened["entry"][1]["request"]["url"].endswith("sid/statusrapport%7C2023-09:NEP-0012")


def test_a_round_may_ask_other_initiatives() -> None:
    opened = mappings.round_bundle("2023-09", ["NEP-0025", "NEP-0040"], canonical=CANONICAL)
    owners = [entry["resource"]["owner"]["display"] for entry in opened["entry"][1:]]
    assert owners == ["Helse Vest RHF", "Oslo kommune"]


def test_the_push_brings_plan_deliveries_dependencies_and_report(autumn: mappings.ImportResult) -> None:
    assert autumn.refused == ()
    kinds = Counter(entry["resource"]["resourceType"] for entry in autumn.bundle["entry"])
    assert kinds == {"PlanDefinition": 1, "Task": 19}
    assert [len(entries(autumn.bundle, kind)) for kind in ("leveranse", "avhengighet", "statusrapport")] == [15, 3, 1]
    assert autumn.bundle["entry"][0]["request"]["url"].endswith("sid/tiltaksnummer%7CNEP-0012")


def test_two_deliveries_of_2021_are_adopted_by_their_import_identifier(autumn: mappings.ImportResult) -> None:
    found = [entry["request"]["url"].rpartition("%7C")[2] for entry in entries(autumn.bundle, "leveranse")]
    assert found[0] == "001:NEP-0012:LEV:2"
    assert found[5] == "001:NEP-0012:LEV:1"
    assert [number for number in found if number.startswith("epj-loftet-")] == [
        f"epj-loftet-{seq:02}" for seq in range(1, 16) if seq not in (1, 6)
    ]
    adopted = entries(autumn.bundle, "leveranse")[5]["resource"]["identifier"]
    assert [(one["system"], one["value"]) for one in adopted] == [
        (f"{CANONICAL}/sid/import", "001:NEP-0012:LEV:1"),
        ("https://ehelse.example/sid/leveranse", "epj-loftet-06"),
    ]
    assert rules(autumn, "adopted") == [("adopted", "seq")] * 2


def test_a_reporter_states_no_instants_and_no_state_of_its_report(autumn: mappings.ImportResult) -> None:
    tasks = [entry["resource"] for entry in autumn.bundle["entry"][1:]]
    assert not any({"authoredOn", "lastModified"} & set(task) for task in tasks)
    assert "businessStatus" not in tasks[-1]


def test_what_is_not_the_owners_to_write_is_sent_as_it_stands(
    autumn: mappings.ImportResult, epj_loftet: Resource
) -> None:
    plan = autumn.bundle["entry"][0]["resource"]
    for name in ("url", "identifier", "name", "status", "date", "publisher", "lastReviewDate", "jurisdiction"):
        assert plan[name] == epj_loftet[name]
    for one in ("program", "segment", "livslop"):
        assert context(plan, one) == context(epj_loftet, one)


def test_what_2023_leaves_out_is_removed_where_it_may_be(autumn: mappings.ImportResult, epj_loftet: Resource) -> None:
    plan = autumn.bundle["entry"][0]["resource"]
    assert epj_loftet["effectivePeriod"] == {"end": "2022-12-31"}
    assert "effectivePeriod" not in plan
    assert context(plan, "innforingsstrategi") == []
    assert [(code(topic), topic["text"]) for topic in plan["topic"]] == [("2", "2 - Enklere arbeidshverdag")]
    assert context(plan, "fase") == context(epj_loftet, "fase") != []
    assert plan["description"] != epj_loftet["description"]
    assert rules(autumn, "left-out") == [
        ("left-out-removed", "end_date"),
        ("left-out-removed", "introduction_strategy"),
        ("left-out-carried", "phase"),
        ("left-out-removed", "focus_area_code"),
    ]


def test_the_words_of_2023_are_read_as_colours_and_kept(autumn: mappings.ImportResult) -> None:
    report = autumn.bundle["entry"][-1]["resource"]
    status, risk = value(report, "output", "status"), value(report, "output", "risiko")
    assert (code(status), status["text"]) == ("gul", "Noen utfordringer")
    assert (code(risk), risk["text"]) == ("gul", "Middels")
    assert value(report, "output", "sluttdato") is None
    assert value(report, "output", "kommentar").startswith("Status er hevet")


def test_audiences(autumn: mappings.ImportResult) -> None:
    groups = [values(entry["resource"], "input", "maalgruppe") for entry in entries(autumn.bundle, "leveranse")]
    found = Counter((tuple(code(group) for group in each), each[0]["text"]) for each in groups)
    assert found == {(("fastlege", "avtalespesialist"), "FA"): 12, (("fysio-manuellterapeut",), "FM"): 3}


def test_one_of_fifteen_is_delivered_and_one_of_three_fulfilled(autumn: mappings.ImportResult) -> None:
    assert Counter(entry["resource"]["status"] for entry in entries(autumn.bundle, "leveranse")) == {
        "completed": 1,
        "in-progress": 14,
    }
    dependencies = [entry["resource"] for entry in entries(autumn.bundle, "avhengighet")]
    assert [one["status"] for one in dependencies] == ["requested", "completed", "requested"]
    assert all(len(one["code"]["coding"]) == 1 for one in dependencies)  # the 2023 form has no category
    assert [one["owner"]["display"] for one in dependencies] == [
        "EPJ-leverandører",
        "Norsk Helsenett",
        "EPJ-leverandører",
    ]


def test_the_dependencies_of_2021_are_left_alone(autumn: mappings.ImportResult) -> None:
    assert not any("001:NEP-0012:AVH" in entry["request"]["url"] for entry in autumn.bundle["entry"])


def test_the_secretariat_may_import_the_same_report_on_what_stands(epj_loftet: Resource) -> None:
    report = mappings.read_report(DATA / "epj-loftet-2023-09")
    alone = mappings.bundle(report, canonical=CANONICAL)
    assert [str(refusal).split(":")[0] for refusal in alone.refused] == ["initiative.csv rad 2 (G2)"]
    result = mappings.bundle(report, canonical=CANONICAL, standing={"NEP-0012": epj_loftet})
    assert result.refused == ()
    numbers = [entry["request"]["url"].rpartition("%7C")[2] for entry in entries(result.bundle, "leveranse")]
    assert numbers[:2] == ["001:NEP-0012:LEV:2", "000:NEP-0012:LEV:2"]
    state = result.bundle["entry"][-1]["resource"]
    assert (state["status"], code(state["businessStatus"])) == ("completed", "innsendt")
