"""Bearer tokens of the development kind: JWTs signed by the installation's own key. RFC 7519, RFC 6750."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.access import ANONYMOUS, SECRETARIAT, Caller, Role
from server.keys import signing_key
from server.outcome import FhirError

_FILE = "token-ed25519.pem"
# Checking a signature takes 120 µs, as long as a read.
_REMEMBERED = 1000
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Tokens:
    """Issues and checks tokens for one audience, the FHIR base."""

    key: Ed25519PrivateKey
    audience: str
    _known: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, folder: Path, audience: str) -> Tokens:
        """With the key in this folder, made at the first start. WrongSetting when it cannot be used."""
        return cls(signing_key(folder, _FILE), audience)

    def issue(self, role: Role, organization: str, ttl: timedelta) -> str:
        """A token for a role and, for reporters, the organisation's number or slug."""
        now = datetime.now(UTC)
        claims = {
            "iss": self.audience,
            "aud": self.audience,
            "sub": organization or role,
            "role": role,
            "organization": organization,
            "iat": now,
            "exp": now + ttl,
        }
        return jwt.encode(claims, self.key, algorithm="EdDSA")

    def caller(self, authorization: str | None) -> Caller:
        """Who an Authorization header speaks for; anonymous without one. FhirError login (401)."""
        if not authorization:
            return ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise _refused("expected Authorization: Bearer TOKEN", "invalid_request")
        claims = self._claims(token.strip())
        roles: dict[Any, Role] = {role: role for role in get_args(Role)}
        role = roles.get(claims.get("role"))
        if role is None:
            raise _refused("the token's role is not known", "invalid_token")
        return (
            SECRETARIAT if role == "secretariat" else Caller(role, str(claims.get("organization", "")), claims["sub"])
        )

    def _claims(self, token: str) -> dict[str, Any]:
        """The claims of a token that holds. One that was found to hold is remembered until it expires."""
        known = self._known.get(token)
        if known is not None and known["exp"] > time.time():
            return known
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self.key.public_key(),
                algorithms=["EdDSA"],
                audience=self.audience,
                issuer=self.audience,
                leeway=5,
                options={"require": ["exp", "iat", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise _refused(str(error), "invalid_token") from None
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[token] = claims
        return claims


def duration(text: str) -> timedelta:
    """30m, 1h, 7d. ValueError for anything else."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if not found:
        raise ValueError(f"«{text}» is no duration; expected e.g. 30m, 1h or 7d")
    return timedelta(seconds=int(found.group(1)) * _SECONDS[found.group(2)])


def _refused(reason: str, error: str) -> FhirError:
    challenge = f'Bearer realm="fhir", error="{error}"'
    return FhirError(
        "login",
        f"Ugyldig tilgangsbevis / The token is not accepted: {reason}.",
        headers={"WWW-Authenticate": challenge},
    )
