"""python -m server copy: a store taken over into another of any kind, whole, to be gone on with, and compared."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from server import copy as copying
from server.app import engine_of
from server.copy import Unlike, copy
from server.interaction.engine import Engine
from server.settings import read_settings
from server.store.store import Moment, Store, Unit
from tests.real.process import Installation
from tests.store.build import deletion, put, unit, write
from tests.store.kinds import REAL, named, opened, over

PAIRS = [(one, other) for one in REAL for other in REAL if "sqlite" in (one, other)]


async def fill(store: Store, more: str = "") -> None:
    """Six commits: versions, a deletion, what came after it, and one that wrote nothing."""
    for id in "ab":
        await put(store, f"Task/{more}{id}", text="Åse")
    plan = write("PlanDefinition", f"{more}p")
    await store.commit(unit(write("Task", f"{more}a", 2), deletion("Task", f"{more}b", 2), plan))
    await store.commit(Unit((), {}))
    await put(store, f"Task/{more}b")
    await put(store, f"Task/{more}c")


def engine(store: Store) -> Engine:
    return engine_of(read_settings(_env_file=None), store)


async def everything(store: Store) -> list[Any]:
    """The history at each moment, and how the newest moment is found by its instant."""
    found: list[Any] = []
    newest = await store.moment()
    for sequence in range(newest.sequence + 1):
        commit = (await store.commits(sequence - 1, 1))[0] if sequence else None
        at = commit.moment if commit else Moment(0, "1970-01-01T00:00:00.000000Z")
        found.append(await store.moment(at.instant))
        async with store.snapshot(at) as snapshot:
            found.append(await snapshot.history(None, None, count=100))
            found += [await snapshot.read("Task", id) for id in "abc"]
    return found


@pytest.mark.parametrize(("kind", "other"), over(PAIRS))
async def test_every_moment_is_in_the_copy_as_it_was(
    kind: str, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "CHUNK", 3)
    reached: list[int] = []
    async with opened(kind, tmp_path) as (source,), opened(other, tmp_path) as (target,):
        await fill(source)
        sums = await copy(engine(source), target, reached.append)
        assert (sums.counts, reached[-1]) == ({"Task": 6, "PlanDefinition": 1}, 6)
        assert len(reached) > 1
        assert await everything(target) == await everything(source)
        assert (await target.check(engine(target).indexer.indexed))[1] == []
        # It goes on with what came since, and may be written to.
        await fill(source, "more-")
        assert (await copy(engine(source), target, reached.append)).counts["Task"] == 12
        assert await everything(target) == await everything(source)
        assert (await put(target, "Task/a")).version_id == 3


async def test_a_copy_that_broke_off_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "CHUNK", 2)
    async with opened("sqlite", tmp_path) as (source,), opened("motor", tmp_path) as (target,):
        await fill(source)

        def broken(sequence: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await copy(engine(source), target, broken)
        assert 0 < (await target.moment()).sequence < 6
        await copy(engine(source), target, lambda _: None)
        assert await everything(target) == await everything(source)


async def test_a_copy_beside_writers_holds_all_that_was_committed_before_its_end(tmp_path: Path) -> None:
    async with opened("motor", tmp_path) as (source,), opened("sqlite", tmp_path) as (target,):
        await fill(source)
        writing = asyncio.gather(*(fill(source, f"{n}-") for n in range(4)))
        await copy(engine(source), target, lambda _: None)
        await writing
        await copy(engine(source), target, lambda _: None)
        assert (await target.moment()) == (await source.moment())


@pytest.mark.parametrize(("kind", "other"), [("sqlite", "motor"), ("motor", "sqlite")])
async def test_the_chain_is_copied_and_an_anchor_of_the_one_holds_for_the_other(
    kind: str, other: str, tmp_path: Path
) -> None:
    async with opened(kind, tmp_path) as (source,), opened(other, tmp_path) as (target,):
        for id in "ab":
            await fill(source, id)
            await source.commit(
                unit(write("Task", f"{id}-of-record"), write("AuditEvent", id), write("Provenance", id))
            )
        anchors = await source.heads()
        await copy(engine(source), target, lambda _: None)
        assert await target.heads() == anchors != ()
        # Both go on with the same links.
        for store in (source, target):
            await store.commit(unit(write("AuditEvent", "c")))
            assert (await store.check(engine(store).indexer.indexed, anchors))[1] == []


async def test_a_chain_that_is_broken_is_copied_as_it_is(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path) as (source,), opened("motor", tmp_path) as (target,):
        for id in "abc":
            await source.commit(unit(write("AuditEvent", id)))
        with sqlite3.connect(source.path) as connection:  # type: ignore[attr-defined]
            connection.execute("UPDATE chain SET digest = zeroblob(32) WHERE sequence = 2")
        await copy(engine(source), target, lambda _: None)
        for store in (source, target):
            (fault,) = (await store.check(engine(store).indexer.indexed))[1]
            assert fault.startswith("record: broken at commit 2: AuditEvent/b")


async def test_a_link_that_was_left_out_is_a_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened("sqlite", tmp_path) as (source,), opened("sqlite", tmp_path) as (target,):
        await source.commit(unit(write("AuditEvent", "a")))
        real = target.append

        async def changed(commits: Any, index: Any) -> None:
            await real([replace(commit, link=None) for commit in commits], index)

        monkeypatch.setattr(target, "append", changed)
        with pytest.raises(Unlike, match="links of the record"):
            await copy(engine(source), target, lambda _: None)


@pytest.mark.parametrize("other", ["sqlite", "motor"])
async def test_what_holds_another_registry_is_left_alone(other: str, tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path) as (source,), opened(other, tmp_path) as (target,):
        await fill(source)
        await put(target, "Task/a")
        before = await everything(target)
        with pytest.raises(Unlike, match="another registry"):
            await copy(engine(source), target, lambda _: None)
        assert await everything(target) == before


async def test_a_difference_is_found_and_its_type_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened("sqlite", tmp_path) as (source,), opened("sqlite", tmp_path) as (target,):
        await fill(source)
        real = target.append

        async def changed(commits: Any, index: Any) -> None:
            def other(version: Any) -> Any:
                return version if version.body is None else msgspec.structs.replace(version, body=version.body + b" ")

            await real([replace(commit, versions=tuple(map(other, commit.versions))) for commit in commits], index)

        monkeypatch.setattr(target, "append", changed)
        with pytest.raises(Unlike, match=r"differs .* PlanDefinition, Task"):
            await copy(engine(source), target, lambda _: None)


def test_a_backup_of_mongodb_in_one_file_is_restored_from_it(tmp_path: Path) -> None:
    """The way that README gives, by the commands that it gives."""
    lines = "\n".join(f'{{"resourceType":"Organization","id":"{n}","name":"{n}"}}' for n in range(5))
    (tmp_path / "some.ndjson").write_text(lines)
    url, backup = named("motor", "backup")["store"], f"sqlite:///{tmp_path}/backup.db"
    installation = Installation(tmp_path, STORE=url)
    assert installation.invoke("load", str(tmp_path / "some.ndjson"))[0] == 0
    status, output = installation.invoke("copy", "--from", url, "--to", backup)
    assert (status, output.splitlines()[-1]) == (0, "The copy is the same.")
    assert "5 Organization sha256" in output
    emptied = named("motor", "restored")["store"]
    assert installation.invoke("copy", "--from", backup, "--to", emptied)[0] == 0
    status, output = Installation(tmp_path, STORE=emptied).invoke("check")
    assert (status, output.splitlines()[-1]) == (0, "No faults.")


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("sqlite:///away.db", "sqlite:///b.db", "no such file or database"),
        ("mysql://a", "sqlite:///b.db", "--from=mysql://a: expected"),
    ],
)
def test_a_wrong_address_is_named(tmp_path: Path, source: str, target: str, said: str) -> None:
    status, output = Installation(tmp_path).invoke("copy", "--from", source, "--to", target)
    assert status == 2
    assert said in output
    assert not (tmp_path / "b.db").exists()
