"""How much one address and one client may ask of this process; each process of several counts for itself."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil
from types import TracebackType

from starlette.requests import Request
from starlette.types import Scope

from server.access import Caller
from server.auth.callers import CallerOf
from server.outcome import FhirError
from server.settings import Rate, Settings

_FORWARDED = (b"x-forwarded-for", b"forwarded")
_FEW = 10_000
PATIENCE = 10.0
"""Seconds for which a person's page waits for a slot: whoever opens three of them at once shall see them all."""
_LOOK = 0.05


@dataclass
class Pace:
    """One rate for many keys: `rate.count` at once after a pause, and as many in each `rate.seconds`.

    For each key it keeps the time at which all it has asked for would be worked off (GCRA, «leaky bucket as a meter»),
    which takes a microsecond. Keys without such a debt are forgotten, so that memory is bounded by the requests of one
    period."""

    rate: Rate
    clock: Callable[[], float] = time.monotonic
    _done: dict[str, float] = field(default_factory=dict)
    _sweep_at: int = _FEW

    def __post_init__(self) -> None:
        self._each = self.rate.seconds / self.rate.count
        self._most = self.rate.seconds + self._each / 1000

    def wait(self, key: str) -> float:
        """0.0 when the key may ask now, and that is counted; else the seconds until it may, and nothing is counted."""
        now = self.clock()
        done = max(self._done.get(key, 0.0), now) + self._each
        if done - now > self._most:
            return done - now - self.rate.seconds
        self._done[key] = done
        if len(self._done) > self._sweep_at:
            self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        self._done = {key: done for key, done in self._done.items() if done > now}
        # Twice what is left, so that a sweep is paid by as many requests as it looks at.
        self._sweep_at = max(_FEW, 2 * len(self._done))


class Limits:
    """The limits that the settings name. Loopback is spared where it can only be this machine's own user."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_address = Pace(settings.address_rate, clock) if settings.address_rate else None
        self.per_client = Pace(settings.client_rate, clock) if settings.client_rate else None
        self.expensive = settings.max_expensive
        # Nothing here speaks TLS: with a base of https a proxy stands in front, and what it sends is not its own.
        self._spares_loopback = not settings.trusted_proxies and settings.base.startswith("http:")
        self._running: Counter[str] = Counter()

    def spares(self, scope: Scope) -> bool:
        """Whether the request is the machine's own: demo, benchmarks, tests, health checks."""
        if not self._spares_loopback or not is_loopback(address_of(scope)):
            return False
        return not any(name in _FORWARDED for name, _ in scope["headers"])

    def check_address(self, scope: Scope) -> None:
        """Counts a request against its address. FhirError throttled (429, with Retry-After)."""
        if self.per_address is None or self.spares(scope):
            return
        wait = self.per_address.wait(network(address_of(scope)))
        if wait:
            raise _throttled(f"{self.per_address.rate} from one address", wait)

    def callers(self, caller_of: CallerOf) -> CallerOf:
        """The same, counting each request of a known client against it."""

        async def counted(request: Request) -> Caller:
            caller = await caller_of(request)
            self.check_client(request.scope, caller)
            return caller

        return counted

    def check_client(self, scope: Scope, caller: Caller) -> None:
        """Counts a request against its client. FhirError throttled (429)."""
        if self.per_client is None or caller.role == "anonymous" or self.spares(scope):
            return
        wait = self.per_client.wait(_key(caller))
        if wait:
            raise _throttled(f"{self.per_client.rate} from one client", wait)

    @asynccontextmanager
    async def slot(self, scope: Scope, caller: Caller, *, patient: bool = False) -> AsyncIterator[None]:
        """One of the few expensive requests that a client may have running. FhirError throttled (429): at once, or
        for a `patient` one when none of them ends in time."""
        if self.spares(scope):
            yield
            return
        key, clock = _key(caller), asyncio.get_running_loop().time
        end = clock() + (PATIENCE if patient else 0.0)
        while self._running[key] >= self.expensive:
            if clock() >= end:
                raise _throttled(f"{self.expensive} such requests of one client at once", 5)
            await asyncio.sleep(_LOOK)
        self._running[key] += 1
        try:
            yield
        finally:
            self._running[key] -= 1
            if not self._running[key]:
                del self._running[key]


class Turn:
    """A page's slot: taken by the first expensive thing that it does, and held for all others until it is made. So a
    page never waits for itself."""

    def __init__(self, limits: Limits, scope: Scope) -> None:
        self._limits = limits
        self._scope = scope
        self._held = AsyncExitStack()
        self._taken = False

    async def __aenter__(self) -> Turn:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._held.aclose()

    async def take(self, caller: Caller) -> None:
        """To be awaited before each of them. FhirError throttled (429)."""
        if not self._taken:
            await self._held.enter_async_context(self._limits.slot(self._scope, caller, patient=True))
            self._taken = True


async def take_turn(caller: Caller) -> None:
    """To be awaited by pages before what costs as much as an expensive operation. FhirError throttled (429)."""
    if caller.request is not None and caller.request.turn is not None:
        await caller.request.turn.take(caller)


def address_of(scope: Scope) -> str:
    """Where the request comes from, as a trusted proxy says or as the connection is; "" where there is none."""
    client = scope.get("client")
    return client[0] if client else ""


@lru_cache(maxsize=4096)
def network(address: str) -> str:
    """What counts as one address: an IPv6 host usually has a whole /64 to choose from. Other text stands as it is."""
    try:
        host = ipaddress.ip_address(address)
    except ValueError:
        return address
    if host.version == 4:
        return address
    return str(host.ipv4_mapped or ipaddress.ip_network((host, 64), strict=False))


@lru_cache(maxsize=4096)
def is_loopback(address: str) -> bool:
    """127.0.0.1, ::1 and their like; a text that is no address is none of them."""
    try:
        host = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = host.ipv4_mapped if host.version == 6 else None
    return (mapped or host).is_loopback


def _key(caller: Caller) -> str:
    """A client by its id and whom it acts for, a person by the name, a stranger by the address."""
    if caller.role == "anonymous":
        return network(caller.address)
    return repr((caller.client or caller.name, caller.organization, caller.role))


def _throttled(what: str, wait: float) -> FhirError:
    seconds = max(1, ceil(wait))
    text = (
        f"For mange forespørsler; prøv igjen om {seconds} s / Too many requests: at most {what}; "
        f"try again in {seconds} s. One transaction Bundle counts as one request."
    )
    return FhirError("throttled", text, headers={"Retry-After": str(seconds)})
