"""The index rows of a body that is stored already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from server.resource import decode
from server.store.store import Indexed

Index = Callable[[dict[str, Any]], Indexed]


def indexed(index: Index, body: bytes | None) -> Indexed:
    """What `index` makes of it; a deletion has no rows."""
    return Indexed() if body is None else index(decode(body))
