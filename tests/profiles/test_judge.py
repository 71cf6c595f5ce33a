"""The independent judge agrees: no error in an artefact or valid example, the intended one in each invalid example."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest

import mappings
from tests.profiles.guide import CANONICAL, PROFILES, PROJECT
from tests.profiles.mutants import NUMBER

pytestmark = pytest.mark.long
KNOWN = PROJECT / "scripts" / "judge-driver" / "known-warnings.json"


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], list[Any]]:
    """The judge over the guide and over all resources of the 2021 import, run once."""
    if shutil.which("java") is None or shutil.which("mvn") is None:
        pytest.skip("java and mvn are needed")
    folder = tmp_path_factory.mktemp("imported")
    write_import(folder)
    judge = str(PROJECT / "scripts" / "judge")
    done = subprocess.run([judge, str(folder)], capture_output=True, text=True, timeout=900, check=False)
    if done.returncode == 3:
        pytest.skip(done.stderr)
    return done, [json.loads(line) for line in done.stdout.splitlines()]


def write_import(folder: Path) -> None:
    report = mappings.read_report(PROJECT / "mappings" / "data" / "portfolio-2021-11")
    for number, entry in enumerate(mappings.bundle(report, canonical=CANONICAL).bundle["entry"]):
        (folder / f"{number}.json").write_bytes(orjson.dumps(entry["resource"]))


def test_the_guide_is_as_it_should_be(verdict: Any) -> None:
    done, _ = verdict
    assert done.returncode == 0, done.stderr


def test_every_file_was_judged(verdict: Any) -> None:
    done, _ = verdict
    figures = {line.partition(" ")[2]: int(line.partition(" ")[0]) for line in done.stderr.splitlines()}
    examples = PROFILES / "examples"
    artefacts = [path for path in PROFILES.rglob("*.json") if examples not in path.parents]
    assert figures["artefacts"] == len(artefacts)
    assert figures["valid examples"] == len(list(examples.glob("*.json")))
    assert figures["invalid examples"] == len(list(examples.glob("invalid/*.json")))
    assert figures["further"] == 495 + NUMBER


def test_the_2021_import_has_no_error_and_the_warnings_we_know(verdict: Any) -> None:
    _, lines = verdict
    imported = [line for line in lines if Path(line["file"]).parent.name.startswith("imported")]
    assert [line for line in imported if line["severity"] in ("error", "fatal")] == []
    warned = sorted(line["id"].rpartition("#")[2] for line in imported if line["severity"] == "warning")
    no_code = ["Terminology_TX_Code_ValueSet_Ext"] * 9  # who benefits is text in the reports, without a code
    assert warned == [*no_code, "nep-i7", "nep-i8", "nep-s3", "nep-s3", "nep-s3"]


def test_every_known_warning_still_occurs(verdict: Any) -> None:
    _, lines = verdict
    assert {line.get("known") for line in lines} - {None} == {row["reason"] for row in json.loads(KNOWN.read_text())}
