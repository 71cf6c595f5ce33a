"""The workbook over HTTP: who gets it, what its form takes, and that it is the same transaction as by the API."""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from openpyxl import load_workbook

from server.auth.tokens import Tokens
from tests.pages.html import Node, parse
from tests.pages.test_signin import Browser

C = "http://eportefolje.example/fhir"
PAGE = "/runder/2026-11/arbeidsbok"
VEST, DIRECTORATE = "983658725", "915933149"
OPENING = {
    "resourceType": "Parameters",
    "parameter": [
        {"name": "round", "valueIdentifier": {"system": f"{C}/sid/runde", "value": "2026-11"}},
        {"name": "title", "valueString": "November 2026"},
        {"name": "period", "valuePeriod": {"start": "2026-11-01", "end": "2026-11-30"}},
        {"name": "questionnaire", "valueCanonical": f"{C}/Questionnaire/nep-status-report|1.0.0"},
    ],
}


class Desk(Browser):
    """A registry in an open round, with a browser and programs at its door."""

    def token(self, role: Any, actor: str = "") -> dict[str, str]:
        issued = Tokens.of(self.settings.keys, self.settings.base).issue(role, actor, timedelta(hours=1))
        return {"Authorization": f"Bearer {issued}"}

    def call(self, method: str, url: str, by: dict[str, str], **more: Any) -> httpx.Response:
        return self._runner.run(
            self.http.request(method, url, **{**more, "headers": {**by, **more.get("headers", {})}})
        )

    def found(self, search: str, by: dict[str, str]) -> list[dict[str, Any]]:
        entries = self.call("GET", f"/fhir/{search}", by).json().get("entry", [])
        return [entry["resource"] for entry in entries if entry["search"]["mode"] == "match"]

    def workbook(self, actor: str, by: dict[str, str]) -> bytes:
        answer = self.call("GET", f"{PAGE}/{actor}.xlsx", by)
        assert answer.status_code == 200, answer.text
        return answer.content

    def by_program(self, content: bytes, by: dict[str, str], handling: str = "send", **fields: str) -> httpx.Response:
        return self.call(
            "POST", PAGE, by, headers={"Accept": "application/fhir+json"}, data={"handling": handling, **fields},
            files={"fil": ("bok.xlsx", content)},
        )  # fmt: skip

    def at_once(self, contents: list[bytes], by: dict[str, str]) -> list[httpx.Response]:
        async def together() -> list[httpx.Response]:
            headers = {**by, "Accept": "application/fhir+json"}
            posts = [
                self.http.post(PAGE, headers=headers, data={"handling": "send"}, files={"fil": ("bok.xlsx", one)})
                for one in contents
            ]
            return list(await asyncio.gather(*posts))

        return self._runner.run(together())

    def by_form(self, content: bytes, handling: str, url: str = PAGE, **fields: str) -> httpx.Response:
        form = self.page(url).one("form", enctype="multipart/form-data")
        hidden = {one["name"]: one["value"] for one in form.every("input", type="hidden")}
        return self._runner.run(
            self.http.post(
                form["action"], data={**hidden, "handling": handling, **fields}, files={"fil": ("bok.xlsx", content)},
                headers={"Origin": self.home},
            )
        )  # fmt: skip


