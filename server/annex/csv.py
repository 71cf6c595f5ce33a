"""The annex as CSV: a file per table in a zip, with CSV on the Web metadata that tell the headings and the datatypes.

RFC 4180, UTF-8, the column names of the report's own files. A text that begins with = stays as it is: CSV is for
programs, and one that is changed could not be read back. For a spreadsheet there is XLSX.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from typing import assert_never

from server.annex.tables import FORMS, Annex, Cell, Column, Form, Kind, Light

METADATA = "csv-metadata.json"
_DATATYPES: dict[Kind, str] = {"year": "gYear", "count": "integer", "amount": "decimal", "total": "decimal"}
# The oldest date that a zip can state: the bytes must not tell when they were packed.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def archive(annex: Annex) -> bytes:
    """The zip: the same bytes for the same annex."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zip:
        for name, content in files(annex):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            zip.writestr(entry, content)
    return packed.getvalue()


def files(annex: Annex) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file in the zip."""
    for form in FORMS:
        yield f"{form.name}.csv", _table(annex, form).encode()
    yield METADATA, (json.dumps(_metadata(annex), ensure_ascii=False, indent=2) + "\n").encode()


def _table(annex: Annex, form: Form) -> str:
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(column.name for column in form.columns)
    for row in annex.rows(form.name):
        rows.writerow(written(row[column.name], column.kind) for column in form.columns)
    return text.getvalue()


def written(cell: Cell, kind: Kind) -> str:
    """A cell as text that loses nothing: "" for blank, dates as in FHIR, amounts with a point, lists by semicolon."""
    match cell:
        case None:
            return ""
        case str():
            return cell
        case Decimal():
            return amount(cell, kind)
        case int():
            return str(cell)
        case Light():
            return cell.word
        case tuple():
            return ";".join(cell)
        case _:
            assert_never(cell)


def amount(value: Decimal, kind: Kind) -> str:
    """As the report prints it: 28.3, 9.0, 0; a total 191."""
    if value == int(value):
        return f"{int(value)}.0" if kind == "amount" and value else str(int(value))
    return f"{value.normalize():f}"


def _metadata(annex: Annex) -> dict[str, object]:
    return {
        "@context": ["http://www.w3.org/ns/csvw", {"@language": "nb"}],
        "dc:title": annex.title,
        "dc:identifier": annex.number,
        "tables": [
            {
                "url": f"{form.name}.csv",
                "dc:title": [{"@value": form.nb, "@language": "nb"}, {"@value": form.en, "@language": "en"}],
                "tableSchema": {"columns": [_column(column) for column in form.columns]},
            }
            for form in FORMS
        ],
    }


def _column(column: Column) -> dict[str, object]:
    """Dates are left as strings, for a FHIR date may be a year or a month."""
    described: dict[str, object] = {
        "name": column.name,
        "titles": {"nb": column.nb, "en": column.en},
        "datatype": _DATATYPES.get(column.kind, "string"),
    }
    return described | {"separator": ";"} if column.kind == "list" else described
