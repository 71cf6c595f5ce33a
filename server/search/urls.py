"""Query strings apart and together, with FHIR's own characters left readable. RFC 3986, R4 search.html."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl, quote

from server.outcome import FhirError


def pairs_of(query_string: str) -> list[tuple[str, str]]:
    """The decoded name=value pairs in order. FhirError value (400) for bytes that are no UTF-8."""
    try:
        return parse_qsl(query_string, keep_blank_values=True, errors="strict", max_num_fields=200)
    except UnicodeDecodeError:
        raise FhirError("value", "The query is not UTF-8, percent-encoded.") from None
    except ValueError:
        raise FhirError("too-costly", "A search takes at most 200 parameters.") from None


def query_of(pairs: Iterable[tuple[str, str]]) -> str:
    """name=value&…, percent-encoded; `:/|,$` stay as they are."""
    return "&".join(f"{quote(name, safe=':._-')}={quote(text, safe=':/,$_-.~')}" for name, text in pairs)
