"""An actor's calendar: what a calendar program reads out of it, and what changes when a deadline is moved."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from icalendar import Calendar, Event

from server.pages.actors.calendar import Deadline, Feed, written
from tests.pages.test_actors import SITE, UNMET, open_deliveries
from tests.pages.test_portfolio import sheet
from tests.portfolio.office import Office, office_in

Resource = dict[str, Any]
NHN, VEST = "/aktorer/norsk-helsenett/kalender.ics", "/aktorer/helse-vest/kalender.ics"


def read(answer: httpx.Response) -> Calendar:
    assert answer.status_code == 200, answer.text
    return Calendar.from_ical(answer.content)


def events(calendar: Calendar, category: str = "") -> list[Event]:
    return [one for one in calendar.walk("VEVENT") if not category or one["CATEGORIES"].cats == [category]]


def dated(site: Any, query: str) -> list[str]:
    """The last day of every deadline that the API finds."""
    found = site.get(f"/fhir/Task?{query}&based-on:PlanDefinition.status=active&due:missing=false&_count=500").json()
    dues = [entry["resource"]["restriction"]["period"]["end"] for entry in found.get("entry", ())]
    assert all(len(due) == 10 for due in dues)
    return sorted(dues)


class TestNovember2021:
    @pytest.mark.parametrize(
        ("key", "number", "printed"),
        [("norsk-helsenett", "994598759", "Norsk Helsenett"),
         ("direktoratet-for-e-helse", "915933149", "Direktoratet for e-helse"),
         ("helse-vest", "983658725", "Helse Vest")],
    )  # fmt: skip
    def test_it_holds_every_deadline_that_the_api_finds_and_no_other(self, site, key, number, printed):
        calendar = read(site.get(f"/aktorer/{key}/kalender.ics"))
        sought = {
            "Leveranse": f"code=leveranse&status=ready,in-progress,on-hold&owner:Organization.identifier={number}",
            "Andre venter på oss": f"code=avhengighet&status={UNMET}&counterpart:Organization.identifier={number}",
            "Vi venter på andre": f"code=avhengighet&status={UNMET}&requester:Organization.identifier={number}",
        }
        for category, query in sought.items():
            days = sorted(one["DTSTART"].dt.isoformat() for one in events(calendar, category))
            assert days == dated(site, query), category
        assert len(events(calendar, "Leveranse")) == open_deliveries()[printed]
        assert {one["CATEGORIES"].cats[0] for one in events(calendar)} <= set(sought)

    def test_a_delivery_is_a_whole_day_that_takes_no_time(self, site):
        (event, *_) = events(read(site.get(NHN)), "Leveranse")
        rows = [row for row in sheet("deliveries") if row["initiative_id"] == "api-management"]
        row = min(rows, key=lambda row: row["due_date"])
        first = {each["name"] for each in rows if each["due_date"] == row["due_date"]}
        assert str(event["SUMMARY"]) in {
            f"Leveranse: {name} (Realisere API-management som en tjeneste)" for name in first
        }
        assert event["DTSTART"].to_ical() == row["due_date"].replace("-", "").encode()
        assert event["DTSTART"].params["VALUE"] == "DATE"
        assert event["DTEND"].dt - event["DTSTART"].dt == timedelta(days=1)
        assert event["TRANSP"] == "TRANSPARENT"
        assert event["STATUS"] == "CONFIRMED"
        assert str(event["URL"]) == f"{SITE}/tiltak/NEP-0011"
        assert site.get("/tiltak/NEP-0011").status_code == 200

    def test_what_is_not_accepted_is_tentative_and_says_who_waits(self, site):
        owed = events(read(site.get(NHN)), "Andre venter på oss")
        assert {str(one["STATUS"]) for one in owed} == {"TENTATIVE"}
        assert all("venter på oss: " in one["SUMMARY"] for one in owed)
        assert any(one["SUMMARY"].startswith("Helse Sør-Øst RHF venter på oss: ") for one in owed)
        assert all("Kritikalitet: " in one["DESCRIPTION"] for one in owed)

    def test_stamps_are_those_of_what_it_is_about_and_names_are_unique(self, site):
        calendar = read(site.get(VEST))
        tasks = {entry["resource"]["id"]: entry["resource"] for entry in site.get(
            "/fhir/Task?requester:Organization.identifier=983658725&_count=500").json()["entry"]}  # fmt: skip
        uids = Counter(str(one["UID"]) for one in events(calendar))
        assert set(uids.values()) == {1}
        for one in events(calendar, "Leveranse"):
            kind, _, rest = str(one["UID"]).partition("-")
            task = tasks[rest.removesuffix("@eportefolje.example")]
            changed = datetime.fromisoformat(task["meta"]["lastUpdated"]).replace(microsecond=0)
            assert kind == "delivery"
            assert one["DTSTAMP"].dt == one["LAST-MODIFIED"].dt == changed
            assert one["SEQUENCE"] == int(task["meta"]["versionId"]) - 1

    def test_it_names_itself_in_the_language_asked_for(self, site):
        for lang, name, category in (("nb", "Frister: Helse Vest RHF", "Leveranse"),
                                     ("en", "Deadlines: Helse Vest RHF", "Delivery")):  # fmt: skip
            calendar = read(site.get(f"{VEST}?lang={lang}"))
            assert str(calendar["NAME"]) == str(calendar["X-WR-CALNAME"]) == name
            assert calendar["NAME"].params["LANGUAGE"] == lang
            assert len(events(calendar, category)) == 14
            assert str(calendar["SOURCE"]) == f"{SITE}{VEST}?lang={lang}"
        assert calendar["REFRESH-INTERVAL"].to_ical() == calendar["X-PUBLISHED-TTL"].to_ical() == b"PT12H"
        assert calendar["REFRESH-INTERVAL"].params["VALUE"] == "DURATION"

    def test_the_name_is_the_same_in_both_languages(self, site):
        named = [{one["UID"] for one in events(read(site.get(f"{VEST}?lang={lang}")))} for lang in ("nb", "en")]
        assert named[0] == named[1]

    def test_the_page_leads_to_it(self, site):
        text = site.get("/aktorer/994598759").text
        assert f'href="webcal://registry.example{NHN}?lang=nb"' in text
        assert f'href="{SITE}{NHN}?lang=nb"' in text

    def test_its_lines_are_those_of_the_standard(self, site):
        content = site.get(VEST).content
        assert all(len(line) <= 75 for line in content.split(b"\r\n"))
        assert b"\n" not in content.replace(b"\r\n", b"")
        assert content.startswith(b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:")


class TestHeaders:
    def test_it_is_a_calendar_and_not_sent_again(self, site):
        first = site.get(NHN)
        assert first.headers["content-type"] == "text/calendar; charset=utf-8"
        assert first.headers["content-disposition"] == 'inline; filename="norsk-helsenett.ics"'
        tag = first.headers["etag"]
        again = site.get(NHN, headers={"If-None-Match": f'"x", {tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert site.get(NHN, headers={"If-None-Match": '"x"'}).status_code == 200
        assert "Authorization" in first.headers["vary"]

    @pytest.mark.parametrize(
        ("url", "status"),
        [("/aktorer/ingen-slik/kalender.ics", 404), (f"{NHN}?lang=sv", 400), (f"{NHN}?round=2021-11", 400),
         (f"{NHN}?_asOf=2026-01-01T00:00:00Z", 400), (f"{NHN}?foo=bar", 400)],
    )  # fmt: skip
    def test_what_it_is_not_is_said(self, site, url, status):
        assert site.get(url).status_code == status

    def test_a_wrong_token_is_refused(self, site):
        assert site.get(NHN, headers={"Authorization": "Bearer tull"}).status_code == 401


@pytest.fixture(scope="module")
def office(portfolio: Path, site: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A copy that may be written to, with a round open."""
    folder = Path(shutil.copytree(portfolio, tmp_path_factory.mktemp("calendar") / "copy"))
    with office_in(folder) as office:
        assert office.open("2026-11").status_code == 201
        yield office


