"""python -m scripts.benchmarks [--store sqlite|mongodb] [--size TASKS] [NAME …] [--auth]

`mongodb`: on the server that the tests would take, PORTFOLIO_TEST_MONGODB or a mongod. Figures of SecantusDB, which is
taken where there is neither, say only how many CPU microseconds this server spends; the table says which it was.
`--size`: of the stores that are read and searched, 10 000 Tasks (and ten times as many for `growth`) unless given."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from scripts.benchmarks import generator, synthetic
from scripts.benchmarks import validation as validating
from scripts.benchmarks.client import Measured, get, measure, post
from scripts.benchmarks.process import Server, profiled
from server.access import SECRETARIAT
from server.app import engine_of, store_of
from server.auth.tokens import Tokens
from server.interaction.intents import Intent
from server.interaction.operations.figures import MEASURES
from server.interaction.write import write
from server.load import load
from server.search.dates import interval
from server.settings import Settings, read_settings
from tests.store import mongodb

SECONDS = 4.0
STORE = "sqlite"
SIZE = 10_000
INITIATIVES = 200
_TOGETHER = 200
"""Resources that are written in one unit."""
DUE = "2021-11-30"
REPORT = Path("mappings/data/portfolio-2021-11")
SEARCH = f"/fhir/Task?code=leveranse&status=cancelled&due=lt{DUE}&_count=20"
PORTFOLIO = "PlanDefinition/_count=500&_revinclude=Task:based-on&_include=PlanDefinition:owner"


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table: `ratio` of `measured` to `ceiling`, to be at least (or at most) `bound`."""

    name: str
    measured: Measured
    ceiling: Measured
    ratio: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def reached(self) -> bool:
        if self.at_least is not None:
            return self.ratio >= self.at_least
        return self.at_most is None or self.ratio <= self.at_most


def faster(name: str, measured: Measured, ceiling: Measured, at_least: float | None = None) -> Line:
    """Rates: what share of the ceiling's requests a second."""
    return Line(name, measured, ceiling, measured.rate / ceiling.rate, at_least=at_least)


def dearer(name: str, measured: Measured, ceiling: Measured, at_most: float | None = None) -> Line:
    """Times: how many times as long as the ceiling."""
    return Line(name, measured, ceiling, ceiling.rate / measured.rate, at_most=at_most)


