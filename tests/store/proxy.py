"""A small TCP proxy whose connections can be cut, or held without a byte going through."""

from __future__ import annotations

import asyncio
from contextlib import suppress

Side = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Between a client and the server at `target` of this machine; `port` 0: any that is free."""

    def __init__(self, target: int, port: int = 0) -> None:
        self.target = target
        self.port = port
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server is not None
        self._flowing.set()
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """All connections there are; new ones are taken."""
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    def hold(self) -> None:
        self._flowing.clear()

    def let_go(self) -> None:
        self._flowing.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            self._open |= {writer, far_writer}
            await self._passed((reader, writer), (far_reader, far_writer))
        writer.transport.abort()

    async def _passed(self, near: Side, far: Side) -> None:
        """All that is said on a connection, both ways, until it ends."""
        await asyncio.gather(self._flow(near[0], far[1]), self._flow(far[0], near[1]))

    async def _flow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
