"""A load client that costs little: raw HTTP/1.1 over kept connections, each sending its next request when the
last is answered. A library's client costs more than the server it would measure."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Measured:
    """`cpu`: the server's processor microseconds a request; `rate`: requests a second; `bytes` of one answer."""

    requests: int
    seconds: float
    cpu: float
    bytes: int

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def get(path: str) -> bytes:
    """A GET as it goes over the wire."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/fhir+json\r\n\r\n".encode()


def post(path: str, body: bytes, token: str) -> bytes:
    """A POST of a resource, answered without the resource."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/fhir+json\r\nPrefer: return=minimal\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def cpu_seconds(pid: int) -> float:
    """User and system seconds of all threads of a process. /proc/PID/schedstat would be finer, but of one thread."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def measure(
    port: int, pid: int, request: Callable[[int], bytes], *, connections: int, seconds: float, expect: int
) -> Measured:
    """Sends request(0), request(1), … for this long. RuntimeError when one is answered otherwise than `expect`."""
    counter = iter(range(10**9))
    until = time.perf_counter() + seconds
    sizes: list[int] = []

    async def work() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
        done = 0
        while time.perf_counter() < until:
            writer.write(request(next(counter)))
            sizes.append(await _answer(reader, expect))
            done += 1
        writer.close()
        return done

    began, cpu = time.perf_counter(), cpu_seconds(pid)
    done = sum(await asyncio.gather(*(work() for _ in range(connections))))
    took, spent = time.perf_counter() - began, cpu_seconds(pid) - cpu
    return Measured(done, took, spent / done * 1e6, sizes[-1])


async def _answer(reader: asyncio.StreamReader, expect: int) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    found = _LENGTH.search(head)
    size = int(found.group(1)) if found else 0
    body = await reader.readexactly(size)
    if int(head[9:12]) != expect:
        raise RuntimeError(f"{head.decode()}{body[:500]!r}")
    return size
