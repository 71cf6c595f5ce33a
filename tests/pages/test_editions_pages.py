"""The pages of editions: what was published, how to have it, cite it and verify it; and who sees one to come."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from server.editions import faults, keys_of
from server.pages.editions.facts import facts
from tests.pages.bureau import HOME, Bureau, C, Person, bureau_in

TWO = f"identifier={C}/sid/tiltaksnummer|NEP-0025,{C}/sid/tiltaksnummer|NEP-0012"


@pytest.fixture(scope="module")
def bureau(portfolio: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bureau]:
    """November 2021 published; 2026-11 published with NEP-0012 missing, corrected, and 2026-12 open. Nothing more is
    written to it."""
    folder = Path(shutil.copytree(portfolio, tmp_path_factory.mktemp("editions") / "copy"))
    with bureau_in(folder) as bureau:
        office = Person(bureau, "secretariat")

        def close(number: str, **fields: str) -> None:
            form = office.page(f"/runder/{number}").one("section", id="closing").one("form")
            assert office.submit(form, confirm="true", **fields).status_code == 303

        close("2021-11")
        for number in ("2026-11", "2026-12"):
            form = office.page("/runder").one("section", id="opening").one("form")
            given = {"title": number, "start": f"{number}-01", "end": f"{number}-28", "initiatives": TWO}
            assert office.submit(form, number=number, step="open", **given).status_code == 303
        bureau.submit("2026-11", "NEP-0025")
        close("2026-11", force="true", title="Høsten 2026")
        form = office.page("/runder/2026-11").one("section", id="correcting").one("form")
        chosen = {"report-NEP-0025": f"Task/{bureau.report('2026-11', 'NEP-0025')['id']}"}
        assert office.submit(form, reason="Feil farge i HELIKS", **chosen).status_code == 303
        bureau.submit("2026-11", "NEP-0025", "rod")
        close("2026-11")
        yield bureau


@pytest.fixture(scope="module")
def office(bureau: Bureau) -> Person:
    return Person(bureau, "secretariat")


@pytest.fixture(scope="module")
def anyone(bureau: Bureau) -> Person:
    return Person(bureau)


def test_all_published_editions_stand_newest_first_with_their_digest(anyone, bureau):
    rows = anyone.page("/utgaver").rows()
    assert [row["Nummer"] for row in rows] == ["2026-11.2", "2026-11", "2021-11"]
    assert [row["Tittel"] for row in rows] == [
        "Porteføljerapport 2026-11, rettet Rettet. Erstatter 2026-11 .",
        "Høsten 2026 Endelig. Erstattet av 2026-11.2 .",
        "Porteføljerapport November 2021 Endelig.",
    ]  # fmt: skip
    for row in rows:
        (tag,) = bureau.api("GET", f"Bundle/rapport-{row['Nummer']}", role="")["meta"]["tag"]
        assert tag["code"] == f"sha-256:{row['SHA-256 av innholdet']}"


def test_one_to_come_is_for_the_secretariat(office, anyone):
    rows = {row["Nummer"]: row for row in office.page("/utgaver").rows()}
    assert (rows["2026-12"]["Publisert"], rows["2026-12"]["SHA-256 av innholdet"]) == (
        "ikke publisert",
        "ikke forseglet",
    )
    assert "2026-12" not in {row["Nummer"] for row in anyone.page("/utgaver").rows()}
    page = office.page("/utgaver/2026-12")
    assert "0 av 2 rapporterte" in page.one("main").text
    assert page.one("p", _class="remark").one("a")["href"] == "/runder/2026-12#closing"
    anyone.page("/utgaver/2026-12", 404)
    Person(office.bureau, "reporter:983658725").page("/utgaver/2026-12", 404)


def test_its_annex_is_the_signed_in_secretariats_too(office, anyone):
    for link in office.page("/utgaver/2026-12").one("ul", _class="downloads").every("a"):
        if link["href"].endswith("pdf"):
            continue  # It takes seconds to set, and tests/annex sets one.
        answer = office.get(link["href"])
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store"), link["href"]
        assert anyone.get(link["href"]).status_code in (401, 404)
    assert "ingen publisert utgave" in office.get("/utgaver/2026-12/vedlegg.html").text


def test_every_file_of_a_published_edition_is_there_for_anyone(anyone):
    links = [a for a in anyone.page("/utgaver/2026-11").one("ul", _class="downloads").every("a")]
    assert [link.text for link in links] == [
        f"{name} , Utgave 2026-11"
        for name in ("Nettside (HTML)", "PDF", "Regneark (XLSX)", "Tabeller (CSV i ZIP)", "Ressurser (NDJSON)",
                     "FHIR-dokument (JSON)")
    ]  # fmt: skip
    for link in links:
        if not link["href"].endswith("pdf"):
            assert anyone.get(link["href"]).status_code == 200, link["href"]


def test_its_counts_are_what_their_searches_find_for_anyone(anyone, bureau):
    for number, counts in {"2026-11": [1, 2], "2021-11": [40, 40]}.items():
        links = [a for a in anyone.page(f"/utgaver/{number}").every("a") if "/fhir/Task?" in a["href"]]
        assert [int(link.text) for link in links] == counts
        assert [bureau.api("GET", f"{a['href']}&_summary=count", role="")["total"] for a in links] == counts


def test_an_edition_says_who_did_not_report(anyone):
    page = anyone.page("/utgaver/2026-11")
    assert "1 av 2 rapporterte" in page.one("main").text
    (missed,) = page.one("section", aria_labelledby="missed").every("a")
    assert (missed.text, missed["href"]) == ("NEP-0012 EPJ-løftet", "/tiltak/NEP-0012")
    assert "40 av 40 rapporterte" in anyone.page("/utgaver/2021-11").one("main").text


def test_a_correction_says_why_and_what_it_replaces(anyone):
    facts_of = anyone.page("/utgaver/2026-11.2").one("section", aria_labelledby="about-edition")
    told = {div.one("dt").text: div.one("dd").text for div in facts_of.every("div")}
    assert (told["Erstatter"], told["Hvorfor den er rettet"]) == ("Utgave 2026-11", "Feil farge i HELIKS")
    assert anyone.page("/utgaver/2026-11").one("p", _class="remark").one("a")["href"] == "/utgaver/2026-11.2"


def test_the_command_that_verifies_it_names_what_there_is(anyone):
    page = anyone.page("/utgaver/2021-11")
    command = page.one("pre").text
    document, keys = re.findall(r"http://\S+", command)
    assert "python -m server verify rapport-2021-11.json --keys" in command
    raw, known = anyone.get(document).content, keys_of(anyone.get(keys).json())
    assert faults(raw, known) == []
    assert page.one("section", aria_labelledby="verify").every("code")[1].text == known[0].thumbprint()


def test_it_is_cited_by_its_lasting_address_and_digest(anyone, bureau):
    cited = anyone.page("/utgaver/2021-11?lang=en").one("blockquote").text
    assert f"{HOME}/utgaver/2021-11" in cited
    assert cited.startswith("Porteføljekontoret: Porteføljerapport November 2021")
    assert facts(anyone.get("/fhir/Bundle/rapport-2021-11").content).sealed.digest in cited


def test_the_portfolio_as_of_an_edition_is_one_link_away(anyone):
    link = next(
        a
        for a in anyone.page("/utgaver/2026-11?lang=en").every("a")
        if "_asOf=rapport" in a["href"] and a["href"].startswith("/?")
    )
    assert link["href"] == "/?lang=en&_asOf=rapport%7C2026-11&round=2026-11"
    page = anyone.page(link["href"])
    assert "You see the portfolio as it stood on" in page.one("aside").text
    rows = {row["Initiative"]: row for row in page.rows()}
    assert rows["HELIKS"]["Status"] == "Yellow"


@pytest.mark.parametrize(
    "url", ["/?_asOf=rapport|2026-11", "/tiltak/NEP-0025?_asOf=rapport|2026-11", "/runder?_asOf=rapport|2026-11"]
)
def test_any_page_may_be_had_as_of_an_edition(anyone, url):
    page = anyone.page(url)
    assert "Du ser porteføljen slik den sto" in page.one("aside").text
    assert page.one("footer").every("a")[0]["href"].count("_asOf=20") == 1


@pytest.mark.parametrize("number", ["1999-01", "x%2Fy", "2021-11.9", "%C3%A5", "$x"])
def test_an_edition_that_there_is_not_is_404(anyone, number):
    anyone.page(f"/utgaver/{number}", 404)


def test_an_edition_as_of_which_nothing_is_shown_is_refused(anyone):
    assert anyone.page("/?_asOf=rapport|1999-01", 400).one("ul", _class="faults").one("code").text == "_asOf"


def test_facts_of_a_document_without_seal_are_empty_and_no_fault():
    read = facts(
        b'{"resourceType":"Bundle","meta":{},"entry":[{"resource":{"resourceType":"Task","status":"completed"}}]}'
    )
    assert (read.asked, read.sealed.digest, read.sealed.key) == (0, "", "")
    broken = b'{"meta":{"tag":[{"code":"sha-256:ab"}]},"entry":[],"signature":{"data":"%%%"}}'
    assert (facts(broken).sealed.digest, facts(broken).sealed.algorithm) == ("ab", "")


def test_what_was_kept_of_a_document_is_told_to_nobody_who_may_not_search_it(anyone, bureau):
    assert "NEP-0012" in anyone.page("/utgaver/2026-11").text
    token = bureau.tokens.issue("reader", "", timedelta(minutes=5), scope="system/Task.rs system/Composition.rs")
    answer = anyone.get("/utgaver/2026-11", Authorization=f"Bearer {token}")
    assert answer.status_code == 403
    assert "NEP-0012" not in answer.text
