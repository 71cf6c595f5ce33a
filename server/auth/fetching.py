"""What others publish and we rely on (an issuer's metadata and keys, a client's keys): fetched, and kept fresh."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache
from ssl import SSLContext
from typing import Any, Generic, TypeVar

import httpx
import msgspec

from server.outcome import FhirError

T = TypeVar("T")
log = logging.getLogger("server")

FRESH = 600.0
"""Seconds for which what was fetched is used without a look."""

STALE = 3600.0
"""Seconds after which it is used no more, when the other side does not answer."""

RETRY = 10.0
"""Seconds between two fetches, whatever is asked: unknown key ids cost an attacker nothing."""

_TIMEOUT = 3.0
_MOST = 256 * 1024


class Away(Exception):
    """The other side does not answer, or not as it should; the text is for the log."""


class Kept(Generic[T]):
    """One thing that `load` fetches. `load` raises Away."""

    def __init__(self, name: str, load: Callable[[], Awaitable[T]], clock: Callable[[], float] = time.monotonic):
        self._name, self._load, self._clock = name, load, clock
        self._lock = asyncio.Lock()
        self._value: T | None = None
        self._fetched = self._tried = float("-inf")

    async def value(self) -> T:
        """As it was fetched within FRESH, or within STALE while the other side is away or is just being asked.
        FhirError transient (503)."""
        age = self._clock() - self._fetched
        usable = self._value is not None and age < STALE
        if age >= FRESH and not (usable and self._lock.locked()):
            await self._renew(self._fetched)
        return self._held()

    async def newer(self) -> T:
        """Fetched again, for something that it does not hold; the same as before when the last fetch was less
        than RETRY ago. FhirError transient (503)."""
        await self._renew(self._fetched)
        return self._held()

    async def _renew(self, seen: float) -> None:
        """One fetch at a time; whoever waited for it takes what it brought."""
        async with self._lock:
            if self._fetched != seen or self._clock() - self._tried < RETRY:
                return
            self._tried = self._clock()
            try:
                self._value = await self._load()
                self._fetched = self._clock()
            except Away as away:
                log.warning("%s: %s", self._name, away)

    def _held(self) -> T:
        if self._value is None or self._clock() - self._fetched >= STALE:
            raise FhirError(
                "transient",
                "Tilgangsutstederen svarer ikke nå / The issuer of tokens does not answer now; try again.",
                headers={"Retry-After": f"{RETRY:.0f}"},
            )
        return self._value


async def fetched(url: str) -> Any:
    """The JSON at an address. No redirect is followed, nothing above 256 KiB is read. Away, after three seconds
    at most."""
    try:
        async with (
            asyncio.timeout(_TIMEOUT),
            httpx.AsyncClient(verify=_trusted(), timeout=_TIMEOUT) as http,
            http.stream("GET", url, headers={"Accept": "application/json"}) as answer,
        ):
            if answer.status_code != 200:
                raise Away(f"{url} answered {answer.status_code}")
            return msgspec.json.decode(await _body(url, answer))
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise Away(f"{url}: {type(error).__name__}") from None
    except (msgspec.DecodeError, RecursionError):
        raise Away(f"{url} answered no JSON") from None


async def _body(url: str, answer: httpx.Response) -> bytes:
    content = bytearray()
    async for part in answer.aiter_bytes():
        content += part
        if len(content) > _MOST:
            raise Away(f"{url} answered more than {_MOST} bytes")
    return bytes(content)


@lru_cache(maxsize=1)
def _trusted() -> SSLContext:
    """Reading the certificates takes long enough to be done once."""
    return httpx.create_ssl_context()
