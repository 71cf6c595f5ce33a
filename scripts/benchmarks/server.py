"""The registry's own application with a few routes beside it that do less: the ceilings. Run in its own process:

    python -m scripts.benchmarks.server PORT

PORTFOLIO_… as for `python -m server serve`.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Iterable
from typing import Any

import uvicorn
from pymongo import AsyncMongoClient
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server import headers
from server.app import create_app, settle, store_of
from server.auth.callers import caller_of
from server.limits import Limits
from server.outcome import invalid
from server.resource import decode
from server.routes import Fhir
from server.settings import Settings, read_settings

JSON = "application/fhir+json; charset=utf-8"

# The page that the benchmark `search` asks for, by hand: the most selective clause drives, the others are looked up
# by version. Takes the index of the tables as the store makes it, but none of the store's own code.
BY_HAND = """
SELECT content.body, r.ref FROM token AS status
CROSS JOIN version AS v ON v.vid = status.vid
CROSS JOIN resource AS r ON r.rid = v.rid
CROSS JOIN content ON content.vid = v.vid
WHERE status.key = :status_key AND status.code = 'cancelled'
AND EXISTS (SELECT 1 FROM token AS t WHERE t.key = :code_key AND t.code = 'leveranse' AND t.vid = status.vid)
AND EXISTS (SELECT 1 FROM date AS d WHERE d.vid = status.vid AND d.key = :due_key AND d.low < :before)
ORDER BY status.vid DESC LIMIT 20
"""


def main() -> None:
    settings = read_settings(port=int(sys.argv[1]), _env_file=None)
    app = create_app(settings, store_of(settings))
    ceilings = Ceilings(app.state.engine, caller_of(settings), settings.body_limit, settings)
    # After those for tokens and that of a read, so that both are found as fast.
    app.router.routes[3:3] = ceilings.routes()
    _profile_on_signal()
    settle()
    uvicorn.run(app, port=settings.port, loop="uvloop", http="httptools", access_log=False, log_level="warning")


def _profile_on_signal() -> None:
    """SIGUSR1 begins a profile of this process, SIGUSR2 ends it and writes its 25 dearest functions."""
    profile = cProfile.Profile()

    def end(*_: object) -> None:
        profile.disable()
        with open(f"{tempfile.gettempdir()}/bench-profile-{os.getpid()}.txt", "w") as file:
            pstats.Stats(profile, stream=file).strip_dirs().sort_stats("tottime").print_stats(25)

    signal.signal(signal.SIGUSR1, lambda *_: profile.enable())
    signal.signal(signal.SIGUSR2, end)


class Ceilings(Fhir):
    """What the registry could at best do, each through the same server, application and Response."""

    def __init__(self, engine: Any, caller_of: Any, body_limit: int, settings: Settings) -> None:
        super().__init__(engine, caller_of, body_limit, dict, {}, Limits(settings))
        self.settings = settings
        self.kept: dict[str, Any] = {}

    def routes(self) -> list[Any]:
        return [
            Route("/bench/{name}", self.constant),
            Route("/bench/validate/{type}", self.validate_only, methods=["POST"]),
            Route("/bench/sql/{code}/{before}", self.by_hand),
            Route("/bench/joined/{query:path}", self.joined),
        ]

    async def constant(self, request: Request) -> Response:
        """The bytes of one resource, read once."""
        name = request.path_params["name"]
        if name not in self.kept:
            kind, _, id = name.partition("-")
            version = await self.engine.store.current(kind, id)
            assert version is not None
            self.kept[name] = version.body
        return Response(self.kept[name], media_type=JSON)

    async def validate_only(self, request: Request) -> Response:
        """A create as far as its validation."""
        await self._caller(request)
        headers.takes_json(request.headers.get("content-type"))
        resource = decode(await self._body(request))
        issues = self.engine.issues(resource, request.path_params["type"])
        if any(issue.severity == "error" for issue in issues):
            raise invalid(issues)
        return Response(status_code=201)

    async def by_hand(self, request: Request) -> Response:
        """The search written as SQL (or as a find), its page put together."""
        if self.settings.store.startswith("mongodb"):
            return _page([(one["body"], one["ref"]) for one in await self._found_by_hand(request)], self.engine.base)
        if "sql" not in self.kept:
            self.kept["sql"] = sqlite3.connect(self.settings.sqlite_path)
            keys = dict(self.kept["sql"].execute("SELECT text, id FROM name"))
            self.kept["keys"] = {
                "status_key": keys["Task.status"], "code_key": keys["Task.code"], "due_key": keys["Task.due"],
            }  # fmt: skip
        values = {**self.kept["keys"], "before": int(request.path_params["before"])}
        return _page(self.kept["sql"].execute(BY_HAND, values), self.engine.base)

    async def _found_by_hand(self, request: Request) -> list[Any]:
        if "client" not in self.kept:
            self.kept["client"] = AsyncMongoClient(self.settings.store)
        rows = [("token", "Task.status", {"code": "cancelled"}), ("token", "Task.code", {"code": "leveranse"})]
        rows.append(("date", "Task.due", {"low": {"$lt": int(request.path_params["before"])}}))
        every = [{kind: {"$elemMatch": {"key": key, **value}}} for kind, key, value in rows]
        versions = self.kept["client"].get_default_database()["version"]
        cursor = versions.find({"state": "now", "type": "Task", "$and": every}, {"body": 1, "ref": 1})
        return list(await cursor.sort("_id", -1).limit(20).to_list(None))

    async def joined(self, request: Request) -> Response:
        """The stored bytes that a search shows, kept from its first asking and put together each time."""
        if "joined" not in self.kept:
            from server.access import SECRETARIAT
            from server.interaction.search import search
            from server.search.urls import pairs_of

            kind, _, query = request.path_params["query"].partition("/")
            found = await search(self.engine, SECRETARIAT, kind, pairs_of(query))
            self.kept["joined"] = [version.body for version in (*found.page.versions, *found.included)]
        return Response(b"[" + b",".join(self.kept["joined"]) + b"]", media_type=JSON)


def _page(found: Iterable[tuple[bytes, str]], base: str) -> Response:
    entries = [
        b'{"fullUrl":"%b/%b","resource":%b,"search":{"mode":"match"}}' % (base.encode(), ref.encode(), body)
        for body, ref in found
    ]
    content = b'{"resourceType":"Bundle","type":"searchset","entry":[' + b",".join(entries) + b"]}"
    return Response(content, media_type=JSON)


if __name__ == "__main__":
    main()