@pytest.fixture(scope="module")
def opened(portfolio: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of November 2021 with the round of November 2026 opened on it."""
    folder = Path(shutil.copytree(portfolio, tmp_path_factory.mktemp("round") / "copy"))
    with Desk(folder) as desk:
        answer = desk.call("POST", "/fhir/Task/$open-round", desk.token("secretariat"), json=OPENING)
        assert answer.status_code == 201, answer.text
    return folder


@pytest.fixture(scope="module")
def desk(opened: Path) -> Iterator[Desk]:
    """One that nothing is written through."""
    with Desk(opened) as desk:
        yield desk


@pytest.fixture
def fresh(opened: Path, tmp_path: Path) -> Iterator[Desk]:
    """Its own copy, for a test that writes."""
    with Desk(Path(shutil.copytree(opened, tmp_path / "copy"))) as desk:
        yield desk


def damaged(compression: int) -> bytes:
    """A zip whose one part cannot be unpacked."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        archive.writestr("xl/workbook.xml", "<a/>" * 1000)
    content = bytearray(packed.getvalue())
    content[54:75] = b"\xff" * 21
    return bytes(content)


def filled(content: bytes, *cells: tuple[str, str, Any]) -> bytes:
    book, saved = load_workbook(io.BytesIO(content)), io.BytesIO()
    for sheet, cell, value in cells:
        book[sheet][cell] = value
    book.save(saved)
    return saved.getvalue()


def first_blank(content: bytes, sheet: str) -> int:
    keys = [cell.value for cell in load_workbook(io.BytesIO(content))[sheet]["A"]]
    return next(row for row, key in enumerate(keys, 1) if str(key).startswith("new/"))


def answered(page: httpx.Response) -> Node:
    return parse(page.text).one("section", aria_labelledby="answer")


class TestWho:
    @pytest.mark.parametrize(
        ("role", "actor", "page", "file"),
        [
            ("", "", 401, 401),
            ("reader", VEST, 200, 403),
            ("reporter", VEST, 200, 200),
            ("reporter", DIRECTORATE, 200, 403),
            ("secretariat", "", 200, 200),
        ],
    )
    def test_a_workbook_is_for_the_actors_own_people_and_the_secretariat(self, desk, role, actor, page, file):
        by = desk.token(role, actor) if role else {}
        assert desk.call("GET", PAGE, by).status_code == page
        answer = desk.call("GET", f"{PAGE}/helse-vest.xlsx", by)
        assert answer.status_code == file
        assert (answer.headers["cache-control"], answer.headers["content-type"].partition(";")[0]) == (
            ("no-store", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
            if file == 200
            else ("no-store", "text/html")
        )

    def test_the_secretariat_chooses_among_those_who_own_something(self, desk):
        page = parse(desk.call("GET", PAGE, desk.token("secretariat")).text)
        names = [a.text for a in page.one("ul", _class="chips").every("a")]
        assert len(names) == 10
        assert not page.every("form", enctype="multipart/form-data")
        chosen = parse(desk.call("GET", f"{PAGE}?aktor=helse-vest", desk.token("secretariat")).text)
        assert chosen.one("a", _class="button")["href"] == f"{PAGE}/helse-vest.xlsx"

    @pytest.mark.parametrize(
        ("url", "status"),
        [
            ("/runder/1999-01/arbeidsbok", 404),
            ("/runder/2021-11/arbeidsbok/helse-vest.xlsx", 409),
            (f"{PAGE}/ingen.xlsx", 404),
            (f"{PAGE}/ingen,helse-vest.xlsx", 404),
            ("/runder/2026-11,x/arbeidsbok", 404),
            (f"{PAGE}?aktor=ingen", 404),
        ],
    )
    def test_what_there_is_not_is_said(self, desk, url, status):
        assert desk.call("GET", url, desk.token("secretariat")).status_code == status

    def test_a_closed_round_takes_nothing(self, desk):
        page = desk.call("GET", "/runder/2021-11/arbeidsbok", desk.token("reporter", VEST))
        assert "tar ikke imot rapporter" in parse(page.text).one("p", _class="remark").text
        assert not parse(page.text).every("form", enctype="multipart/form-data")


@pytest.fixture(scope="module")
def content(desk: Desk) -> bytes:
    return desk.workbook("helse-vest", desk.token("reporter", VEST))


class TestForm:
    def test_checking_shows_what_would_change_and_stores_nothing(self, desk, content):
        desk.sign_in(f"reporter:{VEST}")
        answer = desk.by_form(filled(content, ("Leveranser", "E2", "24.12.2026")), "sjekk")
        assert answer.status_code == 200
        said = answered(answer)
        assert said.one("h2").text == "Arbeidsboken er i orden"
        (row,) = said.one("tbody").every("tr")
        assert [cell.text for cell in (row.one("th"), *row.every("td"))] == [
            "Leveranser!E2", "NEP-0023", "Sluttdato", "01.11.2020", "24.12.2026",
        ]  # fmt: skip
        assert desk.by_form(content, "sjekk").status_code == 200
        assert answered(desk.by_form(content, "sjekk")).one("h2").text == "Ingenting er endret"

    def test_faults_of_reading_and_of_the_registrys_rules_come_together(self, desk, content):
        desk.sign_in(f"reporter:{VEST}")
        wrong = filled(
            content, ("Leveranser", "E3", "snart"), ("Statusrapport", "G2", "Ja"), ("Statusrapport", "C2", None),
            ("Statusrapport", "G3", "Ja"), ("Statusrapport", "E3", None),
        )  # fmt: skip
        for handling in ("sjekk", "send"):
            answer = desk.by_form(wrong, handling)
            assert answer.status_code == 422
            faults = [one.text for one in answered(answer).one("ul", _class="faults").every("li")]
            assert [one.partition(":")[0].strip() for one in faults] == [
                "Leveranser!E3",
                "Statusrapport!C2",
                "Statusrapport!E3",
            ]

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            ({"headers": {"Origin": "https://ond.example"}}, 403),
            ({"data": {"csrf": "feil", "handling": "send"}}, 403),
            ({"data": {"handling": "send"}}, 403),
            ({"files": None, "data": {"handling": "send"}}, 415),
            ({"files": None, "content": b"tull", "data": None}, 400),
        ],
    )
    def test_a_form_from_elsewhere_or_of_another_kind_is_refused(self, desk, content, change, status):
        desk.sign_in(f"reporter:{VEST}")
        given = {"data": {"handling": "send"}, "files": {"fil": ("bok.xlsx", content)}, **change}
        headers = {"Origin": desk.home, **given.pop("headers", {})}
        if "content" in given:
            headers["Content-Type"] = "multipart/form-data; boundary=xx"
        answer = desk._runner.run(desk.http.post(PAGE, headers=headers, **given))
        assert answer.status_code == status

    @pytest.mark.parametrize(
        ("files", "fields", "status", "why"),
        [
            ({"fil": ("x.xlsx", b"")}, {"handling": "send"}, 400, "Velg en fil"),
            ({"fil": ("x.xlsx", b"noe annet")}, {"handling": "send"}, 400, "ingen lesbar .xlsx"),
            ({"fil": ("x.xlsx", b"x")}, {"handling": "slett"}, 400, "sjekk | send"),
            ({"fil": ("x.xlsx", b"x"), "to": ("y.xlsx", b"y")}, {"handling": "send"}, 400, "Too many files"),
            ({"fil": ("x.xlsx", damaged(zipfile.ZIP_LZMA))}, {"handling": "send"}, 400, "ingen lesbar .xlsx"),
            ({"fil": ("x.xlsx", b"x" * (5 * 2**20))}, {"handling": "send"}, 413, "For stort"),
        ],
    )
    def test_what_is_no_workbook_is_refused_with_what_is_wrong(self, desk, files, fields, status, why):
        by = {**desk.token("reporter", VEST), "Accept": "application/json"}
        answer = desk.call("POST", PAGE, by, data=fields, files=files)
        assert answer.status_code == status
        assert why in answer.json()["issue"][0]["diagnostics"]

    @pytest.mark.parametrize(
        ("given", "told"), [(b"", "Velg en fil."), (b"noe annet", "Filen er ingen lesbar .xlsx-arbeidsbok.")]
    )
    def test_a_form_without_a_workbook_comes_back_with_what_is_wrong_at_the_file(self, desk, given, told):
        desk.sign_in(f"reporter:{VEST}")
        answer = desk.by_form(given, "send")
        page = parse(answer.text)
        fault = page.one("div", role="alert").one("a")
        assert (answer.status_code, fault["href"], fault.text) == (400, "#fil", told)
        assert page.one("p", id="fil-error").text == f"Feil: {told}"
        assert page.one("form", enctype="multipart/form-data").one("input", id="fil")["aria-invalid"] == "true"

    def test_a_workbook_of_another_actor_is_refused(self, desk, content):
        by = desk.token("reporter", DIRECTORATE)
        assert desk.by_program(content, by).status_code == 403
        desk.http.cookies.clear()
        assert desk.by_program(content, {"Origin": desk.home}).status_code == 401
        chosen = desk.call(
            "POST", f"{PAGE}?aktor=direktoratet-for-e-helse", {**by, "Accept": "application/json"},
            data={"handling": "send"}, files={"fil": ("x.xlsx", content)},
        )  # fmt: skip
        assert chosen.status_code == 422
        assert "gjelder aktør «helse-vest»" in chosen.json()["issue"][0]["diagnostics"]


