"""The annex as a page: whole, safe, and fit for a screen reader."""

from __future__ import annotations

import re
from collections import Counter
from zoneinfo import ZoneInfo

import pytest

from server.annex.html import page
from server.annex.layout import paper
from server.annex.tables import FORMS, Annex, annex
from server.resource import Resource
from tests.annex.build import HOSTILE, document, initiative, planned, saying, tasks
from tests.pages.html import Node, parse
from tests.pages.test_browser import AXE, RULES, browser, faults, opened  # noqa: F401

pytestmark = pytest.mark.xdist_group("annex")

OSLO = ZoneInfo("Europe/Oslo")


def html_of(tables: Annex) -> str:
    return page(paper(tables, OSLO)).decode()


def page_of(tables: Annex) -> Node:
    return parse(html_of(tables))


def test_every_initiative_has_its_section_and_every_row_its_place(facts: Annex) -> None:
    root = page_of(facts)
    assert len(root.every("h1")) == 1
    assert [h.text for h in root.every("h2")] == [
        "Innhold Contents", "Oversikt Overview", "Samstyre", "Koordinere", "Observere",
    ]  # fmt: skip
    titles = [f"{entry.facts['tiltaksnummer']} {entry.facts['name']}" for entry in facts.entries]
    assert [" ".join(h.text.split()) for h in root.every("h3")] == [" ".join(title.split()) for title in titles]
    rows: Counter[str] = Counter()
    for table in root.every("table"):
        rows[table["class"]] += len(table.one("tbody").every("tr"))
    assert rows == {form.name: len(facts.rows(form.name)) for form in FORMS}


def test_tables_have_captions_scopes_and_headings_in_both_languages(facts: Annex) -> None:
    root = page_of(facts)
    assert root.one("html")["lang"] == "nb"
    for table in root.every("table"):
        assert table.one("caption").text
        assert {th.attributes.get("scope") for th in table.one("thead").every("th")} == {"col"}
        assert {th.attributes.get("scope") for th in table.one("tbody").every("th")} <= {"row"}
    assert {span["lang"] for span in root.every("span", class_="en")} == {"en"}


def test_the_contents_lead_to_what_they_name(facts: Annex) -> None:
    root = page_of(facts)
    ids = [node["id"] for node in root.walk() if "id" in node.attributes]
    targets = [a["href"].removeprefix("#") for a in root.one("nav").every("a")]
    assert len(ids) == len(set(ids))
    assert len(targets) == 44
    assert set(targets) <= set(ids)


def test_a_colour_is_a_word_beside_its_sign(facts: Annex) -> None:
    lights = [n for n in page_of(facts).walk() if "light" in n.attributes.get("class", "").split()]
    assert {(n["class"].split()[1], n.text) for n in lights} == {
        ("gronn", "Grønn"), ("gul", "Gul"), ("rod", "Rød"), ("oppfylt", "Oppfylt"),
    }  # fmt: skip


def test_days_and_amounts_are_written_as_in_norwegian(facts: Annex) -> None:
    text = html_of(facts)
    assert ">28,3<" in text
    assert ">01.12.2022<" in text


@pytest.mark.parametrize(
    ("moves", "text"),
    [(0, "01.12.2022"), (1, "01.12.2022 (først 31.12.2021, flyttet 1 gang)"),
     (2, "01.12.2022 (først 31.12.2021, flyttet 2 ganger)")],
)  # fmt: skip
def test_a_date_that_was_moved_says_from_when_and_how_often(moves: int, text: str) -> None:
    of = document(initiative("Tiltak"), *tasks("Journal"), dates=planned("2021-12-31", moves))
    table = page_of(annex(of)).one("table", class_="deliveries")
    assert table.one("td", class_="date").text == text


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_reporters_text_is_shown_and_never_obeyed(text: str) -> None:
    made = html_of(annex(saying(text)))
    plain = html_of(annex(saying("uskyldig")))
    root = parse(re.sub(r"<(br|hr)\s*/>", r"<\1>", made))
    assert {n.tag for n in root.walk()} <= {n.tag for n in parse(plain).walk()} | {
        "ul", "ol", "li", "strong", "em", "code", "pre", "blockquote", "br", "hr", "p", "a",
    }  # fmt: skip
    assert not [a for a in root.every("a") if not a.attributes.get("href", "#").startswith(("#", "http"))]
    assert not [n for n in root.walk() if any(name.startswith("on") for name in n.attributes)]


def test_a_text_in_a_plain_cell_stands_as_it_was_written() -> None:
    text = HOSTILE["markup"]
    names = [th.text for th in page_of(annex(saying(text))).every("th", scope="row")]
    assert names.count(text) >= 3


def test_a_preliminary_and_a_corrected_edition_say_so() -> None:
    plan = initiative("Tiltak")
    draft = html_of(annex(document(plan, status="preliminary")))
    replaced = [{"code": "replaces", "targetIdentifier": {"value": "2021-11"}}]
    corrected = html_of(
        annex(document(plan, status="amended", relatesTo=replaced, event=[{"code": [{"text": "Feil farge"}]}]))
    )
    assert "Dette er ingen publisert utgave" in draft
    assert "den erstatter 2021-11. Feil farge" in corrected
    assert "ingen publisert utgave" not in corrected


def test_axe_finds_no_fault_and_nothing_hangs_over_the_edge(edition: Resource, browser, tmp_path) -> None:  # noqa: F811
    """Some initiatives of each chapter, and the long words; axe takes minutes for all forty."""
    report = edition["entry"][0]["resource"]
    for section in report["section"]:
        section["section"] = section.get("section", [])[:2]
    wrong = []
    for name, tables in (("facts", annex(edition)), ("long", annex(saying(HOSTILE["long word"])))):
        file = tmp_path / f"{name}.html"
        file.write_text(html_of(tables), "utf-8")
        window = opened(browser)
        window.goto(file.as_uri())
        window.evaluate(AXE.read_text("utf-8"))
        for width in (320, 1280):
            window.set_viewport_size({"width": width, "height": 900})
            if window.evaluate("document.documentElement.scrollWidth") > width:
                wrong.append(f"{name} is wider than {width} px")
        wrong += faults(window, name, RULES)
        window.screenshot(path=tmp_path / f"{name}.png")
        window.context.close()
    assert wrong == []
