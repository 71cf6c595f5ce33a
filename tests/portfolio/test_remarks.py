"""Task/$remarks over the portfolio of November 2021: every remark is a true statement about what was reported."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import BASE
from tests.portfolio.registry import Registry, registry_in
from tests.portfolio.sheets import C

Remark = tuple[str, str, str]
"""(tiltaksnummer, rule, "Type/id")"""


@pytest.fixture(scope="module")
def enforced(store: Path, portfolio: Registry) -> Iterator[Registry]:
    """The same store as an installation sees it, with the profiles enforced."""
    with registry_in(store, "enforce") as registry:
        yield registry


@pytest.fixture(scope="module")
def reports(enforced: Registry) -> list[Any]:
    found = enforced.get("Task/$remarks?round=2021-11")["parameter"]
    assert {one["name"] for one in found} == {"report"}
    return [one["part"] for one in found]


def remarks(reports: list[Any]) -> list[Remark]:
    return [
        (report[0]["valueReference"]["display"].partition(":")[2], issue["details"]["coding"][0]["code"], of(part))
        for report in reports
        for part in report
        if part["name"] == "remarks"
        for issue in part["part"][1]["resource"]["issue"]
    ]


def of(part: Any) -> str:
    return str(part["part"][0]["valueReference"]["reference"])


def test_all_forty_reports_are_there_those_with_most_remarks_first(reports: list[Any]) -> None:
    assert len({report[0]["valueReference"]["reference"] for report in reports}) == 40
    assert all(report[1]["name"] == "initiative" and report[1]["valueReference"]["display"] for report in reports)
    number = [len(remarks([report])) for report in reports]
    assert number == sorted(number, reverse=True)
    assert number[0] > 0 == number[-1]


def test_each_rule_is_remarked_as_often_as_the_report_breaks_it(reports: list[Any]) -> None:
    found = remarks(reports)
    assert Counter(rule for _, rule, _ in found) == {"nep-a3": 12, "nep-d3": 6, "nep-s3": 3, "nep-i7": 1, "nep-i8": 1}
    assert {number for number, rule, _ in found if rule == "nep-s3"} == {"NEP-0030", "NEP-0032", "NEP-0033"}


def test_a_remark_is_true_of_the_resource_it_names(enforced: Registry, reports: list[Any]) -> None:
    for _, rule, reference in remarks(reports):
        resource = enforced.get(reference)
        match rule:
            case "nep-s3":
                assert not [one for one in resource["output"] if one["type"]["coding"][0]["code"] == "kommentar"]
            case "nep-i7":
                assert "goal" not in resource or "extension" not in resource
            case "nep-i8":
                systems = {coding["system"] for topic in resource.get("topic", ()) for coding in topic["coding"]}
                assert not [one for one in systems if "focus-area" in one or "strategic-goal" in one]
            case "nep-d3":
                assert resource["code"]["coding"][0]["code"] == "leveranse"
            case _:
                assert resource["code"]["coding"][0]["code"] == "avhengighet"


def test_deliveries_are_remarked_for_a_name_they_share_or_a_deadline_that_they_met_too_early(
    enforced: Registry, reports: list[Any]
) -> None:
    deliveries = [enforced.get(reference) for _, rule, reference in remarks(reports) if rule == "nep-d3"]
    shared = Counter((one["basedOn"][0]["reference"], one["code"]["text"]) for one in deliveries)
    early = [one for one in deliveries if shared[one["basedOn"][0]["reference"], one["code"]["text"]] == 1]
    assert (len(deliveries), len(early)) == (6, 2)
    for one in early:
        assert one["status"] == "completed"
        assert one["restriction"]["period"]["end"] > "2021-11-30"
        assert "end" not in one.get("executionPeriod", {})


def test_without_a_round_it_is_the_open_one_and_there_is_none(enforced: Registry) -> None:
    with pytest.raises(AssertionError, match="No round is open"):
        enforced.get("Task/$remarks")


def test_an_unknown_round_has_no_reports(enforced: Registry) -> None:
    assert enforced.get("Task/$remarks?round=1999-01")["parameter"] == []


def test_a_population_narrows_it_to_its_initiatives(enforced: Registry, reports: list[Any]) -> None:
    asked = f"population=identifier%3D{C}/sid/tiltaksnummer%7CNEP-0030,{C}/sid/tiltaksnummer%7CNEP-0032"
    found = enforced.get(f"Task/$remarks?round=2021-11&{asked}")["parameter"]
    assert [one["part"] for one in found] == [one for one in reports if one[0]["valueReference"]["display"][-2:] in
                                              ("30", "32")]  # fmt: skip
    with pytest.raises(AssertionError, match="colour"):
        enforced.get("Task/$remarks?round=2021-11&population=colour%3Dred")


def test_it_is_the_secretariats(enforced: Registry) -> None:
    anonymous = httpx.AsyncClient(transport=enforced._client._transport, base_url=f"{BASE}/")
    answer = enforced._runner.run(anonymous.get("Task/$remarks?round=2021-11"))
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (401, "login")


def test_a_remark_goes_when_what_it_said_is_mended_and_the_past_still_has_it(
    store: Path, reports: list[Any], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(store, tmp_path / "copy"))
    [reference, *_] = [reference for _, rule, reference in remarks(reports) if rule == "nep-s3"]
    with registry_in(folder) as registry:
        report = registry.get(reference)
        before = report["meta"]["lastUpdated"]
        kind = {"coding": [{**report["output"][0]["type"]["coding"][0], "code": "kommentar"}]}
        report["output"].append({"type": kind, "valueMarkdown": "Leveransen er to uker etter planen."})
        registry.send("PUT", reference, report)
    with registry_in(folder, "enforce") as registry:
        for asked, there in ((f"&_asOf={before}", True), ("", False)):
            found = [one["part"] for one in registry.get(f"Task/$remarks?round=2021-11{asked}")["parameter"]]
            assert (("nep-s3", reference) in [(rule, of) for _, rule, of in remarks(found)]) is there
