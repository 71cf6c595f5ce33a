"""A cell that cannot be understood refuses its row, naming file, row, cell, what stood there and what was expected."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import mappings
from tests.mappings.conftest import CANONICAL
from tests.mappings.test_reading import GOLDEN, changed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "small"))


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("costs.csv", "28.3", "ninety", 'costs.csv row 2 (D2): "ninety" is no amount; expected a number in MNOK'),
        ("costs.csv", "28.3", "0.0000001", '(D2): "0.0000001" is no amount; expected a number in MNOK of whole NOK'),
        ("costs.csv", "28.3", "1e3", '(D2): "1e3" is no amount'),
        ("costs.csv", "2022,", "1999,", 'costs.csv row 2 (C2): "1999" is no year; expected a year from 2000 to 2050'),
        ("costs.csv", "2022,", "i år,", 'costs.csv row 2 (C2): "i år" is no year'),
        ("costs.csv", "Andre", "Lotto", 'costs.csv row 4 (B4): "Lotto" is none of the values; expected «Øremerkede'),
        ("costs.csv", "Andre", "", "costs.csv row 4 (B4): a blank is none of the values"),
        ("operations.csv", "Felles språk", "Altinn", 'operations.csv row 2 (B2): "Altinn" is none of the values'),
        ("benefits.csv", "15,", "femten,", 'benefits.csv row 2 (B2): "femten" is no count; expected a whole number'),
        ("deliveries.csv", "01.12.2022", "mars", 'deliveries.csv row 3 (E3): "mars" is no date; expected e.g.'),
        ("deliveries.csv", "01.12.2022", "2022-02-30", 'deliveries.csv row 3 (E3): "2022-02-30" is no date'),
        ("deliveries.csv", "Omdefinert", "Kanskje", 'deliveries.csv row 5 (F5): "Kanskje" is none of the values'),
        ("deliveries.csv", "heliks,2", "heliks,1", 'deliveries.csv row 5 (B5): "1" is no sequence number'),
        ("deliveries.csv", "heliks,2", "heliks,0", 'deliveries.csv row 5 (B5): "0" is no sequence number'),
        ("deliveries.csv", "Første sykehus", "", "deliveries.csv row 5 (C5): a blank is missing; expected a value"),
        ("deliveries.csv", "heliks,1", "heliksen,1", 'deliveries.csv row 4 (A4): "heliksen" is no known initiative'),
        ("dependencies.csv", "HelseID", "", "dependencies.csv row 4 (C4): a blank is missing"),
        ("dependencies.csv", "Høy", "Midd", 'dependencies.csv row 2 (G2): "Midd" is none of the values'),
        ("dependencies.csv", "Nei", "Nja", 'dependencies.csv row 2 (I2): "Nja" is none of the values; expected «Ja»'),
        ("dependencies.csv", "Gul", "G", 'dependencies.csv row 2 (J2): "G" is none of the values'),
        ("benefit_prerequisites.csv", "Andre prosjekter må gjennomføres", '"EPJ-utvikling, fastleger"',
         'benefit_prerequisites.csv row 3 (B3): "epj-fastlege" comes twice'),
        ("initiatives.csv", "Helse Vest", "Helse Øst", 'initiatives.csv row 3 (C3): "Helse Øst" is no known actor'),
        ("initiatives.csv", "Koordinere", "", "initiatives.csv row 3 (F3): a blank is missing"),
        ("initiatives.csv", "heliks,", "kpr-2024,", 'initiatives.csv row 4 (A4): "kpr-2024" comes twice'),
        ("initiatives.csv", "2.1,", "9.9,", 'initiatives.csv row 3 (J3): "9.9" is none of the values; expected «1»'),
        ("initiatives.csv", "Kjernejournal;", "Kjernjournal;", '"Kjernjournal" is none of the values'),
        ("initiatives.csv", "Realisering", "Drift", 'initiatives.csv row 3 (G3): "Drift" is none of the values'),
        ("initiatives.csv", "Konsept", "", "initiatives.csv row 4 (G4): a blank has no phase"),
    ],
)  # fmt: skip
def test_a_bad_cell(folder: Path, file: str, old: str, new: str, expected: str) -> None:
    changed(folder, file, old, new)
    result = mappings.bundle(mappings.read_report(folder), canonical=CANONICAL)
    assert len(result.refused) == 1
    assert expected in str(result.refused[0])


def test_a_refusal_speaks_norwegian_first(folder: Path) -> None:
    changed(folder, "costs.csv", "28.3", "ninety")
    [refusal] = mappings.read_report(folder).refused
    assert str(refusal) == (
        "costs.csv rad 2 (D2): «ninety» er ikke noe beløp; ventet et tall i mill. kr med hele kroner, f.eks. 28.3 / "
        'costs.csv row 2 (D2): "ninety" is no amount; expected a number in MNOK of whole NOK, e.g. 28.3'
    )


def test_every_bad_cell_of_a_report_is_told(folder: Path) -> None:
    changed(folder, "costs.csv", "2022,28.3", "i år,ninety")
    changed(folder, "deliveries.csv", "Omdefinert", "Kanskje")
    refused = mappings.read_report(folder).refused
    assert [(one.place.file, one.place.row, one.place.column) for one in refused] == [
        ("deliveries.csv", 5, "delivered"),
        ("costs.csv", 2, "year"),
        ("costs.csv", 2, "amount_mnok"),
    ]


@pytest.mark.parametrize(
    ("written", "kroner"),
    [
        ("28.3", 28_300_000),
        ("28,3", 28_300_000),
        ("0", 0),
        ("9.0", 9_000_000),
        ("-0.25", -250_000),
        ("0.000001", 1),
        ("6800", 6_800_000_000),
    ],
)
def test_amounts_are_read_as_decimals_never_as_floats(folder: Path, written: str, kroner: int) -> None:
    changed(folder, "costs.csv", "28.3", f'"{written}"')
    assert mappings.read_report(folder).costs[0].amount == kroner
