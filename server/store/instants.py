"""An instant as Moment writes it, and as the whole number of microseconds that stores index and compare.

Not as a store's own type of date: BSON's, for one, holds milliseconds."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def now() -> int:
    """Microseconds since 1970 by this machine's clock."""
    return time.time_ns() // 1000


def microseconds(instant: str) -> int:
    """Microseconds since 1970 of an instant written as in Moment. ValueError for anything else."""
    return (datetime.fromisoformat(instant) - _EPOCH) // _MICROSECOND


@lru_cache(maxsize=4096)
def instant_text(instant: int) -> str:
    """Microseconds since 1970 as text, as in Moment."""
    return (_EPOCH + timedelta(microseconds=instant)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
