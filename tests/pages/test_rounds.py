"""The pages of rounds: who sees what of them, and the secretariat's forms from opening to correction."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.pages.rounds import detail
from tests.pages import html
from tests.pages.bureau import HOME, Bureau, C, Person, bureau_in
from tests.pages.html import Node

TWO = f"identifier={C}/sid/tiltaksnummer|NEP-0025,{C}/sid/tiltaksnummer|NEP-0012"
REASON = {"system": f"{C}/CodeSystem/nep-status-reason", "code": "mangelfull"}
VEST = "reporter:983658725"


@pytest.fixture(scope="module")
def bureau(portfolio: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bureau]:
    """November 2021 with its edition, and a round 2026-11 of two initiatives of which one, NEP-0025, has reported. What
    tests open themselves has numbers of its own."""
    folder = Path(shutil.copytree(portfolio, tmp_path_factory.mktemp("rounds") / "copy"))
    with bureau_in(folder) as bureau:
        office = Person(bureau, "secretariat")
        first = office.page("/runder/2021-11").one("section", id="closing").one("form")
        assert office.submit(first, confirm="true").headers["location"] == "/utgaver/2021-11"
        opened(office, "2026-11")
        bureau.submit("2026-11", "NEP-0025", "rod")
        yield bureau


@pytest.fixture(scope="module")
def office(bureau: Bureau) -> Person:
    return Person(bureau, "secretariat")


@pytest.fixture(scope="module")
def vest(bureau: Bureau) -> Person:
    return Person(bureau, VEST)


@pytest.fixture(scope="module")
def anyone(bureau: Bureau) -> Person:
    return Person(bureau)


def opening(office: Person) -> Node:
    return office.page("/runder").one("section", id="opening").one("form")


def fields(number: str, /, **changed: str) -> dict[str, str]:
    given = {"title": "November 2026", "start": "2026-11-01", "end": "2026-11-30", "initiatives": TWO}
    return {"number": number, "step": "open", **given, **changed}


def opened(office: Person, number: str, /, **changed: str) -> None:
    answer = office.submit(opening(office), **fields(number, **changed))
    assert (answer.status_code, answer.headers.get("location")) == (303, f"/runder/{number}"), answer.text


def faults(page: Node) -> dict[str, str]:
    """Of the summary: the control that each fault leads to -> its text. Each has its text beside the control too."""
    found = {}
    for item in page.one("div", _class="errors").every("li"):
        (link,) = item.every("a") or [None]
        control = link["href"].removeprefix("#") if link else ""
        found[control] = item.text
        if control:
            assert item.text in page.one("p", id=f"{control}-error").text
    return found


class TestList:
    def test_shows_rounds_newest_first_with_how_many_have_reported_and_the_edition(self, office):
        rows = [row for row in office.page("/runder").one("div", _class="results").rows()]
        known = {row["Nummer"]: row for row in rows}
        assert [row["Nummer"] for row in rows][-1] == "2021-11"
        assert known["2026-11"] == {
            "Nummer": "2026-11", "Runde": "November 2026", "Åpnet – frist": "01.11.2026 – 30.11.2026",
            "Tilstand": "åpen", "Rapportert": "1 av 2", "Utgaver": "ingen ennå",
        }  # fmt: skip
        assert (known["2021-11"]["Rapportert"], known["2021-11"]["Utgaver"]) == ("40 av 40", "Utgave 2021-11")

    @pytest.mark.parametrize(
        ("who", "seen"), [("office", "1 av 2"), ("vest", "1 av 1"), ("anyone", "vises når runden er lukket")]
    )
    def test_counts_what_the_caller_may_see(self, request, who, seen):
        rows = request.getfixturevalue(who).page("/runder").one("div", _class="results").rows()
        assert next(row for row in rows if row["Nummer"] == "2026-11")["Rapportert"] == seen

    def test_only_the_secretariat_is_offered_to_open_one_and_never_in_the_past(self, office, vest, anyone):
        assert office.page("/runder").every("section", id="opening")
        assert not office.page("/runder?_asOf=rapport|2021-11").every("section", id="opening")
        assert not vest.page("/runder").every("section", id="opening")
        assert not anyone.page("/runder").every("section", id="opening")


class TestOpening:
    def test_a_preview_names_whom_it_would_ask_and_writes_nothing(self, office, bureau):
        answer = office.submit(opening(office), **fields("2027-01", step="preview"))
        assert answer.status_code == 200
        page = parse(answer)
        preview = page.one("section", id="preview")
        assert [(row["Nummer"], row["Tiltak"], row["Rapport"]) for row in preview.rows()] == [
            ("NEP-0012", "EPJ-løftet", "blir bedt om"), ("NEP-0025", "HELIKS", "blir bedt om"),
        ]  # fmt: skip
        assert bureau.found(f"Task?identifier={C}/sid/runde|2027-01") == []
        assert office.submit(preview.one("form"), step="open").headers["location"] == "/runder/2027-01"
        assert len(bureau.found(f"Task?group-identifier={C}/sid/runde|2027-01")) == 2

    def test_the_form_of_the_registry_is_asked_by(self, office, bureau):
        (round,) = bureau.found(f"Task?identifier={C}/sid/runde|2026-11")
        assert round["input"][0]["valueCanonical"] == f"{C}/Questionnaire/nep-status-report|1.0.0"

    def test_sent_twice_or_by_two_at_once_it_is_one_round(self, office, bureau):
        form = opening(office)

        async def both() -> list[int]:
            sent = [office.sent(form, **fields("2027-02")) for _ in range(2)]
            return [answer.status_code for answer in await asyncio.gather(*sent)]

        assert bureau.run(both()) == [303, 303]
        assert len(bureau.found(f"Task?identifier={C}/sid/runde|2027-02")) == 1

    @pytest.mark.parametrize(
        ("changed", "status", "places"),
        [
            ({"number": ""}, 422, ["number"]),
            ({"number": "2027 03"}, 400, ["number"]),
            ({"title": "", "end": ""}, 422, ["title", "end"]),
            ({"end": "2026-10-01"}, 400, ["end"]),
            ({"start": "i morgen"}, 400, ["start"]),
            ({"initiatives": "status=draft"}, 422, ["initiatives"]),
            ({"initiatives": "colour=red"}, 400, ["initiatives"]),
            ({"number": "2026-11", "title": "Desember", "end": "2026-12-31"}, 409, ["title", "end"]),
            ({"number": "2021-11"}, 409, ["number"]),
        ],
        ids=["no number", "odd number", "two at once", "ends first", "no day", "none found", "no search", "differs",
             "closed"],
    )  # fmt: skip
    def test_a_refused_form_comes_back_as_typed_with_the_fault_at_its_field(self, office, changed, status, places):
        sent = fields("2027-03", **changed)
        answer = office.submit(opening(office), **sent)
        assert answer.status_code == status, answer.text
        page = parse(answer)
        assert list(faults(page)) == places
        for name in ("number", "title", "start", "end", "initiatives"):
            assert page.one("section", id="opening").one("input", id=name)["value"] == sent[name]
        for name in places:
            control = page.one("section", id="opening").one("input", id=name)
            assert control["aria-invalid"] == "true"
            assert f"{name}-error" in control["aria-describedby"].split()
        assert page.one("title").text.startswith("Feil:")

    @pytest.mark.parametrize(
        ("lang", "text"), [("nb", "Fristen er før åpningen."), ("en", "The deadline is before the opening.")]
    )
    def test_what_is_wrong_is_said_in_the_language_of_the_page(self, office, lang, text):
        form = office.page(f"/runder?lang={lang}").one("section", id="opening").one("form")
        answer = office.submit(form, **fields("2027-03", end="2026-10-01"))
        assert faults(parse(answer)) == {"end": text}
        assert parse(answer).one("html")["lang"] == lang

    def test_what_was_typed_is_text_and_nothing_else(self, office):
        answer = office.submit(opening(office), **fields("2027-03", title='"><script>x</script>', end=""))
        assert "<script" not in answer.text
        assert parse(answer).one("section", id="opening").one("input", id="title")["value"] == '"><script>x</script>'

    def test_a_refusal_is_on_record(self, office, bureau):
        before = bureau.api("GET", "AuditEvent?outcome=4&_summary=count")["total"]
        office.submit(opening(office), **fields("2027-03", initiatives="status=draft"))
        assert bureau.api("GET", "AuditEvent?outcome=4&_summary=count")["total"] == before + 1

    def test_nobody_else_opens_or_closes(self, office, vest, anyone):
        form = opening(office)
        own = vest.page("/runder").one("header").one("form").one("input", name="csrf")["value"]
        assert vest.submit(form, **fields("2027-04", csrf=own)).status_code == 403
        assert anyone.submit(form, **fields("2027-04")).status_code == 401
        closing = office.page("/runder/2026-11").one("section", id="closing").one("form")
        assert vest.submit(closing, csrf=own, confirm="true").status_code == 403
        assert anyone.submit(closing, confirm="true").status_code == 401
        assert office.submit(form, **fields("2027-04", csrf="x")).status_code == 403

    def test_further_initiatives_are_asked_in_an_open_round(self, office, bureau):
        opened(office, "2027-05")
        form = office.page("/runder/2027-05").one("section", id="more").one("form")
        three = f"{TWO},{C}/sid/tiltaksnummer|NEP-0001"
        page = parse(office.submit(form, initiatives=three, step="preview"))
        assert [row["Rapport"] for row in page.one("section", id="preview").rows()] == [
            "blir bedt om", "bedt om fra før", "bedt om fra før",
        ]  # fmt: skip
        assert office.submit(page.one("section", id="preview").one("form"), step="open").status_code == 303
        assert len(bureau.found(f"Task?group-identifier={C}/sid/runde|2027-05")) == 3


class TestRound:
    def test_says_of_each_initiative_how_far_its_report_has_come(self, office):
        known = reports(office.page("/runder/2026-11"))
        assert known["NEP-0025"]["Rapportering"] == "Innsendt"
        assert known["NEP-0025"]["Status"] == "Rød"
        assert known["NEP-0025"]["Aktør"] == "Helse Vest RHF"
        assert known["NEP-0025"]["Innsendt"] != "nei"
        assert known["NEP-0012"]["Rapportering"] == "Ikke startet"
        assert known["NEP-0012"]["Status"] == "ikke oppgitt"

    def test_every_number_is_what_its_search_finds(self, office, bureau):
        tiles = office.page("/runder/2026-11").one("dl", _class="tiles")
        links = [a for a in tiles.every("a") if "/fhir/Task?" in a["href"]]
        assert len(links) >= 5
        for link in links:
            count = bureau.api("GET", f"{link['href']}&_summary=count")["total"]
            assert int("".join(filter(str.isdigit, link.text))) == count, link["href"]

    def test_every_number_of_the_past_is_what_anyone_finds(self, anyone, bureau):
        tiles = anyone.page("/runder/2021-11").one("dl", _class="tiles")
        links = [a for a in tiles.every("a") if "/fhir/Task?" in a["href"]]
        assert [int(link.text) for link in links] == [40, 40, 40]
        assert all(bureau.api("GET", f"{a['href']}&_summary=count", role="")["total"] == 40 for a in links)

    def test_a_state_is_chosen_and_the_order_too(self, office):
        rows = reports(office.page("/runder/2021-11?state=last&sort=owner")).values()
        owners = [row["Aktør"].casefold() for row in rows]
        assert len(owners) == 40
        assert owners == sorted(owners)
        page = office.page("/runder/2026-11?state=innsendt")
        assert list(reports(page)) == ["NEP-0025"]
        assert "business-status=innsendt" in page.one("section", id="reports").one("p", _class="api").text

    def test_each_actor_is_counted(self, office, bureau):
        details = office.page("/runder/2021-11").one("details", _class="by-actor")
        link = details.one("tbody").every("a")[-1]
        assert bureau.api("GET", f"{link['href']}&_summary=count")["total"] == int(link.text)
        actors = details.rows()
        assert sum(int(row["Bedt om"]) for row in actors) == 40
        assert Counter(row["Bedt om"] == row["Rapportert"] for row in actors) == {True: len(actors)}

    def test_a_reporter_sees_its_own_first_with_what_is_asked_by_when(self, vest):
        page = vest.page("/runder/2026-11")
        own = page.one("section", _class="results")
        assert [row["Nummer"] for row in own.rows()] == ["NEP-0025"]
        assert "innen 30.11.2026" in own.text
        assert "NEP-0012" not in page.text
        assert page.one("p", _class="remark").text.startswith("Runden er åpen.")

    def test_a_reporter_sees_the_others_of_a_closed_round_after_its_own(self, vest):
        page = vest.page("/runder/2021-11")
        own, _ = page.every("section", _class="results")
        assert {row["Aktør"] for row in own.rows()} == {"Helse Vest RHF"}
        assert len(own.rows()) + len(reports(page)) == 40

    def test_nobody_else_sees_who_has_reported_while_it_is_open(self, anyone):
        page = anyone.page("/runder/2026-11")
        assert "NEP-0025" not in page.text
        assert "NEP-0012" not in page.text
        assert not page.every("dl", _class="tiles")

    def test_links_to_review_and_workbook_are_for_those_who_may(self, office, vest, anyone):
        def hrefs(person: Person) -> set[str]:
            return {a["href"] for a in person.page("/runder/2026-11").one("main").every("a")}

        review, book = "/runder/2026-11/gjennomgang", "/runder/2026-11/arbeidsbok"
        own = f"{review}/NEP-0025"
        assert {review, own, book} <= hrefs(office)
        assert book in hrefs(vest)
        assert own in hrefs(vest)
        assert review not in hrefs(vest)
        assert not {review, own, book} & hrefs(anyone)

    def test_warnings_are_counted_for_the_secretariat(self, office, bureau):
        tiles = office.page("/runder/2026-11").one("dl", _class="tiles").every("div")
        tile = next(one for one in tiles if "Merknader" in one.text)
        told = bureau.api("GET", "Task/$remarks?round=2026-11")
        parts = [part for one in told.get("parameter", []) for part in one["part"] if part["name"] == "remarks"]
        issues = [issue for part in parts for one in part["part"] for issue in one.get("resource", {}).get("issue", [])]
        assert tile.one("a").text == str(len(issues))

    @pytest.mark.parametrize("query", ["foo=bar", "state=rod", "sort=x", "page=0", "remarks=1", "_asOf=i-gaar"])
    def test_a_wrong_parameter_is_explained(self, anyone, query):
        assert anyone.page(f"/runder/2021-11?{query}", 400).one("ul", _class="faults").text

    @pytest.mark.parametrize("number", ["1999-01", "x%2Fy", "%C3%A5", "a" * 80])
    def test_a_round_that_there_is_not_is_404(self, anyone, number):
        anyone.page(f"/runder/{number}", 404)

    def test_it_is_shown_as_it_stood(self, office, bureau):
        (report,) = bureau.found(f"Task?identifier={C}/sid/statusrapport|2026-11:NEP-0025")
        first = bureau.api("GET", f"Task/{report['id']}/_history/1")
        page = office.page(f"/runder/2026-11?_asOf={first['meta']['lastUpdated']}")
        assert {row["Rapportering"] for row in reports(page).values()} == {"Ikke startet"}
        assert not page.every("section", id="closing")


class TestManyReports:
    def test_as_often_is_the_store_asked_for_forty_as_for_two(self, office, bureau, monkeypatch):
        opened(office, "2027-09")
        form = office.page("/runder/2027-09").one("section", id="closing").one("form")
        assert office.submit(form, force="true", confirm="true").status_code == 303
        asked, store = [0], bureau.app.state.engine.store
        snapshot = store.snapshot

        def counted(*given: Any) -> Any:
            asked[0] += 1
            return snapshot(*given)

        monkeypatch.setattr(store, "snapshot", counted)
        found = []
        for number in ("2027-09", "2021-11"):
            asked[0] = 0
            office.page(f"/runder/{number}")
            found.append(asked[0])
        assert found[0] == found[1] < 15

    def test_they_come_by_pages(self, anyone, monkeypatch):
        monkeypatch.setattr(detail, "PER_PAGE", 15)
        seen, url = [], "/runder/2021-11?sort=owner"
        while url:
            page = anyone.page(url)
            seen.append(list(reports(page)))
            following = page.one("section", id="reports").every("a", rel="next")
            url = following[0]["href"] if following else ""
        assert [len(numbers) for numbers in seen] == [15, 15, 10]
        assert len({number for numbers in seen for number in numbers}) == 40
        assert anyone.page("/runder/2021-11?page=2").one("a", rel="prev")["href"].endswith("page=1")
        assert not reports_or_none(anyone.page("/runder/2021-11?page=9"))

    def test_warnings_of_many_are_counted_when_asked_for(self, office, monkeypatch):
        monkeypatch.setattr(detail, "REMARKS_AT_ONCE", 0)
        page = office.page("/runder/2026-11")
        (link,) = [a for a in page.one("dl", _class="tiles").every("a") if a.text == "Tell merknadene"]
        counted = office.page(link["href"]).one("dl", _class="tiles")
        assert "Tell merknadene" not in counted.text
        assert "Merknader" in counted.text


class TestLate:
    def test_what_has_not_come_is_late_after_the_deadline_and_what_came_after_it_says_so(self, office, bureau):
        opened(office, "2026-01", start="2026-01-01", end="2026-01-31", title="Januar 2026")
        bureau.submit("2026-01", "NEP-0025")
        page = office.page("/runder/2026-01")
        rows = reports(page)
        assert rows["NEP-0012"]["Innsendt"] == "forfalt"
        assert rows["NEP-0025"]["Innsendt"].endswith("etter fristen")
        (late,) = [a for a in page.one("dl", _class="tiles").every("a") if a.text == "1 over fristen"]
        assert [one["identifier"][0]["value"] for one in bureau.found(late["href"])] == ["2026-01:NEP-0012"]


class TestClosing:
    def form(self, office: Person, number: str) -> Node:
        return office.page(f"/runder/{number}").one("section", id="closing").one("form")

    def test_those_that_are_missing_must_be_ticked_and_the_close_confirmed(self, office, bureau):
        form = self.form(office, "2026-11")
        assert "NEP-0012 EPJ-løftet" in form.one("details").text
        answer = office.submit(form, title="Min tittel")
        page = parse(answer)
        assert answer.status_code == 422
        assert list(faults(page)) == ["force", "confirm"]
        assert page.one("section", id="closing").one("input", id="title")["value"] == "Min tittel"
        assert list(faults(parse(office.submit(form, force="true")))) == ["confirm"]
        (round,) = bureau.found(f"Task?identifier={C}/sid/runde|2026-11")
        assert round["status"] == "in-progress"

    def test_it_leads_to_the_preview_of_what_it_would_publish(self, office):
        links = [a["href"] for a in office.page("/runder/2026-11").one("section", id="closing").every("a")]
        assert links == ["/utgaver/2026-11/vedlegg.html", "/utgaver/2026-11"]
        assert "ingen publisert utgave" in office.get(links[0]).text

    def test_it_publishes_once_however_often_it_is_sent(self, office, bureau):
        opened(office, "2027-06")
        bureau.submit("2027-06", "NEP-0025")
        form = self.form(office, "2027-06")

        async def both() -> list[str]:
            sent = [office.sent(form, force="true", confirm="true", title="Juni") for _ in range(2)]
            return [answer.headers.get("location", answer.text) for answer in await asyncio.gather(*sent)]

        assert bureau.run(both()) == ["/utgaver/2027-06"] * 2
        assert office.submit(form, force="true", confirm="true").headers["location"] == "/utgaver/2027-06"
        assert len(bureau.found(f"Bundle?identifier={C}/sid/rapport|2027-06")) == 1
        rows = reports(office.page("/runder/2027-06"))
        assert (rows["NEP-0012"]["Rapportering"], rows["NEP-0025"]["Rapportering"]) == (
            "Ikke rapportert innen fristen", "Låst i publisert rapport",
        )  # fmt: skip

    def test_who_came_to_be_missing_since_the_box_was_ticked_is_not_left_out_unseen(self, office, bureau):
        opened(office, "2027-07")
        bureau.submit("2027-07", "NEP-0025")
        form = self.form(office, "2027-07")
        report = bureau.report("2027-07", "NEP-0025")
        report |= {"status": "in-progress", "statusReason": {"coding": [REASON], "text": "Tallene mangler"}}
        report["businessStatus"]["coding"][0] |= {"code": "returnert", "display": "Returnert"}
        bureau.api("PUT", f"Task/{report['id']}", report)
        answer = office.submit(form, force="true", confirm="true")
        assert (answer.status_code, list(faults(parse(answer)))) == (409, ["force"])
        assert "Tallene mangler" in parse(answer).one("section", id="closing").text

    def test_a_reload_of_the_form_s_address_leads_back(self, office):
        assert office.get("/runder/2026-11/lukk?lang=en").headers["location"] == "/runder/2026-11?lang=en"


class TestCorrection:
    def test_from_the_wrong_colour_to_the_amended_edition(self, office, bureau):
        opened(office, "2027-08")
        bureau.submit("2027-08", "NEP-0025")
        bureau.submit("2027-08", "NEP-0012")
        closing = office.page("/runder/2027-08").one("section", id="closing").one("form")
        assert not closing.every("input", id="force")
        office.submit(closing, confirm="true")

        form = office.page("/runder/2027-08").one("section", id="correcting").one("form")
        chosen = form.one("input", id="report-NEP-0025")["value"]
        answer = office.submit(form, reason="")
        assert (answer.status_code, list(faults(parse(answer)))) == (422, ["reports-choice", "reason"])
        again = parse(office.submit(form, **{"report-NEP-0025": chosen})).one("section", id="correcting")
        assert "checked" in again.one("input", id="report-NEP-0025").attributes
        sent = {"report-NEP-0025": chosen, "reason": "Feil farge i HELIKS"}
        for _ in range(2):
            assert office.submit(form, **sent).headers["location"] == "/runder/2027-08"
        refused = office.submit(form, **{"report-NEP-0012": bureau_ref(bureau, "NEP-0012"), "reason": "Mer"})
        assert refused.status_code == 422
        assert "Bare en lukket runde rettes" in parse(refused).one("div", _class="errors").text

        page = office.page("/runder/2027-08")
        assert "åpnet igjen for å rette Utgave 2027-08" in page.one("main").text
        assert page.one("section", id="closing").one("form").one("input", id="title")["value"].endswith("rettet")
        others = Person(bureau).page("/runder/2027-08")
        assert "åpnet igjen for å rette Utgave 2027-08" in others.one("main").text
        assert list(reports(others)) == ["NEP-0012"]
        bureau.submit("2027-08", "NEP-0025", "rod")
        answer = office.submit(office.page("/runder/2027-08").one("section", id="closing").one("form"), confirm="true")
        assert answer.headers["location"] == "/utgaver/2027-08.2"
        amended = office.page("/utgaver/2027-08.2").one("main").text
        assert "Feil farge i HELIKS" in amended
        first = office.page("/utgaver/2027-08").one("p", _class="remark").text
        assert first.endswith("erstattet av Utgave 2027-08.2 .")


def bureau_ref(bureau: Bureau, initiative: str) -> str:
    return f"Task/{bureau.report('2027-08', initiative)['id']}"


def reports(page: Node) -> dict[str, dict[str, str]]:
    """The rows of the table of all reports, by tiltaksnummer."""
    table = page.one("section", id="reports").every("table")[0]
    return {row["Nummer"]: row for row in Node("#", {}, [table]).rows()}


def reports_or_none(page: Node) -> list[Node]:
    return page.one("section", id="reports").every("table", _class="stack")[:-1]


def parse(answer: httpx.Response) -> Node:
    return html.parse(answer.text)


def test_the_home_of_the_tests_is_the_servers(bureau):
    assert bureau.settings.base == f"{HOME}/fhir"
