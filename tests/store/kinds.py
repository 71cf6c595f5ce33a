"""Every kind of store that keeps the promise, and how a test opens some of one kind on the same new data."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from server.store.mongo import MongoStore
from server.store.sqlite import SqliteStore
from server.store.store import Store

from . import mongodb
from .mock import mock_stores

KINDS = ["sqlite", "mongomock", "motor", "pymongo"]
"""motor and pymongo: MongoDB's store over either driver, on the server of mongodb.py."""
REAL = ["sqlite", "motor", "pymongo"]
DATABASE = f"portfolio_test_{os.getpid()}"


def over(kinds: Iterable[Any]) -> list[Any]:
    """A test's parameters, kinds or what begins with some. The two drivers differ in what is awaited and in nothing
    else: of pymongo the quick run has test_mongo.py alone, and --long the rest."""
    return [
        pytest.param(*one, marks=pytest.mark.long) if "pymongo" in one else pytest.param(*one)
        for one in ((kind,) if isinstance(kind, str) else kind for kind in kinds)
    ]


_names = itertools.count()


def described(kind: str) -> str:
    """For the last lines of a run."""
    if kind in ("motor", "pymongo"):
        return f"MongoDB store over {kind} on {mongodb.shared().name}"
    return {"sqlite": "SQLite store", "mongomock": "MongoDB store over mongomock"}[kind]


def made(kind: str, folder: Path, count: int, **options: Any) -> list[Store]:
    """Not yet open, on the same new data."""
    if kind == "sqlite":
        path = folder / "new" / f"{next(_names)}.db"
        return [SqliteStore(path, **options) for _ in range(count)]
    if kind == "mongomock":
        return list(mock_stores(count))
    url = mongodb.emptied(DATABASE)
    return [MongoStore(url, driver=kind, **options) for _ in range(count)]  # type: ignore[arg-type]


def named(kind: str, use: str) -> dict[str, str]:
    """The settings of a new store of that kind, for one use at a time; none for SQLite's, which is in its folder."""
    if kind == "sqlite":
        return {}
    return {"store": mongodb.emptied(f"{DATABASE}_{use}_{kind}"), "mongo_driver": kind}


@asynccontextmanager
async def opened(kind: str, folder: Path, count: int = 1, **options: Any) -> AsyncIterator[list[Store]]:
    stores = made(kind, folder, count, **options)
    for store in stores:
        await store.open()
    try:
        yield stores
    finally:
        for store in stores:
            await store.close()
