"""The page of an initiative: everything reported of it, blanks as blanks, texts made harmless."""

from __future__ import annotations

import csv

import pytest

from server.pages.render import markdown
from tests.pages.conftest import DATA


def texts(node):
    return [row.text for row in node.one("tbody").every("tr")]


def section(node, id):
    return node.one("section", id=id)


def facts(node):
    return {div.one("dt").text: div.one("dd").text for div in node.every("dl", _class="facts")[0].every("div")}


@pytest.fixture(scope="session")
def initiatives():
    with (DATA / "portfolio-2021-11" / "initiatives.csv").open(encoding="utf-8", newline="") as file:
        return {f"NEP-{n:04}": row for n, row in enumerate(csv.DictReader(file), 1)}


def test_every_initiative_has_its_page_in_both_languages(page, initiatives):
    for number, row in initiatives.items():
        for lang in ("nb", "en"):
            node = page(f"/tiltak/{number}?lang={lang}")
            assert node.one("h1").text == row["name"]
            assert row["summary"].split(".")[0] in section(node, "about").text
            assert row["status_comment"] in section(node, "reports").text
            assert row["risk_description"] in section(node, "reports").text


def test_the_head_says_what_was_reported(page):
    assert facts(page("/tiltak/NEP-0001")) == {
        "Aktør": "Direktoratet for e-helse",
        "Segment": "Samstyre",
        "Fase": "Gjennomføre",
        "Livsløp": "Aktiv i porteføljen",
        "Publisering": "gjeldende",
        "Sluttdato": "31.12.2023",
        "Innsatsområde (2017–2022)": "1.1 Modernisere journal- og samhandlingsløsninger",
        "Strategimål (2023–2030)": "ikke oppgitt",
        "Nasjonale e-helseløsninger": "Kjernejournal",
        "Innføringsstrategi": "Styrt utprøving hos en aktør",
        "Hvem har nytte av løsningen": "Helseplattformen, sykehus, kommuner, registre og legemiddelmyndigheter.",
        "Portefølje": "Nasjonal e-helseportefølje",
        "Sist rapportert": "30.11.2021",
    }


def test_the_printed_word_stands_beside_the_code(page):
    assert facts(page("/tiltak/NEP-0040"))["Fase"] == "Realisere rapportert som «Realisering»"


def test_status_and_risk_name_their_round(page):
    node = page("/tiltak/NEP-0021")
    assert [dd.text for dd in node.one("dl", _class="tiles").every("dd")][:2] == ["Rød", "Rød"]
    assert "Status og risiko fra runde November 2021." in node.one("main").text


def test_deliveries_stand_by_deadline_with_what_is_late(page):
    rows = section(page("/tiltak/NEP-0007"), "deliveries").rows()
    assert [(row["Frist"], row["Forfalt"]) for row in rows] == [
        ("01.03.2021", "forfalt"),
        ("01.03.2021", "forfalt"),
        ("01.12.2021", "nei"),
        ("01.12.2021", "nei"),
    ]
    assert {row["Tilstand"] for row in rows} == {"Ikke oppgitt"}


def test_dependencies_say_whether_a_plan_is_agreed(page):
    rows = section(page("/tiltak/NEP-0001"), "dependencies").rows()
    assert [(row["Frist"].split()[0], row["Plan avklart"], row["Status"]) for row in rows] == [
        ("30.04.2022", "ja, ikke bekreftet", "Gul"),
        ("01.12.2023", "ikke oppgitt", "Gul"),
        ("01.12.2025", "ja, ikke bekreftet", "Gul"),
        ("01.12.2030", "ikke oppgitt", "Gul"),
    ]
    assert "/tiltak/NEP-0015" in [a["href"] for a in section(page("/tiltak/NEP-0001"), "dependencies").every("a")]


def test_a_fulfilled_dependency_is_confirmed_and_one_refused_is_not(page):
    rows = section(page("/tiltak/NEP-0008"), "dependencies").rows()
    assert ("Oppfylt", "ja, bekreftet") in {(row["Status"], row["Plan avklart"]) for row in rows}


