"""An actor's deadlines as iCalendar (RFC 5545 and 7986): days and words in, bytes out.

A deadline is an event of a whole day that takes no time. What is done, or has no date, has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from icalendar import Calendar, Event, vDuration, vText, vUri
from icalendar.enums import STATUS, TRANSP

PRODUCT = "-//eportefolje//Nasjonal e-helseportefolje//NO"
FORM = 1
"""Of what is written of a feed: another number when the same deadlines are written otherwise."""
REFRESH = timedelta(hours=12)


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
    """A calendar: `url` where people read the same, `source` where it comes from."""

    name: str
    description: str
    url: str
    source: str
    language: str
    deadlines: Sequence[Deadline]


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
        calendar.add(name, vText(text), {"LANGUAGE": feed.language})
    for name, text in (("X-WR-CALNAME", feed.name), ("X-WR-CALDESC", feed.description)):
        calendar.add(name, vText(text))
    if feed.deadlines:
        calendar.add("LAST-MODIFIED", max(one.changed for one in feed.deadlines))
    for one in sorted(feed.deadlines, key=lambda deadline: (deadline.day, deadline.id)):
        calendar.add_component(_event(one))
    content: bytes = calendar.to_ical()
    return content


def _event(one: Deadline) -> Event:
    return Event.new(
        uid=one.id,
        start=one.day,
        end=one.day + timedelta(days=1),
        stamp=one.changed,
        last_modified=one.changed,
        sequence=one.version,
        summary=one.summary,
        description=one.description,
        categories=[one.category],
        status=STATUS.CONFIRMED if one.sure else STATUS.TENTATIVE,
        transparency=TRANSP.TRANSPARENT,
        url=one.url,
    )
