"""A value as a cell shows it, and what somebody has made of a cell as a value. What cannot be understood is refused,
never guessed: `Misread` says why, in both languages, and what was expected.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from server.spreadsheet import LONGEST
from server.spreadsheet import text as kept
from server.workbook.slots import Value
from server.workbook.table import Column
from server.workbook.words import Words, squeezed

Shown = str | int | Decimal | date | None
Raw = str | int | float | bool | datetime | date | time | timedelta | None
"""What openpyxl makes of a cell."""

CUT = " … [forkortet / cut]"
"""Ends a text that is longer than a cell can hold."""

_NORWEGIAN = re.compile(r"(\d{1,2})[./](\d{1,2})[./](\d{4})")
_ISO = re.compile(r"\d{4}-\d\d-\d\d")
_PARTIAL = re.compile(r"(\d{4})(?:-(0[1-9]|1[0-2]))?")
_AMOUNT = re.compile(r"[-−]?\d{1,9}(?:[.,]\d+)?")
_THOUSANDS = re.compile(r"[-−]?[1-9]\d{0,2}\.\d{3}")
"""As a text it may be a thousand as well as one."""
_NUMBER = re.compile(r"NEP-\d+", re.IGNORECASE)
_EPOCH = date(1899, 12, 30)
_FIRST, _LAST = date(1990, 1, 1), date(2099, 12, 31)


class Misread(ValueError):
    """A cell that is not understood: "«snart» er ingen dato / is no date; ventet / expected dd.mm.åååå"."""


def shown(column: Column, value: Value, words: Words) -> Shown:
    """What the cell holds."""
    if value is None:
        return None
    match column.kind:
        case "code" | "fixed":
            return words.word(column.system, str(value))
        case "words":
            return words.word(column.system, str(value))
        case "codes" | "texts":
            each = value if isinstance(value, tuple) else (str(value),)
            return kept("; ".join(words.word(column.system, one) for one in each), CUT)
        case "date":
            return date.fromisoformat(str(value)) if _ISO.fullmatch(str(value)) else str(value)
        case "amount":
            assert isinstance(value, int)
            return Decimal(value) / 1_000_000
        case _:
            return value if isinstance(value, int) else kept(str(value), CUT)


def same(raw: Raw, cell: Shown) -> bool:
    """Whether a cell still holds what it was given, however a program has stored it."""
    if isinstance(raw, datetime):
        raw = raw.date()
    if isinstance(raw, str) or isinstance(cell, str):
        return _plain(raw) == _plain(cell)
    if cell is None or raw is None:
        return cell is raw
    if isinstance(raw, date) or isinstance(cell, date):
        return raw == cell
    return not isinstance(raw, bool | time | timedelta) and _decimal(raw) == _decimal(cell)


def _plain(cell: object) -> str:
    """The text itself: programs write line ends, and å, in ways of their own; white space at the end nobody sees."""
    text = "" if cell is None else str(cell)
    text = unicodedata.normalize("NFC", kept(text, CUT))
    return text.replace("_x000D_", "").replace("\r\n", "\n").replace("\r", "\n").strip()


def _decimal(number: object) -> Decimal:
    return Decimal(str(number))


def value_of(column: Column, raw: Raw, words: Words) -> Value:
    """The value that was written. Misread for what is none."""
    if isinstance(raw, str):
        raw = _plain(raw) or None
    if raw is None:
        return None
    return _READERS[column.kind](column, raw, words)


def misread(raw: object, no: str, is_no: str, expected: str) -> Misread:
    """«snart» er ingen dato / is no date; ventet / expected dd.mm.åååå."""
    said = raw.strftime("%d.%m.%Y") if isinstance(raw, date) else str(raw)
    return Misread(f"«{said[:80]}» {no} / {is_no}; ventet / expected {expected}.")


def _text(column: Column, raw: Raw, words: Words) -> Value:
    if isinstance(raw, bool | time | timedelta):
        raise misread(raw, "er ingen tekst", "is no text", "en tekst / a text")
    if isinstance(raw, date):
        return raw.strftime("%d.%m.%Y")
    if isinstance(raw, float) and raw.is_integer():
        return str(int(raw))
    text = str(raw)
    if text.endswith(CUT):
        said = f"de første {LONGEST} tegnene vises; rett hele teksten over API-et / only its beginning is shown"
        raise misread(text[:40] + "…", "er forkortet", "is cut", said)
    return text


def _code(column: Column, raw: Raw, words: Words) -> Value:
    return _one(column, raw, str(raw), words)


def _one(column: Column, raw: Raw, text: str, words: Words) -> str:
    found = words.code(column.system, text) or column.also.get(squeezed(text))
    if isinstance(raw, bool) and column.system == "yes":
        found = "true" if raw else "false"
    if found is None:
        listed = ", ".join(words.choices(column.system))
        raise misread(text, "er ikke et av valgene", "is none of the choices", listed)
    return found


def _codes(column: Column, raw: Raw, words: Words) -> Value:
    found = [_one(column, raw, part.strip(), words) for part in re.split(r"[;\n]", str(raw)) if part.strip()]
    return tuple(dict.fromkeys(found)) or None


def _texts(column: Column, raw: Raw, words: Words) -> Value:
    return tuple(dict.fromkeys(part.strip() for part in re.split(r"[;\n]", str(raw)) if part.strip())) or None


def _date(column: Column, raw: Raw, words: Words) -> Value:
    wrong = misread(raw, "er ingen dato", "is no date", "dd.mm.åååå")
    if isinstance(raw, bool | time | timedelta):
        raise wrong
    if isinstance(raw, int | float):
        # A date whose format was lost is a number of days; a small one is a year.
        partial = 1990 <= raw <= 2099 and raw == int(raw)
        if partial:
            return str(int(raw))
        found = _EPOCH + timedelta(days=int(raw)) if 0 < raw < 100_000 else None
    elif isinstance(raw, str):
        if _PARTIAL.fullmatch(raw):
            return raw
        found = _written(raw)
    else:
        found = raw.date() if isinstance(raw, datetime) else raw
    if found is None or not _FIRST <= found <= _LAST:
        raise wrong
    return found.isoformat()


def _written(text: str) -> date | None:
    day = _NORWEGIAN.fullmatch(text)
    written = f"{day[3]}-{day[2]:0>2}-{day[1]:0>2}" if day else text
    try:
        return date.fromisoformat(written) if _ISO.fullmatch(written) else None
    except ValueError:
        return None


def _year(column: Column, raw: Raw, words: Words) -> Value:
    number = _number(raw)
    if number is None or number != int(number) or not 2000 <= number <= 2050:
        raise misread(raw, "er ikke noe år", "is no year", "2000–2050")
    return int(number)


def _count(column: Column, raw: Raw, words: Words) -> Value:
    number = _number(raw)
    if number is None or number != int(number) or not 0 <= number <= 999_999:
        raise misread(raw, "er ikke noe antall", "is no count", "et helt tall / a whole number")
    return int(number)


def _amount(column: Column, raw: Raw, words: Words) -> Value:
    number = _number(raw)
    # Fifteen digits is what a spreadsheet keeps; what is behind them is its own rounding.
    kroner = None if number is None or abs(number) > 10**9 else round(number * 1_000_000, 3)
    if kroner is None or kroner != int(kroner):
        said = "et tall i mill. kr med hele kroner, f.eks. 28,3 / a number in MNOK of whole NOK"
        raise misread(raw, "er ikke noe beløp", "is no amount", said)
    return int(kroner)


def _number(raw: Raw) -> Decimal | None:
    if isinstance(raw, str):
        text = re.sub(r"[\s\u00a0\u202f]", "", raw)
        if not _AMOUNT.fullmatch(text) or _THOUSANDS.fullmatch(text):
            return None
        return Decimal(text.replace(",", ".").replace("−", "-"))
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    number = Decimal(repr(raw))
    return number if number.is_finite() else None


def _initiative(column: Column, raw: Raw, words: Words) -> Value:
    found = _NUMBER.search(str(raw))
    if found is None:
        raise misread(raw, "er ikke noe tiltak", "is no initiative", "et av tiltakene i listen / one of the list")
    return found[0].upper()


_READERS: Mapping[str, Callable[[Column, Raw, Words], Value]] = {
    "text": _text, "markdown": _text, "organization": _text, "fixed": _text, "code": _code, "words": _code,
    "codes": _codes, "texts": _texts, "date": _date, "year": _year, "count": _count, "amount": _amount,
    "initiative": _initiative,
}  # fmt: skip


def typed(value: Any) -> Raw:
    """What openpyxl read, of the kinds that a cell may be of; anything else as its text."""
    if value is None or isinstance(value, str | int | float | bool | date | time | timedelta):
        return value
    return str(value)
