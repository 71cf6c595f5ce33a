"""uvicorn's HTTP connection with the limits in time that it has not: a request that comes too slowly, an answer that is
not taken."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# The application answers 408 to a body that is late; only who does not care is cut off.
_GRACE = 5.0


def connection(seconds: float) -> type[HttpToolsProtocol]:
    """The class of connections whose requests arrive within so many seconds for the head and as many for the body,
    and whose clients take some of their answer within each so many; others are cut off without a word."""

    class Connection(HttpToolsProtocol):
        """Most requests arrive in one piece, and then no timer is made at all."""

        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self._arriving: asyncio.TimerHandle | None = None
            self._patience = seconds
            self._whole = False
            self._watching: asyncio.TimerHandle | None = None
            self._left: int | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._await_more()

        def connection_lost(self, exc: Exception | None) -> None:
            self._arrived()
            if self._watching is not None:
                self._watching.cancel()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._whole:
                self._arrived()
            elif self._arriving is None:
                self._await_more()

        def on_message_begin(self) -> None:
            self._whole, self._patience = False, seconds
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._arrived()
            self._patience = seconds + _GRACE
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self._whole = True
            super().on_message_complete()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._watch()

        def resume_writing(self) -> None:
            self._left = None
            super().resume_writing()

        def timeout_keep_alive_handler(self) -> None:
            super().timeout_keep_alive_handler()
            # A closed connection still sends what it holds, for as long as that takes.
            self._watch()

        def _await_more(self) -> None:
            self._arriving = self.loop.call_later(self._patience, self.transport.abort)

        def _arrived(self) -> None:
            if self._arriving is not None:
                self._arriving.cancel()
                self._arriving = None

        def _watch(self) -> None:
            if self._watching is None:
                self._left = self.transport.get_write_buffer_size()
                self._watching = self.loop.call_later(seconds, self._check_taking)

        def _check_taking(self) -> None:
            """As long as some of the answer went out since the last look, it goes on."""
            left = self.transport.get_write_buffer_size()
            self._watching = None
            if left and self._left is not None and left >= self._left:
                self.transport.abort()
            elif left:
                self._watch()

    return Connection
