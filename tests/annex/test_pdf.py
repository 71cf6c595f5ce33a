"""The annex as PDF: tagged, in Norwegian, whole, and typeset from texts that are never taken for markup."""

from __future__ import annotations

import io
import unicodedata
from zoneinfo import ZoneInfo

import pytest
from pypdf import PdfReader

from server.annex.layout import paper
from server.annex.pdf import COVERED, blocks, pages, settable
from server.annex.tables import Annex, annex
from tests.annex.build import HOSTILE, saying

pytestmark = pytest.mark.xdist_group("annex")

OSLO = ZoneInfo("Europe/Oslo")
SHORT = {name: text for name, text in HOSTILE.items() if name != "long text"}


def pdf_of(tables: Annex) -> PdfReader:
    return PdfReader(io.BytesIO(pages(paper(tables, OSLO), tables.date)))


def squeezed(reader: PdfReader) -> str:
    """All text, without the spaces, breaks and hyphens that setting it brought."""
    text = "".join(page.extract_text() for page in reader.pages)
    return "".join(char for char in unicodedata.normalize("NFKC", text) if char.isalnum())


def bare(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKC", text) if char.isalnum())


@pytest.fixture(scope="session")
def portfolio(facts: Annex) -> PdfReader:
    return pdf_of(facts)


def test_it_is_tagged_titled_and_norwegian(portfolio: PdfReader) -> None:
    root = portfolio.trailer["/Root"]
    assert bool(root["/MarkInfo"]["/Marked"])
    assert root["/Lang"] == "nb-NO"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert portfolio.metadata is not None
    assert portfolio.metadata.title == "Porteføljerapport November 2021: vedlegg"
    xmp = root["/Metadata"].get_data().decode()
    assert "<pdfuaid:part>1</pdfuaid:part>" in xmp
    assert "<pdfaid:part>2</pdfaid:part>" in xmp


def test_its_structure_has_headings_and_tables(portfolio: PdfReader, facts: Annex) -> None:
    found: dict[str, int] = {}
    waiting = [portfolio.trailer["/Root"]["/StructTreeRoot"]]
    while waiting:
        node = waiting.pop().get_object()
        if not isinstance(node, dict):
            continue
        found[str(node.get("/S"))] = found.get(str(node.get("/S")), 0) + 1
        below = node.get("/K", [])
        below = below.get_object() if hasattr(below, "get_object") else below
        waiting += below if isinstance(below, list) else [below]
    assert found["/H2"] == 40
    assert found["/Table"] > 100
    assert found["/TH"] > 500
    assert found["/TOCI"] == 44


def test_it_holds_every_initiative_and_delivery_by_name(portfolio: PdfReader, facts: Annex) -> None:
    text = squeezed(portfolio)
    rows = [*facts.rows("initiatives"), *facts.rows("deliveries"), *facts.rows("dependencies")]
    names = [str(row.get("name") or row.get("actor")) for row in rows]
    assert len(names) == 374
    assert [name for name in names if bare(name) not in text] == []


def test_its_outline_leads_to_every_initiative(portfolio: PdfReader) -> None:
    titles = [item.title for chapter in portfolio.outline if isinstance(chapter, list) for item in chapter]
    assert len(titles) == 40
    assert titles[24] == "NEP-0025 HELIKS"


@pytest.mark.parametrize("text", SHORT.values(), ids=SHORT)
def test_a_reporters_text_is_set_and_never_obeyed(text: str) -> None:
    reader = pdf_of(annex(saying(text)))
    shown = squeezed(reader)
    assert bare(settable(text).partition("\n")[0])[:300] in shown
    assert "root:x" not in "".join(page.extract_text() for page in reader.pages)
    assert "Leveranser" in shown


def test_a_long_text_is_set_to_its_end_over_as_many_pages_as_it_needs() -> None:
    """In description and comment of the initiative, and in two cells of tables, which break too."""
    text = HOSTILE["long text"] + "Slutt på fortellingen."
    reader = pdf_of(annex(saying(text)))
    assert len(reader.pages) > 10
    assert squeezed(reader).count("Sluttpåfortellingen") >= 10


def test_every_character_that_is_taken_for_covered_can_be_set() -> None:
    """PDF/UA refuses the whole document for one that no font has."""
    chars = [chr(code) for first, last in COVERED for code in range(first, last + 1)]
    for start in range(0, len(chars), 400):
        pdf_of(annex(saying(" ".join(f"a{char}" for char in chars[start : start + 400]))))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Blåbærsyltetøy – «ja» → 5 ≥ 3 •", "Blåbærsyltetøy – «ja» → 5 ≥ 3 •"),
        ("smil 😀", "smil [U+1F600]"),
        ("a\x07b", "a[U+0007]b"),
        ("a\r\nb\rc\td", "a\nb\nc d"),
        ("o\u0308", "ö"),
        ("x" * 45, "\u200b".join(["x" * 15] * 3)),
    ],
)
def test_what_no_font_has_is_written_as_its_number(text: str, shown: str) -> None:
    assert settable(text) == shown


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("én\n\nto", [("text", "én"), ("text", "to")]),
        ("- én\n- to", [("bullet", "én"), ("bullet", "to")]),
        ("3. tre\n4. fire", [("number", "tre"), ("number", "fire")]),
        ("# Overskrift", [("text", "Overskrift")]),
        ("<b>fet</b>", [("text", "<b>fet</b>")]),
        ("    kode", [("text", "kode")]),
        ("[lenke](http://x.example)", [("text", "lenke")]),
        ("", []),
    ],
)
def test_markdown_becomes_paragraphs_and_items(text: str, kinds: list[tuple[str, str]]) -> None:
    assert [(b["kind"], "".join(run[0] for run in b["runs"])) for b in blocks(text)] == kinds


def test_numbers_of_a_list_go_on_from_where_it_begins() -> None:
    assert [b["number"] for b in blocks("3. tre\n4. fire")] == [3, 4]
