"""What the pages tell of an edition, read from its stored resources without decoding the rest of them.

An edition of 1 000 initiatives has megabytes; an edition never changes, so that what was read of its document is kept.
"""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, field
from typing import Any

import msgspec

from server.pages.editions.contexts import Sealed
from server.pages.house import Reader
from server.portfolio import elements


class Report(msgspec.Struct):
    """Of a Composition all but its sections."""

    id: str
    status: str
    title: str
    date: str
    identifier: dict[str, Any] = {}
    event: list[dict[str, Any]] = []
    relates_to: list[dict[str, Any]] = msgspec.field(default_factory=list, name="relatesTo")
    author: list[dict[str, Any]] = []
    meta: dict[str, Any] = {}

    @property
    def number(self) -> str:
        """Of the edition: 2021-11, or 2021-11.2 for its first correction."""
        return str(self.identifier.get("value", ""))

    @property
    def round(self) -> str:
        return self.number.partition(".")[0]

    @property
    def replaces(self) -> str:
        """The number of the edition that this one corrects, "" for none."""
        return next((str(one.get("targetIdentifier", {}).get("value", "")) for one in self.relates_to), "")

    @property
    def reason(self) -> str:
        """Why it corrects that."""
        codes = (code for event in self.event for code in event.get("code", []))
        return next((str(code["text"]) for code in codes if "text" in code), "")

    @property
    def period(self) -> dict[str, str]:
        return next((event["period"] for event in self.event if "period" in event), {})


class _Resource(msgspec.Struct, rename="camel"):
    resource_type: str
    status: str = ""
    code: msgspec.Raw = msgspec.Raw(b"null")
    identifier: msgspec.Raw = msgspec.Raw(b"null")
    subject: msgspec.Raw = msgspec.field(default=msgspec.Raw(b"null"), name="for")


class _Entry(msgspec.Struct):
    resource: _Resource


class _Document(msgspec.Struct):
    meta: dict[str, Any]
    entry: list[_Entry]
    signature: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Facts:
    """Of a document: its seal, how many initiatives were asked and reported, and (number, title) of the others."""

    sealed: Sealed
    asked: int
    reported: int
    missed: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Documents:
    """Facts of published documents, each read once: nothing in them changes. At most `limit`, the oldest go first. Who
    may not search the document is told nothing of it."""

    limit: int = 500
    _kept: dict[tuple[str, str], Facts] = field(default_factory=dict)

    async def of(self, reader: Reader, report: Report) -> Facts | None:
        """None for an edition that is preliminary, or whose document this caller does not see."""
        if report.status == "preliminary":
            return None
        name = (report.id, str(report.meta.get("versionId", "")))
        if name in self._kept:
            seen = await reader.search("Bundle", ("_id", report.id), ("_summary", "count"))
            if not seen.page.total:
                return None
        else:
            found = await reader.search("Bundle", ("_id", report.id))
            body = next((version.body for version in found.page.versions), None)
            if body is None:
                return None
            while len(self._kept) >= self.limit:
                del self._kept[next(iter(self._kept))]
            self._kept[name] = await asyncio.to_thread(facts, body)
        return self._kept[name]


_reports = msgspec.json.Decoder(Report)
_documents = msgspec.json.Decoder(_Document)


def report_of(body: bytes) -> Report:
    """Of a stored Composition."""
    return _reports.decode(body)


def facts(body: bytes) -> Facts:
    """Of a stored document Bundle."""
    document = _documents.decode(body)
    tasks = [one.resource for one in document.entry if one.resource.resource_type == "Task"]
    reports = [one for one in tasks if elements.kind({"code": _plain(one.code) or {}}) == "statusrapport"]
    missed = sorted(_named(one) for one in reports if one.status != "completed")
    return Facts(_sealed(document), len(reports), len(reports) - len(missed), tuple(missed))


def _named(report: _Resource) -> tuple[str, str]:
    numbers = [str(one.get("value", "")) for one in _plain(report.identifier) or []]
    return next(iter(numbers), "").rpartition(":")[2], str((_plain(report.subject) or {}).get("display", ""))


def _plain(raw: msgspec.Raw) -> Any:
    return msgspec.json.decode(raw)


def _sealed(document: _Document) -> Sealed:
    codes = (str(tag.get("code", "")) for tag in document.meta.get("tag", []))
    digest = next((code.removeprefix("sha-256:") for code in codes if code.startswith("sha-256:")), "")
    signature = document.signature
    header = _header(str(signature.get("data", "")))
    who = str(signature.get("who", {}).get("display", ""))
    return Sealed(digest, str(signature.get("when", "")), who, str(header.get("alg", "")), str(header.get("kid", "")))


def _header(data: str) -> dict[str, Any]:
    """The protected header of the detached JWS in Signature.data; {} where there is none that can be read."""
    try:
        first = base64.b64decode(data).partition(b".")[0]
        found = msgspec.json.decode(base64.urlsafe_b64decode(first + b"=="))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
