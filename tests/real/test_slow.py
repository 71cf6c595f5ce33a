"""A connection that comes too slowly, or does not take its answer, is let go; one that comes in its time is not."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from tests.real.process import Installation

SECONDS = 2
WAIT = 30.0


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("slow"), REQUEST_TIMEOUT=str(SECONDS))
    with installation.serving():
        yield installation


def connected(installation: Installation) -> socket.socket:
    return socket.create_connection(("127.0.0.1", installation.port), timeout=WAIT)


def drip(line: socket.socket, content: bytes, every: float) -> threading.Thread:
    """Sends a byte now and then, until it is cut off."""

    def send() -> None:
        try:
            for number in range(int(WAIT / every)):
                line.sendall(content[number % len(content) : number % len(content) + 1])
                time.sleep(every)
        except OSError:
            pass

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


def answered(line: socket.socket) -> bytes:
    """All that comes until the other side ends it; TimeoutError when it does not."""
    parts = []
    try:
        while part := line.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\n",
        b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    ],
)
def test_a_head_that_does_not_end_is_cut_off(installation, head):
    with connected(installation) as line:
        line.sendall(head)
        if head.endswith(b" "):
            drip(line, b"x", 0.2)
        assert answered(line) == b""


def test_the_second_head_of_a_connection_is_timed_too(installation):
    with connected(installation) as line:
        line.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\nGET /health/live HTTP/1.1\r\nHos")
        assert answered(line).count(b"HTTP/1.1 200 OK") == 1


def test_a_body_that_does_not_end_is_408_and_then_cut_off(installation):
    bearer = installation.token().encode()
    with connected(installation) as line:
        line.sendall(
            b"POST /fhir/Task HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\n"
            b"Authorization: Bearer %b\r\nContent-Length: 100000\r\n\r\n{" % bearer
        )
        drip(line, b" ", 0.2)
        said = answered(line)
        assert said.startswith(b"HTTP/1.1 408 Request Timeout")
        assert b'"code":"timeout"' in said


def test_a_body_that_nobody_asked_for_holds_no_connection(installation):
    with connected(installation) as line:
        line.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        drip(line, b" ", 0.2)
        assert answered(line).startswith(b"HTTP/1.1 200 OK")


def test_an_answer_that_is_not_taken_is_dropped(installation):
    """The guide's CapabilityStatement again and again, until no buffer holds more."""
    with connected(installation) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.settimeout(5)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            ask_on(line)


def ask_on(line: socket.socket) -> None:
    ended = time.monotonic() + WAIT
    while time.monotonic() < ended:
        with suppress(TimeoutError):
            line.sendall(b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        time.sleep(0.05)


def test_what_comes_in_its_time_is_answered(installation):
    """Longer than the limit in all, but neither its head nor its body alone."""
    with connected(installation) as line:
        for part in (b"POST /fhir/Task/_search HTTP/1.1\r\nHost: x\r\n",
                     b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 8\r\n\r\n",
                     b"_count=1", b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):  # fmt: skip
            line.sendall(part)
            time.sleep(0.6 * SECONDS)
        assert answered(line).count(b"HTTP/1.1 200 OK") == 2


def test_an_idle_connection_between_two_requests_is_kept(installation):
    with httpx.Client(base_url=f"http://127.0.0.1:{installation.port}") as client:
        before = _port(client)
        time.sleep(1.5 * SECONDS)
        assert _port(client) == before


def _port(client: httpx.Client) -> object:
    return client.get("/health/live").extensions["network_stream"].get_extra_info("client_addr")


def test_more_connections_than_the_setting_are_turned_away(tmp_path):
    installation = Installation(tmp_path, MAX_CONNECTIONS="5")
    with installation.serving():
        lines = [connected(installation) for _ in range(6)]
        assert httpx.get(f"http://127.0.0.1:{installation.port}/health/live").status_code == 503
        for line in lines:
            line.close()
        assert any(_live(installation) for _ in range(50))


def _live(installation: Installation) -> bool:
    time.sleep(0.02)
    return httpx.get(f"http://127.0.0.1:{installation.port}/health/live").status_code == 200
