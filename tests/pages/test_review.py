"""The review of a round: who waits, what changed, what the facts say, and the secretariat's decision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.pages.house import House
from server.pages.review.reports import colour_mark, value_mark
from server.portfolio.codes import Coded
from tests.pages.html import Node, parse
from tests.pages.rounds import E_HEALTH, HELSE_VEST, People, autumn, copied
from tests.pages.test_signin import Browser

QUEUE = "/runder/2023-09/gjennomgang"
EPJ, HELIKS = f"{QUEUE}/NEP-0012", f"{QUEUE}/NEP-0025"


@pytest.fixture(scope="module")
def registry(portfolio: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return autumn(portfolio, tmp_path_factory.mktemp("autumn"))


@pytest.fixture(scope="module")
def people(registry: Path) -> Iterator[People]:
    """Those who look only."""
    with People(registry) as people:
        yield people


@pytest.fixture
def office(registry: Path, people: People, tmp_path: Path) -> Iterator[People]:
    """Its own copy, seen by the secretariat, for a test that decides."""
    with copied(registry, tmp_path) as own:
        yield own.of("secretariat")


@pytest.fixture(scope="module")
def queue(people: People) -> Node:
    return people.of("secretariat").page(QUEUE)


@pytest.fixture(scope="module")
def epj(people: People) -> Node:
    return people.of("secretariat").page(EPJ)


def row(page: Node, number: str) -> dict[str, str]:
    return next(one for one in page.rows() if one["Nummer"] == number)


def section(page: Node, id: str) -> Node:
    return page.one("section", id=id)


def forms(page: Node) -> dict[str, Node]:
    """The forms of the decision, by what they decide."""
    found = page.one("main").every("form")
    return {one.one("input", name="decision")["value"]: one for one in found}


def states(page: Node) -> list[str]:
    return [one.text for one in page.one("nav", aria_labelledby="states").every("a")]


class TestTheQueue:
    def test_those_that_wait_stand_first_the_oldest_at_the_top(self, queue: Node) -> None:
        rows = queue.rows()
        assert [one["Nummer"] for one in rows[:3]] == ["NEP-0012", "NEP-0025", "NEP-0001"]
        assert len(rows) == 40
        assert queue.one("p", _class="lead").text == (
            "2 rapporter venter på sekretariatet. Fristen er 30.09.2023. Rapportene sammenlignes med November 2021."
        )
        assert states(queue) == ["Alle (40)", "Venter på sekretariatet (2)", "Ikke startet (38)"]

    def test_a_row_says_how_its_colours_moved_what_changed_and_what_the_facts_say(self, queue: Node) -> None:
        one = row(queue, "NEP-0012")
        assert one["Aktør"] == "Direktoratet for e-helse"
        assert one["Tilstand"].startswith("Venter på sekretariatet")
        assert one["Status"] == "Gul rapportert som «Noen utfordringer» Dårligere"
        assert one["Risiko"] == "Gul rapportert som «Middels» Samme farge, annet ord"
        assert one["Endringer"] == "NEP-0012: 29"
        assert one["Fakta"] == "NEP-0012: Rød ett trinn dårligere enn oppgitt"
        assert one["Merknader"] == "0"
        assert row(queue, "NEP-0025")["Status"] == "Rød Dårligere"
        assert {**row(queue, "NEP-0001"), "Fakta": ""} == {
            "Nummer": "NEP-0001",
            "Tiltak": "Program for kodeverk og terminologi",
            "Aktør": "Direktoratet for e-helse",
            "Tilstand": "Ikke startet",
            "Status": "ikke oppgitt",
            "Risiko": "ikke oppgitt",
            "Endringer": "0",
            "Fakta": "",
            "Merknader": "når rapporten er sendt inn",
        }

    @pytest.mark.parametrize(
        ("state", "numbers"), [("innsendt", ["NEP-0012", "NEP-0025"]), ("returnert", []), ("ikke-rapportert", [])]
    )
    def test_a_state_narrows_it_and_the_search_below_finds_the_same(
        self, people: People, state: str, numbers: list[str]
    ) -> None:
        page = people.of("secretariat").page(f"{QUEUE}?state={state}")
        assert [one["Nummer"] for one in (page.rows() if numbers else ())] == numbers
        url = page.one("p", _class="api").one("a")["href"]
        assert people.fhir("GET", url.partition("/fhir/")[2])["total"] == len(numbers)

    @pytest.mark.parametrize("wrong", ["state=tull", "page=0", "page=-1", "page=x"])
    def test_a_wrong_parameter_is_explained(self, people: People, wrong: str) -> None:
        page = people.of("secretariat").page(f"{QUEUE}?{wrong}", 400)
        assert page.one("ul", _class="faults").one("code").text == wrong.partition("=")[0]

    def test_each_analysis_is_asked_once_for_all_rows(self, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: Counter[str] = Counter()
        operate = House.operate

        async def counted(self: House, caller: Any, name: str, *rest: Any, **more: Any) -> Any:
            asked[name] += 1
            return await operate(self, caller, name, *rest, **more)

        monkeypatch.setattr(House, "operate", counted)
        assert len(people.of("secretariat").page(f"{QUEUE}?lang=en").rows()) == 40
        assert asked == {"$evidence": 1, "$portfolio-diff": 1, "$remarks": 1}

    def test_a_round_that_nobody_knows_is_not_found(self, people: People) -> None:
        assert people.of().page("/runder/1999-01/gjennomgang", 404).one("h1")

    @pytest.mark.parametrize(
        ("user", "numbers"),
        [("", []), ("reader", []), (f"reporter:{HELSE_VEST}", ["NEP-0025"]), (f"reporter:{E_HEALTH}", ["NEP-0012"])],
    )
    def test_of_an_open_round_others_see_their_own_reports_only(
        self, people: People, user: str, numbers: list[str]
    ) -> None:
        page = people.of(user).page(QUEUE)
        shown = [one["Nummer"] for one in page.rows()] if page.every("table") else []
        assert [one for one in shown if one in ("NEP-0012", "NEP-0025")] == numbers
        assert "Merknader" not in page.text
        assert bool(shown) is bool(numbers)

    def test_a_closed_round_is_for_everyone(self, people: People) -> None:
        page = people.of().page("/runder/2021-11/gjennomgang")
        rows = page.rows()
        assert [one["Nummer"] for one in rows] == [f"NEP-{number:04}" for number in range(1, 41)]
        assert {one["Tilstand"] for one in rows} == {"Låst og publisert"}
        assert list(rows[0]) == ["Nummer", "Tiltak", "Aktør", "Tilstand", "Status", "Risiko", "Fakta"]
        assert sum("dårligere" in one["Fakta"] for one in rows) == 7

    def test_the_lasting_link_of_a_closed_round_shows_the_same(self, people: People) -> None:
        page = people.of().page("/runder/2021-11/gjennomgang")
        link = next(one["href"] for one in page.one("footer").every("a") if "_asOf" in one["href"])
        assert people.page(link).rows() == page.rows()
        assert "Rød" in section(people.page(link.replace("gjennomgang", "gjennomgang/NEP-0010")), "facts").text

    def test_the_warnings_of_a_round_are_counted_as_the_operation_has_them(self, people: People) -> None:
        rows = people.of("secretariat").page("/runder/2021-11/gjennomgang").rows()
        reports = people.fhir("GET", "Task/$remarks?round=2021-11")["parameter"]
        told = [part["part"][1]["resource"]["issue"] for one in reports for part in one["part"][2:]]
        assert sum(int(one["Merknader"].rpartition(" ")[2]) for one in rows) == sum(map(len, told)) > 20
        assert sum(one["Merknader"] != "0" for one in rows) == sum(len(one["part"]) > 2 for one in reports)


class TestOneReport:
    """EPJ-løftet in autumn 2023 beside November 2021: what its own report changed."""

    def test_each_fact_stands_then_and_now_with_a_word_for_what_became_of_it(self, epj: Node) -> None:
        assert [tuple(one.values()) for one in section(epj, "report").rows() if len(one["September 2023"]) < 60] == [
            ("Status", "Grønn", "Gul rapportert som «Noen utfordringer»", "Dårligere"),
            ("Risiko", "Gul", "Gul rapportert som «Middels»", "Samme farge, annet ord"),
            ("Fase", "Gjennomføre", "Gjennomføre", "Uendret"),
            ("Sluttdato", "31.12.2022", "ikke oppgitt", "Borte"),
        ]
        assert [(one["Opplysning"], one["Siden sist"]) for one in section(epj, "report").rows()][1::2][:2] == [
            ("Kommentar til status", "Kom til"),
            ("Beskrivelse av risiko", "Endret"),
        ]

    def test_the_changes_stand_in_words(self, epj: Node) -> None:
        changes = section(epj, "changes")
        assert changes.one("h2").text == "29 endringer i tiltaket siden November 2021"
        told = [one.text.removesuffix(" FHIR") for one in changes.one("ul", _class="told").every("li")]
        assert len(told) == 29
        assert {
            "Risiko er uendret, men skrives nå «Middels» mot «Gul» før",
            "Tiltaket: sluttdatoen 31. desember 2022 er borte",
            "Leveransen «Digital dialog helsenorge» er ny, med frist 30. juni 2023",
            "Leveransen «Strukturert informasjon i EPJ, henvisningsveileder»: fra Ikke levert til Levert",
            "Avhengigheten «Oppdragsavtale» er ny, med frist 3. april 2023",
        } <= set(told)
        assert sum("er ny, med frist" in one for one in told) == 13 + 3
        assert [
            (one["Først planlagt"], one["Planlagt nå"], one["Flyttet"], one["Ganger"]) for one in changes.rows()
        ] == [
            ("30.06.2022", "31.03.2024", "640 dager senere", "1"),
            ("31.12.2021", "01.03.2023", "425 dager senere", "1"),
        ]

    def test_every_change_and_reason_leads_to_its_resource(self, people: People, epj: Node) -> None:
        changes = [one["href"] for one in section(epj, "changes").every("a")]
        assert len(changes) == 29 + 2
        reasons = section(epj, "facts").one("ul", _class="reasons").every("a")
        for url in (changes[0], changes[4], *(one["href"] for one in reasons), *self.behind(epj)):
            found = people.fhir("GET", url.partition("/fhir/")[2])
            assert found.get("total", 1) > 0, url

    def behind(self, page: Node) -> list[str]:
        return [one["href"] for one in section(page, "api").every("a") if "/fhir/" in one["href"]]

    def test_the_facts_stand_beside_the_colour(self, epj: Node) -> None:
        facts = section(epj, "facts")
        assert facts.every("p")[0].text == "Oppgitt: Gul Fakta: Rød ett trinn dårligere enn oppgitt"
        assert [
            one.every("a")[0].text for one in facts.one("ul", _class="reasons").every("li") if one.every("svg")
        ] == [
            "Leveranser over fristen: 1, lengst 92 dager",
            "Leveranser med flyttet frist: 1, lengst 640 dager, oftest 1 ganger",
            "Kritiske avhengigheter over fristen: 4, lengst 668 dager",
        ]

    def test_the_history_says_who_sent_it(self, epj: Node, people: People) -> None:
        rows = section(epj, "history").rows()
        assert [(one["Tilstand"], one["Av hvem"]) for one in rows] == [
            ("Venter på sekretariatet", "Direktoratet for e-helse"),
            ("Ikke startet", "Porteføljekontoret, import"),
        ]
        assert "ikke vist for deg" in section(people.of(f"reporter:{E_HEALTH}").page(EPJ), "history").text

    def test_the_queue_goes_on_from_it(self, epj: Node) -> None:
        beside = epj.one("nav", aria_label="Køen")
        assert [one["href"] for one in beside.every("a")] == [HELIKS]
        trail = [one["href"] for one in epj.one("nav", aria_label="Du er her").every("a")]
        assert trail == ["/runder", "/runder/2023-09", QUEUE]

    def test_the_warnings_are_for_the_secretariat(self, people: People) -> None:
        url = "/runder/2021-11/gjennomgang/NEP-0030"
        found = section(people.of("secretariat").page(url), "remarks").one("ul", _class="told")
        assert len(found.every("a")) == 1
        assert not people.of().page(url).every("section", id="remarks")

    def test_others_have_no_forms_and_of_an_open_round_no_report(self, people: People) -> None:
        assert set(forms(people.of("secretariat").page(EPJ))) == {"approve", "return"}
        assert not people.of(f"reporter:{E_HEALTH}").page(EPJ).one("main").every("form")
        for user in ("", "reader", f"reporter:{HELSE_VEST}"):
            assert people.of(user).page(EPJ, 404)
        assert not people.of("secretariat").page(f"{QUEUE}/NEP-0001").one("main").every("form")
        assert people.page(f"{QUEUE}/NEP-9999", 404)

    def test_the_past_has_no_forms(self, people: People) -> None:
        instant = people.report("2023-09", "NEP-0012")["meta"]["lastUpdated"]
        page = people.of("secretariat").page(f"{EPJ}?_asOf={instant}")
        assert section(page, "report").rows()[0]["September 2023"].startswith("Gul")
        assert not page.one("main").every("form")

    def test_english_is_offered_of_all_of_it(self, people: People) -> None:
        page = people.of("secretariat").page(f"{EPJ}?lang=en")
        assert section(page, "report").rows()[3]["Since then"] == "Changed"
        assert "The initiative: the end date 31 December 2022 is gone" in section(page, "changes").text


class TestTheFrontPage:
    """Whoever is signed in is led to what comes next."""

    def test_the_secretariat_is_led_to_the_reports_that_wait(self, people: People) -> None:
        panel = people.of("secretariat").page("/").one("section", aria_labelledby="waiting")
        assert panel.one("h3").one("a")["href"] == "/runder/2023-09"
        assert panel.every("p")[0].text.startswith("2 rapporter venter på sekretariatet. 38 av 40 er ikke sendt inn.")
        assert panel.one("a", _class="button")["href"] == QUEUE

    def test_a_reporter_sees_what_remains_and_why_a_report_came_back(self, office: People) -> None:
        own = office.of(f"reporter:{HELSE_VEST}")
        panel = own.page("/").one("section", aria_labelledby="waiting")
        assert panel.every("p")[0].text.startswith("2 statusrapporter gjenstår. Fristen er 30.09.2023.")
        assert panel.one("a", _class="button")["href"] == "/runder/2023-09/arbeidsbok"
        office.of("secretariat").submit(forms(office.page(HELIKS))["return"], reason="Risikoen mangler.")
        panel = own.of(f"reporter:{HELSE_VEST}").page("/").one("section", aria_labelledby="waiting")
        assert panel.every("p")[0].text.startswith("3 statusrapporter gjenstår.")
        assert {one.text: one["href"] for one in panel.one("ul").every("a")} == {"HELIKS": HELIKS}
        (returned,) = [one for one in own.page("/runder/2023-09").rows() if one["Nummer"] == "NEP-0025"]
        assert returned["Gå til"] == "Rapporten"
        mend = own.page(HELIKS).one("div", _class="remark").one("a", _class="button")
        assert mend["href"] == "/runder/2023-09/arbeidsbok"

    @pytest.mark.parametrize("user", ["", "reader"])
    def test_nothing_waits_for_those_who_only_read(self, people: People, user: str) -> None:
        assert not people.of(user).page("/").every("section", aria_labelledby="waiting")

    @pytest.mark.parametrize("query", ["context=samstyre", "_asOf=2026-01-01T00:00:00Z"])
    def test_nor_while_the_list_is_narrowed_or_of_the_past(self, people: People, query: str) -> None:
        assert not people.of("secretariat").page(f"/?{query}").every("section", aria_labelledby="waiting")


class TestDeciding:
    def test_an_approved_report_leads_on_to_the_next_that_waits(self, office: People) -> None:
        answer = office.submit(forms(office.page(EPJ))["approve"])
        assert (answer.status_code, answer.headers["location"]) == (303, f"{HELIKS}?done=NEP-0012")
        report = office.report("2023-09", "NEP-0012")
        assert (report["status"], report["businessStatus"]["coding"][0]["code"]) == ("completed", "godkjent")
        page = office.page(answer.headers["location"])
        assert page.one("p", role="status").text == "Godkjent NEP-0012 EPJ-løftet. Én venter fortsatt."
        last = office.submit(forms(page)["approve"])
        assert last.headers["location"] == f"{QUEUE}?done=NEP-0025"
        done = office.page(last.headers["location"])
        assert states(done) == ["Alle (40)", "Godkjent (2)", "Ikke startet (38)"]
        assert section(office.page(EPJ), "history").rows()[0]["Av hvem"] == "Porteføljekontoret"

    def test_a_returned_report_says_why_to_its_owner_who_sends_it_again(self, office: People) -> None:
        answer = office.submit(forms(office.page(HELIKS))["return"], reason=" Risikoen mangler\nbegrunnelse. ")
        assert (answer.status_code, answer.headers["location"]) == (303, f"{EPJ}?done=NEP-0025")
        report = office.report("2023-09", "NEP-0025")
        assert (report["status"], report["businessStatus"]["coding"][0]["code"]) == ("in-progress", "returnert")
        assert report["statusReason"]["text"] == "Risikoen mangler\nbegrunnelse."
        assert row(office.page(QUEUE), "NEP-0025")["Tilstand"].endswith("Risikoen mangler begrunnelse.")
        own = office.of(f"reporter:{HELSE_VEST}").page(HELIKS)
        assert "Risikoen mangler begrunnelse. Rett rapporten" in own.one("div", _class="remark").text
        office.send("2023-09", "NEP-0025", actor=HELSE_VEST)
        assert row(office.of("secretariat").page(QUEUE), "NEP-0025")["Tilstand"].startswith("Venter på")
        assert office.submit(forms(office.page(HELIKS))["approve"]).status_code == 303
        assert "statusReason" not in office.report("2023-09", "NEP-0025")
        story = [one["Tilstand"].partition(" ")[0] for one in section(office.page(HELIKS), "history").rows()]
        assert story == ["Godkjent", "Venter", "Returnert", "Venter", "Ikke"]

    @pytest.mark.parametrize(("reason", "status"), [("  ", 422), ("Uleselig \x01 tegn", 400)])
    def test_a_return_without_a_proper_reason_comes_back_with_the_field_to_mend(
        self, people: People, reason: str, status: int
    ) -> None:
        answer = people.of("secretariat").submit(forms(people.page(EPJ))["return"], reason=reason)
        page = parse(answer.text)
        assert answer.status_code == status
        assert page.one("title").text.startswith("Feil: ")
        assert page.one("div", role="alert").one("a")["href"] == "#reason"
        field = page.one("textarea", id="reason")
        assert field.text == reason.strip()
        assert field["aria-invalid"] == "true"
        assert "reason-error" in field["aria-describedby"]
        assert page.one("p", id="reason-error").text
        assert people.report("2023-09", "NEP-0012")["status"] == "completed"

    def test_what_somebody_else_decided_meanwhile_is_shown_and_nothing_typed_is_lost(self, office: People) -> None:
        mine = forms(office.page(EPJ))
        assert office.submit(mine["approve"]).status_code == 303
        answer = office.submit(mine["return"], reason="Mangler <tall>.")
        page = parse(answer.text)
        assert answer.status_code == 412
        alert = page.one("div", role="alert")
        assert alert.one("h2").text == "Rapporten er endret siden du åpnet siden"
        assert alert.one("blockquote").text == "Mangler <tall>."
        assert "Godkjent" in section(page, "history").rows()[0]["Tilstand"]
        assert not page.one("main").every("form")
        twice = office.submit(mine["approve"])
        assert twice.status_code == 412

    def test_a_report_that_was_sent_again_meanwhile_can_be_judged_anew(self, office: People) -> None:
        mine = forms(office.page(HELIKS))
        office.send("2023-09", "NEP-0025", actor=HELSE_VEST, colour="gronn")
        answer = office.submit(mine["return"], reason="Hvorfor rødt?")
        page = parse(answer.text)
        assert answer.status_code == 412
        assert section(page, "report").rows()[0]["September 2023"] == "Grønn"
        assert page.one("textarea", id="reason").text == "Hvorfor rødt?"
        assert office.submit(forms(page)["return"], reason="Hvorfor grønt?").status_code == 303

    @pytest.mark.parametrize(
        ("fields", "status"),
        [
            ({"decision": "delete"}, 400),
            ({"version": ""}, 400),
            ({"version": "x"}, 400),
            ({"version": "99"}, 412),
            ({"csrf": "x"}, 403),
        ],
    )
    def test_a_form_that_is_not_ours_does_nothing(self, people: People, fields: dict[str, str], status: int) -> None:
        answer = people.of("secretariat").submit(forms(people.page(EPJ))["approve"], **fields)
        assert answer.status_code == status
        assert people.report("2023-09", "NEP-0012")["businessStatus"]["coding"][0]["code"] == "innsendt"

    def test_where_everyone_is_the_secretariat_nobody_signs_in(self, registry: Path, people: People) -> None:
        with Browser(registry, auth="off") as everyone:
            answer = everyone.submit(forms(everyone.page(EPJ))["return"], reason="")
            assert answer.status_code == 422
            assert parse(answer.text).one("textarea", id="reason")

    @pytest.mark.parametrize(("user", "status"), [("", 401), ("reader", 403), (f"reporter:{E_HEALTH}", 403)])
    def test_nobody_but_the_secretariat_decides(self, people: People, user: str, status: int) -> None:
        form = forms(people.of("secretariat").page(EPJ))["approve"]
        sent = {one["name"]: one["value"] for one in form.every("input", type="hidden")}
        token = people.of(user).page("/").every("input", type="hidden", name="csrf")
        answer = people.post(EPJ, {**sent, "csrf": token[0]["value"] if token else ""})
        assert answer.status_code == status
        assert people.report("2023-09", "NEP-0012")["businessStatus"]["coding"][0]["code"] == "innsendt"

    def test_a_form_from_another_site_is_refused(self, people: People) -> None:
        form = forms(people.of("secretariat").page(EPJ))["approve"]
        sent = {one["name"]: one["value"] for one in form.every("input", type="hidden")}
        assert people.post(EPJ, sent, Origin="https://evil.example").status_code == 403

    def test_what_does_not_wait_is_not_decided(self, people: People) -> None:
        form = forms(people.of("secretariat").page(EPJ))["approve"]
        for initiative, status in (("NEP-0001", 422), ("NEP-9999", 404)):
            fields = {one["name"]: one["value"] for one in form.every("input", type="hidden")}
            version = people.report("2023-09", "NEP-0001")["meta"]["versionId"]
            answer = people.post(f"{QUEUE}/{initiative}", {**fields, "version": version})
            assert answer.status_code == status, answer.text


def coded(code: str, printed: str = "") -> Coded:
    return Coded("s", code, code, "nb", printed)


@pytest.mark.parametrize(
    ("before", "after", "mark"),
    [
        (coded("gronn"), coded("gul"), "worse"),
        (coded("rod"), coded("gul"), "better"),
        (coded("gul"), coded("gul"), "same"),
        (coded("gul"), coded("gul", "Middels"), "reworded"),
        (None, coded("gul"), "new"),
        (coded("gul"), None, "gone"),
        (None, None, "unstated"),
    ],
)
def test_a_colour_is_better_or_worse_or_another_word(before: Coded | None, after: Coded | None, mark: str) -> None:
    assert colour_mark(before, after) == mark


def test_any_other_value_is_changed_or_not() -> None:
    assert [value_mark(*pair) for pair in (("a", "b"), ("a", "a"), ("", "b"), ("a", None), (None, ""))] == [
        "changed", "same", "new", "gone", "unstated",
    ]  # fmt: skip
