"""The pen: charts drawn by the process of drawing.py, kept by what they are drawn of."""

from __future__ import annotations

import asyncio
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any

_DRAWING = str(Path(__file__).with_name("drawing.py"))
_SECONDS = 30.0
"""A chart takes 50 ms; who has not answered by then never will."""
_KEPT = 256


class Pen:
    """One process for one program; it begins with the first use and may end at any time, and is then begun again."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        # One thread waits for the process at a time: the threads are all of the program's, and few.
        self._turn = asyncio.Lock()
        self._kept: OrderedDict[str, str] = OrderedDict()

    def wake(self) -> None:
        """Begins the process, so that it is there when a picture is asked for. Does not wait."""
        if self._lock.acquire(blocking=False):
            try:
                self._running()
            finally:
                self._lock.release()

    async def draw(self, specification: dict[str, Any]) -> str:
        """The SVG of a Vega-Lite specification, drawn once. RuntimeError when it cannot be drawn."""
        asked = json.dumps(specification, ensure_ascii=False)
        async with self._turn:
            if asked not in self._kept:
                self._kept[asked] = await asyncio.to_thread(self._drawn, asked)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(asked)
            return self._kept[asked]

    def _drawn(self, asked: str) -> str:
        with self._lock:
            for _ in range(2):
                try:
                    return self._answer(asked)
                except EOFError:
                    # It had ended for want of work, or was ended: once more with another.
                    self._end()
        raise RuntimeError("drawing.py ends before it answers")

    def _answer(self, asked: str) -> str:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(asked.encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise EOFError from None
        head = _until(process.stdout, b"\n")
        content = _exactly(process.stdout, abs(int(head)))
        if head.startswith(b"-"):
            raise RuntimeError(f"drawing.py: {content.decode(errors='replace')[:2000]}")
        return content.decode()

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None or self.process.poll() is not None:
            # -I: neither the environment nor a folder has a say in what it imports.
            command = [sys.executable, "-I", _DRAWING]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        return self.process

    def _end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None


def _until(stream: IO[bytes], end: bytes) -> bytes:
    found = b""
    while not found.endswith(end):
        found += _some(stream, 1)
    return found[: -len(end)]


def _exactly(stream: IO[bytes], length: int) -> bytes:
    found = b""
    while len(found) < length:
        found += _some(stream, length - len(found))
    return found


def _some(stream: IO[bytes], most: int) -> bytes:
    """At least one byte. EOFError at the end, and when none comes in time."""
    until = time.monotonic() + _SECONDS
    while not select.select([stream], [], [], max(0.0, until - time.monotonic()))[0]:
        if time.monotonic() >= until:
            raise EOFError
    found = os.read(stream.fileno(), most)
    if not found:
        raise EOFError
    return found
