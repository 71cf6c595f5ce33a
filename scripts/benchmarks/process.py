"""The measured server in its own process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from server.settings import Settings


class Server:
    """Runs while its context lasts; `pid` and `port` are for the client. Without `auth` nothing is put on record and
    everyone may do everything, so that a figure is of what it names and of nothing else."""

    def __init__(self, settings: Settings, auth: str = "off") -> None:
        self.port = settings.port
        environment = {
            **os.environ,
            "PORTFOLIO_STORE": settings.store,
            "PORTFOLIO_KEYS": str(settings.keys),
            "PORTFOLIO_AUTH": auth,
            "PORTFOLIO_BASE_URL": settings.base,
        }
        command = [sys.executable, "-m", "scripts.benchmarks.server", str(self.port)]
        self.process = subprocess.Popen(command, env=environment)
        self.pid = self.process.pid

    def __enter__(self) -> Server:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=1).close()
                return self
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("the server did not start")

    def __exit__(self, *error: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


async def profiled(server: Server, load: Awaitable[Any]) -> str:
    """The server's functions by their share of its time under this load, by cProfile within it."""
    os.kill(server.pid, signal.SIGUSR1)
    await load
    os.kill(server.pid, signal.SIGUSR2)
    await asyncio.sleep(1.0)
    path = Path(tempfile.gettempdir()) / f"bench-profile-{server.pid}.txt"
    return _taken(path)


def _taken(path: Path) -> str:
    text = path.read_text()
    path.unlink()
    return text
