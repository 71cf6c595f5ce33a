"""SMART Backend Services: the token endpoint for registered clients, and smart-configuration.

A client proves itself by a JWT that it signed (private_key_jwt) and is given a short token, narrowed to the scopes
that it asks for. RFC 6749 section 4.4, RFC 7523, SMART App Launch 2.2.0 (backend services, conformance).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from server.auth import jose
from server.auth.clients import Client, Clients
from server.auth.issuer import Issuer
from server.auth.jose import NotAccepted
from server.auth.replays import Replays
from server.auth.scopes import narrowed, scopes
from server.auth.tokens import Tokens
from server.outcome import FhirError
from server.resource import encode
from server.settings import Settings

TOKEN_PATH = "/fhir/auth/token"
CONFIGURATION_PATH = "/fhir/.well-known/smart-configuration"
LIFETIME = timedelta(minutes=5)

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_FORM = "application/x-www-form-urlencoded"
_MAX_BODY = 64 * 1024
_LONGEST_ASSERTION = 300
_UNSTORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}
Metadata = Callable[[], Awaitable[dict[str, Any]]]


class OAuthError(Exception):
    """RFC 6749 section 5.2: a code, and a text that quotes nothing of what was sent."""

    def __init__(self, code: str, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.code, self.text, self.status = code, text, status


def routes(settings: Settings, issuer: Issuer) -> list[BaseRoute]:
    """smart-configuration where tokens are in use, and the token endpoint where it is ours. WrongSetting for
    registered clients or keys that cannot be used."""
    if settings.auth == "off":
        return []
    if settings.auth == "oidc":
        return [Route(CONFIGURATION_PATH, _configuration(issuer.metadata))]
    endpoint = Endpoint(Clients.of(settings), Tokens.of(settings.keys, settings.base), token_url(settings))

    async def own() -> dict[str, Any]:
        return {"token_endpoint": endpoint.url}

    return [
        Route(TOKEN_PATH, endpoint.token, methods=["POST"]),
        Route(CONFIGURATION_PATH, _configuration(own)),
    ]


def token_url(settings: Settings) -> str:
    """The address of our own token endpoint, which assertions are for."""
    return f"{settings.base}{TOKEN_PATH.removeprefix('/fhir')}"


def _configuration(metadata: Metadata) -> Callable[[Request], Awaitable[Response]]:
    """smart-configuration from what the issuer of the tokens says of itself. SMART 2.2.0, conformance."""

    async def configuration(request: Request) -> Response:
        said = await metadata()
        own: dict[str, Any] = {
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": list(jose.ALGORITHMS),
            "scopes_supported": ["system/*.rs", "system/*.cruds"],
            "response_types_supported": [],
            "code_challenge_methods_supported": ["S256"],
            "capabilities": ["client-confidential-asymmetric", "permission-v2"],
        }
        theirs = {name: said[name] for name in _OF_ISSUER if name in said}
        return Response(encode({**own, **theirs}), media_type="application/json")

    return configuration


_OF_ISSUER = (
    "issuer", "jwks_uri", "authorization_endpoint", "token_endpoint", "introspection_endpoint",
    "grant_types_supported", "response_types_supported", "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported", "dpop_signing_alg_values_supported", "scopes_supported",
)  # fmt: skip


@dataclass(frozen=True)
class Endpoint:
    """`url` is its public address. The ids of assertions that were used are of this process alone."""

    clients: Clients
    tokens: Tokens
    url: str
    used: Replays = field(default_factory=Replays)

    async def token(self, request: Request) -> Response:
        """POST of a form: client_credentials with a client assertion in, a bearer token out."""
        try:
            form = await _form(request)
            client = await self._client(form)
            answer = self._issued(client, form.get("scope"))
        except OAuthError as error:
            refusal = {"error": error.code, "error_description": error.text}
            return Response(encode(refusal), error.status, _UNSTORED, "application/json")
        return Response(encode(answer), 200, _UNSTORED, "application/json")

    async def _client(self, form: dict[str, str]) -> Client:
        """The client that signed the assertion."""
        if form.get("grant_type") != "client_credentials":
            raise OAuthError("unsupported_grant_type", "grant_type: expected client_credentials")
        if form.get("client_assertion_type") != _ASSERTION_TYPE:
            raise OAuthError("invalid_request", f"client_assertion_type: expected {_ASSERTION_TYPE}")
        assertion = form.get("client_assertion", "")
        try:
            return await self._asserted(assertion, form.get("client_id"))
        except NotAccepted as refused:
            raise OAuthError("invalid_client", f"client_assertion: {refused.reason}", 401) from None
        except FhirError:
            raise OAuthError("temporarily_unavailable", "the client's jwks_uri does not answer", 503) from None

    async def _asserted(self, assertion: str, named: str | None) -> Client:
        """RFC 7523 section 3: the client is its own issuer and subject, and we are the audience."""
        header = jose.header_of(assertion)
        client = self.clients.get(_unverified_issuer(assertion))
        keys = await client.candidates(header) if client is not None else []
        if client is None or not keys or named not in (None, client.id):
            raise NotAccepted("its issuer is no registered client, or its key none of that client's")
        claims = jose.verified(assertion, keys, algorithms=jose.ALGORITHMS, types=("", "jwt")).claims
        now = time.time()
        jose.check_claims(claims, issuer=client.id, audience=self.url, now=now, needed=("sub", "jti"))
        if claims["sub"] != client.id:
            raise NotAccepted("sub is not its issuer")
        if claims["exp"] - now > _LONGEST_ASSERTION + jose.LEEWAY:
            raise NotAccepted("it holds for longer than 5 minutes")
        if not self.used.first(client.id, claims["jti"], claims["exp"] + jose.LEEWAY, now):
            raise NotAccepted("it was used before")
        return client

    def _issued(self, client: Client, asked: str | None) -> dict[str, Any]:
        """Never more than what the client is registered for; all of that when it asks for nothing."""
        given = client.scopes if not asked else narrowed(scopes(asked.split()), client.scopes)
        if not given:
            held = " ".join(map(str, client.scopes))
            raise OAuthError("invalid_scope", f"scope: nothing of it is within what the client may have: {held}")
        text = " ".join(map(str, given))
        token = self.tokens.issue(
            client.role, client.organization, LIFETIME,
            sub=client.id, client_id=client.id, name=client.name, scope=text, jti=secrets.token_urlsafe(16),
        )  # fmt: skip
        return {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": int(LIFETIME.total_seconds()),
            "scope": text,
        }


def _unverified_issuer(assertion: str) -> str:
    """Who the assertion says it is of: only to find the keys that it is checked by."""
    issuer = jose.unverified_claims(assertion).get("iss")
    return issuer if isinstance(issuer, str) else ""


async def _form(request: Request) -> dict[str, str]:
    """The parameters of the body, each once. RFC 6749 section 3.2."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise OAuthError("invalid_request", f"Content-Type: expected {_FORM}")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MAX_BODY:
            raise OAuthError("invalid_request", f"the body is larger than {_MAX_BODY} bytes", 413)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=20, errors="strict")
    except ValueError:
        raise OAuthError("invalid_request", "the body is no form, or has more than 20 parameters") from None
    form = dict(pairs)
    if len(form) < len(pairs):
        raise OAuthError("invalid_request", "a parameter is there twice")
    return form