def a_report(content: bytes) -> bytes:
    row = first_blank(content, "Leveranser")
    return filled(
        content, ("Statusrapport", "G2", "Ja"), ("Statusrapport", "D2", "På vei"),
        ("Statusrapport", "G3", "Nei (kladd)"),
        ("Leveranser", "F4", "Levert"), ("Leveranser", f"B{row}", "NEP-0025"), ("Leveranser", f"C{row}", "Ny kurve"),
        ("Avhengigheter", "J2", "Rød"),
    )  # fmt: skip


def test_what_is_sent_in_stands_and_the_same_file_again_changes_nothing(fresh):
    reporter = fresh.token("reporter", VEST)
    content = a_report(fresh.workbook("helse-vest", reporter))
    fresh.sign_in(f"reporter:{VEST}")
    done = fresh.by_form(content, "send")
    assert done.status_code == 303
    told = parse(fresh.get(done.headers["location"]).text).one("p", _class="done").text
    assert told.startswith("Sendt inn: ")
    (report,) = fresh.found(f"Task?identifier={C}/sid/statusrapport|2026-11:NEP-0023", reporter)
    assert (report["status"], report["businessStatus"]["coding"][0]["code"]) == ("completed", "innsendt")
    (draft,) = fresh.found(f"Task?identifier={C}/sid/statusrapport|2026-11:NEP-0024", reporter)
    assert (draft["status"], draft["businessStatus"]["coding"][0]["code"]) == ("in-progress", "kladd")
    (new,) = fresh.found("Task?code=leveranse&description:exact=Ny%20kurve", reporter)
    assert new["owner"]["display"] == "Helse Vest RHF"
    assert fresh.call("GET", f"/fhir/Task/{draft['id']}", {}).status_code == 404

    again = fresh.by_program(content, reporter)
    assert (again.status_code, again.json().get("entry", [])) == (200, [])
    anew = fresh.workbook("helse-vest", reporter)
    assert fresh.by_program(anew, reporter).json().get("entry", []) == []
    sheet = load_workbook(io.BytesIO(anew))["Statusrapport"]
    assert [sheet[cell].value for cell in ("G2", "G3", "D2")] == ["Ja", "Nei (kladd)", "På vei"]


