"""All actors, and the page of each: what it owes, what is owed to it, and what is late. November 2021."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.interaction.search import search
from tests.pages.conftest import Reader
from tests.pages.html import Node, parse
from tests.pages.test_portfolio import END, sheet
from tests.portfolio.office import Office, flag, office_in

Resource = dict[str, Any]
SITE = "http://registry.example"
UNMET = "requested,received,accepted,in-progress,on-hold"
COUNTED = {"Aktive tiltak", "Åpne leveranser", "Forfalte leveranser", "Andre venter på", "Venter på andre"}


@pytest.fixture(scope="module")
def page(site):
    return Reader(site)


def total(page: Reader, url: str) -> int:
    found = page.client.get(f"{url.removeprefix(SITE)}&_summary=count", headers={"Prefer": "handling=strict"})
    assert found.status_code == 200, found.text
    return found.json()["total"]


def tiles(node: Node) -> dict[str, Node]:
    return {div.one("dt").text: div for div in node.one("dl", _class="tiles").every("div")}


def open_deliveries() -> Counter[str]:
    """By the actor of the initiative, as the report names it."""
    actors = {row["initiative_id"]: row["actor"] for row in sheet("initiatives")}
    rows = (row for row in sheet("deliveries") if row["delivered"] not in ("Ja", "Omdefinert"))
    return Counter(actors[row["initiative_id"]] for row in rows)


class TestAll:
    def test_the_figures_are_those_of_the_report(self, page):
        rows = {row["Aktør"]: row for row in page("/aktorer").rows()}
        owned = Counter(row["actor"] for row in sheet("initiatives"))
        named = {"Norsk Helsenett": "Norsk helsenett SF", "Helse Vest": "Helse Vest RHF", "KS": "KS",
                 "Direktoratet for e-helse": "Direktoratet for e-helse", "Oslo kommune": "Oslo kommune"}  # fmt: skip
        for printed, name in named.items():
            assert int(rows[name]["Aktive tiltak"]) == owned[printed]
            assert int(rows[name]["Åpne leveranser"]) == open_deliveries()[printed]
        assert sum(int(row["Aktive tiltak"]) for row in rows.values()) == 40
        assert sum(int(row["Åpne leveranser"]) for row in rows.values()) == 91 + 66
        assert sum(int(row["Forfalte leveranser"].split()[0]) for row in rows.values()) == 14
        assert sum(int(row["Venter på andre"]) for row in rows.values()) == 88

    def test_each_figure_leads_to_a_search_that_counts_the_same(self, page):
        rows = page("/aktorer").one("table").one("tbody").every("tr")
        links = [a for row in rows for cell in row.every("td", _class="figure") for a in cell.every("a")]
        assert len(links) > 50
        for a in links[::3]:
            assert total(page, a["href"]) == int(a.text.split()[0]), a["href"]

    def test_they_stand_in_norwegian_order_and_those_without_a_part_are_apart(self, page):
        node = page("/aktorer")
        names = [row["Aktør"] for row in node.rows()]
        assert names[:3] == ["Apotekkjeder", "Direktoratet for e-helse", "EPJ-leverandører"]
        assert names.index("Helse Vest RHF") < names.index("Helse- og omsorgsdepartementet") < names.index("KS")
        assert [li.text for li in node.one("main").every("ul")[-1].every("li")] == [
            "Nasjonalt e-helseråd", "Porteføljekontoret",
        ]  # fmt: skip

    def test_each_has_a_page_of_its_own(self, page):
        for a in page("/aktorer").one("tbody").every("a"):
            if "/aktorer/" in a["href"]:
                assert page(a["href"]).one("h1").text == a.text


class TestOne:
    def test_the_figures_lead_to_searches_that_count_the_same(self, page):
        for key in ("direktoratet-for-e-helse", "norsk-helsenett", "helsedirektoratet", "helse-sor-ost"):
            found = tiles(page(f"/aktorer/{key}"))
            assert set(found) == COUNTED
            for tile in found.values():
                a = tile.one("strong").one("a")
                assert total(page, a["href"]) == int(a.text), (key, a["href"])

    @pytest.mark.parametrize("key", ["norsk-helsenett", "994598759"])
    def test_it_is_found_by_short_name_and_by_number(self, page, key):
        node = page(f"/aktorer/{key}")
        assert node.one("h1").text == "Norsk helsenett SF"
        assert node.one("section", id="about").one("p", _class="api").one("a")["href"].startswith(f"{SITE}/fhir/Organ")

    @pytest.mark.parametrize(
        ("url", "status"),
        [("/aktorer/ingen-slik", 404), ("/aktorer/%2E%2E", 404), ("/aktorer/ks?foo=bar", 400),
         ("/aktorer?foo=bar", 400), ("/aktorer/ks?round=1999-01", 400), ("/aktorer/ks/kalender", 404)],
    )  # fmt: skip
    def test_what_there_is_not_is_said(self, page, url, status):
        assert page.client.get(url).status_code == status

    def test_what_is_late_is_what_the_report_says_was_due(self, page):
        actors = {row["initiative_id"]: row["actor"] for row in sheet("initiatives")}
        expected = sorted(
            row["name"]
            for row in sheet("deliveries")
            if actors[row["initiative_id"]] == "Helsedirektoratet"
            and row["delivered"] not in ("Ja", "Omdefinert")
            and "" < row["due_date"] < END
        )
        table = page("/aktorer/helsedirektoratet").one("table", aria_labelledby="late-caption")
        late = [th.text.split(" FHIR")[0] for th in table.one("tbody").every("th")]
        assert sorted(late) == expected
        assert len(expected) == 6
        assert all("forfalt" in tr.text for tr in table.one("tbody").every("tr"))

    def test_coming_deliveries_stand_by_deadline(self, page):
        table = page("/aktorer/direktoratet-for-e-helse").one("table", aria_labelledby="coming-caption")
        days = [cell.one("time")["datetime"] for cell in table.every("td", data_label="Frist")]
        assert len(days) == 24
        assert days == sorted(days)

    def test_what_others_wait_for_is_what_the_cookbook_finds(self, page):
        node = page("/aktorer/norsk-helsenett")
        table = node.one("table", aria_labelledby="owed-caption")
        rows = table.one("tbody").every("tr")
        asked = "/fhir/Task?code=avhengighet&counterpart:Organization.identifier=994598759&status=requested,received"
        assert len(rows) == total(page, asked) == 14
        assert tiles(node)["Andre venter på"].one("span", _class="aside").text == "14 venter på svar"

    def test_what_it_waits_for_says_of_whom(self, page):
        table = page("/aktorer/helse-vest").one("table", aria_labelledby="waiting-caption")
        asked = f"/fhir/Task?code=avhengighet&requester:Organization.identifier=983658725&status={UNMET}"
        rows = table.one("tbody").every("tr")
        assert len(rows) == total(page, asked) == 6
        assert any("HelseID løsningen" in row.text for row in rows)

    def test_an_owner_is_linked_from_its_initiatives(self, page):
        front = page("/?owner.name=Helse%20Vest").one("tbody").every("td", data_label="Aktør")
        assert {cell.one("a")["href"] for cell in front} == {"/aktorer/helse-vest"}
        links = [a for a in page("/tiltak/NEP-0025").every("a") if a.attributes.get("href") == "/aktorer/helse-vest"]
        assert [a.text for a in links] == ["Helse Vest RHF"] * 2

    def test_english_keeps_the_names_norwegian(self, page):
        node = page("/aktorer/helse-vest?lang=en")
        assert node.one("h1")["lang"] == "nb"
        assert set(tiles(node)) == {
            "Active initiatives", "Open deliveries", "Overdue deliveries", "Others wait for", "Waits for others",
        }  # fmt: skip

    def test_before_the_first_write_there_was_nobody(self, page):
        assert "Ingen aktører" in page("/aktorer?_asOf=2020-01-01T00:00:00Z").one("main").text
        assert page.client.get("/aktorer/ks?_asOf=2020-01-01T00:00:00Z").status_code == 404


@pytest.mark.parametrize(
    ("url", "few"),
    [
        # Whether the newest round has reports; the actors; then all initiatives, dependencies, deliveries to come.
        ("/aktorer", ["Task", "Organization", "PlanDefinition", "Task", "Task"]),
        # The initiatives, deliveries, what it owes and is owed, and open rounds of one.
        ("/aktorer/helsedirektoratet", ["Task", "Organization", "PlanDefinition", "Task", "Task", "Task", "Task"]),
    ],
)
def test_the_searches_are_few(page, monkeypatch, url, few):
    asked = []

    async def counted(engine, caller, resource_type, pairs, **given):
        asked.append(resource_type)
        return await search(engine, caller, resource_type, pairs, **given)

    monkeypatch.setattr("server.pages.house.search", counted)
    monkeypatch.setattr("server.portfolio.gather.search", counted)
    page(url)
    assert asked == few


@pytest.fixture(scope="module")
def office(portfolio: Path, site: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A copy that may be written to: a round is open, and a delivery of HELIKS was moved twice."""
    folder = Path(shutil.copytree(portfolio, tmp_path_factory.mktemp("actors") / "copy"))
    with office_in(folder) as office:
        assert office.open("2026-11").status_code == 201
        task = moved(office)
        for due in ("2026-03-31", "2026-06-30"):
            task["restriction"]["period"]["end"] = due
            answer = office.put(task)
            assert answer.status_code == 200, answer.text
            task = answer.json()
        yield office


