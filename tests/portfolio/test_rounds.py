"""$open-round and $close-round: who is asked, what is late, what is locked, what is published. Domain model 8 and 9."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import OKPKey

from server.annex.tables import annex
from server.app import engine_of, rounds_of, store_of
from server.editions import faults, keys_from, keys_of
from server.load import load, publish_closed
from server.portfolio import elements
from server.portfolio.seal import FILE, holds
from server.resource import decode
from tests.portfolio.office import (
    C,
    Office,
    Resource,
    flag,
    identifier,
    office_in,
    opening,
    output,
    parameters,
    text,
)
from tests.portfolio.registry import Registry, settings_in
from tests.portfolio.sheets import REPORT

ENH = "urn:oid:2.16.578.1.12.4.1.4.101"

TWO = text("initiatives", f"identifier={C}/sid/tiltaksnummer|NEP-0025,{C}/sid/tiltaksnummer|NEP-0012")


@pytest.fixture
def office(store: Path, portfolio: Registry, tmp_path: Path) -> Iterator[Office]:
    """A copy of the portfolio of November 2021, under enforce."""
    with office_in(Path(shutil.copytree(store, tmp_path / "copy"))) as opened:
        yield opened


def kinds(bundle: Resource) -> Counter[str]:
    return Counter(entry["resource"]["resourceType"] for entry in bundle["entry"])


def issues(answer: Any) -> list[str]:
    return [issue["diagnostics"] for issue in answer.json()["issue"]]


def places(answer: Any) -> list[str]:
    return [place for issue in answer.json()["issue"] for place in issue.get("expression", [])]


def versions(office: Office) -> list[int]:
    """How many there are of each type that a round writes; the record of who looked is not among them."""
    types = ("Task", "Composition", "Bundle", "MeasureReport", "Provenance")
    return [office.get(f"{one}/_history?_count=1").get("total", 0) for one in types]


class TestOpening:
    def test_it_asks_a_report_of_every_active_initiative(self, office: Office) -> None:
        answer = office.open("2026-11")
        assert answer.status_code == 201
        assert kinds(answer.json()) == {"Task": 41}
        asked = office.found(f"Task?group-identifier={C}/sid/runde|2026-11&status=requested&_count=100")
        assert len(asked) == 40
        assert {one["businessStatus"]["coding"][0]["code"] for one in asked} == {"ikke-startet"}
        assert all(one["owner"]["reference"].startswith("Organization/") for one in asked)

    def test_the_same_call_again_changes_nothing(self, office: Office) -> None:
        first, again = office.open("2026-11"), office.open("2026-11")
        assert (first.status_code, again.status_code) == (201, 200)
        assert [entry["resource"]["meta"] for entry in first.json()["entry"]] == [
            entry["resource"]["meta"] for entry in again.json()["entry"]
        ]

    def test_it_asks_those_that_came_since_when_called_again(self, office: Office) -> None:
        office.open("2026-11", TWO)
        assert kinds(office.open("2026-11").json()) == {"Task": 41}
        assert len(office.found(f"Task?group-identifier={C}/sid/runde|2026-11&_count=100")) == 40

    def test_a_dry_run_writes_nothing(self, office: Office) -> None:
        answer = office.open("2026-11", flag("dryRun", True))
        assert answer.status_code == 200
        assert kinds(answer.json()) == {"Task": 41}
        assert office.found(f"Task?identifier={C}/sid/runde|2026-11") == []

    @pytest.mark.parametrize(
        ("changed", "status", "place"),
        [
            (opening("2026-11", title="Desember"), 409, ["Task.code.text"]),
            (opening("2026-11", end="2026-12-15"), 409, ["Task.restriction.period"]),
            (opening("2021-11"), 409, ["round"]),
            ([*opening("2026-12"), text("initiatives", "status=draft")], 422, ["initiatives"]),
            ([*opening("2026-12"), text("initiatives", "colour=red")], 400, ["initiatives"]),
            (opening("2026-12")[1:], 422, ["round"]),
            (opening("2026 12"), 400, ["round"]),
            (opening("2026-12", end="2026-10-01"), 400, ["period"]),
            ([opening("2026-12")[0], *opening("2026-12")[2:]], 422, ["title"]),
        ],
        ids=[
            "title",
            "deadline",
            "closed",
            "none found",
            "no search",
            "no round",
            "odd number",
            "ends first",
            "untitled",
        ],
    )
    def test_what_cannot_be_opened_is_refused_with_its_place(
        self, office: Office, changed: list[Resource], status: int, place: list[str]
    ) -> None:
        office.open("2026-11")
        answer = office.call("Task/$open-round", *changed)
        assert (answer.status_code, places(answer)) == (status, place)

    def test_only_the_secretariat_opens_and_closes(self, office: Office) -> None:
        reporter = office.client("reporter", "983658725")
        assert office.call("Task/$open-round", *opening("2026-11"), by=reporter).status_code == 403
        assert office.call("Task/$open-round", *opening("2026-11"), by=office.anonymous).status_code == 401
        closing = f"Task/{office.round('2021-11')['id']}/$close-round"
        assert office.call(closing, flag("final", False), by=reporter).status_code == 403

    @pytest.mark.parametrize(
        ("sid", "value"), [("runde", "2029-02"), ("statusrapport", "2029-02:NEP-0012"), ("rapport", "2029-02")]
    )
    def test_nobody_takes_an_identifier_of_a_round_to_come(self, office: Office, sid: str, value: str) -> None:
        """Else its opening would take the Task of another for the round, or for a report that is there already."""
        delivery = office.found(f"Task?code=leveranse&owner:identifier={ENH}|983658725&_count=1")[0]
        kept = {name: item for name, item in delivery.items() if name not in ("id", "meta")}
        own = {"system": "https://helse-vest.example/sid/leveranse", "value": "ny"}
        taken = {**kept, "identifier": [own, {"system": f"{C}/sid/{sid}", "value": value}]}
        answer = office.run(office.client("reporter", "983658725").post("Task", json=taken))
        assert (answer.status_code, places(answer)) == (403, ["Task.identifier[1]"])
        answer = office.put({**delivery, "identifier": taken["identifier"]}, office.client("reporter", "983658725"))
        assert answer.status_code == 403

    def test_an_imported_rows_identifier_is_one_tasks(self, office: Office) -> None:
        mine, others = (
            office.found(f"Task?code=leveranse&owner:identifier={ENH}|{number}&_count=1")[0]
            for number in ("983658725", "915933149")
        )
        again = {name: item for name, item in mine.items() if name not in ("id", "meta")}
        answer = office.run(
            office.client("reporter", "983658725").post("Task", json={**again, "identifier": others["identifier"]})
        )
        assert (answer.status_code, places(answer)) == (409, ["Task.identifier[0]"])

    def test_two_at_once_open_one_round(self, office: Office) -> None:
        async def both() -> list[int]:
            url, body = "Task/$open-round", parameters(*opening("2026-11"))
            answers = await asyncio.gather(*(office.secretariat.post(url, json=body) for _ in range(4)))
            return [answer.status_code for answer in answers]

        assert set(office.run(both())) <= {200, 201}
        assert len(office.found(f"Task?group-identifier={C}/sid/runde|2026-11&_count=100")) == 40
        assert len(office.found(f"Task?identifier={C}/sid/runde|2026-11")) == 1


class TestClosing:
    def test_reports_that_are_missing_are_named(self, office: Office) -> None:
        office.open("2026-11", TWO)
        office.submit("2026-11", "NEP-0025")
        answer = office.close("2026-11")
        assert answer.status_code == 422
        assert issues(answer) == ["Ikke rapportert / Not reported: EPJ-løftet."]
        assert office.round("2026-11")["status"] == "in-progress"

    def test_force_counts_drafts_and_returned_as_not_reported_and_drops_what_they_said(self, office: Office) -> None:
        office.open("2026-11", TWO)
        office.submit("2026-11", "NEP-0025")
        draft = office.report("2026-11", "NEP-0012")
        draft |= {"status": "in-progress", "output": [output("status", "rod")]}
        del draft["businessStatus"]
        assert office.put(draft).status_code == 200
        edition = office.close("2026-11", flag("force", True)).json()
        missed, locked = office.report("2026-11", "NEP-0012"), office.report("2026-11", "NEP-0025")
        assert (missed["status"], missed["statusReason"]["coding"][0]["code"]) == ("cancelled", "ikke-rapportert")
        assert "output" not in missed
        assert (locked["status"], locked["businessStatus"]["coding"][0]["code"]) == ("completed", "last")
        (section,) = [s for s in edition["entry"][0]["resource"]["section"] if s["title"] == "Ikke rapportert"]
        assert "NEP-0012 EPJ-løftet" in section["text"]["div"]
        assert "NEP-0025" not in section["text"]["div"]

    def test_a_locked_report_changes_no_more(self, office: Office) -> None:
        office.open("2026-11", TWO)
        office.submit("2026-11", "NEP-0025")
        office.close("2026-11", flag("force", True))
        locked = office.report("2026-11", "NEP-0025")
        locked["output"][0] = output("status", "rod")
        assert office.put(locked).status_code == 409

    def test_a_preview_and_a_dry_run_write_nothing(self, office: Office) -> None:
        office.open("2026-11", TWO)
        before = versions(office)
        preview = office.close("2026-11", final=False).json()
        tried = office.close("2026-11", flag("force", True), flag("dryRun", True)).json()
        assert preview["entry"][0]["resource"]["status"] == "preliminary"
        assert kinds(preview) == kinds(tried)
        assert versions(office) == before
        assert office.close("2026-11", flag("dryRun", True)).status_code == 422

    def test_closing_again_gives_the_same_edition(self, office: Office) -> None:
        first, again = office.close("2021-11"), office.close("2021-11")
        assert first.status_code == again.status_code == 200
        assert first.content == again.content

    def test_four_at_once_leave_one_edition(self, office: Office) -> None:
        office.open("2026-11", TWO)
        url = f"Task/{office.round('2026-11')['id']}/$close-round"
        body = parameters(flag("final", True), flag("force", True))

        async def all_of() -> list[Any]:
            return await asyncio.gather(*(office.secretariat.post(url, json=body) for _ in range(4)))

        answers = office.run(all_of())
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        assert len(office.found(f"Bundle?identifier={C}/sid/rapport|2026-11")) == 1
        assert office.get("Bundle/rapport-2026-11/_history")["total"] == 1

    @pytest.mark.parametrize(("rows", "status", "place"), [([], 422, ["final"])])
    def test_final_must_be_said(self, office: Office, rows: list[Resource], status: int, place: list[str]) -> None:
        answer = office.call(f"Task/{office.round('2021-11')['id']}/$close-round", *rows)
        assert (answer.status_code, places(answer)) == (status, place)

    def test_a_task_that_is_no_round_is_not_closed(self, office: Office) -> None:
        answer = office.call(f"Task/{office.report('2021-11', 'NEP-0025')['id']}/$close-round", flag("final", False))
        assert answer.status_code == 422


class TestSubmitting:
    def test_the_server_says_when_a_report_was_submitted(self, office: Office) -> None:
        """executionPeriod.end: at each submission anew, kept at the approval and the close, gone where none came."""
        office.open("2026-11", TWO)
        assert "executionPeriod" not in office.report("2026-11", "NEP-0025")
        vest = office.client("reporter", "983658725")
        first = self.send(office, vest)
        assert first["executionPeriod"]["end"] == first["lastModified"]
        office.put({**first, "status": "in-progress", "businessStatus": returned(first), "statusReason": LACKING})
        again = self.send(office, vest)
        assert again["executionPeriod"]["end"] > first["executionPeriod"]["end"]
        assert self.send(office, vest) == again, "sent again unchanged, it was submitted when it was"
        forged = {**again, "executionPeriod": {"end": "2026-11-01T00:00:00Z"}}
        refused = office.put(forged, vest)
        assert (refused.status_code, places(refused)) == (403, ["Task.executionPeriod"])
        office.close("2026-11", flag("force", True))
        assert office.report("2026-11", "NEP-0025")["executionPeriod"] == again["executionPeriod"]
        assert "executionPeriod" not in office.report("2026-11", "NEP-0012")

    def test_one_of_the_past_was_submitted_when_the_secretariat_says(self, office: Office) -> None:
        office.open("2026-11", TWO)
        report = office.report("2026-11", "NEP-0025")
        del report["businessStatus"]
        times = {"authoredOn": "2026-11-01T08:00:00Z", "lastModified": "2026-11-20T10:00:00Z"}
        answer = office.put({**report, **times, "status": "completed", "output": OUTPUT})
        assert answer.status_code == 200, answer.text
        assert answer.json()["executionPeriod"] == {"end": "2026-11-20T10:00:00Z"}

    def send(self, office: Office, by: httpx.AsyncClient) -> Resource:
        """The report as its owner's system pushes it: it says nothing of when."""
        report = office.report("2026-11", "NEP-0025")
        own = ("businessStatus", "executionPeriod", "statusReason")
        kept = {name: item for name, item in report.items() if name not in own}
        answer = office.put({**kept, "status": "completed", "output": OUTPUT}, by)
        assert answer.status_code == 200, answer.text
        return answer.json()


