"""Costs and operating costs by year and source; a blank is kept apart from nought."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from server.pages.contexts import Cell, Finance
from server.portfolio import elements
from server.portfolio.codes import Coded, Codes, Lang

_Line = tuple[str, Coded | None, Decimal | None]


def finance(initiative: Mapping[str, Any], kind: str, by: str, codes: Codes, lang: Lang) -> Finance | None:
    """The finance lines of a type (investering, drift), `by` source or solution; None when there are none."""
    url = f"{codes.base}/StructureDefinition/nep-finance-line"
    own = (one for one in initiative.get("extension", ()) if one.get("url") == url)
    lines = [_line(one, by, codes, lang) for one in own if elements.part(one, "type") == kind]
    if not lines:
        return None
    columns = tuple(dict.fromkeys(column for _, column, _ in lines))
    years = sorted({year for year, _, _ in lines})
    return Finance(
        columns=columns,
        years=tuple(
            (year, _cells(lines, year, columns), _cell(one for one in lines if one[0] == year)) for year in years
        ),
        sums=tuple(_cell(one for one in lines if one[1] == column) for column in columns),
        total=_cell(lines),
    )


def _line(extension: Mapping[str, Any], by: str, codes: Codes, lang: Lang) -> _Line:
    column = codes.coded(elements.part(extension, by), lang)
    funder = (elements.part(extension, "funder") or {}).get("display", "")
    if column and funder:
        column = Coded(column.system, column.code, column.display, column.lang, funder)
    return str(elements.part(extension, "year")), column, elements.millions(elements.part(extension, "amount"))


def _cells(lines: list[_Line], year: str, columns: Iterable[Coded | None]) -> tuple[Cell, ...]:
    return tuple(_cell(one for one in lines if one[:2] == (year, column)) for column in columns)


def _cell(lines: Iterable[_Line]) -> Cell:
    amounts = [amount for _, _, amount in lines]
    stated = [amount for amount in amounts if amount is not None]
    return Cell(sum(stated, Decimal()) if stated else None, len(amounts), len(amounts) - len(stated))
