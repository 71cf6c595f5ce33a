"""JSON to resource and back: decimals as written, duplicates refused; id, meta and references within. R4 json.html."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import orjson

from server.outcome import FhirError
from server.store.store import Body

Resource = dict[str, Any]

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_SPACED = re.compile(rb'"[ \t\r\n]+:')
_MAX_DEPTH = 100
_MAX_EXPONENT = 9999
# The search for what follows is fast, and it is rare: only then are strings told from numbers.
_PERHAPS_MINUS_ZERO = re.compile(rb"-0[ \t\r\n,\]}]")
_STRING_OR_MINUS_ZERO = re.compile(_STRING.pattern + rb"|(?<![eE])-0(?=[ \t\r\n,\]}])")
_MINUS_ZERO = b"-0E+00"


class Written(Decimal):
    """A decimal whose digits Decimal itself would print otherwise: 1e3, 0.0000001, -0."""

    text: str


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    if abs(value.adjusted()) > _MAX_EXPONENT:
        # Arithmetic on it (a FHIRPath rule, say) would write out all of its digits.
        raise InvalidOperation
    if str(value) == text:
        return value
    written = Written(text)
    written.text = "-0" if text == _MINUS_ZERO.decode() else text
    return written


_decoder = msgspec.json.Decoder(float_hook=_decimal)


def decode(raw: bytes) -> Resource:
    """The JSON object in `raw`. FhirError structure (400) for anything else, and for what decode_any refuses."""
    value = decode_any(raw)
    if not isinstance(value, dict):
        raise FhirError("structure", "A FHIR resource is a JSON object { … }.")
    return value


def decode_any(raw: bytes) -> Any:
    """The JSON value in `raw`. FhirError structure (400) for what is none, for more than 100 levels, for a number
    beyond 1e±9999, and for a key that comes twice in one object, which R4 forbids and every decoder accepts in
    silence."""
    if not raw.strip():
        raise FhirError("structure", "Tom melding / The body is empty; expected a FHIR resource as JSON.")
    value = _parsed(raw)
    if isinstance(value, dict | list) and _repeats(raw, _members(value, 0)):
        raise FhirError("structure", f"The key «{_repeated(raw)}» comes twice in one object.")
    return value


def restored(raw: bytes) -> Resource:
    """A stored resource from its bytes; they were checked on the way in, so nothing is looked at twice."""
    resource: Resource = _parsed(raw)
    return resource


def _parsed(raw: bytes) -> Any:
    try:
        value = _decoder.decode(raw)
        # The decoder takes -0 for the integer 0, which has no sign: it is read again as a decimal.
        return _decoder.decode(_signed(raw)) if _PERHAPS_MINUS_ZERO.search(raw) else value
    except RecursionError:
        raise FhirError("structure", f"The JSON is nested too deeply; at most {_MAX_DEPTH} levels are taken.") from None
    except UnicodeDecodeError:
        raise FhirError("structure", "Ugyldig JSON / The body is not UTF-8.") from None
    except InvalidOperation:
        text = f"Ugyldig tall / A number is beyond 1e±{_MAX_EXPONENT}."
        raise FhirError("structure", text) from None
    except msgspec.DecodeError as error:
        raise FhirError("structure", f"Ugyldig JSON / {error}.") from None


def _signed(raw: bytes) -> bytes:
    return _STRING_OR_MINUS_ZERO.sub(lambda found: _MINUS_ZERO if found[0] == b"-0" else found[0], raw)


def pretty(raw: bytes) -> bytes:
    """The same JSON, indented by two; every number and text as it stands."""
    return msgspec.json.format(raw, indent=2)


def _repeats(raw: bytes, members: int) -> bool:
    """Whether more object members are written than were read. A `":` ends a key; where no string holds an escape and
    nothing stands before a colon there are never fewer of them than keys, and counting them is about four times as fast
    as taking all strings out, which decides when there are more (a text may begin with a colon)."""
    if b"\\" not in raw and not _SPACED.search(raw) and raw.count(b'":') == members:
        return False
    return _STRING.sub(b"", raw).count(b":") != members


def _members(value: Any, depth: int) -> int:
    """How many object members there are at all depths."""
    if depth > _MAX_DEPTH:
        raise FhirError("structure", f"The JSON is nested too deeply; at most {_MAX_DEPTH} levels are taken.")
    if type(value) is dict:
        count = len(value)
        for item in value.values():
            if type(item) is dict or type(item) is list:
                count += _members(item, depth + 1)
        return count
    count = 0
    for item in value:
        if type(item) is dict or type(item) is list:
            count += _members(item, depth + 1)
    return count


def _repeated(raw: bytes) -> str:
    found: list[str] = []

    def notice(pairs: list[tuple[str, Any]]) -> None:
        found.extend(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)

    # Numbers stay texts here: Python makes no integer of more than 4300 digits.
    json.loads(raw, object_pairs_hook=notice, parse_int=str, parse_float=str)
    return found[0] if found else "?"


def _plain(value: Any) -> Any:
    if isinstance(value, Written):
        return orjson.Fragment(value.text)
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} is no JSON value")


def encode(value: Any) -> bytes:
    """Compact JSON, decimals with the digits they were written with."""
    try:
        return orjson.dumps(value, _plain)
    except TypeError as error:
        if "Integer" not in str(error):
            raise
    # An integer of more than 64 bits is a legal FHIR decimal that orjson cannot print.
    return orjson.dumps(_wide_integers(value), _plain)


def _wide_integers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _wide_integers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_wide_integers(item) for item in value]
    if isinstance(value, int) and value.bit_length() > 63:
        return orjson.Fragment(str(value))
    return value


def body(resource: Resource) -> Body:
    """The bytes to store, around the version and instant that the commit fills in."""
    meta = {key: item for key, item in resource.get("meta", {}).items() if key not in ("versionId", "lastUpdated")}
    rest = {key: item for key, item in resource.items() if key not in ("resourceType", "id", "meta")}
    head = b'{"resourceType":"%b","id":"%b","meta":{' % (resource["resourceType"].encode(), resource["id"].encode())
    tail = b"," + encode(meta)[1:] if meta else b"}"
    return Body(head, tail + (b"," + encode(rest)[1:] if rest else b"}"))


def same(stored: Resource, sent: Resource) -> bool:
    """Whether an update would change nothing: all equal, digits of decimals too, but meta.versionId and
    meta.lastUpdated; the order of keys does not count."""
    return _comparable(stored) == _comparable(sent)


def _comparable(resource: Resource) -> bytes:
    return orjson.dumps(_wide_integers(_unversioned(resource)), _plain, orjson.OPT_SORT_KEYS)


def _unversioned(resource: Resource) -> Resource:
    meta = {key: item for key, item in resource.get("meta", {}).items() if key not in ("versionId", "lastUpdated")}
    rest = {key: item for key, item in resource.items() if key != "meta"}
    return {**rest, "meta": meta} if meta else rest


def references(value: Any, path: str) -> list[tuple[str, Resource]]:
    """Every object with a `reference` text within, with its place ("Task.input[0].valueReference")."""
    found: list[tuple[str, Resource]] = []
    _references(value, path, found)
    return found


def _references(value: Any, path: str, found: list[tuple[str, Resource]]) -> None:
    if type(value) is dict:
        if "reference" in value and isinstance(value["reference"], str):
            found.append((path, value))
        for key, item in value.items():
            if type(item) is dict or type(item) is list:
                _references(item, f"{path}.{key}", found)
    else:
        for index, item in enumerate(value):
            if type(item) is dict or type(item) is list:
                _references(item, f"{path}[{index}]", found)


def unresolved(resource: Resource) -> bool:
    """Whether a reference within is conditional or a urn:uuid, to be resolved before it is stored."""
    waiting: list[Any] = [resource]
    while waiting:
        value = waiting.pop()
        if type(value) is dict:
            text = value.get("reference")
            if type(text) is str and ("?" in text or text.startswith("urn:uuid:")):
                return True
            value = value.values()
        waiting += [item for item in value if type(item) is dict or type(item) is list]
    return False


def rewritten(value: Any, change: Callable[[str, str], str]) -> Any:
    """The value with every text in it replaced by change(its key, the text); lists carry their key."""
    return _rewritten(value, "", change)


def _rewritten(value: Any, key: str, change: Callable[[str, str], str]) -> Any:
    if isinstance(value, str):
        return change(key, value)
    if isinstance(value, dict):
        return {name: _rewritten(item, name, change) for name, item in value.items()}
    if isinstance(value, list):
        return [_rewritten(item, key, change) for item in value]
    return value
