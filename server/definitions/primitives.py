"""R4's primitive types: which JSON value has which type. R4 datatypes.html#primitive, json.html#primitive."""

from __future__ import annotations

import binascii
import re
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from server.definitions.narrative import narrative_fault

LONGEST = 1024 * 1024
"""R4's limit of a string: 1 MiB, in bytes of UTF-8."""

DATE = r"(?!0000)[0-9]{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01]))?)?"
DAY = r"(?!0000)[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
# Second 60 is a leap second, which R4 allows in dateTime, instant and time alike; 24:00 it does not.
TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"

_control = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]").search
_date = re.compile(DATE).fullmatch
_date_time = re.compile(f"{DATE}|{DAY}T{TIME}{ZONE}").fullmatch
_instant = re.compile(f"{DAY}T{TIME}{ZONE}").fullmatch
_time = re.compile(TIME).fullmatch
_code = re.compile(r"\S+(?: \S+)*").fullmatch
_uri = re.compile(r"\S+").fullmatch
_id = re.compile(r"[A-Za-z0-9.-]{1,64}").fullmatch
_oid = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+").fullmatch
_uuid = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch


def is_string(value: Any) -> bool:
    if type(value) is not str or not value or value.isspace():
        return False
    if len(value) * 4 > LONGEST and len(value.encode("utf-8", "surrogatepass")) > LONGEST:
        return False
    # Without line breaks, the usual case, one pass in C; the expression costs ten times as much.
    return value.isprintable() or not _control(value)


def is_uri(value: Any) -> bool:
    if type(value) is not str or (value[:4] == "urn:" and not _is_urn(value)):
        return False
    return bool(value) and ((value.isprintable() and " " not in value) or _uri(value) is not None)


def _is_urn(value: str) -> bool:
    """Of the two namespaces that R4 has types for, only what those types take; UUIDs in either case (RFC 4122)."""
    if value.startswith("urn:oid:"):
        return _oid(value) is not None
    return not value.startswith("urn:uuid:") or _uuid(value.lower()) is not None


def is_code(value: Any) -> bool:
    return type(value) is str and _code(value) is not None


def is_id(value: Any) -> bool:
    return type(value) is str and _id(value) is not None


def is_oid(value: Any) -> bool:
    return type(value) is str and _oid(value) is not None


def is_uuid(value: Any) -> bool:
    return type(value) is str and _uuid(value) is not None


def is_date(value: Any) -> bool:
    return type(value) is str and _date(value) is not None and _is_in_calendar(value)


def is_date_time(value: Any) -> bool:
    return type(value) is str and _date_time(value) is not None and _is_in_calendar(value)


def is_instant(value: Any) -> bool:
    return type(value) is str and _instant(value) is not None and _is_in_calendar(value)


def _is_in_calendar(value: str) -> bool:
    """Whether the month has the day, in a value that has the form of a date already."""
    day = value[8:10]
    return day < "29" or int(day) <= monthrange(int(value[:4]), int(value[5:7]))[1]


def is_time(value: Any) -> bool:
    return type(value) is str and _time(value) is not None


def is_boolean(value: Any) -> bool:
    return type(value) is bool


def is_integer(value: Any) -> bool:
    return type(value) is int and -(2**31) <= value < 2**31


def is_positive_int(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**31


def is_unsigned_int(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**31


def is_decimal(value: Any) -> bool:
    return isinstance(value, Decimal) or type(value) in (int, float)


def is_base64(value: Any) -> bool:
    if type(value) is not str or not value:
        return False
    try:
        # White space is allowed between the groups, and the decoder would stop at it.
        return bool(binascii.a2b_base64("".join(value.split()), strict_mode=True))
    except ValueError:
        return False


def is_xhtml(value: Any) -> bool:
    return type(value) is str and narrative_fault(value) is None


@dataclass(frozen=True, slots=True)
class Primitive:
    """`accepts` decides; `json` are the Python types of the right JSON type; `expected` completes
    "is no date: expected …"."""

    accepts: Callable[[Any], bool]
    json: tuple[type, ...]
    expected: str

    def fault(self, value: Any) -> tuple[str, str]:
        """Issue code and what would be right, of a value that was not accepted: "structure" for another JSON
        type, "value" for the right one with a wrong content."""
        if type(value) not in self.json:
            return "structure", f"a JSON {JSON_NAMES[self.json[0]]} was expected"
        if self.accepts is is_xhtml:
            return "value", narrative_fault(value) or ""
        return "value", f"expected {self.expected}"


JSON_NAMES: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "number",
    Decimal: "number",
    float: "number",
    dict: "object",
    list: "array",
    type(None): "null",
}

_TEXT = (str,)
_INTEGER = (int, Decimal, float)
_STRING = "1 byte to 1 MiB of text, not only white space, without control characters"
_URI = "a URI without white space"

PRIMITIVES: dict[str, Primitive] = {
    "boolean": Primitive(is_boolean, (bool,), "true or false"),
    "integer": Primitive(is_integer, _INTEGER, "a whole number of 32 bits"),
    "positiveInt": Primitive(is_positive_int, _INTEGER, "a whole number from 1 to 2147483647"),
    "unsignedInt": Primitive(is_unsigned_int, _INTEGER, "a whole number from 0 to 2147483647"),
    "decimal": Primitive(is_decimal, (Decimal, int, float), "a number"),
    "string": Primitive(is_string, _TEXT, _STRING),
    "markdown": Primitive(is_string, _TEXT, _STRING),
    "code": Primitive(is_code, _TEXT, "a code without white space but single spaces within"),
    "id": Primitive(is_id, _TEXT, "1 to 64 of A-Z, a-z, 0-9, '-' and '.'"),
    "uri": Primitive(is_uri, _TEXT, _URI),
    "url": Primitive(is_uri, _TEXT, _URI),
    "canonical": Primitive(is_uri, _TEXT, _URI),
    "oid": Primitive(is_oid, _TEXT, "urn:oid:2.16.578.1, say"),
    "uuid": Primitive(is_uuid, _TEXT, "urn:uuid: and a UUID in lower case"),
    "date": Primitive(is_date, _TEXT, "a day, month or year of the calendar: 2024-02-29, 2024-02 or 2024"),
    "dateTime": Primitive(is_date_time, _TEXT, "2024, 2024-02, 2024-02-29 or 2024-02-29T09:30:00+01:00"),
    "instant": Primitive(is_instant, _TEXT, "2024-02-29T09:30:00.000+01:00, with seconds and zone"),
    "time": Primitive(is_time, _TEXT, "09:30:00, with seconds and without a zone"),
    "base64Binary": Primitive(is_base64, _TEXT, "base64 (RFC 4648), padded"),
    "xhtml": Primitive(is_xhtml, _TEXT, "an XHTML div"),
}
