"""Bundles put together from stored bytes: nothing that was stored is parsed to be shown. R4 bundle.html."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from server.outcome import outcome
from server.resource import decode, encode
from server.search.parse import cursor_text
from server.search.urls import query_of
from server.store.store import Moment, Version

if TYPE_CHECKING:
    from server.interaction.history import Story
    from server.interaction.search import Found
    from server.interaction.transaction import Entry

_SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}


def searchset(found: Found, base: str) -> bytes:
    """The searchset Bundle: matches, includes, remarks; self link of what was used, and a next link that
    carries the moment of this page."""
    query = found.query
    parts = _entries(found.page.versions, base, b"match", found.kept) + _entries(found.included, base, b"include", None)
    if found.remarks:
        parts += [b',{"resource":', encode(outcome(found.remarks)), b',"search":{"mode":"outcome"}}']
    links = [("self", _search_url(found, base, query.used, found.as_of))]
    instant = found.as_of or found.moment.instant
    if found.page.next is not None or query.cursor is not None:
        links.append(("first", _search_url(found, base, query.used, instant)))
    if found.page.next is not None:
        used = [*query.used, ("_page", cursor_text(found.page.next))]
        links.append(("next", _search_url(found, base, used, instant)))
    return _bundle("searchset", found.moment, found.page.total, links, parts)


def history_bundle(story: Story, base: str) -> bytes:
    """The history Bundle, newest first. R4 http.html#history."""
    parts = [_history_entry(version, base) for version in story.page.versions]
    url = f"{base}/{story.path}"
    links = [("self", f"{url}?{query_of(story.used)}" if story.used else url)]
    if story.page.next is not None:
        used = [*story.used, ("_asOf", story.moment.instant), ("_page", cursor_text(story.page.next))]
        links.append(("next", f"{url}?{query_of(used)}"))
    return _bundle("history", story.moment, story.page.total, links, parts)


def collection(versions: Iterable[Version], base: str, instant: str) -> bytes:
    """A collection of these resources as they stood at `instant`, which is its timestamp; one that comes twice is
    there once."""
    each = {(version.resource_type, version.id): version for version in versions}
    parts = []
    for version in each.values():
        parts += [f',{{"fullUrl":"{base}/{version.resource_type}/{version.id}","resource":'.encode()]
        parts += [version.body or b"", b"}"]
    head = b'{"resourceType":"Bundle","type":"collection","timestamp":"%b"' % instant.encode()
    # R4 forbids empty arrays, so no entries means no element.
    return b"".join([head, b',"entry":[', parts[0][1:], *parts[1:], b"]}"] if parts else [head, b"}"])


def response_bundle(kind: str, entries: Iterable[Entry], base: str, *, show: bool) -> bytes:
    """The answer to a transaction or batch; `show` the resources written (Prefer: return=representation). What was
    read is always shown."""
    parts = [_response_entry(entry, base, show=show) for entry in entries]
    array = b',"entry":[%b]' % b",".join(parts) if parts else b""
    return b'{"resourceType":"Bundle","type":"%b-response"%b}' % (kind.encode(), array)


def _bundle(kind: str, moment: Moment, total: int | None, links: list[tuple[str, str]], parts: list[bytes]) -> bytes:
    head = [
        b'{"resourceType":"Bundle","meta":{"lastUpdated":"%b"},"type":"%b"' % (moment.instant.encode(), kind.encode())
    ]
    if total is not None:
        head.append(b',"total":%d' % total)
    head.append(b',"link":' + encode([{"relation": relation, "url": url} for relation, url in links]))
    if not parts:
        # R4 forbids empty arrays, so no entries means no element.
        return b"".join([*head, b"}"])
    return b"".join([*head, b',"entry":[', parts[0][1:], *parts[1:], b"]}"])


def _entries(versions: Iterable[Version], base: str, mode: bytes, kept: frozenset[str] | None) -> list[bytes]:
    """The pieces of these entries, a comma before each entry: joined once, with all the rest of the Bundle."""
    tail = b',"search":{"mode":"%b"}}' % mode
    parts = []
    for version in versions:
        head = f',{{"fullUrl":"{base}/{version.resource_type}/{version.id}","resource":'
        body = version.body or b""
        parts += [head.encode(), body if kept is None else subset(body, kept), tail]
    return parts


def _history_entry(version: Version, base: str) -> bytes:
    url = f"{base}/{version.resource_type}/{version.id}".encode()
    target = version.resource_type if version.method == "POST" else f"{version.resource_type}/{version.id}"
    status = "204" if version.deleted else "201" if version.version_id == 1 else "200"
    tail = (
        b'"request":{"method":"%b","url":"%b"},"response":{"status":"%b","etag":"W/\\"%d\\"","lastModified":"%b"}}'
        % (
            version.method.encode(),
            target.encode(),
            status.encode(),
            version.version_id,
            version.last_updated.encode(),
        )
    )
    resource = b'"resource":%b,' % version.body if version.body is not None else b""
    return b',{"fullUrl":"%b",%b%b' % (url, resource, tail)


def _response_entry(entry: Entry, base: str, *, show: bool) -> bytes:
    response: dict[str, Any] = {"status": str(entry.status)}
    parts = []
    version = entry.version
    if version is not None and not version.deleted:
        name = f"{version.resource_type}/{version.id}"
        parts.append(b'"fullUrl":"%b"' % f"{base}/{name}".encode())
        response["location"] = f"{base}/{name}/_history/{version.version_id}"
        response["etag"] = f'W/"{version.version_id}"'
        response["lastModified"] = version.last_updated
    if entry.body is not None and (show or entry.read or version is None):
        parts.append(b'"resource":' + entry.body)
    answered = encode(response)
    if entry.outcome is not None:
        answered = answered[:-1] + b',"outcome":' + entry.outcome + b"}"
    return b"{" + b",".join([*parts, b'"response":' + answered]) + b"}"


def _search_url(found: Found, base: str, used: Iterable[tuple[str, str]], as_of: str | None) -> str:
    pairs = [*used, ("_asOf", as_of)] if as_of else list(used)
    url = f"{base}/{found.query.resource_type}"
    return f"{url}?{query_of(pairs)}" if pairs else url


def subset(body: bytes, kept: frozenset[str]) -> bytes:
    """The resource with these elements (and id, meta), marked SUBSETTED."""
    always = {"resourceType", "id", "meta"}
    part = {name: value for name, value in decode(body).items() if name.lstrip("_") in kept | always}
    meta = part["meta"]
    part["meta"] = {**meta, "tag": [*meta.get("tag", []), _SUBSETTED]}
    return encode(part)
