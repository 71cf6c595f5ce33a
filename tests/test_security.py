"""server/security.md names tests that are there: for each of the ten risks of OWASP's list of 2023."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "server" / "security.md").read_text()
CHAPTER = re.compile(r"^## API(\d+): (.*?)(?=^## )", flags=re.MULTILINE | re.DOTALL)
RISKS = {int(number): text for number, text in CHAPTER.findall(PAGE)}


def names(file: Path) -> set[str]:
    """Its tests and classes of tests, a test of a class as Class::test."""
    found = set()
    for node in ast.parse(file.read_text()).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.ClassDef(name=name):
                methods = (one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
                found |= {name, *(f"{name}::{one.name}" for one in methods)}
    return {name for name in found if re.match(r"(Test\w+::)?test_|Test", name)}


def test_the_ten_are_all_there():
    assert sorted(RISKS) == list(range(1, 11))
    assert "TODO" not in PAGE


@pytest.mark.parametrize("number", range(1, 11))
def test_each_names_tests_and_they_exist(number):
    named = re.findall(r"^- `([^`]+)`$", RISKS[number], flags=re.MULTILINE)
    assert named
    for one in named:
        path, _, test = one.partition("::")
        file = ROOT / path
        assert file.is_file(), one
        assert test in names(file) if test else names(file), one
