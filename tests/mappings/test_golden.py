"""Golden files: a small report and its Bundle, as people agreed on them. scripts/golden --update rewrites them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import mappings

GOLDEN = Path(__file__).parent / "golden"
CANONICAL = "http://eportefolje.example/fhir"


def as_agreed(path: Path, text: str) -> None:
    """The text is that of the golden file; under scripts/golden --update it becomes it."""
    if os.environ.get("GOLDEN") == "update":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path.name} has changed: scripts/golden --update, read the diff"


def test_golden_small_report_gives_the_agreed_bundle_and_remarks() -> None:
    result = mappings.bundle(mappings.read_report(GOLDEN / "small"), canonical=CANONICAL)
    assert result.refused == ()
    agreed = {
        **result.bundle,
        "entry": [e for e in result.bundle["entry"] if "Organization?" not in e["request"]["url"]],
    }
    as_agreed(GOLDEN / "small.bundle.json", json.dumps(agreed, ensure_ascii=False, indent=2) + "\n")
    as_agreed(GOLDEN / "small.log.txt", "".join(f"{remark}\n" for remark in result.log))


def test_golden_the_open_round_that_is_shipped_is_the_one_of_the_tables() -> None:
    opened = mappings.round_bundle("2023-09", canonical=CANONICAL)
    shipped = Path(mappings.__file__).parent / "data" / "round-2023-09.json"
    as_agreed(shipped, json.dumps(opened, ensure_ascii=False, indent=2) + "\n")
