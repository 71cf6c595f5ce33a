"""The MongoDB server that the tests run against, started once for each test process.

`PORTFOLIO_TEST_MONGODB` names one (a replica set or mongos; databases portfolio_test_… are made and dropped there);
else a `mongod` on the PATH is started as a replica set of one; else SecantusDB, which speaks MongoDB's protocol.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

PATIENCE = 30.0
"""Seconds that a start may take on a loaded machine."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Server:
    """A server process of our own, which may be killed and started again on its data."""

    command: tuple[str, ...]
    name: str
    replica_set: str | None
    port: int = field(default_factory=free_port)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="portfolio-mongodb-")))
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = [word.format(port=self.port, folder=self.folder) for word in self.command]
        with (self.folder.parent / f"{self.folder.name}.log").open("ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log)
        self._wait()

    def _wait(self) -> None:
        client: Any = pymongo.MongoClient(port=self.port, directConnection=True, serverSelectionTimeoutMS=200)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, f"{self.name} has stopped."
            try:
                if self._ready(client):
                    client.close()
                    return
            except PyMongoError:
                time.sleep(0.02)
        raise AssertionError(f"{self.name} was not ready within {PATIENCE:g} s.")

    def _ready(self, client: Any) -> bool:
        hello = client.admin.command("hello")
        if self.replica_set and "setName" not in hello:
            members = [{"_id": 0, "host": f"127.0.0.1:{self.port}"}]
            client.admin.command("replSetInitiate", {"_id": self.replica_set, "members": members})
            return False
        return bool(hello["isWritablePrimary"])

    def kill(self) -> None:
        """As a machine that loses its power; what was acknowledged is to be there at the next start."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def pause(self) -> None:
        """It hears, and says nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.go_on()
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder.parent / f"{self.folder.name}.log").unlink(missing_ok=True)

    def url(self, database: str, port: int | None = None) -> str:
        return f"mongodb://127.0.0.1:{port or self.port}/{database}?directConnection=true"


def server() -> Server:
    """A new one, not yet started: a mongod where there is one, else SecantusDB with durable commits."""
    if mongod := shutil.which("mongod"):
        data = ("--dbpath", "{folder}", "--port", "{port}", "--bind_ip", "127.0.0.1", "--replSet", "test")
        version = subprocess.run([mongod, "--version"], capture_output=True, text=True, check=True)
        return Server((mongod, *data), f"mongod {version.stdout.split()[2]}", "test")
    from importlib.metadata import version as installed

    program = str(Path(sys.executable).parent / "secantusd-py")
    data = ("--storage-path", "{folder}", "--port", "{port}", "--sync-on-commit")
    return Server((program, *data), f"SecantusDB {installed('secantusdb')}", None)


@dataclass(frozen=True)
class Shared:
    """The server of this process, and how to reach its databases."""

    name: str
    own: Server | None

    def url(self, database: str) -> str:
        named = os.environ.get("PORTFOLIO_TEST_MONGODB")
        if self.own is None:
            assert named is not None
            head, _, options = named.partition("?")
            return f"{head.rstrip('/')}/{database}{'?' + options if options else ''}"
        return self.own.url(database)

    def client(self) -> Any:
        return pymongo.MongoClient(self.url("admin"))


@cache
def shared() -> Shared:
    if named := os.environ.get("PORTFOLIO_TEST_MONGODB"):
        client: Any = pymongo.MongoClient(named, serverSelectionTimeoutMS=5000)
        version = client.server_info()["version"]
        client.close()
        return Shared(f"MongoDB {version} of PORTFOLIO_TEST_MONGODB", None)
    own = server()
    atexit.register(own.stop)  # Also when nobody comes to say that all is finished.
    own.start()
    return Shared(own.name, own)


def emptied(database: str) -> str:
    """The address of that database without documents. Its indexes stay: to make them takes a quarter of a second."""
    found = shared()
    client = found.client()
    for collection in client[database].list_collection_names():
        client[database][collection].delete_many({})
    client.close()
    return found.url(database)


def finished(prefix: str) -> None:
    """Drops what was made on a server that is not ours; stops one that is."""
    if shared.cache_info().currsize == 0:
        return
    found = shared()
    if found.own is not None:
        found.own.stop()
        return
    client = found.client()
    for database in client.list_database_names():
        if database.startswith(prefix):
            client.drop_database(database)
    client.close()
