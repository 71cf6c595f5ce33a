"""Records as resources, their chain, and what erasing a name leaves. Domain model 5.8, decisions 22 and 30."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.access import ANONYMOUS, SECRETARIAT, Caller
from server.app import engine_of, store_of
from server.asking import Asking
from server.interaction import record
from server.interaction.engine import Engine
from server.interaction.intents import Intent
from server.interaction.terminology import parser_at
from server.interaction.write import write
from server.load import load
from server.outcome import FhirError, Issue
from server.portfolio.names import ERASED, Erasing
from server.resource import restored
from server.settings import Settings, read_settings
from server.store.chain import Link
from server.store.sqlite import SqliteStore
from tests.http.build import FHIR, organization, task
from tests.store.kinds import named

ENH = "urn:oid:2.16.578.1.12.4.1.4.101"
REPORTER = Caller("reporter", "983658725", "a")


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[Engine]:
    store = store_of(settings)
    await store.open()
    yield engine_of(settings, store)
    await store.close()


async def records(engine: Engine) -> list[dict[str, Any]]:
    """The oldest first."""
    async with engine.store.snapshot() as snapshot:
        page = await snapshot.history(None, None, count=500)
    bodies = [restored(version.body) for version in reversed(page.versions) if version.body]
    return [one for one in bodies if one["resourceType"] in ("Provenance", "AuditEvent")]


def asked(caller: Caller, **more: Any) -> Caller:
    return replace(caller, request=Asking("req-1", "PUT", "/fhir/Task/a", "identifier=a|b&name=Kari"), **more)


CALLERS = [
    SECRETARIAT,
    asked(SECRETARIAT, address="2001:db8::1"),
    asked(REPORTER, client="portal", address="10.0.0.1"),
    asked(REPORTER, client="portal", supplier="994598759", user="f81d4fae", address="10.0.0.1"),
    asked(ANONYMOUS, address="10.0.0.1"),
]


class TestRecords:
    @pytest.mark.parametrize("caller", CALLERS)
    @pytest.mark.parametrize("registered", [False, True])
    async def test_are_valid_and_indexed_as_any_resource(self, engine, caller, registered):
        """By R4's own validator and Indexer, whatever is known of the caller; `check` compares every stored row."""
        if registered:
            for id, number in (("vest", "983658725"), ("nhn", "994598759")):
                known = {**organization(id), "id": id, "identifier": [{"system": ENH, "value": number}]}
                await write(engine, SECRETARIAT, [Intent("PUT", "Organization", id, resource=known)])
        intents = [Intent("PUT", "Task", id, resource={**task(id), "id": id}) for id in "ab"]
        if caller.role == "secretariat":
            await write(engine, caller, intents)
            await write(engine, caller, [Intent("DELETE", "Task", "a")])
        else:
            with pytest.raises(FhirError):
                await write(engine, caller, intents)
            await written_as(engine, caller)
        error = FhirError("invariant", "x", issues=[Issue("invariant", "x", "Task.a", rule="k")] * 30)
        await record.refused(engine, caller, error, [Intent("PUT", "Task", condition="name=x&code=a|b")])
        if caller.request is not None:
            caller.request.given.append(await version_of(engine))
            caller.request.interactions["read"] = None
            await record.put_on_record(engine, replace_caller(caller))
            caller.request.given.clear()
        found = await records(engine)
        assert {one["resourceType"] for one in found} == {"Provenance", "AuditEvent"}
        for one in found:
            assert engine.issues(one, one["resourceType"]) == []
        assert (await engine.store.check(engine.indexer.indexed))[1] == []

    async def test_a_vendor_acts_on_behalf_of_the_organisation(self, engine):
        await written_as(engine, CALLERS[3])
        (provenance,) = [one for one in await records(engine) if one["resourceType"] == "Provenance"]
        vendor, device, user = provenance["agent"]
        assert vendor["who"]["identifier"]["value"] == "994598759"
        assert vendor["onBehalfOf"]["identifier"] == {"system": ENH, "value": "983658725"}
        assert device["who"] == {"type": "Device", "identifier": {"value": "portal"}}
        assert user["who"]["identifier"]["value"] == "f81d4fae"

    async def test_a_stored_search_parameter_finds_records_too(self, engine):
        parameter = {
            "resourceType": "SearchParameter", "id": "desc", "url": "http://x.example/desc", "name": "D",
            "status": "active", "description": "x", "code": "why", "base": ["AuditEvent"], "type": "string",
            "expression": "AuditEvent.outcomeDesc",
        }  # fmt: skip
        await write(engine, SECRETARIAT, [Intent("PUT", "SearchParameter", "desc", resource=parameter)])
        await record.refused(engine, SECRETARIAT, FhirError("forbidden", "x"))
        newest = engine.parser.parameters.newest
        await engine.store.build(newest, frozenset({"AuditEvent"}), engine.indexer.partial(newest))
        async with engine.store.snapshot() as snapshot:
            query = (await parser_at(engine, snapshot, "")).condition("AuditEvent", "why=403", place="")
            assert len((await snapshot.search(query)).versions) == 1
        assert (await engine.store.check(engine.indexer.indexed))[1] == []

    async def test_an_import_is_by_the_import_device(self, engine, tmp_path):
        file = tmp_path / "one.json"
        file.write_text(json.dumps(task("a")))
        assert not (await load(engine, file)).refused
        file.write_text(json.dumps({**task("a"), "status": 1}))
        assert (await load(engine, file)).refused
        provenance, event, refusal = await records(engine)
        assert [agent["who"]["identifier"]["value"] for agent in provenance["agent"]] == [
            "portefoljekontoret",
            "import",
        ]
        assert event["agent"][0]["who"]["identifier"]["value"] == "import"
        assert (refusal["outcome"], refusal["outcomeDesc"]) == ("4", "400 structure Task.status")

    async def test_with_access_off_there_are_none(self, settings):
        store = store_of(settings)
        await store.open()
        engine = engine_of(settings.model_copy(update={"auth": "off"}), store)
        await write(engine, SECRETARIAT, [Intent("POST", "Task", resource=task("a"))])
        with pytest.raises(FhirError):
            await write(engine, SECRETARIAT, [Intent("POST", "Task", resource={})])
        assert await records(engine) == []
        await store.close()

    @pytest.mark.parametrize(
        ("query", "kept"),
        [
            ("status=ready&_count=5", "status=ready&_count=5"),
            ("identifier=urn:x|7", "identifier=urn:x%7C7"),
            ("owner:Organization.name=Vest", "owner:Organization.name=%E2%80%A6"),
            ("_has:PractitionerRole:organization:name=Kari", "_has:PractitionerRole:organization:name=%E2%80%A6"),
            ("telecom=kari@x.no", "telecom=%E2%80%A6"),
            ("code:text=Kari", "code:text=%E2%80%A6"),
            ("Kari=Nordmann", "%E2%80%A6=%E2%80%A6"),
            ("identifier:Kari=1", "%E2%80%A6=%E2%80%A6"),
            ("identifier=01017012345", "identifier=%E2%80%A6"),
            ("access_token=abc", "%E2%80%A6=%E2%80%A6"),
            ("_page=WyJrYXJpIl0", "%E2%80%A6=%E2%80%A6"),
        ],
    )
    async def test_of_a_query_they_keep_what_is_no_free_text(self, engine, query, kept):
        assert record.masked(engine, query) == kept


