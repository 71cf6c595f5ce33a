"""Query strings apart and together, with FHIR's own characters left readable. RFC 3986, R4 search.html."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import parse_qsl, quote

from server.outcome import FhirError

_PLAIN = re.compile(r"[A-Za-z0-9:/,$_.~-]*\Z")
_SHORT = 200
"""Characters of what is kept once quoted: the codes that a thousand links of one answer share."""


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
    return "&".join(f"{_quoted(name)}={_quoted(text)}" for name, text in pairs)


def _quoted(text: str) -> str:
    # Most texts need nothing, and finding that out takes a tenth of what `quote` does.
    if _PLAIN.match(text):
        return text
    return _remembered(text) if len(text) < _SHORT else _percented(text)


def _percented(text: str) -> str:
    return quote(text, safe=":/,$_-.~")


_remembered = lru_cache(maxsize=4096)(_percented)
