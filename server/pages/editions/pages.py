"""The page of all editions, and that of one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from server.editions import PATH as KEYS
from server.outcome import FhirError
from server.pages.asked import Asked
from server.pages.contexts import Link
from server.pages.editions.contexts import Download, EditionPage, EditionRow, EditionsPage, Missed, State
from server.pages.editions.facts import Documents, Facts, Report, report_of
from server.pages.house import House, Reader
from server.pages.rounds.contexts import Counted
from server.pages.rounds.reports import REPORTED, is_missing, of_round, search_url
from server.pages.standpoint import Place
from server.portfolio import elements
from server.search.urls import query_of

_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,40}\Z")
_FORMATS = (
    ("editions.html", "html"), ("editions.pdf", "pdf"), ("editions.xlsx", "xlsx"), ("editions.zip", "zip"),
    ("editions.ndjson", "ndjson"),
)  # fmt: skip


def _kind(house: House) -> tuple[str, str]:
    return "type", f"{house.codes.system('document-type')}|portefoljerapport"


@dataclass(frozen=True)
class Pages:
    """What the pages are made with: `documents` keeps what was read of editions."""

    documents: Documents

    async def all(self, place: Place, asked: Asked) -> EditionsPage:
        """Every edition that this caller sees: the published ones, and for the secretariat those to come."""
        house = place.reader.house
        wanted = (_kind(house), ("_sort", "-date"))
        found = await place.reader.search("Composition", *wanted, ("_count", "500"))
        reports = [report_of(version.body or b"{}") for version in found.page.versions]
        known = [(report, await self.documents.of(place.reader, report)) for report in reports]
        search = f"Composition?{query_of((*wanted, *asked.as_of))}"
        return EditionsPage(
            frame=asked.frame(f"{house.engine.base}/metadata", found.moment.instant),
            editions=tuple(_row(house, asked, report, read, reports) for report, read in known),
            same_search=search,
            same_search_url=f"{house.engine.base}/{search}",
            keys_url=keys_url(house),
        )

    async def one(self, place: Place, asked: Asked, number: str) -> EditionPage:
        """FhirError not-found (404) for a number that no edition has which this caller may see."""
        house = place.reader.house
        found = await place.reader.search("Composition", _kind(house), ("_count", "500"))
        reports = [report_of(version.body or b"{}") for version in found.page.versions]
        report = next((one for one in reports if _NUMBER.match(number) and one.number == number), None)
        if report is None:
            raise FhirError("not-found", f"Ingen utgave {number[:40]} / There is no such edition.")
        read = await self.documents.of(place.reader, report)
        asked_for, missed = await _missed(place.reader, asked, report, read)
        published = [("_asOf", f"rapport|{number}"), ("round", report.round)]
        instant = f"rapport|{number}" if read else found.moment.instant
        lang = [("lang", asked.lang)] if asked.one("lang") else []
        return EditionPage(
            frame=asked.frame(f"{house.engine.base}/metadata", found.moment.instant),
            row=_row(house, asked, report, read, reports),
            start=report.period.get("start"),
            end=report.period.get("end"),
            reason=report.reason,
            author=next((str(one["display"]) for one in report.author if "display" in one), ""),
            initiatives=Counted(asked_for, search_url(house, report.round, instant, ())),
            reported=Counted(asked_for - len(missed), search_url(house, report.round, instant, REPORTED)),
            missed=missed,
            cite_url=f"{house.engine.base.removesuffix('/fhir')}/utgaver/{number}",
            portfolio_url=asked.url("/", [*lang, *published]) if read else "",
            figures_url=asked.url("/nokkeltall", [*lang, ("round", report.round)]) if read else "",
            round=Link(report.round, asked.other(f"/runder/{report.round}")),
            document_url=house.api(f"Bundle/{report.id}") if read else house.api(f"Composition/{report.id}/$document"),
            keys_url=keys_url(house),
            file=f"{report.id}.json",
        )


def keys_url(house: House) -> str:
    """Where the public keys of editions are."""
    return f"{house.engine.base}{KEYS.removeprefix('/fhir')}"


async def _missed(reader: Reader, asked: Asked, report: Report, read: Facts | None) -> tuple[int, tuple[Missed, ...]]:
    """How many were asked, and who did not report: as the document has it; of one to come, as it stands."""
    if read is not None:
        asked_for, named = read.asked, list(read.missed)
    else:
        reports = await reader.all("Task", *of_round(reader.house, report.round))
        sid = reader.house.sid("statusrapport")
        named = sorted(
            (elements.number(one, sid).rpartition(":")[2], str(one.get("for", {}).get("display", "")))
            for one in reports
            if is_missing(one) or one.get("status") == "cancelled"
        )
        asked_for = len(reports)
    return asked_for, tuple(Missed(number, title, asked.other(f"/tiltak/{number}")) for number, title in named)


def _row(house: House, asked: Asked, report: Report, read: Facts | None, all: Sequence[Report]) -> EditionRow:
    later = next((one for one in all if one.replaces == report.number and one.status != "preliminary"), None)
    return EditionRow(
        number=report.number,
        title=report.title,
        url=asked.other(f"/utgaver/{report.number}"),
        state=cast(State, report.status),
        published=report.date,
        replaces=_link(asked, report.replaces),
        replaced_by=_link(asked, later.number if later else ""),
        sealed=read.sealed if read else None,
        downloads=_downloads(house, asked, report, read),
    )


def _link(asked: Asked, number: str) -> Link | None:
    return Link(number, asked.other(f"/utgaver/{number}")) if number else None


def _downloads(house: House, asked: Asked, report: Report, read: Facts | None) -> tuple[Download, ...]:
    """The annex in its formats and, once it is published, the document itself."""
    files = [Download(key, asked.url(f"/utgaver/{report.number}/vedlegg.{end}", ())) for key, end in _FORMATS]
    return (*files, Download("editions.fhir", house.api(f"Bundle/{report.id}"))) if read else tuple(files)
