"""A SearchParameter at run time: in force at once, searched when its index is whole, and never a part of the answer."""

from __future__ import annotations

import asyncio

import pytest

from server.access import SECRETARIAT
from server.app import engine_of, store_of
from server.interaction.intents import Intent
from server.interaction.search import search
from server.interaction.searchable import build_forever, caught_up
from server.interaction.write import write
from server.outcome import FhirError
from server.store import sqlite_build
from server.store.store import Conflict, Unavailable, Unit
from tests.http.build import FHIR, bundle, entry, names, plan, task


def parameter(code="for-whom", **more):
    return {
        "resourceType": "SearchParameter", "id": code, "url": f"https://actor.example/SearchParameter/{code}",
        "name": "ForWhom", "status": "active", "description": "x", "code": code, "base": ["Task"], "type": "string",
        "expression": "Task.description", **more,
    }  # fmt: skip


async def put(client, resource):
    answer = await client.put(f"{resource['resourceType']}/{resource['id']}", json=resource, headers=FHIR)
    assert answer.status_code in (200, 201), answer.text


async def built(client, query="Task?for-whom=x"):
    """Waits until a strict search of it is answered."""
    for _ in range(400):
        answer = await client.get(query, headers={"Prefer": "handling=strict"})
        if answer.status_code == 200:
            return
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (503, "transient")
        await asyncio.sleep(0.005)
    raise AssertionError("never built")


async def found(client, query):
    return sorted(names((await client.get(query)).json()))


async def test_it_finds_what_was_written_before_and_after_now_and_then(client):
    await put(client, task("a", description="Alle") | {"id": "a"})
    await put(client, task("b", description="Ingen") | {"id": "b"})
    moment = (await client.get("Task")).json()["meta"]["lastUpdated"]
    await put(client, task("b", description="Alle") | {"id": "b"})
    await put(client, parameter())
    await put(client, task("c", description="alle sammen") | {"id": "c"})
    await built(client)
    assert await found(client, "Task?for-whom=alle") == ["a", "b", "c"]
    assert await found(client, "Task?for-whom:exact=Alle") == ["a", "b"]
    assert await found(client, f"Task?for-whom=alle&_asOf={moment}") == ["a"]
    assert await found(client, "Task?for-whom:missing=true") == []
    listed = (await client.get("Task?_sort=-for-whom")).json()
    assert names(listed) == ["c", "b", "a"]


async def test_one_of_several_types_a_reference_and_a_chain(client):
    await put(client, plan("p") | {"id": "p"})
    await put(client, task("a", focus={"reference": "PlanDefinition/p"}) | {"id": "a"})
    about = parameter("about", type="reference", expression="Task.focus", target=["PlanDefinition"])
    named = parameter("named", base=["Task", "PlanDefinition"], expression="Task.code.text | PlanDefinition.title")
    answer = await client.post("", json=bundle(entry("POST", "SearchParameter", about),
                               entry("POST", "SearchParameter", named)), headers=FHIR)  # fmt: skip
    assert answer.status_code == 200, answer.text
    await built(client, "Task?named=x&about=p")
    assert await found(client, "Task?named=a") == ["a"]
    assert await found(client, "PlanDefinition?named=p") == ["p"]
    assert await found(client, "Task?about.title=p") == ["a"]
    assert await found(client, "PlanDefinition?_has:Task:about:named=a") == ["p"]
    including = (await client.get("Task?_include=Task:about")).json()
    assert [one["search"]["mode"] for one in including["entry"]] == ["match", "include"]


async def test_it_is_in_the_capability_statement_while_it_is_in_force(client):
    async def listed():
        (rest,) = (await client.get("metadata")).json()["rest"]
        (kind,) = (one for one in rest["resource"] if one["type"] == "Task")
        return "for-whom" in {one["name"] for one in kind["searchParam"]}

    assert not await listed()
    await put(client, parameter())
    assert await listed()
    await client.delete("SearchParameter/for-whom")
    await client.get("Task")
    assert not await listed()