OUTPUT = [output("status", "gul"), output("risiko", "gronn"), output("kommentar", "")]
OUTPUT[2] = {"type": OUTPUT[2]["type"], "valueMarkdown": "Etter planen."}
LACKING = {"coding": [{"system": f"{C}/CodeSystem/nep-status-reason", "code": "mangelfull"}]}


def returned(report: Resource) -> Resource:
    (coding,) = report["businessStatus"]["coding"]
    return {"coding": [{**coding, "code": "returnert", "display": "Returnert"}]}


class TestEdition:
    def test_november_2021_holds_all_forty(self, office: Office) -> None:
        edition = office.close("2021-11").json()
        counted = kinds(edition)
        assert (counted["PlanDefinition"], counted["Composition"]) == (40, 1)
        tasks = Counter(
            entry["resource"]["code"]["coding"][0]["code"]
            for entry in edition["entry"]
            if entry["resource"]["resourceType"] == "Task"
        )
        assert tasks == {
            "leveranse": 243, "avhengighet": 91, "nytteforutsetning": 55, "statusrapport": 40, "rapporteringsrunde": 1
        }  # fmt: skip
        segments = {s["title"]: len(s.get("section", [])) for s in edition["entry"][0]["resource"]["section"]}
        assert (segments["Samstyre"], segments["Koordinere"], segments["Observere"]) == (11, 15, 14)

    def test_it_holds_each_resource_as_it_was_stored(self, office: Office) -> None:
        office.open("2026-11", TWO)
        office.submit("2026-11", "NEP-0025")
        edition = office.close("2026-11", flag("force", True)).json()
        for entry in edition["entry"]:
            resource = entry["resource"]
            stored = office.get(f"{resource['resourceType']}/{resource['id']}/_history/{resource['meta']['versionId']}")
            del stored["meta"]["lastUpdated"]
            assert resource == stored

    def test_all_that_it_refers_to_is_in_it(self, office: Office) -> None:
        edition = office.close("2021-11").json()
        held = {f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in edition["entry"]}
        outside = {name for entry in edition["entry"] for name in _references(entry["resource"]) if name not in held}
        assert outside == {"Bundle/rapport-2021-11"}
        assert {entry["fullUrl"].partition("/fhir/")[2] for entry in edition["entry"]} == held

    def test_its_digest_and_signature_hold_for_whoever_reads_it(self, office: Office, tmp_path: Path) -> None:
        raw = office.run(office.secretariat.get(f"Bundle/{office.close('2021-11').json()['id']}")).content
        edition = json.loads(raw, parse_float=Decimal)
        (tag,) = edition["meta"]["tag"]
        plain = {name: value for name, value in edition.items() if name not in ("id", "meta", "signature")}
        canonical = json.dumps(
            plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=lambda one: _Number(str(one))
        ).encode()
        assert tag["code"] == f"sha-256:{hashlib.sha256(canonical).hexdigest()}"
        key = OKPKey.import_key((tmp_path / "copy" / "keys" / FILE).read_bytes())
        assert holds(decode(raw), key)
        header = json.loads(
            base64.urlsafe_b64decode(base64.b64decode(edition["signature"]["data"]).split(b".")[0] + b"==")
        )
        assert header["alg"] == "Ed25519"
        changed = decode(raw)
        changed["entry"][0]["resource"]["title"] += "!"
        assert not holds(changed, key)

    def test_nobody_changes_or_deletes_it(self, office: Office) -> None:
        edition = office.close("2021-11").json()
        report = edition["entry"][0]["resource"]
        assert office.put({**edition, "timestamp": "2026-01-01T00:00:00Z"}).status_code == 405
        assert office.put({**report, "title": "Noe annet"}).status_code == 405
        assert office.run(office.secretariat.delete(f"Bundle/{edition['id']}")).status_code == 405

    def test_it_is_found_by_its_composition_and_its_number(self, office: Office) -> None:
        office.close("2021-11")
        (found,) = office.found("Bundle?composition=Composition/rapport-2021-11")
        (named,) = office.found(f"Bundle?identifier={C}/sid/rapport|2021-11&type=document")
        assert found["id"] == named["id"] == "rapport-2021-11"

    def test_document_answers_with_the_edition_or_what_it_would_be_now(self, office: Office) -> None:
        edition = office.close("2021-11")
        office.open("2026-11", TWO)
        assert office.get("Composition/rapport-2021-11/$document") == edition.json()
        preview = office.get("Composition/rapport-2026-11/$document")
        assert preview["entry"][0]["resource"]["status"] == "preliminary"
        refused = office.run(office.anonymous.get("Composition/rapport-2026-11/$document"))
        assert refused.status_code in (401, 404)

    def test_the_store_has_no_fault_afterwards(self, office: Office) -> None:
        office.close("2021-11")
        engine = office._app.state.engine
        _, faults = office.run(engine.store.check(engine.indexer.indexed))
        assert faults == []


