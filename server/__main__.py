"""python -m server: serve, load, token, client, check, reindex, verify, copy."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, NoReturn, TypeVar

import typer
import uvicorn

from server.app import create_app, engine_of, rounds_of, settle, store_of
from server.auth.clients import registration
from server.auth.tokens import Tokens, duration
from server.connection import connection
from server.copy import Sums, Unlike, copy
from server.definitions.snapshots import DefinitionError
from server.editions import faults, keys_from, keys_of
from server.interaction.engine import Engine
from server.interaction.searchable import caught_up
from server.load import Loaded, load, publish, publish_closed
from server.outcome import STATUS, FhirError
from server.portfolio.seal import Seal
from server.settings import Settings, WrongSetting, read_settings, shown
from server.store.chain import Link
from server.store.store import Conflict, Unavailable

cli = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)
T = TypeVar("T")
TokenRole = Literal["reporter", "secretariat", "reader"]


@cli.command()
def serve() -> None:
    """Start the server with the settings of the environment (PORTFOLIO_…)."""
    settings = _settings()
    with _stopping():
        app = create_app(settings, store_of(settings))
    _run(settings, publish)
    settle()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=connection(settings.request_timeout),
        # It would print query strings, and some clients put there what should not lie in a log.
        access_log=False,
        server_header=False,
        # create_app believes the proxies that the settings name; uvicorn would believe any on this machine.
        proxy_headers=False,
        limit_concurrency=settings.max_connections,
        # Longer than clients and proxies keep an idle connection: who closes it first never races with a request.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
        log_level="warning",
    )


@cli.command(name="load")
def load_command(
    paths: Annotated[list[Path], typer.Argument(help="Bundle (.json), .ndjson, folder of CSVs, or .xlsx")],
    round: Annotated[str | None, typer.Option(help="the reporting round of a report, e.g. 2021-11")] = None,
    quiet: Annotated[bool, typer.Option(help="leave out the remarks of the import log")] = False,
) -> None:
    """Load files through the same interactions as the API, as the secretariat. Each PATH is one unit."""

    settings = _settings()
    with _stopping():
        rounds = rounds_of(settings)
    editions: list[str] = []

    async def all_of(engine: Engine) -> list[Loaded]:
        units = []
        for path in paths:
            units.append(await load(engine, path, round=round))
            # Before the next file, which may be a later round: an edition is of its own moment.
            editions.extend(await publish_closed(engine, rounds))
        return units

    units = _run(settings, all_of)
    for path, unit in zip(paths, units, strict=True):
        _print_unit(path, unit, quiet)
    for edition in editions:
        print(f"Published / utgitt: {edition}")
    sys.exit(1 if any(unit.refused for unit in units) else 0)


@cli.command()
def token(
    actor: Annotated[str, typer.Option(help="organisation number, or slug, of a reporter")] = "",
    role: Annotated[TokenRole, typer.Option(help="who the token speaks for")] = "reporter",
    ttl: Annotated[str, typer.Option(help="how long it holds: 30m, 1h, 7d")] = "1h",
) -> None:
    """Print a bearer token signed by the server's development key."""
    settings = _settings()
    if settings.auth != "dev":
        _stop(f"PORTFOLIO_AUTH={settings.auth}: tokens are made under dev only")
    if role == "reporter" and not actor:
        _stop("--actor: a reporter's token needs its organisation number or slug")
    try:
        period = duration(ttl)
    except ValueError as error:
        _stop(f"--ttl: {error}")
    with _stopping():
        print(Tokens.of(settings.keys, settings.base).issue(role, actor, period))


@cli.command()
def client(
    client_id: Annotated[str, typer.Argument(help="the client's name, without spaces")],
    key: Annotated[Path, typer.Option(help="where its new private key goes, a JWK; it must not be there yet")],
    actor: Annotated[str, typer.Option(help="organisation number, or slug, of a reporter")] = "",
    role: Annotated[TokenRole, typer.Option(help="who the client speaks for")] = "reporter",
    scopes: Annotated[str, typer.Option(help="SMART scopes, separated by spaces")] = "system/Task.crus system/*.rs",
) -> None:
    """Make a key for a client, and print what registers it: an entry of PORTFOLIO_CLIENTS."""
    try:
        print(registration(client_id, key, organization=actor, role=role, scopes=scopes))
    except (OSError, ValueError) as error:
        _stop(f"{error}")


@cli.command()
def check(
    anchor: Annotated[list[str] | None, typer.Option(help="a head of the record as printed on an earlier day")] = None,
) -> None:
    """Verify the store and the record's chain; exit 1 on any fault."""
    try:
        anchors = [Link.of(text) for text in anchor or ()]
    except ValueError as error:
        _stop(f"--anchor: {error}")

    async def checked(engine: Engine) -> tuple[dict[str, int], list[str], tuple[Link, ...]]:
        async with engine.store.snapshot() as snapshot:
            await caught_up(engine, snapshot)
        # Taken first, so that what is printed as a head is among what was checked.
        heads = await engine.store.heads()
        return (*await engine.store.check(engine.indexer.indexed, [*anchors, *heads]), heads)

    counts, faults, heads = _run(_existing(_settings()), checked)
    for name, count in counts.items():
        print(f"{count:>10} {name}")
    for head in heads:
        print(f"Head of the record: {head}")
    for fault in faults:
        print(f"FAULT {fault}")
    print("No faults." if not faults else f"{len(faults)} faults.")
    sys.exit(1 if faults else 0)


