"""Who asks: from a request to the Caller that everything below is told of. RFC 6750, RFC 9449."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import urlsplit

from starlette.requests import Request

from server import headers
from server.access import ANONYMOUS, SECRETARIAT, Caller
from server.auth import claims as claiming
from server.auth import jose
from server.auth.dpop import Proofs
from server.auth.issuer import Issuer
from server.auth.jose import NotAccepted
from server.auth.tokens import Tokens
from server.outcome import FhirError
from server.settings import Settings

CallerOf = Callable[[Request], Awaitable[Caller]]
Scheme = Literal["Bearer", "DPoP"]


def caller_of(settings: Settings, issuer: Issuer | None = None) -> CallerOf:
    """How a request's caller is told under PORTFOLIO_AUTH. What it gives raises FhirError login (401), and under
    oidc forbidden (403) and transient (503). `issuer` is that of the settings, for those who share it."""
    match settings.auth:
        case "off":
            return _everyone
        case "dev":
            return Own(Tokens.of(settings.keys, settings.base)).caller
        case "oidc":
            return External(
                Issuer(settings.oidc_issuer), settings.oidc_audience, settings.base, Proofs(time.time)
            ).caller


async def _everyone(request: Request) -> Caller:
    return replace(SECRETARIAT, address=_address(request))


@dataclass(frozen=True)
class Own:
    """Tokens of our own key."""

    tokens: Tokens

    async def caller(self, request: Request) -> Caller:
        """Anonymous without a token. FhirError login (401)."""
        scheme, token = _presented(request)
        if not token:
            return replace(ANONYMOUS, address=_address(request))
        try:
            if scheme != "Bearer":
                raise NotAccepted("expected Authorization: Bearer TOKEN", "invalid_request")
            caller = claiming.own_caller(self.tokens.claims(token))
        except NotAccepted as refused:
            raise _refusal(refused, "Bearer") from None
        return replace(caller, address=_address(request))


@dataclass(frozen=True)
class External:
    """Tokens of an external issuer, bound to a key (DPoP) or not, as the issuer made them."""

    issuer: Issuer
    audience: str
    base: str
    proofs: Proofs

    async def caller(self, request: Request) -> Caller:
        """Anonymous without a token. FhirError login (401), forbidden (403), transient (503)."""
        scheme, token = _presented(request)
        if not token:
            return replace(ANONYMOUS, address=_address(request))
        try:
            claims = await self.issuer.claims(token, self.audience)
            self._check_holder(request, scheme, token, claims)
            caller = claiming.caller(claims, self.audience)
        except NotAccepted as refused:
            raise _refusal(refused, scheme) from None
        return replace(caller, address=_address(request))

    def _check_holder(self, request: Request, scheme: Scheme, token: str, claims: dict[str, Any]) -> None:
        """A token bound to a key comes with a proof of it; one that was stolen is of no use. NotAccepted."""
        bound = claims.get("cnf")
        thumbprint = bound.get("jkt") if isinstance(bound, dict) else None
        if bound is not None and not isinstance(thumbprint, str):
            raise NotAccepted("it is bound to its holder in a way that is not known here")
        if scheme == "Bearer":
            if bound is not None:
                reason = "it is bound to a key; expected Authorization: DPoP TOKEN with a proof"
                raise NotAccepted(reason, "invalid_dpop_proof")
            return
        if thumbprint is None:
            raise NotAccepted("it is not bound to a key; expected Authorization: Bearer TOKEN")
        proofs = [value for name, value in request.scope["headers"] if name == b"dpop"]
        if len(proofs) != 1:
            raise NotAccepted("expected one DPoP header with a proof", "invalid_dpop_proof")
        self.proofs.check(
            proofs[0].decode("latin-1"),
            token=token,
            thumbprint=thumbprint,
            method=request.method,
            url=self._public(request),
        )

    def _public(self, request: Request) -> str:
        """The URL that the client called, which a proxy may have changed on the way: the public base with the path."""
        path = request.scope.get("raw_path", b"").partition(b"?")[0].decode("latin-1") or request.scope["path"]
        base = urlsplit(self.base)
        above = base.path.removesuffix("/fhir")
        return f"{base.scheme}://{base.netloc}{above}{path}"


def _presented(request: Request) -> tuple[Scheme, str]:
    """The scheme and token of the Authorization header, "" for none. FhirError login (401) for anything else."""
    authorization = headers.sent(request.scope, b"authorization")
    if not authorization:
        return "Bearer", ""
    named, _, token = authorization.partition(" ")
    schemes: dict[str, Scheme] = {"bearer": "Bearer", "dpop": "DPoP"}
    scheme = schemes.get(named.lower())
    if scheme is None or not token.strip():
        raise _refusal(NotAccepted("expected Authorization: Bearer TOKEN", "invalid_request"), "Bearer")
    return scheme, token.strip()


def _refusal(refused: NotAccepted, scheme: Scheme) -> FhirError:
    """Tells a client that it must prove its key, when it failed to, and which algorithms it may use for that."""
    told = "DPoP" if refused.error == "invalid_dpop_proof" else scheme
    algorithms = f', algs="{" ".join(jose.ALGORITHMS)}"' if told == "DPoP" else ""
    return FhirError(
        "login",
        f"Ugyldig tilgangsbevis / The token is not accepted: {refused.reason}.",
        headers={"WWW-Authenticate": f'{told} realm="fhir", error="{refused.error}"{algorithms}'},
    )


def _address(request: Request) -> str:
    client = request.scope.get("client")
    return client[0] if client else ""
