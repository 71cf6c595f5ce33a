"""Folders, workbooks and rounds: what a report may look like, and what is said when it does not."""

from __future__ import annotations

import csv
import datetime
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import Workbook

import mappings
from tests.mappings.conftest import CANONICAL, DATA

GOLDEN = Path(__file__).parent / "golden" / "small"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "small"))


def bundle(path: Path, round: str | None = None) -> mappings.ImportResult:
    return mappings.bundle(mappings.read_report(path, round), canonical=CANONICAL)


def cell(text: str) -> object:
    """As a person would have typed it into a workbook: numbers as numbers, dates as dates."""
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        pass
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%d")
    except ValueError:
        return text or None


def workbook(folder: Path, target: Path, made: Callable[[str], object]) -> Path:
    book = Workbook()
    book.remove(book.active)
    for file in sorted(folder.glob("*.csv")):
        sheet = book.create_sheet(file.stem)
        with file.open(encoding="utf-8", newline="") as lines:
            for number, record in enumerate(csv.reader(lines)):
                sheet.append([made(text) if number and made else text for text in record])
    book.save(target)
    return target


@pytest.mark.parametrize("made", [cell, lambda text: text or None], ids=["typed cells", "all text"])
def test_a_workbook_gives_what_its_folder_gives(
    tmp_path: Path, made: Callable[[str], object], portfolio: mappings.ImportResult
) -> None:
    file = workbook(DATA / "portfolio-2021-11", tmp_path / "rapport-2021-11.xlsx", made)
    assert bundle(file).bundle == portfolio.bundle


def test_a_workbook_names_its_sheet_in_remarks(tmp_path: Path) -> None:
    file = workbook(GOLDEN, tmp_path / "rapport-2021-11.xlsx", cell)
    places = {remark.place.file for remark in bundle(file).log}
    assert "rapport-2021-11.xlsx!deliveries" in places


def test_a_workbook_may_state_its_round_in_a_sheet(tmp_path: Path) -> None:
    file = workbook(GOLDEN, tmp_path / "rapport.xlsx", cell)
    with pytest.raises(mappings.ReportError, match="is no known round"):
        mappings.read_report(file)
    (tmp_path / "own").mkdir()
    for sheet in GOLDEN.glob("*.csv"):
        shutil.copy(sheet, tmp_path / "own")
    header, row = "round,title,start,end,closed,source", "2022-04,April 2022,2022-04-01,2022-04-30,true,prove"
    (tmp_path / "own" / "report.csv").write_text(f"{header}\n{row}\n", encoding="utf-8")
    stated = workbook(tmp_path / "own", tmp_path / "egen.xlsx", lambda text: text or None)
    assert bundle(stated).bundle == bundle(GOLDEN).bundle


def test_a_byte_order_mark_changes_nothing(folder: Path) -> None:
    before = bundle(folder)
    for file in folder.glob("*.csv"):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert bundle(folder) == before


def test_blank_rows_are_passed_over_and_counted(folder: Path) -> None:
    file = folder / "costs.csv"
    head, _, rest = file.read_text(encoding="utf-8").partition("\n")
    file.write_text(f"{head}\n,,,\n{rest}", encoding="utf-8")
    zero = next(remark for remark in bundle(folder).log if remark.rule == "amount-zero")
    assert zero.place.row == 4


@pytest.mark.parametrize(
    ("name", "asked", "id"),
    [
        ("portfolio-2021-11", None, "2021-11"),
        ("portfolio-2021-11/facts", None, "2021-11"),
        ("vedlegg", "2021-11", "2021-11"),
        ("portfolio-2023-09", "2021-11", "2021-11"),
    ],
)
def test_the_round_is_asked_for_or_read_from_the_name(tmp_path: Path, name: str, asked: str | None, id: str) -> None:
    shutil.copytree(DATA / "portfolio-2021-11", tmp_path / name)
    assert mappings.read_report(tmp_path / name, asked).round.id == id


def test_the_reports_own_file_wins_over_its_name(folder: Path) -> None:
    named = folder.rename(folder.parent / "portfolio-2021-11")
    found = mappings.read_report(named).round
    assert (found.id, found.source, found.assumed) == ("2022-04", "prove", False)


def changed(folder: Path, name: str, old: str, new: str) -> None:
    file = folder / name
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda f: (f / "costs.csv").unlink(), 'small: "costs" is missing; expected every sheet of the form'),
        (lambda f: (f / "notes.csv").write_text("a\n"), 'small: "notes" is an unknown sheet; expected initiatives, '),
        (lambda f: (f / "initiatives.csv").unlink(), "lacks the initiatives; expected initiatives / initiative"),
        (lambda f: changed(f, "costs.csv", "funder", "payer"), 'costs.csv row 1 (B1): "payer" is an unknown column'),
        (
            lambda f: changed(f, "costs.csv", ",funder", ""),
            'costs.csv row 1: "funder" is missing; expected initiative_id',
        ),
        (lambda f: changed(f, "costs.csv", "year", "funder"), 'costs.csv row 1 (C1): "funder" comes twice'),
        (lambda f: changed(f, "costs.csv", ",28.3", ""), 'costs.csv row 2: "3" cells; expected 4 cells'),
        (lambda f: changed(f, "costs.csv", "Andre", '"And"re'), "costs.csv: "),
        (lambda f: (f / "costs.csv").write_bytes(b"\xe5"), 'costs.csv: "0xe5" is not UTF-8'),
        (lambda f: changed(f, "report.json", "2022-04-30", "snart"), "does not state the round; expected round, title"),
        (lambda f: (f / "report.json").unlink(), "is no known round; expected one of 2021-11, 2023-09"),
        (shutil.rmtree, "is not the report; expected a folder of CSVs or an .xlsx"),
    ],
)
def test_a_report_that_cannot_be_read_says_what_is_wrong(
    folder: Path, spoil: Callable[[Path], object], expected: str
) -> None:
    spoil(folder)
    with pytest.raises(mappings.ReportError) as caught:
        mappings.read_report(folder)
    assert expected in str(caught.value)


def test_all_faults_of_sheets_are_told_at_once(folder: Path) -> None:
    changed(folder, "costs.csv", "funder", "payer")
    (folder / "benefits.csv").unlink()
    with pytest.raises(mappings.ReportError) as caught:
        mappings.read_report(folder)
    assert len(caught.value.refusals) == 3  # payer unknown, funder missing, benefits missing