@cli.command()
def verify(
    file: Annotated[Path, typer.Argument(help="an edition: the document Bundle as JSON")],
    keys: Annotated[
        str, typer.Option(help="the JWKS of who published it, a file or URL; else this installation's")
    ] = "",
) -> None:
    """Check digest and signature of an edition; exit 1 when they do not hold."""
    try:
        with _stopping():
            known = keys_from(keys) if keys else keys_of(Seal.of(_settings().keys).keys())
        found = faults(file.read_bytes(), known)
    except (OSError, ValueError) as error:
        _stop(f"{error}")
    for fault in found:
        print(f"FAULT {fault}")
    print("It is as it was published." if not found else f"{file} is not as it was published.")
    sys.exit(1 if found else 0)


@cli.command()
def reindex() -> None:
    """Rebuild all search indexes, also beside a running server."""

    async def rebuilt(engine: Engine) -> int:
        while True:
            async with engine.store.snapshot() as snapshot:
                newest = (await caught_up(engine, snapshot)).newest
            try:
                return await engine.store.reindex(engine.indexer.indexed, progress=_progress, defined=newest)
            except Conflict:
                print("\nA SearchParameter changed; beginning again.", file=sys.stderr)

    print(f"\r{_run(_existing(_settings()), rebuilt)} versions reindexed.")


@cli.command(name="copy")
def copy_command(
    source: Annotated[str, typer.Option("--from", help="sqlite:///PATH or mongodb://HOST/DATABASE")],
    target: Annotated[str, typer.Option("--to", help="the same; empty, or the beginning of a copy that broke off")],
) -> None:
    """Copy a store with all versions and moments, and compare the two; goes on where it broke off."""
    original = _existing(_store_option("--from", source))
    sums = asyncio.run(_copied(original, _store_option("--to", target)))
    for kind, digest in sums.digests().items():
        print(f"\r{sums.counts[kind]:>10} {kind} sha256 {digest}")
    print("The copy is the same.")


def _store_option(name: str, url: str) -> Settings:
    try:
        return read_settings(store=url)
    except WrongSetting as error:
        _stop(str(error).replace("PORTFOLIO_STORE", name, 1))


async def _copied(original: Settings, other: Settings) -> Sums:
    stores = [store_of(original), store_of(other)]
    for settings, store in zip((original, other), stores, strict=True):
        try:
            await store.open()
        except Unavailable as error:
            _stop(f"{shown(settings.store)}: {error}")
    try:
        return await copy(engine_of(original, stores[0]), stores[1], _progress)
    except Unlike as error:
        print(f"\n{error}", file=sys.stderr)
        sys.exit(1)
    except Unavailable as error:
        _stop(f"A store did not answer: {error} Begin again to go on.")
    finally:
        for store in stores:
            await store.close()


def _progress(count: int) -> None:
    print(f"\r{count}", end="", file=sys.stderr, flush=True)


def _settings() -> Settings:
    with _stopping():
        return read_settings()


def _existing(settings: Settings) -> Settings:
    """Stops where there is no store yet: an empty one, made for a mistyped name, would have no faults."""
    try:
        exists = asyncio.run(store_of(settings).exists())
    except Unavailable as error:
        _stop(f"PORTFOLIO_STORE={shown(settings.store)}: {error}")
    if not exists:
        _stop(
            f"PORTFOLIO_STORE={shown(settings.store)}: there is no such file or database; "
            "expected a store that was loaded or served"
        )
    return settings


def _run(settings: Settings, work: Callable[[Engine], Awaitable[T]]) -> T:
    """Does the work on an open store, and closes it."""

    async def run() -> T:
        store = store_of(settings)
        await store.open()
        try:
            return await work(engine_of(settings, store))
        finally:
            await store.close()

    try:
        return asyncio.run(run())
    except DefinitionError as error:
        _stop(str(error))
    except Unavailable as error:
        _stop(f"PORTFOLIO_STORE={shown(settings.store)}: {error}")
    except FhirError as error:
        # What an interaction makes of a store that goes away; anything else is our bug, with its traceback.
        if error.status != STATUS["no-store"]:
            raise
        _stop(f"PORTFOLIO_STORE={shown(settings.store)}: {error}")


def _print_unit(path: Path, unit: Loaded, quiet: bool) -> None:
    print(f"{path}:")
    if not unit.counts and not unit.refused:
        print("       0 resources")
    _print_counts(unit.counts)
    for line in [] if quiet else unit.remarks:
        print(f"  {line}")
    for line in unit.refused:
        print(f"  REFUSED {line}")
    if unit.refused:
        print(f"  {len(unit.refused)} refused; nothing of {path} was written.")


def _print_counts(counts: Counter[str]) -> None:
    for what, count in sorted(counts.items()):
        print(f"{count:>8} {what}")


@contextmanager
def _stopping() -> Iterator[None]:
    try:
        yield
    except (WrongSetting, ValueError) as error:
        _stop(str(error))


def _stop(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    cli()
