"""An edition's seven tables: cell by cell those of the report that was loaded."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from openpyxl import load_workbook

from mappings.tables import INITIATIVES
from server.annex import csv as annex_csv
from server.annex import xlsx
from server.annex.formats import FORMATS
from server.annex.ndjson import lines
from server.annex.tables import FORMS, Annex, Form, Light, Row, annex
from server.resource import Resource, encode, restored
from tests.annex.build import C, coded, document, initiative, line, slot, task
from tests.mappings.test_golden import as_agreed
from tests.portfolio import sheets
from tests.portfolio.test_import import FULL

pytestmark = pytest.mark.xdist_group("annex")

GOLDEN = Path(__file__).parent / "golden"
Rows = list[dict[str, str]]


def source(table: str, folder: Path) -> Rows:
    """The rows of the report, under the initiative's number and without contact persons."""
    found = []
    for row in sheets.rows(table, folder):
        number = INITIATIVES[row.pop("initiative_id")].tiltaksnummer
        row.pop("contact", None)
        found.append({"tiltaksnummer": number, **row})
    return found


def own(form: Form) -> list[str]:
    return [column.name for column in form.columns if not column.more]


def read_csv(tables: Annex) -> dict[str, Rows]:
    with zipfile.ZipFile(io.BytesIO(annex_csv.archive(tables))) as zip:
        return {
            form.name: list(csv.DictReader(io.StringIO(zip.read(f"{form.name}.csv").decode(), newline="")))
            for form in FORMS
        }


def read_xlsx(tables: Annex) -> dict[str, Rows]:
    """The cells as the report writes them; that they are typed is tested elsewhere."""
    book = load_workbook(io.BytesIO(xlsx.workbook(tables)))
    assert book.sheetnames == [form.nb for form in FORMS]
    found: dict[str, Rows] = {}
    for form in FORMS:
        _, *rows = book[form.nb].iter_rows(values_only=True)
        names = [column.name for column in form.columns]
        found[form.name] = [dict(zip(names, map(written, rows[at]), strict=True)) for at in range(len(rows))]
    return found


def written(value: object) -> str:
    match value:
        case None:
            return ""
        case date():
            return value.isoformat()[:10]
        case _:
            return str(value)


def number(text: str) -> Decimal | str:
    return Decimal(text) if text else text


def in_order(table: str, rows: Rows) -> Rows:
    """Prerequisites have no number, and so no order in the resources: by initiative and code here."""
    return sorted(rows, key=lambda r: tuple(r.values())[:2]) if table == "benefit_prerequisites" else rows


def test_every_cell_of_the_full_report_comes_back_as_csv(full: Annex) -> None:
    back = read_csv(full)
    assert len(back["initiatives"]) == 40
    for form in FORMS:
        rows = [{name: row[name] for name in own(form)} for row in back[form.name]]
        expected = source(form.name, FULL)
        assert list(expected[0]) == own(form)
        assert in_order(form.name, rows) == in_order(form.name, expected)


def test_every_cell_of_the_full_report_comes_back_as_xlsx(full: Annex) -> None:
    """Amounts are compared as numbers; line ends and all else as they are."""
    back = read_xlsx(full)
    for form in FORMS:
        kinds = {column.name: column.kind for column in form.columns}
        amounts = [name for name in own(form) if kinds[name] in ("amount", "total")]
        rows = [{name: row[name].replace("; ", ";") if kinds[name] == "list" else row[name] for name in own(form)}
                for row in back[form.name]]  # fmt: skip
        expected = source(form.name, FULL)
        for row in (*rows, *expected):
            row |= {name: number(row[name]) for name in amounts}  # type: ignore[misc]
        assert in_order(form.name, rows) == in_order(form.name, expected)


def test_golden_csv_of_the_facts(facts: Annex) -> None:
    for name, content in annex_csv.files(facts):
        text = content.decode().replace("\r\n", "\n")
        as_agreed(GOLDEN / name, text)


def test_no_contact_person_is_in_any_of_it(full: Annex) -> None:
    names = {row["contact"] for row in sheets.rows("initiatives", FULL)} - {""}
    assert len(names) > 30
    printed = {cell for form in FORMS for row in full.rows(form.name) for cell in row.values() if isinstance(cell, str)}
    assert names.isdisjoint(printed)
    assert not any("contact" in column.name for form in FORMS for column in form.columns)


def test_the_edition_itself_comes_as_a_resource_a_line(edition: Resource) -> None:
    made = lines(edition).splitlines()
    assert [restored(line) for line in made] == [entry["resource"] for entry in edition["entry"]]
    assert made[0] == encode(edition["entry"][0]["resource"])