class TestPhaseAndEndDate:
    def test_a_report_keeps_the_phase_and_end_date_of_its_day(self, office: Office) -> None:
        office.open("2026-11", TWO)
        (plan,) = office.found(f"PlanDefinition?identifier={C}/sid/tiltaksnummer|NEP-0025")
        submitted = office.submit("2026-11", "NEP-0025")
        said = {one["type"]["coding"][0]["code"]: one for one in submitted["output"]}
        assert said["sluttdato"]["valueDate"] == plan["effectivePeriod"]["end"]
        assert said["fase"]["valueCodeableConcept"] == elements.context(plan, "fase")
        assert office.put(submitted).json()["meta"]["versionId"] == submitted["meta"]["versionId"]
        office.put({**plan, "effectivePeriod": {"end": "2029-12-31"}})
        assert office.report("2026-11", "NEP-0025")["output"] == submitted["output"]

    def test_a_system_that_sends_it_every_night_without_them_changes_nothing(self, office: Office) -> None:
        office.open("2026-11", TWO)
        submitted = office.submit("2026-11", "NEP-0025")
        (plan,) = office.found(f"PlanDefinition?identifier={C}/sid/tiltaksnummer|NEP-0025")
        office.put({**plan, "effectivePeriod": {"end": "2029-12-31"}})
        nightly = {**submitted, "output": [one for one in submitted["output"] if not _of_the_day(one)]}
        assert office.put(nightly).json()["meta"]["versionId"] == submitted["meta"]["versionId"]
        approval = {"coding": [{"system": f"{C}/CodeSystem/nep-report-status", "code": "godkjent"}]}
        approved = office.put({**submitted, "businessStatus": approval}).json()
        del nightly["businessStatus"]
        owner = office.client("reporter", "983658725")
        answer = office.put(nightly, by=owner)
        assert (answer.status_code, answer.json()["meta"]["versionId"]) == (200, approved["meta"]["versionId"])

    def test_what_the_report_says_itself_stands(self, office: Office) -> None:
        office.open("2026-11", TWO)
        report = office.report("2026-11", "NEP-0012")
        own = {**output("sluttdato", ""), "valueDate": "2031-01-31"}
        del own["valueCodeableConcept"]
        report |= {"status": "completed", "output": [output("status", "gul"), output("risiko", "gronn"), own]}
        del report["businessStatus"]
        sent = office.put(report).json()
        dates = [one["valueDate"] for one in sent["output"] if "valueDate" in one]
        assert dates == ["2031-01-31"]


