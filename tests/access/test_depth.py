"""What a caller may see is asked at each link of a search: the longest that are taken must fit for everyone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.portfolio.conftest import portfolio, store  # noqa: F401 - the portfolio, loaded once
from tests.portfolio.office import Office, office_in
from tests.portfolio.registry import Registry


@pytest.fixture(scope="module")
def office(store: Path, portfolio: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:  # noqa: F811
    folder = tmp_path_factory.mktemp("depth") / "copy"
    with office_in(Path(shutil.copytree(store, folder))) as opened:
        yield opened


@pytest.mark.parametrize("role", ["", "reader", "reporter", "secretariat"])
@pytest.mark.parametrize(
    "search",
    [
        "Task?" + "part-of:Task." * 3 + "status=x",
        "Task?" + "_has:Task:part-of:" * 3 + "status=x",
        "Task?" + "_has:Task:part-of:" * 2 + "part-of:Task.status=x",
        "QuestionnaireResponse?" + "subject." * 3 + "name=x",
        "Task?part-of:Task.part-of:Task.part-of:Task.status=x&_sort=due,-status,code,owner&_include=Task:owner",
    ],
)
def test_the_longest_chains_are_answered_to_everyone(office: Office, role: str, search: str) -> None:
    client = office.client(role, "915933149" if role == "reporter" else "")
    assert office.get(search, client).get("total", 0) == 0