def moved(office: Office) -> Resource:
    (task, *_) = office.found("Task?code=leveranse&based-on:PlanDefinition.title=HELIKS&status=in-progress&_sort=_id")
    return task


def seen(office: Office, url: str, by: httpx.AsyncClient | None = None) -> Node:
    answer = office.run((by or office.anonymous).get(f"{SITE}{url}", headers={"Accept-Language": "nb"}))
    assert answer.status_code == 200, answer.text
    return parse(answer.text)


class TestLater:
    def test_a_delivery_that_was_moved_says_from_when_and_how_often(self, office):
        table = seen(office, "/aktorer/helse-vest?round=2021-11").one("table", aria_labelledby="coming-caption")
        task = moved(office)
        row = next(tr for tr in table.one("tbody").every("tr") if tr.one("th").text.startswith(task["code"]["text"]))
        cells = {td["data-label"]: td for td in row.every("td")}
        assert cells["Frist"].one("time")["datetime"] == "2026-06-30"
        first = cells["Først planlagt"].one("time")["datetime"]
        assert first in {row["due_date"] for row in sheet("deliveries") if row["initiative_id"] == "heliks"}
        assert cells["Flyttet"].text.startswith("2 ganger")
        assert cells["Flyttet"].text.endswith("dager senere")

    def test_anyone_sees_what_a_round_asks_and_only_the_actor_how_far_it_has_come(self, office):
        asked = {name: seen(office, "/aktorer/helse-vest", by).one("section", id="owes").every("ul")[0]
                 for name, by in (("anyone", None), ("own", office.client("reporter", "983658725")),
                                  ("other", office.client("reporter", "983658776")))}  # fmt: skip
        names = ["Alle møter", "HELIKS", "Interregional Digital Patologi"]
        assert sorted(li.text for li in asked["anyone"].every("li")) == names
        assert asked["anyone"].text == asked["other"].text
        assert sorted(li.text for li in asked["own"].every("li")) == [f"{name} : Ikke startet" for name in names]

    def test_the_organisations_below_it_are_listed(self, office):
        (parent,) = office.found("Organization?identifier=983658725")
        number = [
            {"system": "urn:oid:2.16.578.1.12.4.1.4.101", "value": "983974724"},
            {**parent["identifier"][-1], "value": "helse-bergen"},
        ]
        child = {**{key: parent[key] for key in ("resourceType", "type")}, "name": "Helse Bergen HF", "active": True,
                 "identifier": number, "partOf": {"reference": f"Organization/{parent['id']}"}}  # fmt: skip
        answer = office.run(office.secretariat.post("Organization", json=child))
        assert answer.status_code == 201, answer.text
        below = seen(office, "/aktorer/helse-vest").one("section", id="about").every("li")
        assert [li.text for li in below] == ["Helse Bergen HF"]
        assert below[0].one("a")["href"] == "/aktorer/helse-bergen"
        assert "Helse Vest RHF" in seen(office, "/aktorer/983974724").one("section", id="about").text

    def test_every_page_is_shown_as_an_edition_saw_it(self, office):
        assert office.close("2026-11", flag("force", True)).status_code == 200
        for url in ("/", "/tiltak/NEP-0025", "/avhengigheter", "/aktorer", "/aktorer/helse-vest"):
            node = seen(office, f"{url}?_asOf=rapport|2026-11")
            assert "slik den sto" in node.one("aside", _class="banner").text
            assert any("_asOf=rapport" in a["href"] for a in node.one("main").every("a"))
        assert "Ingen runde er åpen." in node.one("section", id="owes").text