def _of_the_day(one: Any) -> bool:
    return {coding["code"] for coding in one["type"]["coding"]} <= {"fase", "sluttdato"}


class TestPlannedDates:
    def test_an_edition_says_what_was_first_planned_and_how_often_it_was_moved(self, office: Office) -> None:
        moved, *stayed = office.found("Task?code=leveranse&based-on:PlanDefinition.title=HELIKS&due:missing=false")
        first = moved["restriction"]["period"]["end"]
        for day in ("2027-01-31", "2027-06-30"):
            moved = office.put({**moved, "restriction": {"period": {"end": day}}}).json()
        office.open("2026-11", TWO)
        edition = office.close("2026-11", flag("force", True)).json()
        said = planned_dates(edition)
        assert said[f"Task/{moved['id']}"] == {"first": first, "moves": 2}
        assert stayed
        for task in stayed:
            assert said[f"Task/{task['id']}"] == {"first": task["restriction"]["period"]["end"], "moves": 0}
        assert len(said) == len(office.found(f"Task?code=leveranse&based-on:PlanDefinition.{TWO['valueString']}"))
        (row,) = [row for row in annex(edition).rows("deliveries") if row["moves"] == 2]
        assert (row["first_due_date"], row["due_date"]) == (first, "2027-06-30")