def fetched(office: Office, by: httpx.AsyncClient | None = None, **headers: str) -> httpx.Response:
    sent = {"Accept-Language": "nb", **{name.replace("_", "-"): text for name, text in headers.items()}}
    return office.run((by or office.anonymous).get(f"{SITE}{VEST}", headers=sent))


def changed(office: Office, task: Resource, **more: Any) -> Resource:
    answer = office.put({**task, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def delivery(office: Office) -> Resource:
    (task, *_) = office.found(
        "Task?code=leveranse&based-on:PlanDefinition.title=HELIKS&status=in-progress&_sort=due,_id"
    )
    return task


class TestChanges:
    def test_anyone_is_told_of_a_round_and_only_the_actor_how_far_it_has_come(self, office):
        titles = ["Alle møter", "HELIKS", "Interregional Digital Patologi"]
        (said,) = events(read(fetched(office)), "Statusrapport")
        assert said["DTSTART"].dt == date(2026, 11, 30)
        assert str(said["SUMMARY"]) == "Frist for statusrapport: November 2026"
        assert sorted(line[2:] for line in str(said["DESCRIPTION"]).splitlines()[1:]) == titles
        before, own = fetched(office).content, office.client("reporter", "983658725")
        office.submit("2026-11", "NEP-0025")
        (told,) = events(read(fetched(office, own)), "Statusrapport")
        assert "- HELIKS: Innsendt" in str(told["DESCRIPTION"]).splitlines()
        assert "- Alle møter: Ikke startet" in str(told["DESCRIPTION"]).splitlines()
        assert told["UID"] == said["UID"]
        for other in (None, office.client("reporter", "983658776"), office.client("reader")):
            assert fetched(office, other).content == before

    def test_a_deadline_that_moves_keeps_its_name_and_counts_up(self, office):
        task = delivery(office)
        name = f"delivery-{task['id']}@eportefolje.example"
        first = fetched(office)
        before = next(one for one in events(read(first)) if one["UID"] == name)
        later = {"period": {"end": "2027-02-28"}}
        changed(office, task, restriction=later)
        second = fetched(office, if_none_match=first.headers["etag"])
        after = next(one for one in events(read(second)) if one["UID"] == name)
        assert after["DTSTART"].dt == date(2027, 2, 28)
        assert after["SEQUENCE"] > before["SEQUENCE"]
        assert after["DTSTAMP"].dt >= before["DTSTAMP"].dt
        assert fetched(office, if_none_match=second.headers["etag"]).status_code == 304

    def test_one_that_moves_back_counts_up_all_the_same(self, office):
        task = delivery(office)
        counts = []
        for end in ("2027-02-01", "2027-08-01", "2027-02-01"):
            task = changed(office, task, restriction={"period": {"end": end}})
            event = next(one for one in events(read(fetched(office))) if task["id"] in one["UID"])
            counts.append((int(event["SEQUENCE"]), event["DTSTART"].dt.isoformat()))
        assert [day for _, day in counts] == ["2027-02-01", "2027-08-01", "2027-02-01"]
        assert sorted(set(counts)) == counts

    def test_what_is_stated_in_part_is_its_last_day_and_says_so(self, office):
        task = changed(office, delivery(office), restriction={"period": {"end": "2027"}})
        event = next(one for one in events(read(fetched(office))) if task["id"] in one["UID"])
        assert event["DTSTART"].dt == date(2027, 12, 31)
        assert "Fristen er oppgitt som 2027" in str(event["DESCRIPTION"]).splitlines()
        changed(office, task, restriction={"period": {"end": "9999-12-31"}})
        assert fetched(office).status_code == 200

    def test_a_name_comes_back_as_it_was_written(self, office):
        task = delivery(office)
        name = 'Prøve; av, \\n "tegn" BEGIN:VEVENT – ÆØÅ ' + "lang " * 30
        changed(office, task, code={**task["code"], "text": name.strip()})
        event = next(one for one in events(read(fetched(office))) if task["id"] in one["UID"])
        assert str(event["SUMMARY"]) == f"Leveranse: {name.strip()} (HELIKS)"

    def test_what_is_done_or_dropped_is_no_deadline_any_more(self, office):
        before = {str(one["UID"]) for one in events(read(fetched(office)), "Leveranse")}
        task = delivery(office)
        word = {"coding": [{**task["businessStatus"]["coding"][0], "code": "levert"}]}
        word["coding"][0].pop("display", None)
        changed(office, task, status="completed", businessStatus=word)
        after = {str(one["UID"]) for one in events(read(fetched(office)), "Leveranse")}
        assert before - after == {f"delivery-{task['id']}@eportefolje.example"}
        assert not after - before


def alone(*deadlines: Deadline, zone: str = "Europe/Oslo") -> bytes:
    return written(Feed("Frister: Ingen", "…", SITE, f"{SITE}/kalender.ics", "nb", deadlines, zone))


@pytest.mark.parametrize("zone", ["Europe/Oslo", "UTC", "America/New_York"])
def test_a_calendar_without_deadlines_holds_its_time_zone_for_it_must_hold_something(zone):
    """RFC 5545, 3.6: icalbody = calprops component, and component is one or more."""
    calendar = Calendar.from_ical(alone(zone=zone))
    assert events(calendar) == []
    (timezone,) = calendar.subcomponents
    assert (timezone.name, str(timezone["TZID"])) == ("VTIMEZONE", zone)
    assert {part.name for part in timezone.subcomponents} <= {"STANDARD", "DAYLIGHT"}
    assert timezone.subcomponents
    assert alone(zone=zone) == alone(zone=zone)


CHANGED = datetime.fromisoformat("2026-01-01T12:00:00+02:00")


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\rb", "a\nb"), ("a\r\nb", "a\nb"), ("a\u2028b\x85c", "a\nb\nc"), ("\x00\x0b\x7f", "\ufffd" * 3),
     ("a\tb", "a\tb"), ("😀æ" * 60, "😀æ" * 60), (r"\\;,:\n", r"\\;,:\n")],
)  # fmt: skip
def test_a_text_never_breaks_its_line_and_no_line_is_longer_than_75_octets(text, shown):
    content = alone(Deadline("1@x", date(2026, 5, 1), text, text, "c", SITE, True, 0, CHANGED))
    lines = content.split(b"\r\n")
    assert all(len(line) <= 75 for line in lines)
    assert not any((byte < 32 and byte != 9) or byte == 127 for line in lines for byte in line)
    assert all(line.decode() for line in lines[:-1])
    (event,) = events(Calendar.from_ical(content))
    assert (str(event["SUMMARY"]), str(event["DESCRIPTION"])) == (shown, shown)
    assert b"DTSTAMP:20260101T100000Z" in lines


def test_the_last_day_of_all_is_a_day():
    (event,) = events(Calendar.from_ical(alone(Deadline("1@x", date.max, "a", "b", "c", SITE, True, 0, CHANGED))))
    assert event["DTSTART"].dt == date.max
    assert "DTEND" not in event


def test_the_same_deadlines_give_the_same_bytes():
    changed = datetime.fromisoformat("2026-01-01T12:00:00+00:00")
    made = [Deadline(f"{n}@x", date(2026, 5, 1 + n % 3), "a", "b", "c", SITE, True, 0, changed) for n in range(5)]
    feeds = [Feed("a", "b", SITE, SITE, "nb", deadlines) for deadlines in (made, made[::-1])]
    assert written(feeds[0]) == written(feeds[1])
