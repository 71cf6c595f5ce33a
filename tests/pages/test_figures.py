"""Key figures of November 2021: the counted numbers, each with the search that lists them, and their charts."""

from __future__ import annotations

import asyncio
import json
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from scripts.benchmarks.synthetic import fill, portfolio
from server.app import engine_of, rounds_of, store_of
from server.auth.tokens import Tokens
from server.load import publish_closed
from server.pages.figures.charts import Bar, Chart, Part
from server.pages.figures.pen import Pen
from tests.pages.conftest import Reader, Site, settings_in
from tests.pages.html import Node

GOLDEN = Path(__file__).parent / "golden" / "status-segment.vl.json"
NAMES = ("status", "reporting", "deliveries", "dependencies", "finance")
YEARS = {
    "2017": "33,0", "2018": "106,0", "2019": "463,8", "2020": "655,3", "2021": "931,9", "2022": "550,9",
    "2023": "248,0", "2024": "90,0", "2025": "80,0", "2026": "70,0", "2027": "70,0", "Sum": "3 298,9",
}  # fmt: skip
CHART = Chart(
    "status-segment",
    "Om status",
    (Part("gronn", "Grønn"), Part("gul", "Gul"), Part("rod", "Rød")),
    (Bar("Samstyre", (4, 7, 0), ("4", "7", "0"), "11"), Bar("Koordinere", (6, 8, 1), ("6", "8", "1"), "15")),
)


@pytest.fixture(scope="module")
def overview(site: Site) -> Node:
    return Reader(site)("/nokkeltall")


def section(page: Node, name: str) -> Node:
    return page.one("section", aria_labelledby=name)


def table(page: Node, caption: str) -> list[dict[str, str]]:
    (found,) = (one for one in page.every("table") if one.one("caption").text.startswith(caption))
    return found.rows()


def cells(page: Node, caption: str) -> list[list[str]]:
    return [list(row.values()) for row in table(page, caption)]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("status", ["19 grønne, 20 gule og 1 røde", "40 av 40 rapporter oppgir status."]),
        ("reporting", ["40 av 40 har rapportert"]),
        ("deliveries", ["80 av 237 leveranser er levert", "14 av 157", "6 av 243 leveranser i alt er omdefinert."]),
        ("dependencies", ["8 grønne, 34 gule, 4 røde og 3 oppfylte", "49 av 91 avhengigheter oppgir status."]),
        ("finance", ["3 298,9 mill. kr i kostnader og 213,6", "10 av 40 tiltak oppgir beløp. 1 har linjer uten beløp"]),
    ],
)
def test_each_measure_says_what_was_counted_and_of_how_many(overview: Node, name: str, says: list[str]) -> None:
    text = section(overview, name).text
    assert [one for one in says if one not in text] == []


def test_tables_hold_the_counted_figures(overview: Node) -> None:
    assert cells(overview, "Rapporter etter segment") == [
        ["Samstyre", "4", "7", "0", "0"], ["Koordinere", "6", "8", "1", "0"], ["Observere", "9", "5", "0", "0"],
        ["Alle", "19", "20", "1", "0"],
    ]  # fmt: skip
    assert cells(overview, "Leveranser etter segment")[-1] == ["Alle", "243", "80", "157", "14", "6"]
    assert cells(overview, "Avhengigheter etter kritikalitet") == [
        ["Høy", "7", "27", "4", "3", "25"], ["Middels", "1", "7", "0", "0", "10"], ["Lav", "0", "0", "0", "0", "7"],
        ["Alle", "8", "34", "4", "3", "42"],
    ]  # fmt: skip
    assert cells(overview, "Rapportert etter")[-1] == ["Alle", "40", "40"]
    costs = table(overview, "Kostnader etter år")
    assert {row["År"]: row["Sum"] for row in costs} == YEARS


def test_what_is_not_stated_is_said_and_is_not_nought(overview: Node) -> None:
    (row,) = (one for one in table(overview, "Kostnader etter år") if one["År"] == "2024")
    assert row["Øremerkede midler Statsbudsjettet"] == "ikke oppgitt"
    assert row["Digdir – Medfinansieringsordningen"] == "0,0"
    assert row["Andre"] == "– ingen linje"


