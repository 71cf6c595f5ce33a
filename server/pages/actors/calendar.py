"""An actor's deadlines as iCalendar (RFC 5545 and 7986): days and words in, bytes out.

A deadline is an event of a whole day that takes no time. What is done, or has no date, has none. A calendar without
deadlines holds its time zone, for one without any component is none (RFC 5545, 3.6).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from icalendar import Calendar, Event, Timezone, vDuration, vText, vUri
from icalendar.enums import STATUS, TRANSP

PRODUCT = "-//eportefolje//Nasjonal e-helseportefolje//NO"
FORM = 2
"""Of what is written of a feed: another number when the same deadlines are written otherwise."""
REFRESH = timedelta(hours=12)
_LINE_END, _CONTROL = re.compile("\r\n?|[\u0085\u2028\u2029]"), re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_SINCE, _UNTIL = date(2020, 1, 1), date(2021, 1, 1)


@dataclass(frozen=True, slots=True)
class Deadline:
    """`id` is the event's for ever, `version` how often what it is about was changed, `changed` when; `sure` is False
    for what its counterpart has not accepted; `url` the page about it."""

    id: str
    day: date
    summary: str
    description: str
    category: str
    url: str
    sure: bool
    version: int
    changed: datetime


@dataclass(frozen=True, slots=True)
class Feed:
    """A calendar: `url` where people read the same, `source` where it comes from; `zone` names its time zone."""

    name: str
    description: str
    url: str
    source: str
    language: str
    deadlines: Sequence[Deadline]
    zone: str = "Europe/Oslo"


def written(feed: Feed) -> bytes:
    """The same bytes for the same deadlines. It names no METHOD, so that DTSTAMP says when a deadline last changed."""
    calendar = Calendar()
    calendar.add("VERSION", "2.0")
    calendar.add("PRODID", PRODUCT)
    calendar.add("UID", feed.source)
    calendar.add("URL", feed.url)
    calendar.add("SOURCE", vUri(feed.source), {"VALUE": "URI"})
    calendar.add("REFRESH-INTERVAL", vDuration(REFRESH), {"VALUE": "DURATION"})
    # What programs ask by that are older than RFC 7986; as texts, so that their commas are escaped.
    calendar.add("X-PUBLISHED-TTL", vDuration(REFRESH))
    for name, text in (("NAME", feed.name), ("DESCRIPTION", feed.description)):
        calendar.add(name, vText(_plain(text)), {"LANGUAGE": feed.language})
    for name, text in (("X-WR-CALNAME", feed.name), ("X-WR-CALDESC", feed.description)):
        calendar.add(name, vText(_plain(text)))
    if feed.deadlines:
        calendar.add("LAST-MODIFIED", max(one.changed for one in feed.deadlines).astimezone(UTC))
    else:
        calendar.add_component(Timezone.from_tzid(feed.zone, first_date=_SINCE, last_date=_UNTIL))
    for one in sorted(feed.deadlines, key=lambda deadline: (deadline.day, deadline.id)):
        calendar.add_component(_event(one))
    content: bytes = calendar.to_ical()
    return content


def _event(one: Deadline) -> Event:
    changed = one.changed.astimezone(UTC)
    return Event.new(
        uid=one.id,
        start=one.day,
        # An event of a day alone takes that day; after the last one of all there is no other.
        end=one.day + timedelta(days=1) if one.day < date.max else None,
        stamp=changed,
        last_modified=changed,
        sequence=one.version,
        summary=_plain(one.summary),
        description=_plain(one.description),
        categories=[one.category],
        status=STATUS.CONFIRMED if one.sure else STATUS.TENTATIVE,
        transparency=TRANSP.TRANSPARENT,
        url=one.url,
    )


def _plain(text: str) -> str:
    """Without what no line of a calendar may hold, or some programs take for its end."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", _LINE_END.sub("\n", text))