def test_a_program_gets_the_answer_of_a_transaction(fresh):
    reporter = fresh.token("reporter", VEST)
    content = a_report(fresh.workbook("helse-vest", reporter))
    tried = fresh.by_program(content, reporter, "sjekk").json()
    assert [entry["response"]["status"][:3] for entry in tried["entry"]] == ["200", "200", "200", "201", "200"]
    done = fresh.by_program(content, reporter)
    assert done.headers["content-type"].startswith("application/fhir+json")
    assert [entry["response"]["status"][:3] for entry in done.json()["entry"]] == ["200", "200", "200", "201", "200"]


DAYS = ("1.2.2027", "3.4.2027")


def test_two_uploads_at_once_are_one_after_the_other(fresh):
    """The same file twice at once makes nothing twice; of two that differ, one is done and nothing of the other."""
    reporter = fresh.token("reporter", VEST)
    content = fresh.workbook("helse-vest", reporter)
    answers = fresh.at_once([a_report(content)] * 2, reporter)
    assert {200} <= {one.status_code for one in answers} <= {200, 409, 412}
    assert len(fresh.found("Task?code=leveranse&description:exact=Ny%20kurve", reporter)) == 1

    mine = [filled(content, ("Leveranser", "E5", day), ("Leveranser", "C6", f"Navn {day}")) for day in DAYS]
    answers = fresh.at_once(mine, reporter)
    done = [day for one, day in zip(answers, DAYS, strict=True) if one.status_code == 200]
    assert len(done) == 1
    assert {one.status_code for one in answers} <= {200, 409, 412}
    found = [fresh.found(f"Task?code=leveranse&description:exact=Navn%20{day}", reporter) for day in DAYS]
    assert [len(tasks) for tasks in found] == [int(day in done) for day in DAYS]