def test_every_number_is_linked_to_the_search_that_finds_exactly_so_many(site: Site, overview: Node) -> None:
    followed: dict[str, str] = {}
    for name in ("status", "reporting", "deliveries", "dependencies"):
        for link in section(overview, name).every("a"):
            if re.fullmatch(r"\d+", link.text):
                assert followed.setdefault(link["href"], link.text) == link.text
    assert len(followed) > 60
    for url, text in followed.items():
        path = urlsplit(url)
        answer = site.get(f"{path.path}?{path.query}&_summary=count", headers={"Prefer": "handling=strict"})
        assert answer.json()["total"] == int(text), url


@pytest.mark.parametrize("name", NAMES)
def test_the_page_and_the_api_say_the_same(site: Site, name: str) -> None:
    page = Reader(site)(f"/nokkeltall/{name}?round=2021-11&context=samstyre")
    (link,) = (one for one in page.every("a") if "$evaluate-measure" in one["href"])
    path = urlsplit(link["href"])
    report = site.get(f"{path.path}?{path.query}").json()
    urls = {one["href"].partition("/fhir/")[2]: one.text for one in page.every("a")}
    for group in report["group"]:
        for part in (group, *(two for one in group.get("stratifier", ()) for two in one.get("stratum", ()))):
            for population in part["population"]:
                url = population["extension"][0]["valueUrl"]
                if population["code"]["coding"][0]["code"] == "measure-observation" and "measureScore" in part:
                    shown = f"{Decimal(str(part['measureScore']['value'])) / 1_000_000:.1f}".replace(".", ",")
                    assert urls.get(url, shown).replace(" ", "") == shown
                elif name != "finance" and url in urls:
                    assert urls[url] == str(population["count"])
    assert {group["extension"][0]["valueUrl"] for group in report["group"]} & set(urls)


def test_each_chart_is_a_picture_for_day_and_night_wide_and_narrow_that_says_what_it_shows(overview: Node) -> None:
    pictures = overview.every("picture")
    assert len(pictures) == 7
    for picture in pictures:
        media = [one["media"] for one in picture.every("source")]
        assert [("max-width" in one, "dark" in one) for one in media] == [(True, True), (True, False), (False, True)]
        assert picture.one("img")["alt"].startswith("Liggende søyler")
    status = section(overview, "status").one("img")
    assert "I alt 19 grønne, 20 gule, 1 røde og 0 uten status" in status["alt"]


