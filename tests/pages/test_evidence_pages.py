"""The page of disagreements: November 2021 as its round left it, and the same seen from later."""

from __future__ import annotations

import pytest

from server.portfolio.evidence import rule
from tests.pages.conftest import Reader
from tests.pages.html import Node


@pytest.fixture
def disagreements(page: Reader) -> Node:
    return page("/avvik?round=2021-11")


def tiles(page: Node) -> list[str]:
    return [one.text for one in page.one("dl", _class="tiles").every("div")]


def test_seven_initiatives_report_a_better_colour_than_the_facts(disagreements: Node) -> None:
    rows = disagreements.rows()
    assert [(one["Nummer"], one["Oppgitt"], one["Fakta"].split()[0]) for one in rows] == [
        ("NEP-0010", "Grønn", "Rød"),
        ("NEP-0005", "Gul", "Rød"),
        ("NEP-0007", "Gul", "Rød"),
        ("NEP-0011", "Gul", "Rød"),
        ("NEP-0019", "Grønn", "Gul"),
        ("NEP-0032", "Gul", "Rød"),
        ("NEP-0033", "Gul", "Rød"),
    ]
    assert rows[0]["Fakta"] == "Rød 2 trinn dårligere enn oppgitt"
    assert rows[1]["Fakta"] == "Rød ett trinn dårligere enn oppgitt"
    assert "Kritiske avhengigheter over fristen: 1, lengst 364 dager" in rows[0]["Årsaker"]
    assert disagreements.one("p", _class="lead").text.endswith(
        "Runde November 2021, forsinkelser regnet per 30.11.2021."
    )


def test_the_lasting_link_shows_the_same(page: Reader, disagreements: Node) -> None:
    link = next(one["href"] for one in disagreements.one("footer").every("a") if "_asOf" in one["href"])
    assert page(link).rows() == disagreements.rows()


def test_the_summary_counts_the_colours_of_both_kinds(disagreements: Node) -> None:
    assert tiles(disagreements) == [
        "Oppgitt bedre enn fakta 7 av 40 tiltak som har begge fargene",
        "Av dem to trinn bedre 1",
        "Oppgitt 19 Grønn 20 Gul 1 Rød",
        "Fakta 28 Grønn 6 Gul 6 Rød",
    ]


def test_all_initiatives_stand_there_when_asked_for(page: Reader, disagreements: Node) -> None:
    link = next(one for one in disagreements.every("a") if "alle 40" in one.text)
    rows = page(link["href"]).rows()
    assert len(rows) == 40
    assert sum("bedre enn oppgitt" in one["Fakta"] for one in rows) == 11
    assert sum("dårligere" in one["Fakta"] for one in rows) == 7
    assert page("/avvik?round=2021-11&all=true&page=2").one("p", _class="empty")


def test_each_reason_leads_to_what_it_was_found_in(page: Reader, disagreements: Node) -> None:
    for reasons in disagreements.every("ul", _class="reasons")[:4]:
        for link in reasons.every("a"):
            answer = page.client.get(link["href"])
            assert answer.status_code == 200
            named = int(link.text.partition(": ")[2].partition(",")[0]) if "over fristen" in link.text else 1
            assert answer.json().get("total", 1) == named


def test_each_initiative_leads_to_its_page_and_to_its_review(page: Reader, disagreements: Node) -> None:
    links = disagreements.one("tbody").every("tr")[0].one("th").every("a")
    assert [one["href"] for one in links] == [
        "/tiltak/NEP-0010?round=2021-11", "/runder/2021-11/gjennomgang/NEP-0010?round=2021-11",
    ]  # fmt: skip
    assert page(links[1]["href"]).one("h1").text == "Enklere digitale tjenester"


def test_the_rule_stands_in_words_with_its_version(page: Reader, disagreements: Node) -> None:
    for lang, node in (("nb", disagreements), ("en", page("/avvik?round=2021-11&lang=en"))):
        shown = node.one("section", id="rule")
        assert rule()["version"] in shown.one("h2").text
        assert [one.text for one in shown.every("li")] == [one["explanation"][lang] for one in rule()["signals"]]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "forsinkelser regnet per 30.11.2021."),
        ("?round=none", "Forsinkelser er regnet per"),
        ("?round=none&lang=en", "Delays are counted as of"),
    ],
)
def test_it_counts_from_the_round_or_from_today(page: Reader, query: str, said: str) -> None:
    assert said in page(f"/avvik{query}").one("p", _class="lead").text


def test_years_later_more_of_them_are_behind(page: Reader) -> None:
    later = page("/avvik?round=none").rows()
    assert len(later) > 30
    assert all("Dager siden siste statusrapport" in one["Årsaker"] for one in later)


@pytest.mark.parametrize(
    ("query", "place"), [("round=1999-01", "round"), ("all=ja", "all"), ("page=0", "page"), ("page=x", "page")]
)
def test_a_wrong_parameter_is_explained(page: Reader, query: str, place: str) -> None:
    assert page(f"/avvik?{query}", 400).one("ul", _class="faults").one("code").text == place


def test_a_day_before_everything_has_nothing_to_judge(page: Reader) -> None:
    node = page("/avvik?_asOf=2020-01-01T00:00:00Z")
    assert node.every("p", _class="empty")[0].text == "Det er ingen aktive tiltak her."
