"""The annex as PDF, typeset by Typst: tagged (PDF/UA-1, and PDF/A-2a for keeping), A4, in Norwegian.

What was reported reaches the template as strings in JSON, and a string is never read as markup. Nothing is fetched,
and the fonts are Typst's own. PDF/UA refuses a character that no font has, so what these lack is written as its
number, [U+1F600]: the text itself is in every other form of the annex.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from server.annex.layout import Fact, Paper, Part, Section, Shown, Table

_TYPESET = str(Path(__file__).with_name("typeset.py"))

# Runs of characters of which every assigned one was found in Typst's own fonts (Libertinus Serif, New Computer
# Modern, DejaVu Sans Mono), each set by itself under PDF/UA-1. tests/annex/test_pdf.py sets them all.
COVERED = (
    (0x0020, 0x0484), (0x0487, 0x04FF), (0x1D00, 0x1DBF), (0x1E00, 0x2040), (0x2044, 0x2052), (0x2054, 0x20C0),
    (0x2100, 0x211E), (0x2126, 0x2151), (0x2153, 0x2184), (0x2190, 0x23FF), (0x2460, 0x2606), (0x2609, 0x262F),
)  # fmt: skip
_LINE_END = re.compile(r"\r\n?")
_LONG = re.compile(r"\S{41,}")
_PIECE = re.compile(r"\S{1,15}")
_UNSET = ("Cc", "Cn", "Co", "Cs")
_markdown = MarkdownIt("commonmark", {"html": False})

Block = dict[str, Any]
"""{"kind": "text", "bullet" or "number", "number": of an item, "runs": [[text, "" or "strong" or "emph"]]}"""


def pages(paper: Paper, date: str) -> bytes:
    """The PDF. `date` is the edition's instant: the file states it as its own, so that its bytes stay the same.
    RuntimeError with what Typst says when it cannot be set."""
    data = json.dumps(_paper(paper), ensure_ascii=False).encode()
    seconds = int(datetime.fromisoformat(date).timestamp())
    # -I: neither the environment nor a folder has a say in what it imports; its own has a csv.py and an html.py.
    done = subprocess.run([sys.executable, "-I", _TYPESET, str(seconds)], input=data, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"typeset.py ended with {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout


def settable(text: str) -> str:
    """The text with what no font has as [U+…], and places to break in words of more than 40 characters. Line ends
    are kept."""
    plain = _LINE_END.sub("\n", unicodedata.normalize("NFC", text)).replace("\t", " ")
    shown = _uncovered().sub(lambda char: f"[U+{ord(char[0]):04X}]", plain)
    return _LONG.sub(lambda word: "\N{ZERO WIDTH SPACE}".join(_PIECE.findall(word[0])), shown)


@cache
def _uncovered() -> re.Pattern[str]:
    """A character outside COVERED, or one in it that is not assigned or a control."""
    ranges = "".join(f"{chr(first)}-{chr(last)}" for first, last in COVERED)
    chars = (chr(code) for first, last in COVERED for code in range(first, last + 1))
    unset = "".join(re.escape(char) for char in chars if unicodedata.category(char) in _UNSET)
    return re.compile(f"[^\n{ranges}]|[{unset}]")


def _paper(paper: Paper) -> dict[str, Any]:
    return {
        "number": paper.number,
        "title": settable(paper.title),
        "running": settable(textwrap.shorten(paper.title, 100, placeholder=" …")),
        "status": paper.status,
        "day": paper.day,
        "period": paper.period,
        "reason": settable(paper.reason),
        "replaces": paper.replaces,
        "overview": _table(paper.overview),
        "parts": [_part(part) for part in paper.parts],
    }


def _part(part: Part) -> dict[str, Any]:
    return {"title": settable(part.title), "sections": [_section(section) for section in part.sections]}


def _section(section: Section) -> dict[str, Any]:
    return {
        "number": section.number,
        "name": settable(section.name),
        "facts": [_fact(fact) for fact in section.facts],
        "prose": [_fact(fact) for fact in section.prose],
        "tables": [_table(table) for table in section.tables],
    }


def _fact(fact: Fact) -> dict[str, Any]:
    return {"nb": fact.nb, "en": fact.en, "cell": _cell(fact.shown)}


def _table(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "nb": table.nb,
        "en": table.en,
        "columns": [{"nb": column.nb, "en": column.en, "kind": column.kind} for column in table.columns],
        "rows": [[_cell(cell) for cell in row] for row in table.rows],
    }


def _cell(cell: Shown) -> dict[str, Any]:
    text = settable(cell.text)
    found: dict[str, Any] = {"kind": cell.kind, "colour": cell.colour, "head": cell.head}
    if cell.kind == "markdown":
        return found | {"blocks": list(blocks(text))}
    return found | {"blocks": [{"kind": "text", "runs": [[text, ""]]}] if text else []}


def blocks(text: str) -> Iterator[Block]:
    """A reporter's markdown as paragraphs and list items: its headings become paragraphs, its HTML stays text."""
    numbers: list[int | None] = []
    item: Block = {}
    for token in _markdown.parse(text):
        match token.type:
            case "ordered_list_open":
                numbers.append(int(token.attrs.get("start", 1)))
            case "bullet_list_open":
                numbers.append(None)
            case "ordered_list_close" | "bullet_list_close":
                numbers.pop()
            case "list_item_open":
                number = numbers[-1]
                item = {"kind": "bullet"} if number is None else {"kind": "number", "number": number}
                numbers[-1] = None if number is None else number + 1
            case "inline" | "fence" | "code_block":
                runs = _runs(token.children) if token.children else [[token.content.rstrip("\n"), ""]]
                yield {"kind": "text", **item, "runs": runs}
                item = {}


def _runs(tokens: list[Token]) -> list[list[str]]:
    runs: list[list[str]] = []
    styles: list[str] = []
    for token in tokens:
        match token.type:
            case "strong_open" | "em_open":
                styles.append("strong" if token.type == "strong_open" else "emph")
            case "strong_close" | "em_close":
                styles.pop()
            case "softbreak" | "hardbreak":
                runs.append(["\n", ""])
            case _:
                runs.append([token.content, styles[-1] if styles else ""])
    return [run for run in runs if run[0]]