def test_a_file_of_before_the_close_is_told_so_and_nothing_is_written(fresh):
    reporter = fresh.token("reporter", VEST)
    content = a_report(fresh.workbook("helse-vest", reporter))
    (round,) = fresh.found(f"Task?identifier={C}/sid/runde|2026-11", reporter)
    flags = [{"name": name, "valueBoolean": True} for name in ("final", "force")]
    closing = {"resourceType": "Parameters", "parameter": flags}
    closed = fresh.call("POST", f"/fhir/Task/{round['id']}/$close-round", fresh.token("secretariat"), json=closing)
    assert closed.status_code < 300, closed.text
    answer = fresh.by_program(content, reporter)
    assert answer.status_code == 409
    assert "tar ikke imot rapporter nå" in answer.json()["issue"][0]["diagnostics"]
    assert fresh.found("Task?code=leveranse&description:exact=Ny%20kurve", reporter) == []


def test_somebody_elses_change_of_the_same_cell_is_told_and_nothing_is_written(fresh):
    reporter = fresh.token("reporter", VEST)
    content = fresh.workbook("helse-vest", reporter)
    key = load_workbook(io.BytesIO(content))["Leveranser"]["A2"].value
    url = f"/fhir/{key.rpartition('/')[0]}"
    theirs = {**fresh.call("GET", url, reporter).json(), "description": "Deres"}
    assert fresh.call("PUT", url, reporter, json=theirs).status_code == 200
    ours = filled(content, ("Leveranser", "D2", "Vår"), ("Leveranser", "C3", "Et annet navn"))
    answer = fresh.by_program(ours, reporter)
    assert answer.status_code == 409
    (issue,) = answer.json()["issue"]
    assert issue["diagnostics"].startswith("Leveranser!D2: er endret av andre")
    assert "nå står «Deres»" in issue["diagnostics"]
    assert fresh.found("Task?description:exact=Et%20annet%20navn", reporter) == []

    fresh.sign_in(f"reporter:{VEST}")
    page = fresh.by_form(ours, "sjekk")
    assert page.status_code == 409
    assert parse(page.text).one("input", name="overskriv")
    assert fresh.by_form(ours, "send", overskriv="ja").status_code == 303
    assert fresh.call("GET", url, reporter).json()["description"] == "Vår"


def test_a_reporter_can_do_no_more_than_by_the_api(fresh):
    reporter = fresh.token("reporter", VEST)
    content = filled(fresh.workbook("helse-vest", reporter), ("Avhengigheter", "K2", "Akseptert"))
    answer = fresh.by_program(content, reporter)
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["diagnostics"].startswith("Avhengigheter!K2: Ulovlig overgang")


def test_a_refusal_is_on_record(fresh):
    reporter = fresh.token("reporter", VEST)
    content = filled(fresh.workbook("helse-vest", reporter), ("Avhengigheter", "K2", "Akseptert"))
    fresh.by_program(content, {**reporter, "X-Request-Id": "boka-1"})
    fresh.by_program(content, {**reporter, "X-Request-Id": "boka-2"}, "sjekk")
    (event,) = fresh.found("AuditEvent?outcome=8,4&entity:identifier=boka-1", fresh.token("secretariat"))
    assert event["outcome"] in ("4", "8")
    assert fresh.found("AuditEvent?outcome=8,4&entity:identifier=boka-2", fresh.token("secretariat")) == []


def test_the_same_transaction_over_the_api_gives_the_same(opened, tmp_path, monkeypatch):
    sent: list[dict[str, Any]] = []
    stands = []
    content = b""
    for way in ("workbook", "api"):
        with Desk(Path(shutil.copytree(opened, tmp_path / way))) as desk:
            reporter = desk.token("reporter", VEST)
            if way == "workbook":
                content = a_report(desk.workbook("helse-vest", reporter))
                from server.workbook import sending

                def kept(engine, caller, bundle, really=sending.transaction):
                    sent.append(json.loads(json.dumps(bundle, default=str)))
                    return really(engine, caller, bundle)

                monkeypatch.setattr(sending, "transaction", kept)
                assert desk.by_program(content, reporter).status_code == 200
            else:
                assert desk.call("POST", "/fhir", reporter, json=sent[0]).status_code == 200
            found = desk.found("Task?_count=500&based-on:PlanDefinition.owner.name=Helse%20Vest", reporter)
            stands.append(sorted(map(_plain, found)))
    assert stands[0] == stands[1]


