"""Sign-in of people at an OIDC issuer: authorization code with PKCE. OpenID Connect Core 3.1, RFC 7636, RFC 9207."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, RSAKey

from server.access import Caller
from server.auth.fetching import Away, fetched
from server.auth.issuer import ID_TOKEN, Issuer
from server.auth.jose import NotAccepted
from server.auth.sessions import Attempt
from server.outcome import FhirError
from server.settings import Settings, WrongSetting

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS = 60


class CodeFlow:
    """Our client at one issuer. `redirect` is where it sends people back to."""

    def __init__(self, settings: Settings, issuer: Issuer, redirect: str) -> None:
        self.settings = settings
        self.issuer = issuer
        self.redirect = redirect
        self._secret = _secret(settings)
        self._key = _key(settings)

    async def url(self, attempt: Attempt, lang: str) -> str:
        """Where the browser goes to sign in. FhirError transient (503) while the issuer is away."""
        endpoint = await self._endpoint("authorization_endpoint")
        asked = {
            "response_type": "code",
            "client_id": self.settings.oidc_client_id,
            "redirect_uri": self.redirect,
            "scope": self.settings.oidc_scope,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": _base64url(hashlib.sha256(attempt.verifier.encode()).digest()),
            "code_challenge_method": "S256",
            "ui_locales": lang,
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    async def sign_out_url(self) -> str:
        """Where a person signs out of the issuer too, or "" when it has no such page. FhirError transient (503)."""
        metadata = await self.issuer.metadata()
        endpoint = metadata.get("end_session_endpoint")
        if not isinstance(endpoint, str) or not self._is_safe(endpoint):
            return ""
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode({'client_id': self.settings.oidc_client_id})}"

    async def caller(self, attempt: Attempt, answer: Mapping[str, str]) -> Caller:
        """Who has signed in, from what the issuer's answer brought in its URL. FhirError login (401) when nobody has,
        forbidden (403) for a person that may not, transient (503) while the issuer is away."""
        await self._check_answer(answer)
        token = (await self._exchanged(answer.get("code", ""), attempt.verifier)).get("id_token")
        try:
            claims = await self.issuer.claims(str(token), self.settings.oidc_client_id, ID_TOKEN)
        except NotAccepted as refused:
            raise _broken_off(refused.reason) from None
        if not secrets.compare_digest(str(claims.get("nonce", "")).encode(), attempt.nonce.encode()):
            raise _broken_off("the ID token answers another sign-in")
        if claims.get("azp", self.settings.oidc_client_id) != self.settings.oidc_client_id:
            raise _broken_off("the ID token is another client's")
        return person(claims, self.settings)

    async def _check_answer(self, answer: Mapping[str, str]) -> None:
        metadata = await self.issuer.metadata()
        says_who = metadata.get("authorization_response_iss_parameter_supported") is True
        if answer.get("iss", self.issuer.url if not says_who else "") != self.issuer.url:
            raise _broken_off("another issuer answered")
        if "error" in answer or not answer.get("code"):
            raise _broken_off("the issuer let nobody in")

    async def _exchanged(self, code: str, verifier: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect,
            "code_verifier": verifier,
        }
        endpoint = await self._endpoint("token_endpoint")
        proof, headers = self._proof(endpoint)
        try:
            answer = await fetched(endpoint, {**form, **proof}, headers)
        except Away:
            raise _broken_off("the issuer did not take the code") from None
        return answer if isinstance(answer, dict) else {}

    def _proof(self, endpoint: str) -> tuple[dict[str, str], dict[str, str]]:
        """Fields and headers by which the issuer knows our client. RFC 6749 section 2.3, RFC 7523."""
        id = self.settings.oidc_client_id
        if self._key is not None:
            return {"client_id": id, "client_assertion_type": _ASSERTION, "client_assertion": self._assertion()}, {}
        if self._secret:
            pair = f"{quote(id, safe='')}:{quote(self._secret, safe='')}".encode()
            return {}, {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        return {"client_id": id}, {}

    def _assertion(self) -> str:
        key, now, id = self._key, int(time.time()), self.settings.oidc_client_id
        assert key is not None
        algorithm = _algorithm(key)
        claims = {
            "iss": id,
            "sub": id,
            "aud": self.issuer.url,
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + _ASSERTION_SECONDS,
        }
        header = {"alg": algorithm, **({"kid": key.kid} if key.kid else {})}
        return jwt.encode(header, claims, key, algorithms=[algorithm])

    async def _endpoint(self, name: str) -> str:
        """An address of the discovery document, as safe as itself. FhirError transient (503) when there is none."""
        endpoint = (await self.issuer.metadata()).get(name)
        if not isinstance(endpoint, str) or not self._is_safe(endpoint):
            raise FhirError("transient", f"Utstederen mangler {name} / The issuer has no {name} that can be used.")
        return endpoint

    def _is_safe(self, url: str) -> bool:
        return urlsplit(url).scheme in ("https", urlsplit(self.issuer.url).scheme)


def person(claims: Mapping[str, Any], settings: Settings) -> Caller:
    """The role, organisation and name that a person's claims give, as the settings say. FhirError forbidden (403)."""
    if settings.oidc_requires and not _has(claims, settings.oidc_requires):
        name = settings.oidc_requires.partition("=")[0]
        raise FhirError("forbidden", f"Innloggingen er ikke sterk nok / The sign-in lacks what is asked of «{name}».")
    name = str(claims.get("name") or claims.get("preferred_username") or claims.get("sub") or "")[:200]
    user = str(claims.get("sub") or "")[:200]
    if settings.oidc_secretariat and _has(claims, settings.oidc_secretariat):
        return Caller("secretariat", name=name, user=user)
    organization = claims.get(settings.oidc_organization)
    if isinstance(organization, str) and settings.oidc_reporter and _has(claims, settings.oidc_reporter):
        return Caller("reporter", organization, name, user=user)
    return Caller("reader", organization if isinstance(organization, str) else "", name, user=user)


def _has(claims: Mapping[str, Any], wanted: str) -> bool:
    name, _, value = wanted.partition("=")
    said = claims.get(name)
    return value in [str(one) for one in (said if isinstance(said, list) else [said])]


def _broken_off(reason: str) -> FhirError:
    return FhirError("login", f"Innloggingen ble ikke fullført; prøv igjen / The sign-in was not completed: {reason}.")


def _secret(settings: Settings) -> str:
    if settings.oidc_client_secret_file is not None:
        return settings.oidc_client_secret_file.read_text(encoding="utf-8").strip()
    return settings.oidc_client_secret.get_secret_value()


def _key(settings: Settings) -> Key | None:
    path = settings.oidc_client_key
    if path is None:
        return None
    try:
        content = path.read_bytes()
        is_jwk = content.lstrip().startswith(b"{")
        key = JWKRegistry.import_key(json.loads(content)) if is_jwk else _pem(content)
    except (JoseError, ValueError, TypeError, OSError):
        key = None
    if not isinstance(key, RSAKey | ECKey) or not key.is_private:
        raise WrongSetting(f"PORTFOLIO_OIDC_CLIENT_KEY={path}: expected a private RSA or EC key, as JWK or PEM")
    return key


def _pem(content: bytes) -> Key:
    """ValueError for what is neither of them."""
    for kind in (RSAKey, ECKey):
        try:
            return kind.import_key(content)
        except (JoseError, ValueError, TypeError):
            continue
    raise ValueError("neither an RSA nor an EC key")


def _algorithm(key: Key) -> str:
    if isinstance(key, RSAKey):
        return "PS256"
    return {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[str(key.as_dict(private=False)["crv"])]


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
