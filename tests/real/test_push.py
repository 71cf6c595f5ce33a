"""scripts/push_example: an actor's own system brings its report in, and the registry keeps both states."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.portfolio.sheets import REPORT, C, S
from tests.real.process import PROJECT, Installation

EHELSE, VEST = "915933149", "983658725"
OWN = "https://ehelse.example/sid"
EPJ = f"PlanDefinition?identifier={C}/sid/tiltaksnummer|NEP-0012"
DELIVERIES = f"Task?code=leveranse&based-on:PlanDefinition.identifier={C}/sid/tiltaksnummer|NEP-0012"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """What scripts/demo starts: the portfolio of 2021, and the round that asks EPJ-løftet for its report."""
    installation = Installation(tmp_path_factory.mktemp("demo"), PROFILES="enforce")
    status, output = installation.invoke("load", "--quiet", str(REPORT), str(REPORT.parent / "round-2023-09.json"))
    assert status == 0, output
    with installation.serving():
        yield installation


def get(installation: Installation, url: str) -> dict[str, Any]:
    headers = {**installation.bearer(), "Prefer": "handling=strict"}
    answer = httpx.get(f"{installation.base}/{url}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def resources(installation: Installation, url: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in get(installation, url).get("entry", [])]


def total(installation: Installation, url: str) -> int:
    return get(installation, f"{url}{'&' if '?' in url else '?'}_summary=count")["total"]


def push(installation: Installation, *more: str, owner: str = EHELSE) -> tuple[int, str]:
    token = installation.token("reporter", owner)
    done = subprocess.run(
        [str(PROJECT / "scripts" / "push_example"), "--base", installation.base, "--token", token, *more],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def versions_in(demo: Installation) -> int:
    """Versions of what is reported; what is on record of it is not counted."""
    return sum(get(demo, f"{kind}/_history?_count=0")["total"] for kind in ("Organization", "PlanDefinition", "Task"))


@pytest.fixture(scope="module")
def before(demo: Installation) -> dict[str, int]:
    """What stands before the push: versions in all, deliveries, and those delivered."""
    return {
        "versions": versions_in(demo),
        "deliveries": total(demo, DELIVERIES),
        "delivered": total(demo, f"{DELIVERIES}&business-status=levert"),
    }


@pytest.fixture(scope="module")
def pushed(demo: Installation, before: dict[str, int]) -> str:
    """The output of the push."""
    status, output = push(demo)
    assert status == 0, output
    return output


@pytest.mark.usefixtures("pushed")
class TestPushed:
    def test_the_round_asked_for_one_report_and_got_it(self, demo: Installation) -> None:
        (report,) = resources(demo, f"Task?code=statusrapport&group-identifier={C}/sid/runde|2023-09")
        assert (report["status"], report["businessStatus"]["coding"][0]["code"]) == ("completed", "innsendt")
        assert total(demo, f"Task?_id={report['id']}&status-color={S}/nep-traffic-light|gul&risk-color=gul") == 1
        states = [version["status"] for version in resources(demo, f"Task/{report['id']}/_history")]
        assert states == ["completed", "requested"]

    def test_one_of_fifteen_deliveries_is_delivered(
        self, demo: Installation, before: dict[str, int], pushed: str
    ) -> None:
        assert (before["delivered"], before["deliveries"]) == (0, 2)
        assert total(demo, f"{DELIVERIES}&business-status=levert") == 1
        assert total(demo, DELIVERIES) == 15
        assert pushed.splitlines()[-1].strip() == "1 of 15 deliveries delivered"

    def test_what_was_created_changed_and_left_is_told(
        self, demo: Installation, before: dict[str, int], pushed: str
    ) -> None:
        # Two deliveries of 2021, the initiative and the report stood already.
        assert pushed.splitlines()[:2] == [
            "EPJ-løftet, September 2023: 20 resources sent",
            "  16 created, 4 changed, 0 unchanged",
        ]
        assert versions_in(demo) == before["versions"] + 20

    def test_history_shows_both_states_of_the_initiative(self, demo: Installation) -> None:
        (now,) = resources(demo, EPJ)
        history = resources(demo, f"PlanDefinition/{now['id']}/_history")
        assert [version["meta"]["versionId"] for version in history] == ["2", "1"]
        assert history[0] == now
        assert history[1]["effectivePeriod"] == {"end": "2022-12-31"}
        assert "effectivePeriod" not in now
        assert now["topic"][0]["coding"][0]["system"] == f"{S}/nep-strategic-goal-2023"
        assert history[1]["topic"][0]["coding"][0]["system"] == f"{S}/nep-focus-area-2017"

    def test_the_past_can_still_be_searched(self, demo: Installation) -> None:
        (now,) = resources(demo, EPJ)
        (first,) = (v for v in resources(demo, f"PlanDefinition/{now['id']}/_history") if v["meta"]["versionId"] == "1")
        as_of = f"_asOf={first['meta']['lastUpdated']}"
        assert total(demo, f"{DELIVERIES}&{as_of}") == 2
        assert total(demo, f"{EPJ}&end=2022-12-31&{as_of}") == 1
        assert total(demo, f"{EPJ}&end=2022-12-31") == 0

    def test_an_adopted_delivery_is_one_resource_with_both_numbers(self, demo: Installation) -> None:
        (adopted,) = resources(demo, f"Task?identifier={C}/sid/import|001:NEP-0012:LEV:2")
        assert resources(demo, f"Task?identifier={OWN}/leveranse|epj-loftet-01") == [adopted]
        versions = resources(demo, f"Task/{adopted['id']}/_history")
        states = [version["businessStatus"]["coding"][0]["code"] for version in versions]
        assert states == ["levert", "ikke-levert"]

    def test_pushed_again_nothing_changes(self, demo: Installation) -> None:
        versions = versions_in(demo)
        status, output = push(demo)
        assert (status, output.splitlines()[1].strip()) == (0, "0 created, 0 changed, 20 unchanged")
        assert versions_in(demo) == versions

    def test_another_actors_token_is_refused_whole(self, demo: Installation) -> None:
        versions = versions_in(demo)
        status, output = push(demo, owner=VEST)
        assert status == 1
        assert output.startswith("403 ")
        assert "Bundle.entry[0].resource" in output
        assert versions_in(demo) == versions


def test_a_report_that_cannot_be_understood_is_not_sent(demo: Installation, tmp_path: Path) -> None:
    (tmp_path / "report-2023-09").mkdir()
    status, output = push(demo, "--report", str(tmp_path / "report-2023-09"))
    assert status == 1
    assert "report-2023-09" in output
    assert "Traceback" not in output


def test_a_registry_that_is_away_is_named(installation: Installation) -> None:
    status, output = push(installation)
    assert (status, output.partition(" ")[0]) == (1, f"{installation.base}:")
