"""python -m server, as an operator runs it: what each command does, says and ends with.

Most are run in this process, for a process of its own takes a second to begin.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.store.store import Unavailable
from tests.http.build import SID, bundle, entry, organization, plan, task
from tests.portfolio.sheets import REPORT
from tests.real.process import Installation


def written(file: Path, *resources: dict[str, Any]) -> str:
    """A Bundle or resource as .json, several as .ndjson; its path."""
    file.write_text("\n".join(json.dumps(resource) for resource in resources), encoding="utf-8")
    return str(file)


def counts(output: str) -> dict[str, int]:
    """The figures that `check` and `load` print, by their words."""
    return {words: int(number) for number, words in re.findall(r"^ +(\d+) (.+)$", output, re.MULTILINE)}


def versions(installation: Installation) -> int:
    """How many versions the store holds, those of the record apart, 0 without a store; read past the program."""
    if not installation.database.exists():
        return 0
    connection = sqlite3.connect(installation.database)
    records = "SELECT id FROM name WHERE text IN ('Provenance', 'AuditEvent')"
    (count,) = connection.execute(f"SELECT count(*) FROM version WHERE type NOT IN ({records})").fetchone()
    connection.close()
    return int(count)


def test_each_kind_of_file_is_loaded_and_counted(installation: Installation, tmp_path: Path) -> None:
    plan_url = "urn:uuid:5f6a2a55-8a55-4f57-9a3f-0a1a6f8b2c01"
    sent = bundle(
        entry("PUT", f"PlanDefinition?identifier={SID}/plan|p", plan("p"), fullUrl=plan_url),
        entry("POST", "Task", task("t", basedOn=[{"reference": plan_url}]), ifNoneExist=f"identifier={SID}/task|t"),
    )
    files = [
        written(tmp_path / "one.json", organization("one") | {"id": "one"}),
        written(tmp_path / "sent.json", sent),
        written(tmp_path / "lines.ndjson", *(organization(name) | {"id": name} for name in "abc")),
        str(REPORT),
    ]
    status, output = installation.invoke("load", "--quiet", *files)
    assert status == 0, output
    assert [line.rstrip(":") for line in output.splitlines() if not line[:1].isspace()] == [
        *files,
        "Published / utgitt: Bundle/rapport-2021-11",
    ]
    assert [line.split(None, 1) for line in output.splitlines() if line[:1].isspace()] == [
        ["1", "Organization: created"],
        ["1", "PlanDefinition: created"],
        ["1", "Task: created"],
        ["3", "Organization: created"],
        ["25", "Organization: created"],
        ["40", "PlanDefinition: created"],
        ["430", "Task: created"],
    ]
    status, output = installation.invoke("load", "--quiet", *files)
    assert status == 0
    assert {line.rpartition(" ")[2] for line in output.splitlines() if line[:1].isspace()} == {"unchanged"}
    # The edition: five figures, Composition, Bundle, and the round that points to it.
    assert versions(installation) == 1 + 2 + 3 + 495 + 8


def test_a_process_ends_with_the_status_and_output_of_its_command(installation: Installation, tmp_path: Path) -> None:
    assert installation.run("load", written(tmp_path / "good.json", organization("good")))[0] == 0
    assert installation.run("load", str(tmp_path / "away.json"))[0] == 1
    status, output = Installation(tmp_path, PORT="http").run("serve")
    assert (status, output.partition(":")[0]) == (2, "PORTFOLIO_PORT=http")
    status, output = installation.run("check")
    assert (status, output.splitlines()[-1]) == (0, "No faults.")
    assert set(output) & set("│╭❱") == set()


def test_the_remarks_of_an_import_are_printed_unless_quiet(installation: Installation) -> None:
    _, output = installation.invoke("load", str(REPORT))
    remarks = [line for line in output.splitlines() if line.startswith("  ")]
    assert any("deliveries.csv" in line for line in remarks)
    assert len(remarks) > 100


REFUSALS = {
    "bad cell": ("deliveries.csv", "2022-12-01,Nei", "mars,Nei", ["deliveries.csv", "row 2", "E2", "mars"]),
    "unknown word": ("initiatives.csv", ",Gul,", ",Lilla,", ["initiatives.csv", "row 2", "L2", "Lilla"]),
    "unknown column": ("benefits.csv", "years", "year", ["benefits.csv", "row 1", "B1", "year"]),
}


@pytest.mark.parametrize("fault", REFUSALS)
def test_a_refused_report_writes_nothing_and_says_where(installation: Installation, tmp_path: Path, fault: str) -> None:
    sheet, right, wrong, named = REFUSALS[fault]
    report = Path(shutil.copytree(REPORT, tmp_path / "report-2021-11"))
    file = report / sheet
    file.write_text(file.read_text(encoding="utf-8").replace(right, wrong, 1), encoding="utf-8")
    status, output = installation.invoke("load", "--quiet", str(report))
    assert status == 1
    lines = [line for line in output.splitlines() if "REFUSED" in line]
    assert any(all(word in line for word in named) for line in lines), output
    assert f"nothing of {report} was written" in output
    assert versions(installation) == 0


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("bad.json", '{"resourceType": "Task", "status": "ready"}', ["Task.intent", "required"]),
        ("broken.json", '{"resourceType": "Task", ', ["broken.json", "structure"]),
        ("lines.ndjson", '{"resourceType":"Organization","name":"a"}\n{"resourceType":\n', ["line 2"]),
        ("latin.ndjson", '{"resourceType":"Organization","name":"a"}\n{"resourceType":"Task"}', ["Task", "line 2"]),
        ("batch.json", json.dumps(bundle(entry("POST", "Organization", organization("a")),
                                         entry("POST", "Task", {"resourceType": "Task"}), type="batch")),
         ["Bundle.entry[1].resource"]),
        ("away.json", None, ["away.json"]),
        ("empty", "", ["empty"]),
    ],
)  # fmt: skip
def test_a_refused_file_writes_nothing(
    installation: Installation, tmp_path: Path, name: str, text: str | None, said: list[str]
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    status, output = installation.invoke("load", str(tmp_path / name))
    assert status == 1, output
    refused = [line for line in output.splitlines() if "REFUSED" in line]
    assert all(any(word in line for line in refused) for word in said), output
    assert versions(installation) == 0
    assert "Traceback" not in output


def test_one_refused_path_does_not_hold_back_the_others(installation: Installation, tmp_path: Path) -> None:
    good = written(tmp_path / "good.json", organization("good"))
    bad = written(tmp_path / "bad.json", {"resourceType": "Organization", "nam": "bad"})
    status, _ = installation.invoke("load", bad, good)
    assert (status, versions(installation)) == (1, 1)


def test_a_token_is_taken_by_the_server(served: Installation) -> None:
    for role, wanted in (("secretariat", 201), ("reader", 403)):
        status, output = served.invoke("token", "--role", role, "--ttl", "5m")
        assert status == 0, output
        headers = {"Authorization": f"Bearer {output.strip()}", "Content-Type": "application/fhir+json"}
        answer = httpx.post(f"{served.base}/Organization", json=organization(role), headers=headers)
        assert answer.status_code == wanted, answer.text


@pytest.mark.parametrize(
    ("command", "options", "said"),
    [
        ("serve", {"PORT": "http"}, ["PORTFOLIO_PORT=http", "integer"]),
        ("serve", {"PORT": "70000"}, ["PORTFOLIO_PORT=70000", "65535"]),
        ("serve", {"STORE": "mysql://x/y"}, ["PORTFOLIO_STORE=mysql://x/y", "expected", "sqlite:///PATH"]),
        ("serve", {"AUTH": "perhaps"}, ["PORTFOLIO_AUTH=perhaps", "'off'", "'dev'"]),
        ("serve", {"AUTH": "off", "HOST": "0.0.0.0"}, ["PORTFOLIO_AUTH=off", "loopback", "0.0.0.0"]),
        ("serve", {"TIMEZONE": "Mars"}, ["PORTFOLIO_TIMEZONE=Mars", "expected", "Europe/Oslo"]),
        ("serve", {"BASE_URL": "registry"}, ["PORTFOLIO_BASE_URL=registry", "expected", "http"]),
        ("check", {"MAX_BODY": "big"}, ["PORTFOLIO_MAX_BODY=big", "expected", "5 MiB"]),
        ("serve", {"STORE": "sqlite:////proc/none/portfolio.db"}, ["PORTFOLIO_STORE=", "/proc/none/portfolio.db"]),
        ("serve", {"KEYS": "/dev/null"}, ["PORTFOLIO_KEYS=/dev/null", "expected a folder"]),
        ("token --role secretariat", {"KEYS": "/dev/null"}, ["PORTFOLIO_KEYS=/dev/null", "expected a folder"]),
        ("check", {"PROT": "8000"}, ["PORTFOLIO_PROT: unknown", "PORTFOLIO_PORT"]),
        # A mistyped store is not made, and so is not found to be without fault.
        ("check", {}, ["PORTFOLIO_STORE=sqlite:///", "portfolio.db", "no such file"]),
        ("reindex", {}, ["PORTFOLIO_STORE=sqlite:///", "portfolio.db", "no such file"]),
        ("token", {}, ["--actor", "organisation number"]),
        ("token --actor 915933149 --ttl soon", {}, ["--ttl", "soon", "30m"]),
        ("token --role secretariat", {"AUTH": "off"}, ["PORTFOLIO_AUTH=off", "dev"]),
    ],
)
def test_a_wrong_setting_stops_the_command_with_what_was_expected(
    tmp_path: Path, command: str, options: dict[str, str], said: list[str]
) -> None:
    status, output = Installation(tmp_path, **options).invoke(*command.split())
    assert status == 2, output
    assert all(word in output for word in said), output
    assert len(output.splitlines()) == 1
    assert not (tmp_path / "portfolio.db").exists()


@pytest.fixture
def loaded(installation: Installation, tmp_path: Path) -> Installation:
    lines = written(tmp_path / "lines.ndjson", *(organization(name) | {"id": name} for name in "abcde"))
    assert installation.invoke("load", lines)[0] == 0
    return installation


def test_check_counts_and_finds_no_fault(loaded: Installation) -> None:
    status, output = loaded.invoke("check")
    assert (status, output.splitlines()[-1]) == (0, "No faults.")
    found = counts(output)
    assert (found["commits"], found["versions"], found["current"], found["deleted"]) == (1, 7, 7, 0)
    assert (found["records"], found["links of the record"]) == (2, 1)
    (head,) = re.findall(r"^Head of the record: (:1:[0-9a-f]{64})$", output, re.MULTILINE)
    assert loaded.invoke("check", "--anchor", head)[0] == 0
    assert loaded.invoke("check", "--anchor", f":1:{'0' * 64}")[0] == 1
    assert loaded.invoke("check", "--anchor", "head")[0] == 2


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DELETE FROM token WHERE code = 'c'", "token row is missing"),
        ("DELETE FROM content WHERE vid = (SELECT min(vid) FROM content)", "its body is missing"),
        ("UPDATE resource SET version_id = 2 WHERE ref = 'Organization/c'", "Organization/c"),
    ],
)
def test_check_ends_with_1_when_it_finds_a_fault(loaded: Installation, damage: str, said: str) -> None:
    connection = sqlite3.connect(loaded.database)
    connection.execute(damage)
    connection.commit()
    connection.close()
    status, output = loaded.invoke("check")
    assert status == 1
    assert any(said in line for line in output.splitlines() if line.startswith("FAULT")), output
    assert output.splitlines()[-1].endswith("faults.")


def test_reindex_repairs_what_check_found_in_the_indexes(loaded: Installation) -> None:
    connection = sqlite3.connect(loaded.database)
    connection.execute("DELETE FROM string")
    connection.commit()
    connection.close()
    assert loaded.invoke("check")[0] == 1
    status, output = loaded.invoke("reindex")
    assert (status, output.splitlines()[-1]) == (0, "7 versions reindexed.")
    assert loaded.invoke("check")[0] == 0


def test_a_store_that_goes_away_at_the_start_is_said_without_a_traceback(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> None:
        raise Unavailable("database is locked")

    monkeypatch.setattr("server.store.sqlite.SqliteStore.commit", gone)
    status, output = installation.invoke("serve")
    assert status == 2
    assert output.splitlines()[-1].startswith(f"PORTFOLIO_STORE=sqlite:///{installation.database}: ")
    assert "database is locked" in output


def test_a_server_publishes_its_profiles_once(installation: Installation) -> None:
    found = []
    for _ in range(2):
        with installation.serving():
            history = httpx.get(f"{installation.base}/CodeSystem/_history?_count=500").json()
            segment = httpx.get(f"{installation.base}/CodeSystem/nep-segment").json()
            found.append((history["total"], segment["meta"]["versionId"]))
    assert found[0] == found[1]
    assert found[0][1] == "1"
