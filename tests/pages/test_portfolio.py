"""The front page: the 40 initiatives of November 2021, and the filters that are FHIR searches."""

from __future__ import annotations

import csv
from collections import Counter
from urllib.parse import quote

import pytest

from server.interaction.search import search
from tests.pages.conftest import DATA

SYSTEM = "http://eportefolje.example/fhir/CodeSystem"
END = "2021-11-30"


def sheet(name):
    with (DATA / "portfolio-2021-11" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def late(day):
    """Deliveries that are neither delivered nor redefined and were due before the day, per initiative."""
    rows = (row for row in sheet("deliveries") if row["delivered"] not in ("Ja", "Omdefinert"))
    return Counter(row["initiative_id"] for row in rows if row["due_date"] and row["due_date"] < day)


def numbers(node):
    return sorted(row["Nummer"] for row in node.rows())


class TestTable:
    def test_every_initiative_has_a_row_in_the_order_of_the_numbers(self, page):
        rows = page("/").rows()
        assert [row["Nummer"] for row in rows] == [f"NEP-{number:04}" for number in range(1, 41)]
        assert [row["Tiltak"] for row in rows] == [row["name"] for row in sheet("initiatives")]
        assert page("/").one("caption").text == "40 tiltak, sortert etter tiltaksnummer"

    def test_segments_colours_and_risks_are_those_of_the_report(self, page):
        rows, reported = page("/").rows(), sheet("initiatives")
        assert Counter(row["Segment"] for row in rows) == {"Koordinere": 15, "Observere": 14, "Samstyre": 11}
        assert Counter(row["Status"] for row in rows) == {"Gul": 20, "Grønn": 19, "Rød": 1}
        assert [row["Status"] for row in rows] == [row["status"] for row in reported]
        assert [row["Risiko"] for row in rows] == [row["risk"] or "ikke oppgitt" for row in reported]

    def test_deliveries_done_are_counted_of_those_that_were_not_cancelled(self, page):
        done, planned, cancelled = Counter(), Counter(), Counter()
        for row in sheet("deliveries"):
            done[row["initiative_id"]] += row["delivered"] == "Ja"
            planned[row["initiative_id"]] += row["delivered"] != "Omdefinert"
            cancelled[row["initiative_id"]] += row["delivered"] == "Omdefinert"
        expected = []
        for row in sheet("initiatives"):
            key = row["initiative_id"]
            rest = f" {cancelled[key]} omdefinert eller utgått" if cancelled[key] else ""
            expected.append(f"{done[key]} av {planned[key]}{rest}")
        assert [row["Leveranser ferdige"] for row in page("/").rows()] == expected
        assert expected[0] == "1 av 10 1 omdefinert eller utgått"

    def test_late_deliveries_are_counted_at_the_end_of_the_round(self, page):
        counts = late(END)
        expected = [
            f"{counts[row['initiative_id']]} forfalt" if counts[row["initiative_id"]] else "ingen"
            for row in sheet("initiatives")
        ]
        assert [row["Forfalt"] for row in page("/").rows()] == expected
        assert counts.total() == 14

    def test_next_due_is_the_earliest_open_deadline_from_that_day_on(self, page):
        expected = []
        for row in sheet("initiatives"):
            ahead = [
                one["due_date"]
                for one in sheet("deliveries")
                if one["initiative_id"] == row["initiative_id"]
                and one["delivered"] not in ("Ja", "Omdefinert")
                and one["due_date"] >= END
            ]
            expected.append(".".join(reversed(min(ahead).split("-"))) if ahead else "ingen")
        assert [row["Neste frist"] for row in page("/").rows()] == expected

    def test_the_sums_say_the_same(self, page):
        tiles = [tile.text for tile in page("/").one("dl", _class="tiles").every("div")]
        assert tiles == [
            "Tiltak 40 15 Koordinere 14 Observere 11 Samstyre",
            "Status 20 Gul 19 Grønn 1 Rød",
            "Leveranser ferdige 80 av 237 6 omdefinert eller utgått",
            "Leveranser forfalt 14 Neste frist: 30.11.2021",
        ]

    def test_a_colour_has_its_shape_and_its_word(self, page):
        cells = page("/").every("span", _class="light light-rod")
        assert cells
        assert all(cell.one("svg")["aria-hidden"] == "true" and "Rød" in cell.text for cell in cells)
        shapes = {code: page("/").every("svg", _class=f"shape shape-{code}")[0] for code in ("gronn", "gul", "rod")}
        drawn = [[(n.tag, n.attributes.get("d")) for n in shape.walk()] for shape in shapes.values()]
        assert len({str(one) for one in drawn}) == 3

    def test_english_words_come_from_the_code_systems_and_names_stay_norwegian(self, page):
        rows = page("/?lang=en").rows()
        assert Counter(row["Status"] for row in rows) == {"Yellow": 20, "Green": 19, "Red": 1}
        assert Counter(row["Segment"] for row in rows) == {"Coordinate": 15, "Observe": 14, "Co-govern": 11}
        assert rows[0]["Next due"] == "1 Jan 2022"
        assert rows[-1]["Risk"] == "not stated"
        english = page("/?lang=en")
        assert english.one("html")["lang"] == "en"
        assert all(th.one("a")["lang"] == "nb" for th in english.one("tbody").every("th"))


class TestRounds:
    def test_the_newest_reported_round_is_shown_and_said(self, page):
        node = page("/")
        assert node.one("p", _class="lead").text == "Runde November 2021, forfalt regnet per 30.11.2021."
        assert [one.text for one in node.one("select", id="round").every("option")] == ["November 2021", "Ingen runde"]

    def test_without_a_round_today_is_what_is_counted_from(self, page):
        node = page("/?round=none")
        assert node.one("p", _class="lead").text.startswith("Ingen runde er valgt. Forfalt er regnet per i dag")
        counted = sum(int(row["Forfalt"].split()[0]) for row in node.rows() if row["Forfalt"] != "ingen")
        assert counted > late(END).total()

    def test_an_instant_is_what_is_counted_from_when_no_round_is_asked_for(self, page):
        instant = page.client.get("/fhir/Task?_count=1").json()["meta"]["lastUpdated"]
        node = page(f"/?_asOf={instant}")
        assert "dagen du ser porteføljen fra" in node.one("p", _class="lead").text
        assert "slik den sto" in node.one("aside", _class="banner").text
        assert all(f"_asOf={instant}" in th.one("a")["href"] for th in node.one("tbody").every("th"))
        assert len(node.rows()) == 40

    def test_before_the_first_write_there_was_nothing(self, page):
        assert "Ingen tiltak svarer til filtrene." in page("/?_asOf=2020-01-01T00:00:00Z").one("main").text

    def test_the_lasting_link_shows_the_same_again(self, page):
        node = page("/?context=samstyre")
        link = next(a for a in node.one("footer").every("a") if a.text == "Fast lenke til denne visningen")
        assert "round=2021-11" in link["href"]
        assert page(link["href"]).rows() == node.rows()


@pytest.mark.parametrize(
    "query",
    [
        f"context={SYSTEM}/nep-segment|samstyre",
        "context=samstyre",
        f"context={SYSTEM}/nep-segment|koordinere&context={SYSTEM}/nep-phase|gjennomfore",
        f"_has:Task:based-on:status-color={SYSTEM}/nep-traffic-light|rod",
        f"_has:Task:based-on:risk-color={SYSTEM}/nep-traffic-light|rod",
        f"topic={SYSTEM}/nep-national-solution|helseid",
        "title:contains=digi",
        "title=DIGI",
        "owner.name=Helse Vest",
        "status=active&end=lt2022",
        f"topic={SYSTEM}/nep-national-solution|helseid,{SYSTEM}/nep-national-solution|e-resept",
        "title:contains=finnes ikke",
    ],
)
def test_a_filter_finds_what_the_api_finds(page, query):
    query = quote(query, safe="=&:/")
    found = page.found(f"{query}&_count=500")
    node = page(f"/?{query}")
    assert (numbers(node) if found else []) == found
    link = node.one("p", _class="api").one("a")["href"]
    assert page.found(link.partition("?")[2]) == found


class TestForm:
    def test_it_offers_the_codes_in_force_and_the_owners(self, page):
        form = page("/").one("form")
        offered = {s["id"]: [o.text for o in s.every("option")][1:] for s in form.every("select")}
        assert offered["segment"] == ["Samstyre", "Koordinere", "Observere"]
        assert offered["phase"] == ["Konsept", "Planlegge", "Gjennomføre", "Avslutte", "Realisere"]
        assert offered["status"] == offered["risk"] == ["Grønn", "Gul", "Rød"]
        assert len(offered["owner"]) == len({row["actor"] for row in sheet("initiatives")}) == 10

    def test_an_owner_from_the_form_finds_its_initiatives(self, page):
        owners = page("/").one("select", id="owner").every("option")
        vest = next(option["value"] for option in owners if option.text == "Helse Vest RHF")
        assert numbers(page(f"/?owner={vest}")) == page.found(f"owner={vest}") == ["NEP-0023", "NEP-0024", "NEP-0025"]

    def test_what_was_chosen_stays_chosen_and_can_be_taken_away(self, page):
        node = page(f"/?context={SYSTEM}/nep-segment|samstyre&title:contains=Helse&topic=helseid&lang=nb")
        chosen = [o.text for o in node.one("form").every("option", selected="")]
        assert chosen == ["Samstyre", "HelseID", "November 2021", "tiltaksnummer"]
        assert node.one("input", id="title")["value"] == "Helse"
        chips = node.one("ul", _class="chips").every("a")
        assert [chip.text for chip in chips] == [
            "Fjern filteret: Segment: Samstyre ✕",
            "Fjern filteret: Nasjonal løsning: HelseID ✕",
            "Fjern filteret: Ord i tittelen: Helse ✕",
        ]
        assert "samstyre" not in chips[0]["href"]
        assert "helseid" in chips[0]["href"]

    def test_what_it_does_not_show_goes_along(self, page):
        node = page("/?end=lt2022&lang=nb&_count=3")
        hidden = {i["name"]: i["value"] for i in node.one("form").every("input", type="hidden")}
        assert hidden == {"lang": "nb", "end": "lt2022", "_count": "3"}

    def test_untouched_fields_leave_the_address(self, page):
        answer = page.client.get("/?title:contains=&context=&context=samstyre&round=", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/?context=samstyre")

    def test_only_overdue_leaves_the_initiatives_with_late_deliveries(self, page):
        numbered = {row["initiative_id"]: f"NEP-{n:04}" for n, row in enumerate(sheet("initiatives"), 1)}
        node = page("/?overdue=true")
        assert numbers(node) == sorted(numbered[key] for key in late(END))
        link = node.one("p", _class="api").one("a")["href"]
        bundle = page.client.get(link, headers={"Prefer": "handling=strict"}).json()
        kinds = Counter(entry["resource"]["resourceType"] for entry in bundle["entry"])
        assert kinds == {"Task": late(END).total(), "PlanDefinition": len(late(END))}

    def test_only_overdue_goes_with_every_other_filter(self, page):
        node = page("/?overdue=true&context=samstyre&_has:Task:based-on:status-color=gul")
        assert numbers(node) == ["NEP-0007", "NEP-0011"]
        bundle = page.client.get(node.one("p", _class="api").one("a")["href"]).json()
        assert sum(e["resource"]["resourceType"] == "PlanDefinition" for e in bundle["entry"]) == 2

    def test_only_overdue_may_find_nothing(self, page):
        assert "Ingen tiltak svarer" in page("/?overdue=true&context=samstyre&title=SAFEST").one("main").text


class TestPaging:
    def test_pages_hold_every_initiative_once_at_one_instant_and_round(self, page):
        seen, url, visited = [], "/?_count=15&lang=nb", 0
        while url:
            node = page(url)
            seen += [row["Nummer"] for row in node.rows()]
            assert node.one("caption").text.startswith("40 tiltak")
            following = node.every("a", rel="next")
            url = following[0]["href"] if following else ""
            assert not url or ("_asOf=" in url and "round=2021-11" in url and "lang=nb" in url)
            visited += 1
        assert (visited, seen) == (3, [f"NEP-{number:04}" for number in range(1, 41)])

    @pytest.mark.parametrize("url", ["/?_count=1", "/"])
    def test_the_searches_are_as_few_for_forty_initiatives_as_for_one(self, page, monkeypatch, url):
        asked = []

        async def counted(engine, caller, resource_type, pairs, **given):
            asked.append(resource_type)
            return await search(engine, caller, resource_type, pairs, **given)

        monkeypatch.setattr("server.pages.house.search", counted)
        page(url)
        # Whether the newest round has reports, the initiatives, their owners for the form.
        assert asked == ["Task", "PlanDefinition", "Organization"]

    def test_the_order_is_the_one_asked_for_and_is_said(self, page):
        node = page("/?_sort=title")
        assert node.one("caption").text == "40 tiltak, sortert etter navn"
        assert next(th.text for th in node.one("thead").every("th") if "aria-sort" in th.attributes) == "Tiltak"
        assert node.rows()[0]["Tiltak"] == "Alle møter"
