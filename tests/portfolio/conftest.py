"""November 2021 loaded once: `portfolio` to look at, `changed` a copy of it for a test that writes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import mappings
from server.resource import encode
from tests.portfolio.registry import Registry, loaded, registry_in
from tests.portfolio.sheets import REPORT, C

DATA = REPORT.parent


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


@pytest.fixture(scope="session")
def autumn(store: Path, portfolio: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """November 2021, and after it the round of autumn 2023: opened, EPJ-løftet's own report pushed, closed."""
    folder = Path(shutil.copytree(store, tmp_path_factory.mktemp("autumn") / "copy"))
    (standing,) = portfolio.matches(f"PlanDefinition?identifier={C}/sid/tiltaksnummer|NEP-0012")
    report = mappings.read_report(DATA / "epj-loftet-2023-09")
    pushed = mappings.push(report, standing, canonical=C, own="https://ehelse.example/sid")
    push = folder / "push.json"
    push.write_bytes(encode(pushed.bundle))
    for unit in loaded(folder, DATA / "round-2023-09.json", push):
        assert not unit.refused
    with registry_in(folder) as registry:
        (round,) = registry.matches(f"Task?code=rapporteringsrunde&identifier={C}/sid/runde|2023-09")
        registry.send("PUT", f"Task/{round['id']}", {**round, "status": "completed"})
        yield registry