async def read_by_anyone(folder: Path) -> list[Line]:
    """GET by id, anonymous, access and record on, against the same with access off."""
    settings = await _generated(folder, SIZE)
    requests = [get(f"/fhir/Task/t{number}") for number in random.Random(2).sample(range(SIZE), SIZE // 2)]
    with Server(settings) as server:
        ceiling = await _measure(server, lambda n: requests[n % len(requests)])
    with Server(settings, auth="dev") as server:
        found = await _measure(server, lambda n: requests[n % len(requests)])
        line = faster("read, anonymous / access off", found, ceiling, at_least=0.9)
        await _explain(server, line, lambda n: requests[n % len(requests)])
    return [line]


async def create_on_record(folder: Path) -> list[Line]:
    """POST of a Task, durable, 64 writers, with its Provenance and AuditEvent, against one with access off."""
    settings = await _generated(folder, 100)
    token = Tokens.of(settings.keys, settings.base).issue("secretariat", "", timedelta(hours=1))
    seeded = random.Random(3)
    bodies = [json.dumps(generator.task(seeded, number, INITIATIVES)).encode() for number in range(2_000)]
    creating = [post("/fhir/Task", body, token) for body in bodies]
    with Server(settings) as server:
        ceiling = await _measure(server, lambda n: creating[n % 2_000], connections=64, expect=201)
    again = await _generated(folder / "again", 100)
    token = Tokens.of(again.keys, again.base).issue("secretariat", "", timedelta(hours=1))
    recorded = [post("/fhir/Task", body, token) for body in bodies]
    with Server(again, auth="dev") as server:
        found = await _measure(server, lambda n: recorded[n % 2_000], connections=64, expect=201)
        line = faster("create on record / not", found, ceiling, at_least=0.6)
        await _explain(server, line, lambda n: recorded[n % 2_000], connections=64, expect=201)
    return [line]


async def read(folder: Path) -> list[Line]:
    """GET by id, against the same server giving out constant bytes."""
    settings = await _generated(folder, SIZE)
    ids = [f"/fhir/Task/t{number}" for number in random.Random(2).sample(range(SIZE), SIZE // 2)]
    requests = [get(path) for path in ids]
    with Server(settings) as server:
        constant = await _measure(server, lambda n: get("/bench/Task-t1"))
        found = await _measure(server, lambda n: requests[n % len(requests)])
        line = faster("read / constant bytes", found, constant, at_least=0.5)
        await _explain(server, line, lambda n: requests[n % len(requests)])
    return [line]


async def create(folder: Path) -> list[Line]:
    """POST of a Task, durable, 64 writers, against the same route stopped after validation."""
    settings = await _generated(folder, 100)
    token = Tokens.of(settings.keys, settings.base).issue("secretariat", "", timedelta(hours=1))
    seeded = random.Random(3)
    bodies = [json.dumps(generator.task(seeded, number, INITIATIVES)).encode() for number in range(2_000)]
    validated = [post("/bench/validate/Task", body, token) for body in bodies]
    creating = [post("/fhir/Task", body, token) for body in bodies]
    with Server(settings) as server:
        ceiling = await _measure(server, lambda n: validated[n % 2_000], connections=64, expect=201)
        found = await _measure(server, lambda n: creating[n % 2_000], connections=64, expect=201)
        line = faster("create, 64 writers / validate only", found, ceiling, at_least=0.3)
        await _explain(server, line, lambda n: creating[n % 2_000], connections=64, expect=201)
    return [line]


async def search(folder: Path) -> list[Line]:
    """Two tokens and a date, 20 of them, against the same page by hand: in SQL, or as MongoDB's find."""
    return [(await _searched(folder, SIZE))[0]]


async def growth(folder: Path) -> list[Line]:
    """The same search at ten times as many Tasks."""
    small, at_small = await _searched(folder / "small", SIZE)
    large, at_large = await _searched(folder / "large", SIZE * 10)
    return [small, large, dearer(f"search at {SIZE * 10} / at {SIZE}", at_large, at_small, at_most=1.3)]


async def portfolio(folder: Path) -> list[Line]:
    """Everything of the 40 initiatives in one Bundle, against the same stored bytes joined."""
    settings = _settings(folder)
    async with _Open(settings) as engine:
        loaded = await load(engine, REPORT)
        assert not loaded.refused, loaded.refused
    path = f"/fhir/{PORTFOLIO.replace('/', '?')}"
    with Server(settings) as server:
        ceiling = await _measure(server, lambda n: get(f"/bench/joined/{PORTFOLIO.replace('?', '/')}"))
        found = await _measure(server, lambda n: get(path))
        line = dearer("portfolio Bundle / its bytes joined", found, ceiling, at_most=4.0)
        await _explain(server, line, lambda n: get(path))
    return [line]


async def aggregates(folder: Path) -> list[Line]:
    """Each computed measure of a round over 1 000 initiatives, against 40: processor time for each initiative."""
    few, many = [await _aggregated(folder / str(initiatives), initiatives) for initiatives in (40, 1_000)]
    return [
        Line(f"{name} at 1 000 / at 40", large, small, large.cpu / 1_000 / (small.cpu / 40), at_most=1.0)
        for name, small, large in zip(MEASURES, few, many, strict=True)
    ]


async def _aggregated(folder: Path, initiatives: int) -> list[Measured]:
    settings = await _synthetic(folder, initiatives)
    paths = [f"/fhir/Measure/{name}/$evaluate-measure?round=2021-11" for name in MEASURES]
    with Server(settings) as server:
        return [await _measure(server, lambda n, path=path: get(path), connections=1) for path in paths]


async def validation(folder: Path) -> list[Line]:
    """What the profiles add to R4's own validation, for the real Tasks and the largest PlanDefinition."""
    (task, of_task), (plan, of_plan) = validating.measured(REPORT)
    return [
        dearer("profiles of a Task / R4 alone", task, of_task, at_most=1.0),
        dearer("profile of the largest plan / R4 alone", plan, of_plan, at_most=3.0),
    ]


async def _searched(folder: Path, size: int) -> tuple[Line, Measured]:
    settings = await _generated(folder, size)
    low, _ = interval(DUE, ZoneInfo("Europe/Oslo"))
    with Server(settings) as server:
        by_hand = await _measure(server, lambda n: get(f"/bench/sql/leveranse/{low}"))
        found = await _measure(server, lambda n: get(SEARCH))
        line = dearer(f"search at {size} / by hand", found, by_hand, at_most=2.5)
        await _explain(server, line, lambda n: get(SEARCH))
    return line, found


async def _measure(
    server: Server, request: Callable[[int], bytes], *, connections: int = 4, expect: int = 200
) -> Measured:
    await measure(server.port, server.pid, request, connections=connections, seconds=0.5, expect=expect)
    return await measure(server.port, server.pid, request, connections=connections, seconds=SECONDS, expect=expect)


async def _explain(
    server: Server, line: Line, request: Callable[[int], bytes], *, connections: int = 4, expect: int = 200
) -> None:
    """Where the time goes, for a figure that was not reached."""
    if line.reached:
        return
    print(f"\n{line.name} is not reached; the server's time meanwhile:")
    load = measure(server.port, server.pid, request, connections=connections, seconds=SECONDS, expect=expect)
    print(await profiled(server, load))


class _Open:
    """The engine over an open store, without a server."""

    def __init__(self, settings: Settings) -> None:
        self.store = store_of(settings)
        self.engine = engine_of(settings, self.store)

    async def __aenter__(self):  # type: ignore[no-untyped-def]
        await self.store.open()
        return self.engine

    async def __aexit__(self, *error: object) -> None:
        await self.store.close()


def _settings(folder: Path) -> Settings:
    folder.mkdir(parents=True, exist_ok=True)
    store = f"sqlite:///{folder}/portfolio.db"
    if STORE == "mongodb":
        address = mongodb.emptied(f"portfolio_bench_{folder.name.lower()}")
        # What is measured is how long it takes, not whether it is in time.
        store = f"{address}{'&' if '?' in address else '?'}timeoutMS=60000"
    return read_settings(store=store, keys=folder / "keys", port=8917, auth="off", _env_file=None)


async def _generated(folder: Path, size: int) -> Settings:
    """A store of so many Tasks, t0 on, made by the same code that a transaction runs through."""
    settings = _settings(folder)
    seeded = random.Random(0)
    resources = [generator.initiative(number) for number in range(INITIATIVES)]
    resources += [{**generator.task(seeded, number, INITIATIVES), "id": f"t{number}"} for number in range(size)]
    async with _Open(settings) as engine:
        for start in range(0, len(resources), _TOGETHER):
            some = resources[start : start + _TOGETHER]
            await write(engine, SECRETARIAT, [Intent("PUT", r["resourceType"], r["id"], resource=r) for r in some])
    return settings


async def _synthetic(folder: Path, initiatives: int) -> Settings:
    """A store with a synthetic portfolio of so many initiatives."""
    settings = _settings(folder)
    async with _Open(settings) as engine:
        await synthetic.fill(engine, synthetic.portfolio(initiatives))
    return settings


BENCHMARKS: dict[str, Callable[[Path], Awaitable[list[Line]]]] = {
    "read": read,
    "create": create,
    "search": search,
    "portfolio": portfolio,
    "growth": growth,
    "validation": validation,
    "aggregates": aggregates,
}


# With --auth: what access and the record cost.
WITH_ACCESS: dict[str, Callable[[Path], Awaitable[list[Line]]]] = {"read": read_by_anyone, "create": create_on_record}


def main() -> int:
    global STORE, SIZE
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--store", default=STORE, choices=("sqlite", "mongodb"))
    parser.add_argument("--size", default=SIZE, type=int, help="Tasks")
    parser.add_argument("--auth", action="store_true", help="what access and the record cost")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    asked = parser.parse_args()
    STORE, SIZE = asked.store, asked.size
    benchmarks = WITH_ACCESS if asked.auth else BENCHMARKS
    names = asked.names or list(benchmarks)
    if unknown := [name for name in names if name not in benchmarks]:
        parser.error(f"{', '.join(unknown)}: expected some of {', '.join(benchmarks)}")
    lines: list[Line] = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            print(f"{name}: {benchmarks[name].__doc__}", flush=True)
            lines += asyncio.run(benchmarks[name](Path(folder)))  # type: ignore[arg-type]
    _print(lines)
    if STORE == "mongodb":
        name = mongodb.shared().name
        print(f"on {name}{', whose speed is not that of MongoDB' if 'Secantus' in name else ''}")
        mongodb.finished("portfolio_bench_")
    return 0 if all(line.reached for line in lines) else 1


def _print(lines: list[Line]) -> None:
    print(f"\n{'':38} {'per second':>10} {'ceiling':>10} {'CPU µs':>8} {'ceiling':>8} {'bytes':>9}   ratio")
    for line in lines:
        found, top = line.measured, line.ceiling
        bound = f"≥ {line.at_least}" if line.at_least is not None else f"≤ {line.at_most}"
        verdict = bound if line.reached else f"{bound}  NOT REACHED"
        print(
            f"{line.name:38} {found.rate:10.0f} {top.rate:10.0f} {found.cpu:8.0f} {top.cpu:8.0f} {found.bytes:9}"
            f"   {line.ratio:.2f}  ({verdict})"
        )


if __name__ == "__main__":
    sys.exit(main())
