"""What holds for every page: language, refusals, headers, and links that keep what was chosen."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from server.pages import asked, render
from server.pages.render import Words
from server.portfolio.codes import Codes
from server.portfolio.elements import last_day
from tests.pages.conftest import Reader, Site, fill

NUMBER = "http://eportefolje.example/fhir/sid/tiltaksnummer"
PAGES = ["/", "/tiltak/NEP-0001", "/tiltak/NEP-9999", "/?foo=bar"]


class TestLanguage:
    @pytest.mark.parametrize(
        ("accepted", "lang"),
        [
            ("", "nb"),
            ("nb-NO,nb;q=0.9,en;q=0.5", "nb"),
            ("nn", "nb"),
            ("en-GB,en;q=0.9,no;q=0.2", "en"),
            ("de,en;q=0.3", "en"),
            ("de", "nb"),
            ("en;q=0.2,no;q=0.9", "nb"),
            ("en;q=0", "nb"),
            ("en;q=1.2.3", "nb"),
            ("*", "nb"),
        ],
    )
    def test_the_browser_is_asked_when_the_address_says_nothing(self, page, accepted, lang):
        assert asked.preferred(accepted) == lang
        assert page("/tiltak/NEP-0001", accept_language=accepted).one("html")["lang"] == lang

    @pytest.mark.parametrize("url", PAGES)
    def test_the_address_goes_before_the_browser_and_every_page_has_the_switch(self, page, url):
        status = page.client.get(url).status_code
        switch = {a.text: a["href"] for a in page(url, status).one("ul", _class="languages").every("a")}
        for name, lang in (("Norsk", "nb"), ("English", "en")):
            node = page(switch[name], status, accept_language="nb" if lang == "en" else "en")
            assert node.one("html")["lang"] == lang
            assert node.one("a", hreflang=lang, aria_current="true").text == name

    def test_links_between_pages_keep_the_language(self, page):
        link = page("/?lang=en").one("tbody").every("a")[0]["href"]
        assert page(link).one("html")["lang"] == "en"
        assert "lang=en" in page(link).one("nav", _class="breadcrumb").one("a")["href"]

    def test_every_text_stands_in_both_languages_and_is_used(self):
        folder = Path(render.__file__).parent
        texts = {k: v for file in folder.glob("texts/*.json") for k, v in json.loads(file.read_text("utf-8")).items()}
        assert all(set(words) == {"nb", "en"} for words in texts.values())
        holes = {key: [set(re.findall(r"{(\w+)}", text)) for text in words.values()] for key, words in texts.items()}
        assert all(nb == en for nb, en in holes.values())
        sources = [file.read_text("utf-8") for file in (*folder.rglob("*.py"), *folder.rglob("templates/**/*.html"))]
        written = "".join(sources)
        # publication.…, task.…, refusal.… and plan.… are made of a code; the rest stand where they are used.
        made = (
            "publication.", "task.", "refusal.", "plan.", "portfolio.lead.", "role.", "may.",
            "review.state.", "review.mark.", "clash.", "feed.",
            "figures.status", "figures.reporting", "figures.deliveries", "figures.dependencies", "figures.finance",
        )  # fmt: skip
        made += tuple(f"figures.{kind}." for kind in ("value", "table", "by", "alt", "lead", "delivery"))
        bare = {key.removesuffix(".one") for key in texts if not key.startswith(made)}
        assert {key for key in bare if f"'{key}'" not in written and f'"{key}"' not in written} <= {
            "costs.caption", "operations.caption",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("text", "nb", "en"),
        [
            ("2021-12-31", "31.12.2021", "31 Dec 2021"),
            ("2021-09", "september 2021", "September 2021"),
            ("2021", "2021", "2021"),
            ("2021-12-31T23:30:00Z", "01.01.2022", "1 Jan 2022"),
        ],
    )
    def test_days_are_as_precise_as_they_were_written(self, settings, text, nb, en):
        zone = ZoneInfo(settings.timezone)
        assert (Words("nb", zone).day(text), Words("en", zone).day(text)) == (nb, en)


class TestRefusals:
    @pytest.mark.parametrize(
        ("url", "place"),
        [
            ("/?foo=bar", "foo"),
            ("/?status:foo=x", "status:foo"),
            ("/?end=fredag", "end"),
            ("/?lang=sv", "lang"),
            ("/?round=1999-01", "round"),
            ("/?overdue=ja", "overdue"),
            ("/?_asOf=i-gaar", "_asOf"),
            ("/?_asOf=2999-01-01T00:00:00Z", "_asOf"),
            ("/?_include=PlanDefinition:owner", "_include"),
            ("/?_summary=count", "_summary"),
            ("/?_page=tull", ""),
            ("/?_sort=tull", ""),
            ("/tiltak/NEP-0001?round=1999-01", "round"),
        ],
    )
    def test_a_wrong_parameter_is_explained_on_a_page(self, page, url, place):
        node = page(url, 400)
        assert node.one("h1").text == "Siden kunne ikke vises slik du ba om"
        fault = node.one("ul", _class="faults")
        assert fault.text
        assert not place or fault.one("code").text == place
        assert page(node.one("main").every("a")[-1]["href"]).rows()

    def test_the_text_is_that_of_the_api(self, page):
        said = page.client.get("/fhir/PlanDefinition?end=fredag").json()["issue"][0]["diagnostics"]
        assert said in page("/?end=fredag", 400).one("ul", _class="faults").text

    def test_bytes_that_are_no_text_are_refused(self, page):
        assert page("/?title=%ff", 400).one("h1")

    def test_a_wrong_token_is_refused_on_a_page(self, page):
        node = page("/", 401, authorization="Bearer tull")
        assert node.one("h1").text == "Du må logge inn"

    def test_what_was_asked_for_is_shown_as_text(self, page):
        node = page('/?title:contains=<script>alert(1)</script>&"onload=x=1', 400)
        assert not node.every("script")
        assert not page('/?title:contains="><script>alert(1)</script>').every("script")


class TestHeaders:
    @pytest.mark.parametrize("url", [*PAGES, "/static/style.css", "/?context="])
    def test_nothing_but_our_own_style_is_let_in(self, page, url):
        headers = page.client.get(url, follow_redirects=False).headers
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert policy == {
            "default-src": "'none'", "style-src": "'self'", "img-src": "'self' data:", "form-action": "'self'",
            "base-uri": "'none'", "frame-ancestors": "'none'",
        }  # fmt: skip
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "strict-origin-when-cross-origin"

    @pytest.mark.parametrize("url", PAGES)
    def test_no_page_has_script_or_style_within(self, page, url):
        node = page(url, page.client.get(url).status_code)
        assert not node.every("script")
        assert not node.every("style")
        assert not [n for n in node.walk() if "style" in n.attributes or any(a.startswith("on") for a in n.attributes)]

    def test_a_page_that_is_known_is_not_sent_again(self, page):
        first = page.client.get("/")
        tag = first.headers["etag"]
        again = page.client.get("/", headers={"If-None-Match": f'"x", {tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        for other in ("/?lang=en", "/?context=samstyre", "/tiltak/NEP-0001"):
            assert page.client.get(other, headers={"If-None-Match": tag}).status_code == 200
        assert first.headers["vary"].startswith("Accept-Language, Authorization")

    def test_style_is_kept_for_as_long_as_it_is_the_same(self, page):
        link = page("/").one("link", rel="stylesheet")["href"]
        answer = page.client.get(link)
        assert re.fullmatch(r"/static/style\.css\?v=[0-9a-f]{12}", link)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-type"] == "text/css; charset=utf-8"
        assert page.client.get("/static/texts.json").status_code == 404
        assert page.client.get("/static/..%2fasked.py").status_code == 404


class TestOneInstant:
    """A page changes with the data, and shows the past when asked."""

    async def test_a_write_shows_at_once_and_the_past_stays(self, client_of):
        async with client_of("secretariat") as writer, client_of() as reader:
            before = await reader.get("http://registry.example/")
            assert "Ingen tiltak" in before.text
            plan = {
                "resourceType": "PlanDefinition",
                "status": "active",
                "title": "<b>Nytt</b> & godt",
                "description": "# Stort\n\n<script>alert(1)</script> [x](javascript:alert(1))",
                "identifier": [{"system": NUMBER, "value": "NEP-0099"}],
            }
            created = await writer.post("PlanDefinition", json=plan)
            assert created.status_code == 201, created.text
            tag = before.headers["etag"]
            after = await reader.get("http://registry.example/", headers={"If-None-Match": tag})
            assert after.status_code == 200
            assert "&lt;b&gt;Nytt&lt;/b&gt; &amp; godt" in after.text
            shown = (await reader.get("http://registry.example/tiltak/NEP-0099")).text
            assert "<script" not in shown
            assert 'href="javascript' not in shown
            assert "<h1>&lt;b&gt;Nytt" in shown

    async def test_what_is_restricted_is_for_those_who_may_see_it(self, client_of):
        label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
        number = {"system": NUMBER, "value": "NEP-0098"}
        plan = {"resourceType": "PlanDefinition", "status": "draft", "title": "Hemmelig", "meta": {"security": [label]},
                "identifier": [number]}  # fmt: skip
        async with client_of("secretariat") as writer, client_of() as reader:
            assert (await writer.post("PlanDefinition", json=plan)).status_code == 201
            for url in ("/", "/tiltak/NEP-0098"):
                own = await writer.get(f"http://registry.example{url}")
                foreign = await reader.get(
                    f"http://registry.example{url}", headers={"If-None-Match": own.headers["etag"]}
                )
                assert "Hemmelig" in own.text
                assert foreign.status_code in (200, 404)
                assert "Hemmelig" not in foreign.text


def colour(output, code, text):
    value = output["valueCodeableConcept"]
    return {**output, "valueCodeableConcept": {"coding": [{**value["coding"][0], "code": code}], "text": text}}


@pytest.fixture(scope="module")
def later(tmp_path_factory):
    """EPJ-løftet has reported again, in September 2023; nobody else has, and a third round has just opened."""
    period = {"start": "2023-09-01", "end": "2023-09-30"}
    with Site(fill(tmp_path_factory.mktemp("later"), "portfolio-2021-11")) as site:
        first = site.get("/fhir/Task?code=rapporteringsrunde").json()["entry"][0]["resource"]
        for value, title, end in (
            ("2023-09", "September 2023", "2023-09-30"),
            ("2024-01", "Januar 2024", "2024-01-31"),
        ):
            group = [{**first["identifier"][0], "value": value}]
            times = {"restriction": {"period": {"start": f"{value}-01", "end": end}}, "status": "in-progress"}
            site.post("/fhir/Task", {**first, **times, "identifier": group, "code": {**first["code"], "text": title}})
        query = "code=statusrapport&based-on:PlanDefinition.title=EPJ-l%C3%B8ftet"
        report = site.get(f"/fhir/Task?{query}").json()["entry"][0]["resource"]
        output = [
            colour(one, "gul", "Noen utfordringer") if one["type"]["coding"][0]["code"] == "status" else one
            for one in report["output"]
        ]
        changes = {
            "identifier": [{**report["identifier"][0], "value": "2023-09:NEP-0012"}],
            "groupIdentifier": {**report["groupIdentifier"], "value": "2023-09"},
            "restriction": {"period": period},
            "output": output,
        }
        site.post("/fhir/Task", {**report, **changes})
        yield Reader(site)


class TestSeveralRounds:
    def test_the_newest_reported_round_is_shown_with_the_reports_known_by_then(self, later):
        node = later("/")
        assert node.one("p", _class="lead").text == (
            "Runde September 2023, forfalt regnet per 30.09.2023. Runden er åpen."
        )
        rows = node.rows()
        assert Counter("fra November 2021" in row["Status"] for row in rows) == {True: 39, False: 1}
        assert next(row for row in rows if row["Tiltak"] == "EPJ-løftet")["Status"] == "Gul"

    def test_an_earlier_round_shows_what_was_reported_then(self, later):
        rows = later("/?round=2021-11").rows()
        assert next(row for row in rows if row["Tiltak"] == "EPJ-løftet")["Status"] == "Grønn"

    def test_rounds_are_offered_newest_first(self, later):
        offered = [one.text for one in later("/").one("select", id="round").every("option")]
        assert offered == ["Januar 2024", "September 2023", "November 2021", "Ingen runde"]

    def test_the_reports_of_an_initiative_stand_newest_first(self, later):
        node = later("/tiltak/NEP-0012").one("section", id="reports")
        assert [(row["Runde"].split(" FHIR")[0], row["Status"]) for row in node.rows()] == [
            ("September 2023", "Gul rapportert som «Noen utfordringer»"),
            ("November 2021", "Grønn"),
        ]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2021", "2021-12-31"),
        ("2024-02", "2024-02-29"),
        ("2021-11-30", "2021-11-30"),
        ("2021-11-30T10:00:00Z", "2021-11-30"),
        (None, None),
    ],
)
def test_a_deadline_is_past_after_the_last_day_it_covers(text, day):
    found = last_day(text)
    assert (found.isoformat() if found else None) == day


def test_a_code_without_an_english_word_keeps_its_norwegian_one():
    codes = Codes.of("http://x.example", [{"url": "http://x.example/s", "concept": [{"code": "a", "display": "Ål"}]}])
    concept = {"coding": [{"system": "http://x.example/s", "code": "a"}]}
    found = codes.coded(concept, "en")
    assert found is not None
    assert (found.display, found.lang) == ("Ål", "nb")


def test_pages_read_through_the_interactions_alone():
    for file in Path(render.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Attribute):
                assert node.attr != "store", f"{file.name}:{node.lineno}"