def test_a_picture_is_an_svg_that_fetches_nothing_and_is_kept_for_long(site: Site, overview: Node) -> None:
    url = section(overview, "status").one("img")["src"]
    dark = section(overview, "status").every("source")[2]["srcset"]
    answer = site.get(url)
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert "immutable" in answer.headers["cache-control"]
    assert site.get(url, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    root = ET.fromstring(answer.text)
    assert (root.tag, root.get("width")) == ("{http://www.w3.org/2000/svg}svg", "600")
    assert not re.search(r"<script|href=|url\((?!#)|@import|#f1\d{3}f", answer.text)
    assert "#1f7a3f" in answer.text
    assert "#5cc981" in site.get(dark).text
    texts = {"".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"Samstyre", "▲ 7", "● Grønn", "11"} <= texts
    # By its own parameters alone, as another process is asked, and then it is not said to be the same for ever.
    anew = site.get("/nokkeltall/bilde/status-segment.svg?lang=nb")
    assert anew.text == answer.text
    assert anew.headers["cache-control"] == "private, no-cache"


def test_a_chart_holds_the_numbers_of_its_bars_and_a_sign_for_each_colour() -> None:
    values = CHART.specification("wide")["data"]["values"]
    assert [(one["row"], one["part"], one["n"]) for one in values] == [
        ("Samstyre", "● Grønn", 4), ("Samstyre", "▲ Gul", 7), ("Koordinere", "● Grønn", 6), ("Koordinere", "▲ Gul", 8),
        ("Koordinere", "■ Rød", 1),
    ]  # fmt: skip
    assert {one["total"] for one in values} == {"11", "15"}


def test_a_specification_is_the_golden_one() -> None:
    made = json.dumps(CHART.specification("narrow"), ensure_ascii=False, indent=1) + "\n"
    if os.environ.get("GOLDEN") == "update":
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(made, "utf-8")
    assert made == GOLDEN.read_text("utf-8")


@pytest.mark.parametrize(
    ("url", "status", "says"),
    [
        ("/nokkeltall/ukjent", 404, "kjent / known: status, reporting, deliveries, dependencies, finance"),
        ("/nokkeltall?fra=1999", 400, "kjent / known: 2021-11"),
        ("/nokkeltall?foo=bar", 400, "foo"),
        ("/nokkeltall?_count=3", 400, "does not narrow"),
        ("/nokkeltall/bilde/status-ukjent.svg", 404, "no such chart"),
        ("/nokkeltall/bilde/status-segment.svg?w=5", 400, "w=wide or narrow"),
    ],
)
def test_what_is_not_understood_is_refused_with_what_would_be_right(
    page: Reader, url: str, status: int, says: str
) -> None:
    assert says in page(url, status).text


def test_without_a_round_the_rest_is_of_the_present(page: Reader) -> None:
    found = page("/nokkeltall?round=none&lang=en")
    assert "Choose a round to see this" in section(found, "status").text
    assert "80 of 237 deliveries are delivered" in section(found, "deliveries").text


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Five synthetic initiatives with two rounds closed and published, and one open."""
    folder = tmp_path_factory.mktemp("rounds")

    async def run() -> None:
        settings = settings_in(folder)
        store = store_of(settings)
        await store.open()
        engine = engine_of(settings, store)
        await fill(engine, portfolio(5, rounds=["2021-06", "2021-11"], open_round="2022-03"))
        await publish_closed(engine, rounds_of(settings))
        await store.close()

    asyncio.run(run())
    with Site(folder) as site:
        yield site


def test_rounds_stand_beside_each_other_and_one_is_compared_with_another(rounds: Site) -> None:
    page = Reader(rounds)("/nokkeltall?round=2021-11&fra=2021-06")
    over = cells(page, "Status runde for runde")
    assert [row[0] for row in over] == ["Runde 2021-06", "Runde 2021-11"]
    compared = cells(section(page, "status"), "Sammenlignet med Runde 2021-06")
    assert [row[1] for row in compared] == over[1][1:]
    assert [row[2] for row in compared] == over[0][1:]
    assert all(int(now) - int(then) == int(change) for _, now, then, change in compared)
    assert [sum(map(int, row[1:])) for row in over] == [5, 5]


def test_a_round_whose_reports_are_not_public_yet_is_not_nought(rounds: Site) -> None:
    page = Reader(rounds)("/nokkeltall?round=2022-03")
    for name in ("status", "reporting"):
        assert "Ingen rapporter i denne runden som du har innsyn i" in section(page, name).text
    assert "leveranser er levert" in section(page, "deliveries").text


@pytest.mark.parametrize("path", ["/", "/nokkeltall", "/nokkeltall/status"])
def test_an_edition_is_a_moment_too(rounds: Site, path: str) -> None:
    page = Reader(rounds)(f"{path}?_asOf=rapport%7C2021-11&round=2021-11")
    assert "slik den sto" in page.one("aside").text


def test_each_view_of_what_is_restricted_is_on_record_and_figures_of_public_things_are_kept(rounds: Site) -> None:
    token = Tokens.of(rounds.settings.keys, rounds.settings.base).issue("secretariat", "", timedelta(minutes=5))
    bearer = {"Authorization": f"Bearer {token}"}

    def on_record() -> int:
        count = rounds.get("/fhir/AuditEvent?_summary=count", headers=bearer)
        return int(count.json()["total"])

    for url, more in (("/nokkeltall?round=2022-03", 2), ("/nokkeltall?round=2021-11", 0)):
        before = on_record()
        for _ in range(2):
            assert rounds.get(url, headers=bearer).status_code == 200
        assert on_record() - before == more, url


async def test_those_who_ask_for_one_picture_at_once_have_it_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pen, asked = Pen(), []
    monkeypatch.setattr(pen, "_drawn", lambda text: asked.append(text) or "<svg/>")
    drawn = await asyncio.gather(*(pen.draw({"mark": mark}) for mark in ("bar", "bar", "line", "bar")))
    assert (drawn, len(asked)) == (["<svg/>"] * 4, 2)


async def test_the_drawing_process_may_end_at_any_time_and_what_cannot_be_drawn_is_told() -> None:
    pen = Pen()
    specification = CHART.specification("wide")
    first = await pen.draw(specification)
    assert pen.process is not None
    pen.process.kill()
    with pytest.raises(RuntimeError, match=r"drawing\.py"):
        await pen.draw({"mark": "no such mark"})
    assert await pen.draw({**specification, "description": "En annen"}) != ""
    assert await pen.draw(specification) is first
    pen.process.kill()
