"""`store`: each store that must keep the promise, open and empty. A test that takes it names no database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from server.store.store import Store

from .kinds import KINDS, described, opened, over
from .mock import CANNOT


@pytest.fixture(params=over(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    if found == "mongomock" and (reason := CANNOT.get(request.node.originalname)):
        pytest.skip(f"mongomock: {reason}")
    request.node.user_properties.append(("store", described(found)))
    return found


@pytest_asyncio.fixture
async def stores(kind: str, tmp_path: Path) -> AsyncIterator[tuple[Store, Store]]:
    """Two Store objects on the same data, as two processes have them."""
    async with opened(kind, tmp_path, 2) as (first, second):
        yield first, second


@pytest_asyncio.fixture
async def store(stores: tuple[Store, Store]) -> Store:
    return stores[0]
