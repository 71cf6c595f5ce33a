"""`python -m server` as a process of its own: what an operator starts, kills and runs beside it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
from typer.testing import CliRunner

from server.__main__ import cli
from server.auth.tokens import Tokens
from server.settings import Settings, read_settings

PROJECT = Path(__file__).parents[2]
PATIENCE = 30.0
"""Seconds that a start may take on a loaded machine."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Installation:
    """A folder with a store and keys, and the settings that every command of it goes by."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}/fhir"
        self.options = {
            "STORE": f"sqlite:///{folder}/portfolio.db",
            "KEYS": str(folder / "keys"),
            "PORT": str(self.port),
            # Most of what is sent here is bare; what is of the portfolio says PROFILES="enforce".
            "PROFILES": "off",
            **options,
        }

    @property
    def database(self) -> Path:
        return self.folder / "portfolio.db"

    @property
    def settings(self) -> Settings:
        return read_settings(
            store=self.options["STORE"],
            keys=Path(self.options["KEYS"]),
            port=self.port,
            profiles=self.options["PROFILES"],
            _env_file=None,
        )

    @property
    def environment(self) -> dict[str, str]:
        """Without what this machine sets for its own registry."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PORTFOLIO_")}
        own = {f"PORTFOLIO_{name}": value for name, value in self.options.items()}
        return {**inherited, **own, "PYTHONPATH": str(PROJECT)}

    def token(self, role: str = "secretariat", organization: str = "") -> str:
        return Tokens.of(self.settings.keys, self.base).issue(role, organization, timedelta(hours=1))

    def bearer(self, role: str = "secretariat", organization: str = "") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(role, organization)}"}

    def start(self, *command: str) -> subprocess.Popen[str]:
        """`python -m server …`; its output is for the test to read or to leave."""
        return subprocess.Popen(
            [sys.executable, "-m", "server", *command],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str) -> tuple[int, str]:
        """Exit status and output of a command that ends."""
        process = self.start(*command)
        output, _ = process.communicate(timeout=120)
        return process.returncode, output

    def invoke(self, *command: str) -> tuple[int, str]:
        """The same as `run`, in this process and so without the second that a start takes."""
        own = {f"PORTFOLIO_{name}": value for name, value in self.options.items()}
        inherited = dict.fromkeys(name for name in os.environ if name.startswith("PORTFOLIO_"))
        with chdir(self.folder):
            result = CliRunner().invoke(cli, command, env={**inherited, **own})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    def serve(self) -> subprocess.Popen[str]:
        """A server that answers. It is the caller's to stop."""
        process = self.start("serve")
        try:
            self._wait(process)
        except BaseException:
            process.kill()
            raise
        return process

    def _wait(self, process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise AssertionError(f"The server stopped: {process.communicate()[0]}")
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/health/ready", timeout=1).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.02)
        raise AssertionError(f"The server was not ready within {PATIENCE:g} s.")

    @contextmanager
    def serving(self) -> Iterator[subprocess.Popen[str]]:
        process = self.serve()
        try:
            yield process
        finally:
            stop(process)

    def client(self, role: str = "secretariat", organization: str = "", **more: object) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        return httpx.AsyncClient(
            base_url=f"{self.base}/",
            headers={**self.bearer(role, organization), "Content-Type": "application/fhir+json"},
            timeout=PATIENCE,
            limits=limits,
            **more,
        )


def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