async def written_as(engine: Engine, caller: Caller) -> None:
    """A write that this caller would not be allowed, by the code that records it."""
    from server.interaction.engine import Reading
    from server.interaction.write import Plan

    async with Reading(engine.store) as snapshot:
        drafts, unit = await Plan(engine, SECRETARIAT, snapshot).made([Intent("POST", "Task", resource=task("a"))])
        unit = await record.with_records(engine, caller, snapshot, unit, drafts, {})
    await engine.store.commit(unit)


async def version_of(engine: Engine) -> Any:
    async with engine.store.snapshot() as snapshot:
        return (await snapshot.history("Task", None, count=1)).versions[0]


def replace_caller(caller: Caller) -> Asking:
    assert caller.request is not None
    caller.request.caller = caller
    return caller.request


@pytest.fixture(scope="class")
def chained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store with five links, of creates."""
    import asyncio

    folder = tmp_path_factory.mktemp("chained")
    settings = read_settings(
        store=f"sqlite:///{folder}/p.db", keys=folder / "keys", base_url="http://x/fhir", profiles="off", _env_file=None
    )

    async def make() -> None:
        store = store_of(settings)
        await store.open()
        for number in range(5):
            await write(engine_of(settings, store), SECRETARIAT, [Intent("POST", "Task", resource=task(str(number)))])
        await store.close()

    asyncio.run(make())
    return folder / "p.db"


BODY_OF = "SELECT c.vid FROM content c JOIN version v USING (vid) WHERE v.type = (SELECT id FROM name WHERE text = ?)"


class TestChain:
    @pytest.mark.parametrize(
        ("edit", "fault"),
        [
            # A record's body: another outcome, of the same length.
            ("UPDATE content SET body = replace(body, '\"outcome\":\"0\"', '\"outcome\":\"4\"') WHERE vid = {third}",
             "broken at commit 3"),
            ("DELETE FROM content WHERE vid = {third}", "broken at commit 3"),
            ("DELETE FROM version WHERE vid = {third}", "broken at commit 3"),
            ("DELETE FROM version WHERE vid IN ({third}, {third} - 1)", "broken at commit 3: its records are gone"),
            ("DELETE FROM chain WHERE sequence = 3", "broken at commit 3"),
            ("UPDATE chain SET digest = zeroblob(32) WHERE sequence = 2", "broken at commit 2"),
            # Two records change places.
            ("UPDATE content SET body = CASE vid WHEN {third} THEN (SELECT body FROM content WHERE vid = {fourth}) "
             "ELSE (SELECT body FROM content WHERE vid = {third}) END WHERE vid IN ({third}, {fourth})",
             "broken at commit 3"),
            ("UPDATE chain SET sequence = CASE sequence WHEN 3 THEN -4 ELSE -3 END WHERE sequence IN (3, 4); "
             "UPDATE chain SET sequence = -sequence WHERE sequence < 0", "broken at commit 3"),
            # A whole unit is cut out, link and all.
            ("DELETE FROM version WHERE vid >> 16 = 3; DELETE FROM chain WHERE sequence = 3; "
             "DELETE FROM clock WHERE sequence = 3", "broken at commit 4"),
        ],
    )  # fmt: skip
    async def test_an_edited_file_shows_where(self, chained, settings, tmp_path, edit, fault):
        file = Path(shutil.copy(chained, tmp_path / "edited.db"))
        connection = sqlite3.connect(file)
        events = [vid for (vid,) in connection.execute(f"{BODY_OF} ORDER BY vid", ("AuditEvent",))]
        connection.executescript(edit.format(third=events[2], fourth=events[3]))
        connection.close()
        faults = await self.faults(file, settings)
        assert any(one.startswith("record: ") and fault in one for one in faults), faults

    async def test_a_tail_that_was_cut_off_shows_by_an_anchor_alone(self, chained, settings, tmp_path):
        file = Path(shutil.copy(chained, tmp_path / "cut.db"))
        anchor = await self.head(file)
        assert await self.faults(file, settings, anchor) == []
        connection = sqlite3.connect(file)
        kinds = ("string", "token", "date", "number", "quantity", "uri", "reference", "content", "version")
        cut = [f"DELETE FROM {kind} WHERE vid >> 16 = 5" for kind in kinds]
        cut += [f"DELETE FROM {table} WHERE sequence = 5" for table in ("chain", "clock")]
        connection.executescript(";".join([*cut, "DELETE FROM resource WHERE vid >> 16 = 5"]))
        connection.close()
        assert await self.faults(file, settings) == []
        (fault,) = await self.faults(file, settings, anchor)
        assert str(anchor) in fault

    async def test_later_links_leave_an_anchor_on_the_chain(self, chained, settings, tmp_path):
        file = Path(shutil.copy(chained, tmp_path / "longer.db"))
        anchor = await self.head(file)
        store = SqliteStore(file)
        await store.open()
        await record.refused(engine_of(settings, store), SECRETARIAT, FhirError("forbidden", "x"))
        (head,) = await store.heads()
        await store.close()
        assert head.sequence == anchor.sequence + 1
        assert await self.faults(file, settings, anchor) == []

    def test_a_link_is_read_as_it_is_printed(self):
        link = Link("", 7, "ab" * 32)
        assert Link.of(str(link)) == link
        for text in ("", "7:ab", f":x:{'ab' * 32}", f":7:{'ab' * 31}"):
            with pytest.raises(ValueError, match="no link"):
                Link.of(text)

    async def head(self, file: Path) -> Link:
        store = SqliteStore(file)
        await store.open()
        (head,) = await store.heads()
        await store.close()
        return head

    async def faults(self, file: Path, settings: Settings, *anchors: Link) -> list[str]:
        store = SqliteStore(file)
        await store.open()
        faults = (await store.check(engine_of(settings, store).indexer.indexed, anchors))[1]
        await store.close()
        return faults


NAME = "Kåre Ødegård"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (NAME, ERASED),
        ("KÅRE ØDEGÅRD, leder", f"{ERASED}, leder"),
        ("Ødegård, Kåre", ERASED),
        ("Kåre\n  Ødegårds plan", f"{ERASED} plan"),
        ("<b>Kåre</b>&nbsp;Ødegård", f"<b>{ERASED}"),
        ("K&aring;re &Oslash;deg&#229;rd", ERASED),
        ("Ka\u030are Ødega\u030ard", ERASED),
        ("kåre.ødegård@x.no", f"{ERASED}@x.no"),
        ("Kåre Ødegårdsen", "Kåre Ødegårdsen"),
        ("Kåre og Ødegård", "Kåre og Ødegård"),
        ("Skåre Ødegård", "Skåre Ødegård"),
    ],
)
def test_a_name_is_found_as_people_write_it(text, left):
    erasing = Erasing.of([NAME])
    assert erasing.text(text) == left
    body = json.dumps({"resourceType": "Task", "id": "a", "note": [text]}, ensure_ascii=False).encode()
    changed = erasing.body(body)
    assert (restored(changed)["note"] if changed else [text]) == [left]


@pytest.mark.parametrize("name", ["Kåre", "", "a b", " , "])
def test_what_is_no_full_name_is_not_erased(name):
    with pytest.raises(ValueError, match="no full name"):
        Erasing.of([name])


class TestErasePerson:
    ROLE: Callable[[], dict[str, Any]] = staticmethod(
        lambda: {
            "resourceType": "PractitionerRole",
            "id": "role",
            "practitioner": {"display": NAME},
            "telecom": [{"system": "email", "value": "ko@x.example"}],
            "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><b>{NAME}</b></div>'},
        }
    )

    @pytest.fixture
    async def stored(self, client: httpx.AsyncClient) -> None:
        role, noted = self.ROLE(), {**task("t"), "id": "t", "description": f"Spør {NAME} eller ko@x.example"}
        named = {
            **organization("o"),
            "id": "o",
            "name": f"Firma {NAME}",
            "identifier": [{"system": "x", "value": NAME}],
        }
        for resource in (role, {**role, "active": True}, noted, {**noted, "description": "Spør noen"}, named):
            url = f"{resource['resourceType']}/{resource['id']}"
            assert (await client.put(url, json=resource, headers=FHIR)).status_code < 300
        await client.put("Task/t?x", content=f"{NAME}", headers=FHIR)
        await client.get("Organization", params={"name": NAME})

    @staticmethod
    async def erase(client: httpx.AsyncClient, **values: Any) -> httpx.Response:
        keys = {"name": "valueString", "person": "valueReference", "dryRun": "valueBoolean"}
        rows = [{"name": name, keys[name]: value} for name, value in values.items()]
        return await client.post("$erase-person", json={"resourceType": "Parameters", "parameter": rows}, headers=FHIR)

    @staticmethod
    def counted(answer: httpx.Response) -> dict[str, int]:
        assert answer.status_code == 200, answer.text
        return {row["name"]: row["valueInteger"] for row in answer.json()["parameter"] if "valueInteger" in row}

    async def test_leaves_no_byte_of_the_name_in_any_file(self, app, client, stored, settings):
        assert self.bytes_of(settings, NAME)
        assert self.counted(await self.erase(client, name=NAME)) == {"versions": 4, "resources": 3}
        for text in (NAME, NAME.upper(), "kåre ødegård", "Ødegård", "ødegård", "degard"):
            assert not self.bytes_of(settings, text)
        engine = app.state.engine
        assert (await engine.store.check(engine.indexer.indexed, await engine.store.heads()))[1] == []

    def bytes_of(self, settings: Settings, text: str) -> list[str]:
        if not settings.store.startswith("sqlite"):
            pytest.skip("a database server's files are its own")
        files = sorted(settings.sqlite_path.parent.glob(f"{settings.sqlite_path.name}*"))
        return [file.name for file in files if text.encode() in file.read_bytes()]

    async def test_leaves_versions_and_their_instants(self, client, stored):
        before = [entry["resource"]["meta"] for entry in (await client.get("Task/t/_history")).json()["entry"]]
        await self.erase(client, name=NAME)
        after = [entry["resource"] for entry in (await client.get("Task/t/_history")).json()["entry"]]
        assert [version["meta"] for version in after] == before
        assert [version["description"] for version in after] == ["Spør noen", f"Spør {ERASED} eller ko@x.example"]
        assert (await client.get("Organization", params={"name": "Firma"})).json()["total"] == 1
        assert (await client.get("Organization", params={"name:contains": "degard"})).json()["total"] == 0

    async def test_of_a_role_takes_its_contacts_too(self, client, stored, settings):
        counted = self.counted(await self.erase(client, person={"reference": "PractitionerRole/role"}))
        assert counted == {"versions": 4, "resources": 3}
        assert not self.bytes_of(settings, "ko@x.example")

    async def test_tried_out_changes_nothing(self, client, stored, settings):
        counted = self.counted(await self.erase(client, name=NAME, dryRun=True))
        assert counted == {"versions": 4, "resources": 3}
        assert self.bytes_of(settings, NAME)
        assert self.counted(await self.erase(client, name=NAME)) == counted
        assert self.counted(await self.erase(client, name=NAME)) == {"versions": 0, "resources": 0}

    async def test_leaves_a_trace_of_itself(self, client, stored):
        await self.erase(client, name=NAME)
        (trace,) = (await client.get("AuditEvent?subtype=operation")).json()["entry"]
        assert trace["resource"]["outcomeDesc"] == "erase-person: 4 versions of 3 resources"
        whats = [one["what"].get("reference") for one in trace["resource"]["entity"]]
        assert {"Task/t/_history/1", "PractitionerRole/role/_history/2"} <= set(whats)

    @pytest.mark.parametrize(
        ("role", "values", "status"),
        [
            (None, {"name": NAME}, 401),
            ("reporter", {"name": NAME}, 403),
            ("reader", {"name": NAME}, 403),
            ("secretariat", {}, 422),
            ("secretariat", {"name": "Kåre"}, 422),
            ("secretariat", {"name": f"firma {NAME.lower()}"}, 422),
            ("secretariat", {"person": {"reference": "PractitionerRole/none"}}, 404),
            ("secretariat", {"person": {"reference": "Task/t"}}, 400),
        ],
    )
    async def test_is_refused_and_the_refusal_holds_no_name(self, client, client_of, stored, role, values, status):
        asking = client_of(role, "983658725") if role else client_of()
        answer = await self.erase(asking, **values)
        assert answer.status_code == status, answer.text
        (refusal,) = (await client.get("AuditEvent?subtype=operation")).json()["entry"]
        assert refusal["resource"]["outcomeDesc"].startswith(str(status))
        assert "degård" not in json.dumps(refusal, ensure_ascii=False).lower()

    async def test_takes_no_name_in_the_url(self, client):
        assert (await client.post("$erase-person", params={"name": NAME})).status_code == 400

    async def test_tells_what_it_cannot_change(self, client):
        role = {**self.ROLE(), "id": "Kare-Nordmann", "practitioner": {"display": "Kare Nordmann"}}
        await client.put("PractitionerRole/Kare-Nordmann", json=role, headers=FHIR)
        answer = (await self.erase(client, name="Kare Nordmann", dryRun=True)).json()
        kept = [row["valueReference"]["reference"] for row in answer["parameter"] if row["name"] == "kept"]
        assert "PractitionerRole/Kare-Nordmann" in kept


class TestErasePersonOnMongoDB:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return read_settings(
            **named("motor", "erase"),
            keys=tmp_path / "keys",
            base_url="http://registry.example/fhir",
            profiles="off",
            _env_file=None,
        )

    async def test_says_that_the_server_keeps_old_bytes_for_a_while(self, app, client):
        for number in ("1", "2"):
            resource = {**task("t"), "id": "t", "description": f"{number}: {NAME}"}
            assert (await client.put("Task/t", json=resource, headers=FHIR)).status_code < 300
        counted = TestErasePerson.counted(await TestErasePerson.erase(client, name=NAME, dryRun=True))
        answer = await TestErasePerson.erase(client, name=NAME)
        assert TestErasePerson.counted(answer) == counted == {"versions": 2, "resources": 1}
        (remains,) = [row["valueString"] for row in answer.json()["parameter"] if row["name"] == "remains"]
        assert "MongoDB" in remains
        history = (await client.get("Task/t/_history")).json()["entry"]
        assert [one["resource"]["description"] for one in history] == [f"2: {ERASED}", f"1: {ERASED}"]
        (trace,) = (await client.get("AuditEvent?subtype=operation")).json()["entry"]
        assert trace["resource"]["outcomeDesc"] == "erase-person: 2 versions of 1 resources"
        engine = app.state.engine
        assert (await engine.store.check(engine.indexer.indexed, await engine.store.heads()))[1] == []
        again = (await TestErasePerson.erase(client, name=NAME)).json()["parameter"]
        assert "remains" not in [row["name"] for row in again]
