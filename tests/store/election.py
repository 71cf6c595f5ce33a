"""A proxy that speaks enough of MongoDB's protocol to answer chosen commands as a primary that steps down does.

A server of one member never holds an election, and SecantusDB holds none at all. This is what a client sees of one:
the same codes and labels, at each place of a transaction, with the command carried out, not carried out, or undone.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import bson

from .proxy import Proxy, Side

_HEAD = struct.Struct("<4i")
_OP_MSG = 2013

Fate = Literal["refused", "unheard", "undone"]
"""refused: it never reached the server. unheard: it was carried out, and the client hears the error. undone: a commit
that the old primary takes back, for its transaction was not yet on the others."""

STEPPED_DOWN = (189, "PrimarySteppedDown")
NOT_WRITABLE = (10107, "NotWritablePrimary")
INTERRUPTED = (11602, "InterruptedDueToReplStateChange")
SHUTTING_DOWN = (91, "ShutdownInProgress")
IN_TRANSACTION = ("TransientTransactionError",)
RETRYABLE = ("RetryableWriteError",)
"""What a server says of a commit; the driver itself adds UnknownTransactionCommitResult."""


@dataclass
class Fault:
    """What the next `times` commands of that name meet."""

    command: str
    fate: Fate
    code: tuple[int, str]
    labels: Sequence[str] = ()
    times: int = 1
    happened: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def answer(self) -> dict[str, Any]:
        number, name = self.code
        return {"ok": 0.0, "errmsg": name, "code": number, "codeName": name, "errorLabels": list(self.labels)}


@dataclass
class Unmajored(Fault):
    """A commit that the primary carried out, and of which it does not know whether the others have it."""

    @property
    def answer(self) -> dict[str, Any]:
        number, name = self.code
        return {"ok": 1.0, "writeConcernError": {"code": number, "codeName": name, "errmsg": "waiting for replication"}}


class Election(Proxy):
    """Between a client and the server at `target` of this machine."""

    def __init__(self, target: int, port: int = 0) -> None:
        super().__init__(target, port)
        self._next: Fault | None = None

    def meets(self, fault: Fault) -> Fault:
        self._next = fault
        return fault

    def _met(self, command: str) -> Fault | None:
        fault = self._next
        if fault is None or fault.command != command:
            return None
        fault.times -= 1
        if fault.times == 0:
            self._next = None
            fault.happened.set()
        return fault

    async def _passed(self, near: Side, far: Side) -> None:
        instead: dict[int, bytes] = {}
        await asyncio.gather(self._requests(near, far[1], instead), self._answers(far[0], near[1], instead))

    async def _requests(self, near: Side, far: asyncio.StreamWriter, instead: dict[int, bytes]) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                number, _, message = await _message(near[0])
                fault = self._met(command_of(message))
                if fault is not None:
                    answer = _encoded(number, fault.answer)
                    if fault.fate == "refused":
                        near[1].write(answer)
                        continue
                    instead[number] = answer
                    message = _aborting(message) if fault.fate == "undone" else message
                await self._flowing.wait()
                far.write(message)
                await far.drain()
        far.transport.abort()

    async def _answers(self, far: asyncio.StreamReader, near: asyncio.StreamWriter, instead: dict[int, bytes]) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                _, to, message = await _message(far)
                await self._flowing.wait()
                near.write(instead.pop(to, message))
                await near.drain()
        near.transport.abort()


async def _message(reader: asyncio.StreamReader) -> tuple[int, int, bytes]:
    """(its number, the number that it answers, all of it)"""
    head = await reader.readexactly(_HEAD.size)
    length, number, to, _ = _HEAD.unpack(head)
    return number, to, head + await reader.readexactly(length - _HEAD.size)


def command_of(message: bytes) -> str:
    """The name of the command: of its first section's document the first member."""
    if _HEAD.unpack(message[: _HEAD.size])[3] != _OP_MSG or message[20] != 0:
        return ""
    return message[26 : message.index(b"\0", 26)].decode()


def _encoded(to: int, answer: dict[str, Any], number: int = 0) -> bytes:
    body = struct.pack("<I", 0) + b"\0" + bson.encode(answer)
    return _HEAD.pack(_HEAD.size + len(body), number, to, _OP_MSG) + body


def _aborting(message: bytes) -> bytes:
    """A commit as the command that ends its transaction without."""
    number = _HEAD.unpack(message[: _HEAD.size])[1]
    command = bson.decode(message[21:])
    rest = {name: value for name, value in command.items() if name not in ("commitTransaction", "recoveryToken")}
    return _encoded(0, {"abortTransaction": 1, **rest}, number)