@pytest.mark.parametrize("extension", FORMATS)
def test_the_same_edition_gives_the_same_bytes(edition: Resource, extension: str) -> None:
    make = FORMATS[extension].make
    assert make(edition, ZoneInfo("Europe/Oslo")) == make(edition, ZoneInfo("Europe/Oslo"))


# ---- single cells


def only(table: str, tables: Annex) -> Row:
    (row,) = tables.rows(table)
    return row


def with_task(kind: str, **elements: object) -> Annex:
    return annex(document(initiative("Tiltak"), task(kind, "one", **elements)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (coded("nep-delivery-status", "levert", "Ja", "Levert"), "Ja"),
        (coded("nep-delivery-status", "ikke-levert", display="Ikke levert"), "Nei"),
        (coded("nep-delivery-status", "ikke-oppgitt", display="Ikke oppgitt"), None),
        (coded("nep-delivery-status", "utgaar", display="Utgår"), "Utgår"),
        ({}, None),
    ],
)
def test_delivered_is_the_printed_word_else_the_forms_word_for_the_code(status: Resource, word: str | None) -> None:
    assert only("deliveries", with_task("leveranse", businessStatus=status))["delivered"] == word


@pytest.mark.parametrize(
    ("concept", "light"),
    [
        (coded("nep-traffic-light", "gul", "Noen utfordringer", "Gul"), Light("gul", "Noen utfordringer")),
        (coded("nep-traffic-light", "gul", display="Gul"), Light("gul", "Gul")),
        (coded("nep-traffic-light", "gul"), Light("gul", "gul")),
    ],
)
def test_a_colour_keeps_its_code_beside_its_word(concept: Resource, light: Light) -> None:
    tables = with_task("statusrapport", output=[slot("status", valueCodeableConcept=concept)])
    assert only("initiatives", tables)["status"] == light
    assert only("initiatives", tables)["risk"] is None


@pytest.mark.parametrize(
    ("kroner", "kind", "text"),
    [
        (28_300_000, "amount", "28.3"),
        (9_000_000, "amount", "9.0"),
        (120_000_000, "amount", "120.0"),
        (1, "amount", "0.000001"),
        (0, "amount", "0"),
        (None, "amount", ""),
        (191_000_000, "total", "191"),
        (6_800_000_000, "total", "6800"),
        (-1_500_000, "total", "-1.5"),
        (Decimal("1234567.5"), "total", "1.2345675"),
    ],
)
def test_amounts_are_mnok_as_the_report_prints_them(kroner: int | None, kind: str, text: str) -> None:
    plan = initiative("Tiltak")
    plan["extension"] = [line("investering", "2021", kroner, source=coded("nep-funding-source", "andre", "Andre"))]
    cell = only("costs", annex(document(plan)))["amount_mnok"]
    assert annex_csv.written(cell, kind) == text  # type: ignore[arg-type]


def test_what_a_table_of_the_report_has_no_column_for_stands_in_columns_behind_it() -> None:
    groups = [slot("maalgruppe", valueCodeableConcept=coded("x", code, text)) for code, text in
              (("f", "FA"), ("a", "FA"), ("k", "Kommuner"))]  # fmt: skip
    tables = with_task(
        "leveranse",
        input=groups,
        identifier=[{"system": f"{C}/sid/import", "value": "001:NEP-0001:LEV:1"}, {"system": "urn:x", "value": "L-1"}],
    )
    row = only("deliveries", tables)
    assert row["target_groups"] == ("FA", "Kommuner")
    assert row["identifiers"] == ("001:NEP-0001:LEV:1", "L-1")
    assert row["task_status"] == "ready"


def test_two_benefits_have_their_own_beneficiaries_when_there_is_one_for_each() -> None:
    plan = initiative("Tiltak")
    plan["goal"] = plan["goal"] * 2
    users = [use for use in plan["useContext"] if use["code"]["code"] == "user"]
    plan["useContext"] += [{**users[0], "valueCodeableConcept": {"text": "Kommuner"}}]
    assert [row["beneficiaries"] for row in annex(document(plan)).rows("benefits")] == ["Tiltak", "Kommuner"]
    plan["useContext"] += [{**users[0], "valueCodeableConcept": {"text": "Fastleger"}}]
    assert [row["beneficiaries"] for row in annex(document(plan)).rows("benefits")] == [
        "Tiltak; Kommuner; Fastleger",
        None,
    ]
