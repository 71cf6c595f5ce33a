"""Who waits for whom, where plans contradict each other, and what a slip breaks: the pages against the API."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any
from urllib.parse import quote

import pytest

from server.interaction.search import search
from tests.pages.conftest import Reader
from tests.pages.html import Node

Resource = dict[str, Any]
STATES = "requested,received,accepted,in-progress,on-hold"
SYSTEM = "http://eportefolje.example/fhir/CodeSystem"


def parts(row: Resource, name: str) -> list[Resource]:
    return [one for one in row["part"] if one["name"] == name]


def answer(page: Reader, operation: str, name: str) -> list[Resource]:
    found = page.client.get(f"/fhir/{operation}")
    assert found.status_code == 200, found.text
    return [one for one in found.json()["parameter"] if one["name"] == name]


def total(page: Reader, url: str) -> int:
    """How many the API finds by a link of the page, refusing what it does not know."""
    path = url.removeprefix("http://registry.example")
    found = page.client.get(f"{path}&_summary=count", headers={"Prefer": "handling=strict"})
    assert found.status_code == 200, found.text
    return found.json()["total"]


def section(page: Reader, id: str, url: str = "/avhengigheter") -> Node:
    return page(url).one("section", id=id)


def listed(page: Reader, query: str = "") -> Node:
    return page(f"/avhengigheter?{query}").one("section", id="list")


@pytest.fixture(scope="module")
def node(page: Reader) -> Node:
    return page("/avhengigheter")


@pytest.fixture(scope="module")
def page(site):
    return Reader(site)


class TestMatrix:
    def test_it_has_every_cell_of_the_operation_and_no_other(self, page, node):
        expected = {}
        for one in answer(page, "PlanDefinition/$dependencies", "cell"):
            waits = parts(one, "waits")[0]["valueReference"]["display"]
            named = parts(one, "counterpart")
            counterpart = named[0]["valueReference"]["display"] if named else "Ingen kjent aktør"
            count = {name: parts(one, name)[0]["part"][0]["valueInteger"] for name in ("unmet", "critical")}
            if count["unmet"]:
                expected[waits, counterpart] = (count["unmet"], count["critical"])
        found = {}
        for row in node.one("table", _class="stack matrix").one("tbody").every("tr"):
            for cell in row.every("td")[1:]:
                if opened := cell.every("a", _class="open"):
                    said = [int(a.text.split()[0]) for a in cell.every("a")[1:] if "kritisk" in a.text]
                    number = int(opened[0].one("span", aria_hidden="true").text)
                    found[row.one("th").text, cell["data-label"]] = (number, *(said or [0]))
        assert found == expected
        assert len(expected) == 47

    def test_each_number_leads_to_a_search_that_counts_the_same(self, page, node):
        rows = (
            node.one("details").one("tbody").every("tr")
            if len(node.every("details")) == 1
            else (node.every("details")[0].one("tbody").every("tr"))
        )
        assert len(rows) == 47
        links = [a for row in rows[::5] for a in row.every("a")]
        assert [total(page, a["href"]) for a in links] == [int(a.text) for a in links]

    def test_each_number_leads_to_a_list_that_is_as_long(self, page, node):
        links = node.one("table", _class="stack matrix").one("tbody").every("a")
        numbers = [a for a in links if "/avhengigheter?" in a["href"]]
        for a in numbers[::20]:
            said = int(re.sub(r"\D.*", "", a.text))
            assert len(listed(page, a["href"].partition("?")[2].partition("#")[0]).rows()) == said

    def test_the_sums_count_each_dependency_once(self, page, node):
        tiles = {div.one("dt").text: div for div in node.one("dl", _class="tiles").every("div")}
        counted = {name: int(div.one("strong").text) for name, div in tiles.items()}
        # 91 in COUNTS.md, of them 3 «Oppfylt».
        assert counted == {
            "Åpne avhengigheter": 88, "Av høy kritikalitet": 63, "I strid med en plan": 6,
            "Uten svar fra motparten": 88,
        }  # fmt: skip
        for name, div in tiles.items():
            assert total(page, div.one("a", _class="resource")["href"]) == counted[name]

    def test_it_can_be_read_by_ear(self, node):
        table = node.one("table", _class="stack matrix")
        assert table.one("caption").text.startswith("Åpne avhengigheter")
        assert {th["scope"] for th in table.one("thead").every("th")} == {"col"}
        assert {th["scope"] for th in table.one("tbody").every("th")} == {"row"}
        blank = table.every("td", _class="blank")
        assert blank
        assert all(td.text == "ingen" for td in blank)


class TestConflicts:
    def test_it_says_what_the_operation_says(self, page):
        for lang in ("nb", "en"):
            said = [li.one("p").text for li in section(page, "conflicts", f"/avhengigheter?lang={lang}").every("li")
                    if li.every("p")]  # fmt: skip
            expected = answer(page, "PlanDefinition/$dependencies", "conflict")
            words = [
                parts(one, lang)[0]["valueString"] for one in expected
                if parts(one, "kind")[0]["valueCode"] != "unaccepted"
            ]  # fmt: skip
            perhaps = {"nb": " mulig", "en": " possible"}[lang]
            assert [one.removesuffix(perhaps).rstrip(".") for one in said[: len(words)]] == words
            assert [one.endswith(perhaps) for one in said[: len(words)]] == [False, False, True, True]
            assert len(said) == len(words) + 25

    def test_each_kind_says_how_many(self, node):
        heads = [h3.text for h3 in node.one("section", id="conflicts").every("h3")]
        assert heads == [
            "Venter på hverandre i ring (2)",
            "Stanset eller utgått (0)",
            "Motparten har sagt nei (0)",
            "Trengs før det kommer (2)",
            "Ingen har godtatt det (88)",
        ]

    def test_the_initiatives_in_it_are_linked(self, page, node):
        first = node.one("h3", id="clash-cycle").text and node.every("ul", _class="clashes")[0].every("li")[0]
        names = [a.text for a in first.every("a")]
        assert first.one("p").text.startswith("Tiltakene venter på hverandre i ring: " + " → ".join(names))
        assert page(first.every("a")[0]["href"]).one("h1").text == names[0]


class TestUnknown:
    def test_what_names_no_known_actor_is_not_lost(self, page, node):
        rows = node.one("section", id="unknown").rows()
        assert len(rows) == 33
        named = Counter(row["Rapportert motpart"] for row in rows)
        assert named["Registerforvaltere"] == 0
        link = node.one("section", id="unknown").one("p", _class="api").every("a")[-1]["href"]
        assert total(page, link) == 33
        assert len(listed(page, "counterpart=none").rows()) == 33


class TestList:
    @pytest.mark.parametrize(
        ("query", "search"),
        [
            ("", ""),
            ("waits=helsedirektoratet", "&requester:Organization.identifier=983544622"),
            ("counterpart=norsk-helsenett", "&counterpart:Organization.identifier=994598759"),
            ("counterpart=994598759", "&counterpart:Organization.identifier=994598759"),
            ("counterpart=none", "&counterpart:missing=true"),
            ("criticality=hoy", f"&criticality={SYSTEM}/nep-criticality|hoy"),
            ("waits=helse-sor-ost&counterpart=norsk-helsenett&criticality=hoy",
             f"&requester:Organization.identifier=991324968&counterpart:Organization.identifier=994598759"
             f"&criticality={SYSTEM}/nep-criticality|hoy"),
        ],
    )  # fmt: skip
    def test_the_filters_find_what_the_api_finds(self, page, query, search):
        asked = f"/fhir/Task?code=avhengighet&status={STATES}&based-on:PlanDefinition.status=active{search}"
        expected = total(page, asked)
        found = listed(page, query)
        assert len(found.rows()) == expected > 0
        assert total(page, found.one("p", _class="api").one("a")["href"]) == expected

    @pytest.mark.parametrize(("conflict", "many"), [("any", 6), ("cycle", 4), ("early", 2), ("unaccepted", 88)])
    def test_a_kind_of_conflict_leaves_the_dependencies_in_it(self, page, conflict, many):
        found = listed(page, f"conflict={conflict}")
        assert len(found.rows()) == many
        assert total(page, found.one("p", _class="api").one("a")["href"]) == many

    def test_what_is_not_in_conflict_with_anything_is_empty(self, page):
        assert "Ingen avhengigheter svarer" in listed(page, "conflict=rejected").text

    def test_the_earliest_deadline_is_first_and_what_is_late_is_said(self, page):
        rows = listed(page).rows()
        dues = [row["Frist"].split()[0] for row in rows if row["Frist"] != "ikke oppgitt"]
        turned = [".".join(reversed(due.split("."))) for due in dues]
        assert turned == sorted(turned)
        # Dependencies due before the round's end; the source says 6 before 2021-11-01.
        late = f"/fhir/Task?code=avhengighet&status={STATES}&based-on:PlanDefinition.status=active&due=eb2021-11-30"
        assert sum("forfalt" in row["Frist"] for row in rows) == total(page, late)

    def test_the_choice_stays_in_the_form_and_goes_with_the_links(self, page):
        node = page("/avhengigheter?waits=983544622&conflict=unaccepted&lang=en")
        form = node.one("section", id="list").one("form")
        assert [o.text for o in form.every("option", selected="")] == ["Helsedirektoratet", "Nobody has accepted it"]
        assert {i["name"]: i["value"] for i in form.every("input", type="hidden")} == {"lang": "en"}
        assert all("lang=en" in a["href"] for a in node.one("section", id="matrix").every("a") if "?" in a["href"]
                   and "/fhir/" not in a["href"])  # fmt: skip

    @pytest.mark.parametrize(
        "query",
        ["waits=ingen-slik", "counterpart=tull", "criticality=mest", "conflict=krangel", "page=0", "page=x", "foo=bar",
         "round=1999-01"],
    )  # fmt: skip
    def test_a_wrong_choice_is_explained(self, page, query):
        node = page(f"/avhengigheter?{query}", 400)
        assert node.one("ul", _class="faults").one("code").text == query.partition("=")[0]

    def test_a_page_of_the_past_has_links_to_the_past(self, page):
        instant = page.client.get("/fhir/Task?_count=1").json()["meta"]["lastUpdated"]
        node = page(f"/avhengigheter?_asOf={quote(instant)}")
        assert all(f"_asOf={instant}" in a["href"] for a in node.one("section", id="list").every("a"))
        assert "Ingen åpne avhengigheter" in page("/avhengigheter?_asOf=2020-01-01T00:00:00Z").one("main").text


def first_slip(page: Reader) -> str:
    node = page("/tiltak/NEP-0004").one("section", id="deliveries")
    return next(a["href"] for a in node.every("a", _class="slip"))


class TestImpact:
    def test_an_initiative_s_open_deliveries_lead_to_it_and_the_done_ones_do_not(self, page):
        rows = page("/tiltak/NEP-0004").one("section", id="deliveries").one("tbody").every("tr")
        assert {row["class"]: len(row.every("a", _class="slip")) for row in rows} == {"done": 0, "open": 1}

    def test_it_says_what_the_operation_says(self, page):
        url = "/fhir/Task?code=leveranse&description=1.%20Go%20Live"
        task = page.client.get(url).json()["entry"][0]["resource"]["id"]
        for lang in ("nb", "en"):
            node = page(f"/avhengigheter/virkning?task={task}&days=90&lang={lang}")
            effects = answer(page, f"Task/{task}/$impact?days=90", "effect")
            assert len(effects) == 5
            said = [th.one("p").text.rstrip(".") for th in node.one("table").one("tbody").every("th")]
            assert said == [parts(one, lang)[0]["valueString"] for one in effects]
        rows = node.rows()
        assert rows[0]["For whom"] == "SAFEST Helse Midt-Norge RHF"
        assert {row["How sure"] for row in rows} == {"possible"}

    def test_the_days_can_be_changed(self, page):
        node = page(f"{first_slip(page)}&lang=nb")
        form = node.one("main").one("form")
        assert form.one("input", id="days")["value"] == "90"
        hidden = "&".join(f"{i['name']}={i['value']}" for i in form.every("input", type="hidden"))
        again = page(f"{form['action']}?{hidden}&days=1")
        assert "Kommer det 1 dager senere" in again.one("p", _class="lead").text

    @pytest.mark.parametrize(
        ("query", "status"),
        [("", 400), ("task=%2E%2E%2F", 400), ("task=finnes-ikke", 404), ("task={done}", 422),
         ("task={open}&days=0", 400), ("task={open}&days=3651", 400), ("task={open}&days=snart", 400),
         ("task={open}&foo=bar", 400)],
    )  # fmt: skip
    def test_what_cannot_be_answered_is_explained(self, page, query, status):
        ids = {
            name: page.client.get(f"/fhir/Task?code=leveranse&status={state}&due:missing=false&_count=1").json()[
                "entry"
            ]
            for name, state in (("done", "completed"), ("open", "in-progress,ready"))
        }
        asked = query.format(**{name: entry[0]["resource"]["id"] for name, entry in ids.items()})
        assert page(f"/avhengigheter/virkning?{asked}", status).one("ul", _class="faults").text


@pytest.mark.parametrize("url", ["/avhengigheter", "/avhengigheter?conflict=early"])
def test_the_searches_are_few(page, monkeypatch, url):
    asked = []

    async def counted(engine, caller, resource_type, pairs, **given):
        asked.append(resource_type)
        return await search(engine, caller, resource_type, pairs, **given)

    monkeypatch.setattr("server.pages.house.search", counted)
    monkeypatch.setattr("server.portfolio.gather.search", counted)
    page(url)
    # Whether the newest round has reports; the actors; initiatives; dependencies; deliveries to come.
    assert asked == ["Task", "Organization", "PlanDefinition", "Task", "Task"]
