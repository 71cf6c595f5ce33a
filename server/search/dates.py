"""Dates of any precision as intervals of microseconds since 1970 UTC. R4 search.html#date."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d+))?)?(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?\Z",
    re.ASCII,
)
_EPOCH = date(1970, 1, 1).toordinal()
SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE


@lru_cache(maxsize=16384)
def interval(text: str, zone: ZoneInfo) -> tuple[int, int]:
    """[low, high) of a date, dateTime or instant as written: a year, month, day, minute, second or fraction.

    What states no zone is of `zone`. ValueError for what is no date; years 0001 to 9999.
    """
    found = _DATE.match(text)
    if found is None:
        raise ValueError(
            f"«{text}» is no date; expected YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss[.f](Z|±hh:mm)"
        )
    try:
        if found["hour"] is not None:
            return _of_time(found, zone)
        low, high = _days(found)
        return _midnight(low, zone), _midnight(high, zone)
    except ValueError:
        raise ValueError(f"«{text}» is no date: there is no such day or time") from None


def _days(found: re.Match[str]) -> tuple[int, int]:
    """The first day and the day after the last, as ordinals."""
    year, month = int(found["year"]), int(found["month"] or 1)
    first = date(year, month, int(found["day"] or 1)).toordinal()
    if found["day"]:
        return first, first + 1
    if found["month"] and month < 12:
        return first, date(year, month + 1, 1).toordinal()
    return first, date(year, 12, 31).toordinal() + 1


def _midnight(ordinal: int, zone: ZoneInfo) -> int:
    # The midnight after 9999-12-31 is beyond datetime; that day's own offset serves for it.
    day = date.fromordinal(min(ordinal, date.max.toordinal()))
    return (ordinal - _EPOCH) * DAY - _offset(datetime(day.year, day.month, day.day, tzinfo=zone))


def _offset(moment: datetime) -> int:
    offset = moment.utcoffset()
    return 0 if offset is None else (offset.days * 86400 + offset.seconds) * SECOND + offset.microseconds


def _of_time(found: re.Match[str], zone: ZoneInfo) -> tuple[int, int]:
    day = date(int(found["year"]), int(found["month"]), int(found["day"]))
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"] or 0)
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError
    # R4 allows the leap second 60: it is counted as the first second of the next minute.
    low = (day.toordinal() - _EPOCH) * DAY + ((hour * 60 + minute) * 60 + second) * SECOND
    low -= (
        _stated(found["zone"]) if found["zone"] else _offset(datetime(*day.timetuple()[:3], hour, minute, tzinfo=zone))
    )
    if found["second"] is None:
        return low, low + MINUTE
    fraction = found["fraction"]
    if fraction is None:
        return low, low + SECOND
    low += int(fraction[:6].ljust(6, "0"))
    return low, low + max(SECOND // 10 ** len(fraction), 1)


def _stated(zone: str) -> int:
    if zone == "Z":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[4:])
    if hours > 14 or minutes > 59:
        raise ValueError
    return (hours * 60 + minutes) * MINUTE * (-1 if zone[0] == "-" else 1)


def microseconds(moment: datetime) -> int:
    """An instant, in the machine's zone when it states none."""
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * SECOND + since.microseconds
