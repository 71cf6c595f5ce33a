"""The edition of November 2021, closed once from the facts, and once from the full report where that is at hand."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.annex.tables import Annex, annex
from server.resource import Resource, restored
from tests.portfolio.conftest import store  # noqa: F401
from tests.portfolio.office import Office, office_in
from tests.portfolio.registry import loaded
from tests.portfolio.test_import import FULL


@pytest.fixture(scope="session")
def office(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:  # noqa: F811
    """The facts of November 2021, with an edition; nothing more is written to it but an open round."""
    folder = tmp_path_factory.mktemp("annex") / "copy"
    with office_in(Path(shutil.copytree(store, folder))) as opened:
        assert opened.close("2021-11").status_code == 200
        yield opened


@pytest.fixture(scope="session")
def edition(office: Office) -> Resource:
    return restored(office.run(office.anonymous.get("Bundle/rapport-2021-11")).content)


@pytest.fixture(scope="session")
def facts(edition: Resource) -> Annex:
    return annex(edition)


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Annex:
    """The annex of the edition of the full report."""
    if not FULL.is_dir():
        pytest.skip(f"{FULL} is not there; PORTFOLIO_SHARED names the folder that holds data/")
    folder = tmp_path_factory.mktemp("full")
    (unit,) = loaded(folder, FULL)
    assert not unit.refused
    with office_in(folder) as opened:
        return annex(restored(opened.close("2021-11").content))