def planned_dates(edition: Resource) -> dict[str, Resource]:
    """What its sections say of deliveries, by reference: part -> value."""
    sections = [one for part in edition["entry"][0]["resource"]["section"] for one in part.get("section", [])]
    return {
        entry["reference"]: {
            part["url"]: part.get("valueDate", part.get("valueUnsignedInt")) for part in said["extension"]
        }
        for section in sections
        for entry in section["entry"]
        for said in entry.get("extension", [])
    }


class TestCorrection:
    def begin(self, office: Office, *more: Resource, number: str = "2021-11") -> Any:
        report = office.report("2021-11", "NEP-0025")
        return office.call(
            f"Task/{office.round('2021-11')['id']}/$close-round",
            identifier("amends", "rapport", number),
            text("reason", "Feil farge i HELIKS"),
            {"name": "report", "valueReference": {"reference": f"Task/{report['id']}"}},
            *more,
        )

    def test_it_opens_the_named_report_alone_and_leaves_the_edition(self, office: Office) -> None:
        first = office.close("2021-11")
        assert self.begin(office).status_code == 200
        named, other = office.report("2021-11", "NEP-0025"), office.report("2021-11", "NEP-0012")
        assert (named["status"], named["businessStatus"]["coding"][0]["code"]) == ("in-progress", "returnert")
        assert named["statusReason"]["text"] == "Feil farge i HELIKS"
        assert other["businessStatus"]["coding"][0]["code"] == "last"
        assert office.run(office.secretariat.get("Bundle/rapport-2021-11")).content == first.content

    def test_closing_it_makes_an_amended_edition_that_says_why(self, office: Office) -> None:
        office.close("2021-11")
        self.begin(office)
        assert office.close("2021-11").status_code == 422
        office.submit("2021-11", "NEP-0025", colour="rod")
        amended = office.close("2021-11").json()
        report = amended["entry"][0]["resource"]
        assert (amended["id"], report["status"]) == ("rapport-2021-11.2", "amended")
        assert report["relatesTo"][0]["targetIdentifier"]["value"] == "2021-11"
        assert report["event"][0]["code"][0]["text"] == "Feil farge i HELIKS"
        outputs = [one["valueReference"]["reference"] for one in office.round("2021-11")["output"]]
        assert outputs == ["Bundle/rapport-2021-11", "Bundle/rapport-2021-11.2"]
        assert self.begin(office).status_code == 400, "the newest edition is amended, not an earlier one"
        assert self.begin(office, number="2021-11.2").status_code == 200

    def test_nothing_is_corrected_of_a_round_without_an_edition(self, office: Office) -> None:
        assert self.begin(office).status_code == 422

    def test_a_locked_report_is_not_opened_by_hand(self, office: Office) -> None:
        office.close("2021-11")
        report = office.report("2021-11", "NEP-0025")
        report |= {"status": "in-progress", "statusReason": {"text": "…"}}
        report["businessStatus"]["coding"][0] |= {"code": "returnert", "display": "Returnert"}
        assert office.put(report).status_code == 422


