"""Loading files: each is written whole or not at all, and a refusal names the file, the place and the reason."""

from __future__ import annotations

import codecs
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from server.access import SECRETARIAT
from server.app import engine_of, store_of
from server.interaction.engine import Engine
from server.interaction.read import read
from server.load import Loaded, load
from server.resource import decode
from server.settings import Settings
from tests.http.build import bundle, entry, organization, plan, task
from tests.portfolio.sheets import REPORT

GOOD = organization("a") | {"id": "a"}
BAD_TASK = {"resourceType": "Task", "id": "t", "status": "ready"}


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[Engine]:
    store = store_of(settings)
    await store.open()
    yield engine_of(settings, store)
    await store.close()


async def versions(engine: Engine) -> int:
    counts, _ = await engine.store.check(engine.indexer.indexed)
    return counts["versions"] - counts["records"]


async def loaded(engine: Engine, file: Path, content: Any) -> Loaded:
    write(file, content)
    return await load(engine, file)


def write(file: Path, content: Any) -> None:
    """`content`: bytes, text, or a value to be written as JSON."""
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())


def collection(*entries: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "collection", "entry": list(entries)}


def put(resource: Any) -> dict[str, Any]:
    return {"resource": resource, "request": {"method": "PUT", "url": "Organization/b"}}


def lines(*resources: Any) -> str:
    return "\n".join(one if isinstance(one, str) else json.dumps(one) for one in resources)


@pytest.mark.parametrize(
    ("name", "content", "refused"),
    [
        # Nothing here is a resource; a good entry beside it is not written either.
        ("one.json", "[]", ["–: structure: "]),
        ("one.json", {"resource": "x"}, ["resourceType: required: "]),
        ("one.json", {"resourceType": ["Task"]}, ["resourceType: required: "]),
        ("one.json", GOOD | {"id": {}}, ["Organization.id: value: "]),
        ("one.json", GOOD | {"id": None}, ["Organization.id: value: "]),
        ("one.json", GOOD | {"id": ""}, ["Organization.id: value: "]),
        ("one.json", BAD_TASK, ["Task.intent: required: "]),
        ("all.json", collection({"resource": GOOD}, None), ["Bundle.entry[1]: "]),
        ("all.json", collection({"resource": GOOD}, {"resource": "x"}), ["Bundle.entry[1].resource: structure: "]),
        ("all.json", collection({"resource": GOOD}, {"resource": None}), ["Bundle.entry[1].resource: structure: "]),
        ("all.json", collection({"resource": GOOD}, {"fullUrl": "urn:uuid:5f6a2a55-8a55-4f57-9a3f-0a1a6f8b2c01"}),
         ["Bundle.entry[1].resource: required: "]),
        ("all.json", collection({"resource": GOOD}, {"resource": {"id": "b"}}),
         ["Bundle.entry[1].resource.resourceType: required: "]),
        ("all.json", collection({"resource": GOOD}, {"resource": GOOD | {"id": {}}}),
         ["Bundle.entry[1].resource.id: value: "]),
        ("all.json", collection({"resource": BAD_TASK}, {"resource": GOOD}),
         ["Bundle.entry[0].resource.intent: required: "]),
        ("all.json", collection({"resource": GOOD}, {"resource": GOOD}), ["Bundle.entry[1]: duplicate: "]),
        ("all.json", collection({"resource": 1}, {"resource": 2}),
         ["Bundle.entry[0].resource: structure: ", "Bundle.entry[1].resource: structure: "]),
        ("all.json", {"resourceType": "Bundle", "type": "collection", "entry": {"resource": GOOD}}, ["Bundle.entry: "]),
        ("all.json", {"resourceType": "Bundle", "entry": [{"resource": GOOD}]}, ["Bundle.type: required: "]),
        ("all.json", bundle(put("x")), ["Bundle.entry[0].resource: structure: "]),
        ("all.json", bundle(put(GOOD | {"id": {}})), ["Bundle.entry[0].resource.id: value: "]),
        ("all.json", bundle(entry("PUT", "Task/t", BAD_TASK)), ["Bundle.entry[0].resource.intent: required: "]),
        ("all.json", bundle(entry("PUT", "Task/t", BAD_TASK), type="batch"),
         ["Bundle.entry[0].resource.intent: required: "]),
        ("all.json", {"resourceType": "Bundle", "type": "transaction", "entry": {}}, ["Bundle.entry: "]),
        ("all.ndjson", lines(GOOD, "", "[]", '{"resourceType":'), ["line 3: structure: ", "line 4: structure: "]),
        ("all.ndjson", lines(GOOD, "", BAD_TASK), ["line 3: Task.intent: required: "]),
        ("all.ndjson", lines(GOOD, GOOD | {"id": []}), ["line 2: Organization.id: value: "]),
        ("all.ndjson", lines(GOOD, {"id": "b"}), ["line 2: resource.resourceType: required: "]),
        ("all.ndjson", lines(GOOD, "", GOOD), ["line 3: Organization: duplicate: "]),
        ("all.ndjson", b'\n{"resourceType":"Organization","name":"\xe5"}', ["line 2: structure: "]),
        ("one.json", b'{"resourceType":"Organization","name":"\xe5"}', ["–: structure: "]),
        ("one.json", codecs.BOM_UTF16_LE + "{}".encode("utf-16-le"), ["–: structure: UTF-16; expected UTF-8"]),
        ("all.ndjson", codecs.BOM_UTF16_BE + "{}".encode("utf-16-be"), ["–: structure: UTF-16; expected UTF-8"]),
    ],
)  # fmt: skip
async def test_a_refused_file_names_each_place_and_writes_nothing(
    engine: Engine, tmp_path: Path, name: str, content: Any, refused: list[str]
) -> None:
    file = tmp_path / name
    found = await loaded(engine, file, content)
    assert len(found.refused) == len(refused), found.refused
    for line, said in zip(found.refused, refused, strict=True):
        assert line.startswith(f"{file}: {said}")
        assert ".resource.resource." not in line
    assert not found.counts
    assert await versions(engine) == 0