@pytest.mark.parametrize("end", ["retired", "deleted"])
async def test_retired_or_deleted_it_is_no_longer_known_and_comes_back_whole(client, end):
    await put(client, task("a", description="Alle") | {"id": "a"})
    await put(client, parameter())
    await built(client)
    if end == "retired":
        await put(client, parameter(status="retired"))
    else:
        await client.delete("SearchParameter/for-whom")
    answer = await client.get("Task?for-whom=alle", headers={"Prefer": "handling=strict"})
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "not-supported")
    await put(client, task("b", description="Alle") | {"id": "b"})  # not indexed for it now
    await put(client, parameter())
    await built(client)
    assert await found(client, "Task?for-whom=alle") == ["a", "b"]


async def test_a_changed_expression_is_built_anew_and_leaves_nothing_behind(client, app):
    await put(client, task("a", description="Alle", note=[{"text": "Noen"}]) | {"id": "a"})
    await put(client, parameter())
    await built(client)
    await put(client, parameter(expression="Task.note.text"))
    await built(client)
    assert await found(client, "Task?for-whom=alle") == []
    assert await found(client, "Task?for-whom=noen") == ["a"]
    engine = app.state.engine
    assert (await engine.store.check(engine.indexer.indexed))[1] == []


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"expression": "Task.descripton"}, "descripton"),
        ({"expression": "Task.description.("}, "Task.description.("),
        ({"expression": "Task.restriction.period"}, "Period"),
        ({"code": "status"}, "status"),
        ({"base": ["Patient"]}, "Patient"),
        ({"type": "composite"}, "component"),
        ({"expression": None}, "expression"),
        ({"url": "http://eportefolje.example/fhir/SearchParameter/nep-task-due"}, "own url"),
    ],
)
async def test_a_wrong_one_is_refused_naming_what_is_wrong(client, wrong, named):
    made = {name: value for name, value in (parameter() | wrong).items() if value is not None}
    answer = await client.put("SearchParameter/for-whom", json=made, headers=FHIR)
    (issue,) = answer.json()["issue"]
    assert (answer.status_code, issue["code"]) == (422, "processing")
    assert named in issue["diagnostics"]
    draft = {**made, "status": "draft"}
    assert (await client.put("SearchParameter/for-whom", json=draft, headers=FHIR)).status_code == 201


async def test_two_of_one_code_clash_also_in_one_bundle(client):
    twins = [parameter(), parameter() | {"id": "other", "url": "https://actor.example/SearchParameter/other"}]
    answer = await client.post("", json=bundle(*(entry("PUT", f"SearchParameter/{one['id']}", one) for one in twins)),
                               headers=FHIR)  # fmt: skip
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (
        422, ["Bundle.entry[1].resource.expression"],
    )  # fmt: skip
    await put(client, twins[0])
    await put(client, twins[0] | {"description": "changed"})
    assert (await client.put("SearchParameter/other", json=twins[1], headers=FHIR)).status_code == 422


async def test_what_the_server_publishes_of_its_own_is_no_second_definition(client, app):
    (own,) = (one for one in app.state.engine.registry.of_type("SearchParameter") if one["id"] == "nep-task-due")
    await put(client, dict(own))
    await put(client, task("a", restriction={"period": {"end": "2023-01-01"}}) | {"id": "a"})
    assert await found(client, "Task?due=2023-01-01") == ["a"]


# Without the builder of a running server, so that a build can stand still.


@pytest.fixture
async def engines(settings):
    """Two processes on one store, as far as they can be told apart: nothing is shared but the file."""
    stores = [store_of(settings), store_of(settings)]
    for store in stores:
        await store.open()
    yield [engine_of(settings, store) for store in stores]
    for store in stores:
        await store.close()


async def stored(engine, *resources):
    await write(engine, SECRETARIAT, [Intent("PUT", one["resourceType"], one["id"], resource=one) for one in resources])


def tasks(count, description="Alle"):
    return [task(f"t{n}", description=description) | {"id": f"t{n}"} for n in range(count)]


async def asked(engine, strict=False):
    page = await search(engine, SECRETARIAT, "Task", [("for-whom", "alle"), ("_count", "500")], strict=strict)
    return len(page.page.versions), [remark.text for remark in page.remarks], page.query.used


async def run_build(engine):
    building = asyncio.create_task(build_forever(engine))
    engine.unbuilt.set()
    for _ in range(400):
        async with engine.store.snapshot() as snapshot:
            state = await caught_up(engine, snapshot)
        if all(state.shares.get(generation) == 1 for generation, _ in engine.parser.parameters.stored):
            break
        await asyncio.sleep(0.005)
    building.cancel()