def test_who_depends_on_an_initiative_is_shown_there(page):
    node = section(page("/tiltak/NEP-0001"), "dependents")
    assert [a.text for a in node.every("a")] == ["SAFEST"]


def test_costs_are_summed_by_year_and_source_with_blank_apart_from_nought(page):
    money = section(page("/tiltak/NEP-0005"), "costs")
    rows = {row["År"]: row["Sum"] for row in money.rows()}
    assert rows == {
        "2021": "189,0", "2022": "204,0", "2023": "ikke oppgitt", "2024": "ikke oppgitt", "2025": "0,0", "2026": "0,0",
    }  # fmt: skip
    assert money.one("tfoot").text.endswith("393,0 2 beløp ikke oppgitt")
    english = section(page("/tiltak/NEP-0004?lang=en"), "costs").one("tfoot")
    assert english.text.endswith("842.7")


def test_two_lines_of_one_solution_and_year_are_added(page):
    rows = section(page("/tiltak/NEP-0004"), "operations").rows()
    assert next(row for row in rows if row["År"] == "2024")["E-resept"] == "22,0"


@pytest.mark.parametrize(
    ("number", "value", "years"),
    [
        ("NEP-0003", "6 800 mill. kr", "15 år"),
        ("NEP-0001", "191 mill. kr", "ikke oppgitt"),
        ("NEP-0004", "ikke oppgitt", "17 år"),
        ("NEP-0005", "ikke oppgitt", "ikke oppgitt"),
    ],
)
def test_benefits_may_state_value_and_years_alone(page, number, value, years):
    said = section(page(f"/tiltak/{number}"), "benefits").every("dd")
    assert [dd.text for dd in said][:2] == [value, years]


def test_nothing_reported_is_said_so(page):
    node = page("/tiltak/NEP-0030")
    assert "Ingen kostnader er meldt." in section(node, "costs").text
    assert "Ingen avhengigheter er meldt." in section(node, "dependencies").text
    assert "ikke oppgitt" in section(node, "reports").rows()[0]["Risiko"]


def test_the_resources_behind_it_are_linked_and_answer(page):
    links = [a["href"] for a in section(page("/tiltak/NEP-0001"), "api").every("a")]
    answers = [page.client.get(link) for link in links]
    assert [answer.status_code for answer in answers] == [200] * 5
    assert [answer.json()["resourceType"] for answer in answers] == [
        "Bundle", "PlanDefinition", "Bundle", "Bundle", "Organization",
    ]  # fmt: skip
    first = section(page("/tiltak/NEP-0001"), "deliveries").every("a")[0]["href"]
    assert page.client.get(first).json()["resourceType"] == "Task"


@pytest.mark.parametrize("number", ["NEP-9999", "a,b", "x|y", "<script>", "NEP-0001,NEP-0002"])
def test_an_unknown_number_is_not_found(page, number):
    node = page(f"/tiltak/{number}", 404)
    assert node.one("h1").text == "Fant ikke siden"
    assert not node.every("script")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**Viktig** og [lenke](https://helse.example/a)",
         '<p><strong>Viktig</strong> og <a href="https://helse.example/a" rel="noopener nofollow">lenke</a></p>'),
        ("- ett\n- to", "<ul>\n<li>ett</li>\n<li>to</li>\n</ul>"),
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"),
        ("<img src=x onerror=alert(1)>", "<p>&lt;img src=x onerror=alert(1)&gt;</p>"),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
        ("[x](data:text/html,hei)", "<p>[x](data:text/html,hei)</p>"),
        ("![bilde](https://sporing.example/p.png)", "<p></p>"),
        ("# Overskrift", "Overskrift"),
        ("<https://a.example/\" onclick=alert(1)>", '<p>&lt;https://a.example/" onclick=alert(1)&gt;</p>'),
    ],
)  # fmt: skip
def test_markdown_becomes_html_that_can_do_no_harm(text, html):
    assert str(markdown(text)).strip() == html