def _plain(task: dict[str, Any]) -> str:
    """Without what is of the moment: ids of what was made, and instants."""
    meta = {name: value for name, value in task["meta"].items() if name not in ("lastUpdated",)}
    kept = {**task, "meta": meta, "lastModified": ""}
    if any(one["system"].endswith("/arbeidsbok") for one in task["identifier"]):
        kept |= {"id": "", "authoredOn": ""}
    return re.sub(r"2026-\d\d-\d\dT[0-9:.]+Z", "", json.dumps(kept, sort_keys=True))


def test_every_sheet_is_taken_in_with_the_rules_of_the_registry(fresh):
    reporter = fresh.token("reporter", DIRECTORATE)
    content = fresh.workbook("direktoratet-for-e-helse", reporter)
    line, benefit, prerequisite = (first_blank(content, name) for name in ("Kostnader", "Nytte", "Nytteforutsetninger"))
    dependency = first_blank(content, "Avhengigheter")
    changed = filled(
        content,
        ("Tiltak", "D2", "Kodeverkprogrammet"), ("Tiltak", "F2", "Avslutte"), ("Tiltak", "H2", "31.12.2027"),
        ("Tiltak", "I2", None), ("Tiltak", "J2", "Helsenorge; Felles språk"), ("Tiltak", "L2", "Alle; noen til"),
        ("Tiltak", "K2", "Enklere arbeidshverdag"),
        ("Kostnader", "F2", 30), *((("Kostnader", f"{letter}3", None)) for letter in "CDEF"),
        ("Kostnader", f"B{line}", "NEP-0001"), ("Kostnader", f"C{line}", "Egen virksomhet"),
        ("Kostnader", f"D{line}", "Helsedirektoratet"), ("Kostnader", f"E{line}", 2027), ("Kostnader", f"F{line}", 1.5),
        ("Drift", "E2", None), ("Nytte", "C2", 12), ("Nytte", "D2", None), ("Nytte", "F2", "Usikkert"),
        ("Nytte", f"B{benefit}", "NEP-0005"), ("Nytte", f"E{benefit}", "Mer ro"),
        ("Nytteforutsetninger", "G2", "I arbeid"), ("Nytteforutsetninger", f"B{prerequisite}", "NEP-0001"),
        ("Nytteforutsetninger", f"C{prerequisite}", "EPJ-utvikling, kommune"),
        ("Nytteforutsetninger", f"E{prerequisite}", "Høy"),
        ("Avhengigheter", f"B{dependency}", "NEP-0012"), ("Avhengigheter", f"C{dependency}", "NHN"),
        ("Avhengigheter", f"D{dependency}", "Drift"), ("Avhengigheter", f"F{dependency}", "Annet"),
        ("Statusrapport", "G2", "Ja"),
    )  # fmt: skip
    answer = fresh.by_program(changed, reporter)
    assert answer.status_code == 200, answer.text
    (plan,) = fresh.found(f"PlanDefinition?identifier={C}/sid/tiltaksnummer|NEP-0001", reporter)
    contexts = {use["code"]["code"]: use["valueCodeableConcept"] for use in plan["useContext"]}
    assert (plan["title"], contexts["fase"]["coding"][0]["code"], plan["effectivePeriod"]["end"]) == (
        "Kodeverkprogrammet", "avslutte", "2027-12-31",
    )  # fmt: skip
    assert "innforingsstrategi" not in contexts
    assert [use["valueCodeableConcept"]["text"] for use in plan["useContext"] if use["code"]["code"] == "user"] == [
        "Alle", "noen til",
    ]  # fmt: skip
    (report,) = fresh.found(f"Task?identifier={C}/sid/statusrapport|2026-11:NEP-0001", reporter)
    assert [one["valueDate"] for one in report["output"] if "valueDate" in one] == ["2027-12-31"]
    assert fresh.by_program(changed, reporter).json().get("entry", []) == []
    anew = load_workbook(io.BytesIO(fresh.workbook("direktoratet-for-e-helse", reporter)))
    assert (anew["Kostnader"]["F2"].value, anew["Nytte"]["C2"].value, anew["Nytte"]["D2"].value) == (30, 12, None)
    assert fresh.by_program(filled(content, ("Tiltak", "C2", "Observere")), reporter).status_code == 422