async def test_until_it_is_built_a_search_warns_or_refuses(engines):
    engine, other = engines
    await stored(engine, *tasks(7, "Ingen"))
    await stored(engine, parameter())
    for process in (engine, other):
        count, remarks, used = await asked(process)
        assert count == 7  # left out, and said so
        assert "0% done" in remarks[0]
        assert ("for-whom", "alle") not in used
        with pytest.raises(FhirError) as refused:
            await asked(process, strict=True)
        assert (refused.value.status, refused.value.issues[0].code) == (503, "transient")
        assert refused.value.headers == {"Retry-After": "2"}
    for name, text in (("_sort", "for-whom"), ("owner:Organization._has:Task:owner:for-whom", "x")):
        remarks = (await search(engine, SECRETARIAT, "Task", [(name, text)])).remarks
        assert "being indexed" in remarks[0].text
    with pytest.raises(FhirError) as refused:
        await write(engine, SECRETARIAT, [Intent("POST", "Task", condition="for-whom=x", resource=task("x"))])
    assert refused.value.status == 503
    await run_build(engine)
    for process in (engine, other):
        assert (await asked(process, strict=True))[:2] == (0, [])


async def test_a_build_that_broke_off_goes_on_where_it_was_in_any_process(engines, monkeypatch):
    monkeypatch.setattr(sqlite_build, "CHUNK", 2)
    engine, other = engines
    await stored(engine, *tasks(9))
    await stored(engine, parameter())
    index, seen = engine.indexer.partial(engine.parser.parameters.stored[0][0]), []

    def breaking(resource):
        if len(seen) == 4:
            raise Unavailable("killed")
        seen.append(resource["id"])
        return index(resource)

    (generation, _) = engine.parser.parameters.stored[0]
    with pytest.raises(Unavailable):
        await engine.store.build(generation, frozenset({"Task"}), breaking)
    assert "44% done" in (await asked(other))[1][0]
    await run_build(other)
    assert (await asked(engine, strict=True))[0] == 9
    assert (await other.store.check(other.indexer.indexed))[1] == []


async def test_what_another_process_writes_meanwhile_is_found_too(engines):
    engine, other = engines
    await stored(other, *tasks(3))
    await stored(engine, parameter())
    await stored(other, *tasks(6))  # the first process to know of it has not told this one
    await run_build(engine)
    assert (await asked(engine, strict=True))[0] == 6
    assert (await other.store.check(other.indexer.indexed))[1] == []


async def test_rows_made_by_older_definitions_are_never_committed(engines):
    engine, other = engines
    await stored(engine, *tasks(1))
    async with other.store.snapshot() as snapshot:
        before = (await caught_up(other, snapshot)).newest
    await stored(engine, parameter())
    with pytest.raises(Conflict) as conflict:
        await other.store.commit(Unit((), {}, defined=before))
    assert conflict.value.kind == "stale"
    with pytest.raises(Conflict):
        await other.store.reindex(other.indexer.indexed, progress=lambda count: None, defined=before)


async def test_it_is_in_force_again_after_a_restart(engines, settings):
    engine, _ = engines
    await stored(engine, *tasks(2))
    await stored(engine, parameter())
    await run_build(engine)
    store = store_of(settings)
    await store.open()
    assert (await asked(engine_of(settings, store), strict=True))[0] == 2
    await store.close()


async def test_a_full_reindex_keeps_it_and_clears_what_changed_ones_left(engines):
    engine, _ = engines
    await stored(engine, *tasks(3))
    for text in ("x", "y"):
        await stored(engine, parameter(description=text))
        await run_build(engine)
    async with engine.store.snapshot() as snapshot:
        newest = (await caught_up(engine, snapshot)).newest
    before = (await engine.store.check(engine.indexer.indexed))[0]["string rows"]
    await engine.store.reindex(engine.indexer.indexed, progress=lambda count: None, defined=newest)
    counts, faults = await engine.store.check(engine.indexer.indexed)
    assert (counts["string rows"], faults) == (before - 3, [])
    assert (await asked(engine, strict=True))[0] == 3