class _Number(float):
    """A decimal that prints as it was written."""

    def __new__(cls, text: str) -> _Number:
        made = super().__new__(cls, text)
        made.text = text
        return made

    def __repr__(self) -> str:
        return self.text


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


class TestLoadedRounds:
    def test_a_closed_round_is_published_once_however_often_it_is_loaded(self, tmp_path: Path) -> None:
        settings = settings_in(tmp_path)

        async def run() -> tuple[list[str], list[str]]:
            kept = store_of(settings)
            await kept.open()
            try:
                engine, made = engine_of(settings, kept), []
                for _ in range(2):
                    assert not (await load(engine, REPORT)).refused
                    made.append(await publish_closed(engine, rounds_of(settings)))
                return made[0], made[1]
            finally:
                await kept.close()

        assert asyncio.run(run()) == (["Bundle/rapport-2021-11"], [])


class TestOddQuestions:
    @pytest.mark.parametrize(
        "url",
        [
            "PlanDefinition/$portfolio?_asOf=rapport|2021-11",
            "PlanDefinition/$evidence?asOf=rapport|2021-11",
            "PlanDefinition/$dependencies?asOf=rapport|2021-11",
            "Measure/nep-m-finance/$evaluate-measure?asOf=rapport|2021-11",
            "Measure/nep-m-finance/$evaluate-measure?asOf=0001-01-01T00:00:00Z",
        ],
    )
    def test_every_instant_that_is_understood_is_answered(self, office: Office, url: str) -> None:
        office.close("2021-11")
        office.get(url, office.anonymous)

    def test_a_mode_that_is_no_text_is_no_fault_of_ours(self, office: Office) -> None:
        answer = office.call("Task/$validate", {"name": "mode", "valueBoolean": True}, by=office.anonymous)
        assert answer.status_code < 500

    def test_nonsense_is_told_of_in_bounds(self, office: Office) -> None:
        task = {"resourceType": "Task", "input": [{"x": 1}] * 5000}
        answer = office.run(office.anonymous.post("Task/$validate", json=task))
        assert len(answer.json()["issue"]) == 1001
        assert "more issues" in answer.json()["issue"][-1]["diagnostics"]

    def test_a_patch_that_copies_a_list_into_itself_is_stopped_early_and_quotes_nothing(self, office: Office) -> None:
        (plan,) = office.found(f"PlanDefinition?identifier={C}/sid/tiltaksnummer|NEP-0025")
        vest = office.client("reporter", "983658725")
        kind = {"Content-Type": "application/json-patch+json"}
        bomb = [{"op": "add", "path": "/goal", "value": [{"description": {"text": "x" * 2000}}]}]
        bomb += [{"op": "copy", "from": "/goal", "path": "/goal/-"}] * 40
        answer = office.run(vest.patch(f"PlanDefinition/{plan['id']}", content=json.dumps(bomb), headers=kind))
        assert answer.status_code == 413
        lost = [{"op": "add", "path": "/nowhere/-", "value": {}}]
        answer = office.run(vest.patch(f"PlanDefinition/{plan['id']}", content=json.dumps(lost), headers=kind))
        assert answer.status_code == 422
        assert "HELIKS" not in answer.text


