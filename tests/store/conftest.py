"""`store`: each store that must keep the promise, open and empty. A test that takes it names no database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from server.store.sqlite import SqliteStore
from server.store.store import Store


@pytest_asyncio.fixture(params=["sqlite"])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Store, Store]]:
    """Two Store objects on the same data, as two processes have them."""
    first, second = SqliteStore(tmp_path / "new" / "first.db"), SqliteStore(tmp_path / "new" / "first.db")
    await first.open()
    await second.open()
    yield first, second
    await first.close()
    await second.close()


@pytest_asyncio.fixture
async def store(stores: tuple[Store, Store]) -> Store:
    return stores[0]
