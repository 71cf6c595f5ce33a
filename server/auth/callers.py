"""Who asks: from a request to the Caller that everything below is told of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from starlette.requests import Request

from server import headers
from server.access import SECRETARIAT, Caller
from server.auth.tokens import Tokens
from server.settings import Settings

CallerOf = Callable[[Request], Awaitable[Caller]]


def caller_of(settings: Settings) -> CallerOf:
    """How a request's caller is told under PORTFOLIO_AUTH. What it gives raises FhirError login (401)."""
    if settings.auth == "off":

        async def everyone(request: Request) -> Caller:
            return replace(SECRETARIAT, address=_address(request))

        return everyone
    tokens = Tokens.of(settings.keys, settings.base)

    async def bearer(request: Request) -> Caller:
        return replace(tokens.caller(headers.sent(request.scope, b"authorization")), address=_address(request))

    return bearer


def _address(request: Request) -> str:
    client = request.scope.get("client")
    return client[0] if client else ""