class TestFigures:
    def test_every_number_of_an_edition_is_what_its_search_finds_for_anyone(self, office: Office) -> None:
        edition = office.close("2021-11").json()
        reports = [e["resource"] for e in edition["entry"] if e["resource"]["resourceType"] == "MeasureReport"]
        assert len(reports) == 5
        # Of money a search lists the initiatives, and the count is of their lines.
        links = [(url, count) for url, count in _counted(reports) if "finance=" not in url]
        assert len(links) > 20
        for url, count in links:
            found = office.get(f"{url}&_summary=count", office.anonymous)
            assert found["total"] == count, url


def _counted(value: Any) -> Iterator[tuple[str, int]]:
    """(search, count) of every population that says how it was counted."""
    if isinstance(value, dict):
        for extension in value.get("extension", []):
            if extension.get("url", "").endswith("/nep-counted-by") and isinstance(value.get("count"), int):
                yield next(text for key, text in extension.items() if key.startswith("value")), value["count"]
        for item in value.values():
            yield from _counted(item)
    elif isinstance(value, list):
        for item in value:
            yield from _counted(item)


class TestVerifying:
    def test_whoever_has_the_file_and_the_public_key_can_check_it(self, office: Office, tmp_path: Path) -> None:
        office.close("2021-11")
        raw = office.run(office.anonymous.get("Bundle/rapport-2021-11")).content
        known = keys_of(office.get(".well-known/edition-keys", office.anonymous))
        assert faults(raw, known) == []
        (told,) = faults(raw.replace(b"HELIKS", b"HELIX"), known)[:1]
        assert "digest" in told
        other = OKPKey.generate_key("Ed25519")
        assert faults(raw, [other]) == ["no key that was given has signed this content"]
        assert faults(b'{"resourceType":"Task"}', known) == ["not a document Bundle"]
        (tmp_path / "keys.json").write_text(json.dumps({"nothing": 1}))
        with pytest.raises(ValueError, match="JSON Web Key Set"):
            keys_from(str(tmp_path / "keys.json"))
