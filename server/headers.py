"""HTTP headers and the request parameters that stand for them, read and written here; pure. R4 http.html."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache
from typing import Literal

from starlette.types import Scope

from server.outcome import FhirError
from server.store.store import Version

JSON = "application/fhir+json"
_ACCEPTED = ("application/fhir+json", "application/json", "text/json", "json", "application/*", "*/*")
_ETAG = re.compile(r'(?:W/)?"([^"]*)"\Z')


def sent(scope: Scope, name: bytes) -> str | None:
    """The value of a request's header, its name in lower case, or None. One pass over the raw headers: a request
    asks for several, and four look-ups in Starlette's mapping take 5 µs, these 0.7."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None


def query(scope: Scope) -> str:
    """The query string, percent-encoded as sent. FhirError value (400) for bytes that are no UTF-8, at which
    Starlette's own URL would break off without an answer."""
    try:
        return str(scope["query_string"], "utf-8")
    except UnicodeDecodeError:
        raise FhirError("value", "The query is not UTF-8, percent-encoded.") from None


def condition(scope: Scope) -> str | None:
    """The search of If-None-Exist, without the "?" that some clients begin it with. It is taken as UTF-8, which
    is what its values are compared with. FhirError value (400) for other bytes."""
    text = sent(scope, b"if-none-exist")
    if text is None:
        return None
    try:
        return text.encode("latin-1").decode().removeprefix("?")
    except UnicodeDecodeError:
        raise FhirError("value", "If-None-Exist is not UTF-8; percent-encode it.", expression="If-None-Exist") from None


def etag(version: Version) -> str:
    """W/"3" for version 3."""
    return f'W/"{version.version_id}"'


def last_modified(version: Version) -> str:
    """The version's instant as an HTTP date; whole seconds, as HTTP has them."""
    return _http_date(version.last_updated[:19])


@lru_cache(maxsize=4096)
def _http_date(second: str) -> str:
    return format_datetime(datetime.fromisoformat(second).replace(tzinfo=UTC), usegmt=True)


def if_match(text: str | None) -> str | None:
    """The version id that If-Match (or Bundle request.ifMatch) names. FhirError value when it names none."""
    if text is None:
        return None
    found = _ETAG.match(text.strip())
    if not found:
        raise FhirError("value", f'If-Match: {text} is no version; expected W/"3", the ETag of the version read.')
    return found.group(1)


def not_modified(version: Version, none_match: str | None, modified_since: str | None) -> bool:
    """Conditional read: whether the client has this version already. R4 http.html#cread; If-None-Match wins."""
    if none_match is not None:
        return any(tag.strip() in (etag(version), etag(version)[2:], "*") for tag in none_match.split(","))
    if modified_since is None:
        return False
    try:
        since = parsedate_to_datetime(modified_since)
    except ValueError:
        return False
    if since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    return datetime.fromisoformat(version.last_updated).replace(microsecond=0) <= since


@dataclass(frozen=True, slots=True)
class Prefer:
    """The Prefer header: what to return of a write, and how strict a search is."""

    returns: Literal["representation", "minimal", "OperationOutcome"] = "representation"
    strict: bool = False


def prefer(text: str | None) -> Prefer:
    """Unknown preferences are left aside, as RFC 7240 says."""
    if not text:
        return Prefer()
    found = dict(part.strip().partition("=")[::2] for part in re.split(r"[;,]", text))
    returns = found.get("return", "").strip('"')
    return Prefer(
        returns if returns in ("minimal", "OperationOutcome") else "representation",
        found.get("handling", "").strip('"') == "strict",
    )


@lru_cache(maxsize=256)
def accepts_json(accept: str | None, format_parameter: str | None) -> None:
    """FhirError not-supported (406) unless JSON of FHIR 4.0 is among what the client takes; _format wins."""
    asked = format_parameter if format_parameter else accept
    if not asked:
        return
    for choice in asked.split(","):
        media, _, parameters = choice.strip().replace("application/fhir json", JSON).partition(";")
        version = re.search(r"fhirVersion=([\d.]+)", parameters)
        if media.strip().lower() in _ACCEPTED and (not version or version.group(1).startswith("4.0")):
            return
    raise FhirError("not-supported", f"{asked}: only {JSON} of FHIR 4.0 is answered here.", status=406)


def takes_json(content_type: str | None, *, also: tuple[str, ...] = ()) -> str:
    """The media type of a body. FhirError not-supported (415) unless it is JSON or one of `also`."""
    media, _, parameters = (content_type or "").partition(";")
    media = media.strip().lower()
    if media not in (JSON, "application/json", "text/json", *also):
        raise FhirError(
            "not-supported", f"Content-Type: {content_type or '(none)'} is not taken; send {JSON}.", status=415
        )
    charset = re.search(r"charset=\"?([\w-]+)", parameters, re.IGNORECASE)
    if charset and charset.group(1).lower() not in ("utf-8", "utf8"):
        raise FhirError("not-supported", f"charset {charset.group(1)}: JSON is sent as UTF-8.", status=415)
    return media


def dry_run(text: str | None) -> bool:
    """X-Dry-Run: true or false. FhirError value (400) for anything else: a typing error must not write."""
    asked = (text or "false").strip().lower()
    if asked not in ("true", "false"):
        raise FhirError("value", f"X-Dry-Run: {text}: expected true or false.")
    return asked == "true"
