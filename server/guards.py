"""What stands around every request: security headers, where it may come from, how often, and how slowly. Pure ASGI."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server import headers
from server.limits import Limits, is_loopback
from server.outcome import FhirError
from server.settings import Settings

log = logging.getLogger("server")

Refuse = Callable[[Request, FhirError], Response]
"""A refusal as the OperationOutcome or page that this request can read"""
Headers = tuple[tuple[bytes, bytes], ...]

_EVERYWHERE: Headers = ((b"x-content-type-options", b"nosniff"),)
# Nobody should render these answers; if a browser does, they may fetch nothing and stand in no frame.
_DATA: Headers = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)
# No script runs, so the pages are no better for one that is smuggled in.
_PAGES: Headers = (
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
        b"frame-ancestors 'none'",
    ),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
# A year, which is what the preload lists ask for at least.
_HTTPS: Headers = ((b"strict-transport-security", b"max-age=31536000"),)
# What anyone may read may be kept, but is asked for anew each time, with its ETag; what was answered to a token is
# kept by nobody, for it may hold what only its holder may see.
_ANYONE: Headers = ((b"vary", b"Authorization"), (b"cache-control", b"no-cache"))
_HOLDER: Headers = ((b"vary", b"Authorization"), (b"cache-control", b"private, no-store"))


def is_fhir(path: str) -> bool:
    """Whether a path is the FHIR base or below it."""
    return path.startswith("/fhir") and (len(path) == 5 or path[5] == "/")


def is_data(path: str) -> bool:
    """Whether what is answered there is for programs: the FHIR base, health, figures."""
    return is_fhir(path) or path.startswith("/health/") or path == "/metrics"


def shielded(settings: Settings) -> Callable[[ASGIApp], ASGIApp]:
    """Security headers on every answer; those of the FHIR base say who may keep it."""
    common = (*_EVERYWHERE, *(_HTTPS if settings.base.startswith("https:") else ()))
    pages = [*common, *_PAGES, (b"cache-control", b"no-store")]
    to_anyone, to_holder = [*common, *_DATA, *_ANYONE], [*common, *_DATA, *_HOLDER]

    def middleware(app: ASGIApp) -> ASGIApp:
        async def shielding(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                return await app(scope, receive, send)
            if not is_data(scope["path"]):
                more = pages
            elif headers.sent(scope, b"authorization") is None:
                more = to_anyone
            else:
                more = to_holder

            async def shield(message: MutableMapping[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    message["headers"] = _joined(message.get("headers", []), more)
                await send(message)

            await app(scope, receive, shield)

        return shielding

    return middleware


def _joined(own: Sequence[tuple[bytes, bytes]], more: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """What an answer says itself stands: who may keep it, as the token endpoint does, or what it may show, as the annex
    with its own style does; two policies would both hold. Vary adds up."""
    said = {name for name, _ in own}
    return [*own, *(one for one in more if one[0] == b"vary" or one[0] not in said)]


def admitted(settings: Settings, limits: Limits, refuse: Refuse) -> Callable[[ASGIApp], ASGIApp]:
    """Only what comes at a bearable pace, asks for this host, and sends its body in time; and for what is our own
    fault an answer that tells nothing of it."""
    hosts = _hosts(settings)

    def middleware(app: ASGIApp) -> ASGIApp:
        async def admitting(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                return await app(scope, receive, send)
            begun = False

            async def answer(message: Message) -> None:
                nonlocal begun
                begun = True
                await send(message)

            try:
                limits.check_address(scope)
                _check_host(scope, hosts)
                if scope["method"] in _WITH_BODY:
                    receive = _in_time(receive, settings.request_timeout)
                await app(scope, receive, answer)
            except ClientDisconnect:
                return
            except Exception as error:
                if begun:
                    raise
                request = Request(scope)
                fault = error if isinstance(error, FhirError) else _ours(request, error)
                await refuse(request, fault)(scope, receive, send)

        return admitting

    return middleware


def _ours(request: Request, error: Exception) -> FhirError:
    """Logged in full by the server, but for the query, which may hold what should not lie in a log; none of its text
    goes to the client."""
    # As repr, so that a line break in a path begins no line of the log.
    log.error("%s %r", request.method, request.scope["path"], exc_info=error)
    return FhirError("exception", "Feil hos oss / An error of ours; it is logged.")


_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def _in_time(receive: Receive, seconds: float) -> Receive:
    """The same, until the body is whole at most so many seconds from now. FhirError timeout (408)."""
    end = asyncio.get_running_loop().time() + seconds
    whole = False

    async def receive_in_time() -> Message:
        nonlocal whole
        if whole:
            return await receive()
        try:
            async with asyncio.timeout_at(end):
                message = await receive()
        except TimeoutError:
            text = f"For sakte / The body did not arrive within {seconds:g} s."
            raise FhirError("timeout", text, status=408, headers={"Connection": "close"}) from None
        whole = not message.get("more_body", False)
        return message

    return receive_in_time


def _hosts(settings: Settings) -> frozenset[str] | None:
    """The names that a request may ask for, where everyone is the secretariat: a page of another site can give its own
    name this machine's address, and would then be let in as its owner (DNS rebinding). None: any name."""
    if settings.auth != "off":
        return None
    return frozenset({"localhost", settings.host.lower(), (urlsplit(settings.base).hostname or "").lower()})


def _check_host(scope: Scope, hosts: frozenset[str] | None) -> None:
    """FhirError forbidden (421) for a name that is not ours."""
    if hosts is None:
        return
    asked = host_of(scope)
    if asked not in hosts and not is_loopback(asked):
        raise FhirError("forbidden", f"Host: {asked[:100]} er ikke denne tjeneren / is not this server.", status=421)


def host_of(scope: Scope) -> str:
    """The name or address that a request asks for, without port and brackets."""
    try:
        return (urlsplit(f"//{headers.sent(scope, b'host') or ''}").hostname or "").lower()
    except ValueError:
        return ""


def below_fhir(inner: Callable[[ASGIApp], ASGIApp]) -> Callable[[ASGIApp], ASGIApp]:
    """A middleware for the FHIR base alone."""

    def middleware(app: ASGIApp) -> ASGIApp:
        wrapped = inner(app)

        def chosen(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            fhir = scope["type"] == "http" and is_fhir(scope["path"])
            return (wrapped if fhir else app)(scope, receive, send)

        return chosen

    return middleware