async def test_a_file_that_is_not_there_is_refused_by_name(engine: Engine, tmp_path: Path) -> None:
    for name in ("away.json", "away.ndjson", "away.xlsx", "away"):
        (line,) = (await load(engine, tmp_path / name)).refused
        assert name in line


@pytest.mark.parametrize("name", ["one.json", "one.ndjson"])
async def test_a_byte_order_mark_changes_nothing(engine: Engine, tmp_path: Path, name: str) -> None:
    found = await loaded(engine, tmp_path / name, codecs.BOM_UTF8 + json.dumps(GOOD).encode())
    assert (found.refused, found.counts) == ([], {"Organization: created": 1})


@pytest.mark.parametrize("name", ["url", "urn"])
async def test_the_entries_of_a_collection_point_to_each_other_by_full_url(
    engine: Engine, tmp_path: Path, name: str
) -> None:
    url = "urn:uuid:5f6a2a55-8a55-4f57-9a3f-0a1a6f8b2c01"
    if name == "url":
        url = "https://elsewhere.example/fhir/PlanDefinition/there"
    child = task("t", basedOn=[{"reference": url}]) | {"id": "t"}
    sent = collection({"resource": child}, {"fullUrl": url, "resource": plan("p") | {"id": "here"}})
    found = await loaded(engine, tmp_path / "all.json", sent)
    assert found.refused == []
    body = (await read(engine, SECRETARIAT, "Task", "t")).body
    assert decode(body or b"")["basedOn"] == [{"reference": "PlanDefinition/here"}]


async def test_what_a_bundle_did_is_counted_by_what_it_did(engine: Engine, tmp_path: Path) -> None:
    await loaded(engine, tmp_path / "before.ndjson", lines(GOOD, GOOD | {"id": "b"}))
    sent = bundle(
        entry("DELETE", "Organization/a"),
        entry("PUT", "Organization/b", GOOD | {"id": "b", "name": "new"}),
        entry("PUT", "Organization/c", GOOD | {"id": "c"}),
        entry("GET", "Organization/c"),
        entry("GET", "Organization"),
    )
    found = await loaded(engine, tmp_path / "all.json", sent)
    assert found.refused == []
    assert found.counts == {"Organization: deleted": 1, "Organization: updated": 1, "Organization: created": 1}


@pytest.mark.parametrize("content", [b"", b"no workbook", b"PK\x05\x06" + bytes(18)], ids=["empty", "text", "zip"])
async def test_a_broken_workbook_is_refused(engine: Engine, tmp_path: Path, content: bytes) -> None:
    (line,) = (await loaded(engine, tmp_path / "rapport-2021-11.xlsx", content)).refused
    assert line.startswith("rapport-2021-11.xlsx: ")
    assert "expected an .xlsx file" in line


@pytest.mark.parametrize("content", ["{", "[1]", b"\xff"], ids=["broken", "list", "latin"])
async def test_a_report_whose_own_file_is_broken_is_refused(engine: Engine, tmp_path: Path, content: Any) -> None:
    report = Path(shutil.copytree(REPORT, tmp_path / "report-2021-11"))
    write(report / "report.json", content)
    (line,) = (await load(engine, report)).refused
    assert "report.json" in line
    assert "expected round, title" in line
    assert await versions(engine) == 0
