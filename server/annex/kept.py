"""Annexes that were made, kept in memory: an edition never changes, so nothing of it is made twice."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

LIMIT = 64 * 2**20
"""Bytes that are kept; the one asked for longest ago goes first."""

_AT_ONCE = 2


class Kept:
    """By key, at most `limit` bytes. Two are made at a time, in threads; who asks for one that is being made waits
    for it."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._made: OrderedDict[str, bytes] = OrderedDict()
        self._making: dict[str, asyncio.Task[bytes]] = {}
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        """What `make` gave for this key, now or earlier. Raises what it raises, and then keeps nothing."""
        if key in self._made:
            self._made.move_to_end(key)
            return self._made[key]
        if key not in self._making:
            task = asyncio.create_task(self._keep(key, make))
            self._making[key] = task
            task.add_done_callback(lambda _: self._making.pop(key))
        # Shielded: the first who asked may leave, and others wait for the same.
        return await asyncio.shield(self._making[key])

    async def once(self, make: Callable[[], bytes]) -> bytes:
        """The same for what is not to be kept."""
        async with self._turn:
            return await asyncio.to_thread(make)

    async def _keep(self, key: str, make: Callable[[], bytes]) -> bytes:
        content = await self.once(make)
        self._made[key] = content
        while sum(map(len, self._made.values())) > self._limit:
            self._made.popitem(last=False)
        return content
