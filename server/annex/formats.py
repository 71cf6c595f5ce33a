"""What the annex can be had as: one table of formats, and the choice among them. RFC 9110, 12.5.1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from server.annex import csv, html, ndjson, pdf, xlsx
from server.annex.layout import paper
from server.annex.tables import annex
from server.outcome import FhirError
from server.resource import Resource

VERSION = 2
"""Raised when a format comes to look otherwise: it is in the ETag, so that nobody keeps the former bytes."""


@dataclass(frozen=True, slots=True)
class Format:
    """`media` as it is sent, `also` what asks for it too; `make` takes the document and the time zone of its days."""

    extension: str
    media: str
    make: Callable[[Resource, ZoneInfo], bytes]
    also: tuple[str, ...] = ()
    inline: bool = False


def _html(document: Resource, zone: ZoneInfo) -> bytes:
    return html.page(paper(annex(document), zone))


def _pdf(document: Resource, zone: ZoneInfo) -> bytes:
    tables = annex(document)
    return pdf.pages(paper(tables, zone), tables.date)


# In the order of preference, for a client that takes anything.
FORMATS: Mapping[str, Format] = {
    one.extension: one
    for one in (
        Format("html", "text/html; charset=utf-8", _html, inline=True),
        Format("pdf", "application/pdf", _pdf, inline=True),
        Format(
            "xlsx",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            lambda document, zone: xlsx.workbook(annex(document)),
        ),
        Format("zip", "application/zip", lambda document, zone: csv.archive(annex(document)), also=("text/csv",)),
        Format("ndjson", "application/fhir+ndjson", lambda document, zone: ndjson.lines(document)),
    )
}


def accepted(accept: str) -> Format:
    """The format that an Accept header likes best, among equals the first of FORMATS. FhirError not-supported (406)
    that names what is offered when it takes none."""
    liked = _liked(accept)
    best = max(FORMATS.values(), key=lambda one: _quality(liked, one))
    if _quality(liked, best) > 0:
        return best
    offered = ", ".join(one.media.partition(";")[0] for one in FORMATS.values())
    text = f"Accept: {accept[:200]}: vedlegget finnes som / expected one of {offered}."
    raise FhirError("not-supported", text, status=406)


def _liked(accept: str) -> dict[str, float]:
    """Media range -> quality from 0 to 1. What is no number counts as 0; no header takes everything."""
    found: dict[str, float] = {}
    for choice in accept.split(","):
        media, *parameters = (part.strip().lower() for part in choice.split(";"))
        quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        if media:
            found[media] = float(quality) if quality.replace(".", "", 1).isdecimal() else 0.0
    return found or {"*/*": 1.0}


def _quality(liked: Mapping[str, float], format: Format) -> float:
    return max(_of_media(liked, media) for media in (format.media.partition(";")[0], *format.also))


def _of_media(liked: Mapping[str, float], media: str) -> float:
    """The most exact range that holds it decides."""
    ranges = (media, f"{media.partition('/')[0]}/*", "*/*")
    return next((liked[one] for one in ranges if one in liked), 0.0)
