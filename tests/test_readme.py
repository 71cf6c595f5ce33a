"""The README's tables hold every setting, search parameter, issue code, dependency and command there is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from server.__main__ import cli
from server.definitions.registry import Registry
from server.outcome import STATUS
from server.settings import Settings

ROOT = Path(__file__).parent.parent
ROWS = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("|")]
CODES = set(re.findall(r"`([^`]+)`", "\n".join(ROWS)))


def test_every_setting():
    assert {f"PORTFOLIO_{name.upper()}" for name in Settings.model_fields} <= CODES


def test_every_own_search_parameter():
    own = Registry.load(ROOT / "profiles").of_type("SearchParameter")
    assert {(base, one["code"]) for one in own for base in one["base"]} <= {
        (cells[1].strip(), code)
        for row in ROWS
        if (cells := row.split("|"))[1].strip() in ("PlanDefinition", "Task", "Organization")
        for code in re.findall(r"`([^`]+)`", cells[2])
    }


def test_every_issue_code():
    assert set(STATUS) <= CODES


def test_every_command():
    commands = {command.name or command.callback.__name__ for command in cli.registered_commands}
    assert commands <= {code.split()[0] for code in CODES}


@pytest.mark.parametrize("group", ["dependencies", "dev"])
def test_every_dependency_has_its_reason(group):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = project["dependencies"] if group == "dependencies" else project["optional-dependencies"]["dev"]
    reasons = {name.strip() for row in ROWS for name in row.split("|")[1].split(",")}
    assert {re.match(r"[\w.-]+", name).group(0) for name in names} <= reasons


def test_pins_record_no_download_address():
    for pins in ("constraints.txt", "constraints-dev.txt"):
        text = (ROOT / pins).read_text()
        assert "--hash=sha256:" in text
        assert not re.search(r"://|--(extra-)?index-url|--find-links", text)
