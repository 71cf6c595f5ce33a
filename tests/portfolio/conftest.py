"""November 2021 loaded once: `portfolio` to look at, `changed` a copy of it for a test that writes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.portfolio.registry import Registry, loaded, registry_in
from tests.portfolio.sheets import REPORT


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a store that holds the report, closed."""
    folder = tmp_path_factory.mktemp("portfolio-2021-11")
    (unit,) = loaded(folder, REPORT)
    assert not unit.refused
    return folder


@pytest.fixture(scope="session")
def portfolio(store: Path) -> Iterator[Registry]:
    with registry_in(store) as registry:
        yield registry


@pytest.fixture
def changed(store: Path, portfolio: Registry, tmp_path: Path) -> Iterator[Registry]:
    """Its own copy. `portfolio` is asked for so that the file is not copied while it is being opened."""
    folder = Path(shutil.copytree(store, tmp_path / "copy"))
    with registry_in(folder) as registry:
        yield registry
