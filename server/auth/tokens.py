"""Bearer tokens of the development kind: JWTs signed by the installation's own key. RFC 7519, RFC 6750."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import OKPKey

from server.access import Role
from server.auth import jose
from server.auth.keys import signing_key

_FILE = "token-ed25519.pem"
# Checking a signature takes 120 µs, as long as a read.
_REMEMBERED = 1000
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Tokens:
    """Issues and checks tokens for one audience, the FHIR base."""

    key: OKPKey
    audience: str
    _known: dict[bytes, dict[str, Any]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, folder: Path, audience: str) -> Tokens:
        """With the key in this folder, made at the first start. WrongSetting when it cannot be used."""
        return cls(signing_key(folder, _FILE), audience)

    def issue(self, role: Role, organization: str, ttl: timedelta, **more: str) -> str:
        """A token for a role and, for reporters, the organisation's number or slug; `more` are further claims."""
        now = int(time.time())
        claims = {
            "iss": self.audience,
            "aud": self.audience,
            "sub": organization or role,
            "role": role,
            "organization": organization,
            "iat": now,
            "exp": now + int(ttl.total_seconds()),
            **more,
        }
        return jwt.encode({"alg": "Ed25519"}, claims, self.key, algorithms=["Ed25519"])

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a token that holds. One that was found to hold is remembered until it expires. NotAccepted."""
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        known = self._known.get(digest)
        if known is not None and known["exp"] > time.time():
            return known
        claims = jose.verified(token, [self.key], algorithms=("Ed25519", "EdDSA"), types=("jwt",)).claims
        jose.check_claims(
            claims, issuer=self.audience, audience=self.audience, now=time.time(), leeway=5, needed=("iat", "sub")
        )
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[digest] = claims
        return claims


def duration(text: str) -> timedelta:
    """30m, 1h, 7d. ValueError for anything else."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if not found:
        raise ValueError(f"«{text}» is no duration; expected e.g. 30m, 1h or 7d")
    return timedelta(seconds=int(found.group(1)) * _SECONDS[found.group(2)])
