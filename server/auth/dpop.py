"""DPoP: a token that only the holder of a key can use. RFC 9449, section 7 for resource servers.

Each request carries a proof, signed by that key, of its method, its URL and its token. No proof is remembered as
checked: it is used once.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from joserfc.jwk import Key

from server.auth import jose
from server.auth.jose import NotAccepted
from server.auth.replays import Replays

WINDOW = 10
"""Seconds that a proof may be old, and that its clock may be ahead of ours."""

_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Proofs:
    """Checks proofs; `now` is the time in seconds since 1970. The ids that were used are of this process alone."""

    now: Callable[[], float]
    used: Replays = field(default_factory=Replays)

    def check(self, proof: str, *, token: str, thumbprint: str, method: str, url: str) -> None:
        """That the proof is of this request and this token, whose key has this thumbprint (cnf.jkt). NotAccepted."""
        try:
            self._check(proof, token, thumbprint, method, url)
        except NotAccepted as refused:
            raise NotAccepted(f"the DPoP proof: {refused.reason}", "invalid_dpop_proof") from None

    def _check(self, proof: str, token: str, thumbprint: str, method: str, url: str) -> None:
        key = _key(jose.header_of(proof))
        if key.thumbprint() != thumbprint:
            raise NotAccepted("it is of another key than the token's")
        claims = jose.verified(proof, [key], algorithms=jose.ALGORITHMS, types=("dpop+jwt",)).claims
        if claims.get("htm") != method:
            raise NotAccepted(f"htm is not {method}")
        if _plain(claims.get("htu")) != _plain(url):
            raise NotAccepted(f"htu is not {url}")
        if claims.get("ath") != digest(token):
            raise NotAccepted("ath is not of this token")
        self._check_use(claims, thumbprint)

    def _check_use(self, claims: dict[str, Any], thumbprint: str) -> None:
        issued, id, now = claims.get("iat"), claims.get("jti"), self.now()
        if isinstance(issued, bool) or not isinstance(issued, int | float) or not abs(now - issued) <= WINDOW:
            raise NotAccepted(f"iat is not within {WINDOW} s of now")
        if not isinstance(id, str) or not id:
            raise NotAccepted("it has no jti")
        if not self.used.first(thumbprint, id, issued + WINDOW + 1, now):
            raise NotAccepted("it was used before")


def digest(token: str) -> str:
    """The `ath` of a token."""
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).decode().rstrip("=")


def _key(header: dict[str, Any]) -> Key:
    jwk = header.get("jwk")
    if not isinstance(jwk, dict) or _PRIVATE & jwk.keys():
        raise NotAccepted("its header has no jwk, or one that is not public")
    key = jose.public_key(jwk)
    if key is None:
        raise NotAccepted("the jwk of its header cannot be used")
    return key


def _plain(url: Any) -> tuple[str, str, int | None, str] | None:
    """What of two URLs must be the same: not their query, nor how the same is written. RFC 3986 section 6.2.2."""
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    path = re.sub(r"%([0-9A-Fa-f]{2})", _decoded, parts.path) or "/"
    return parts.scheme, parts.hostname or "", port, path


def _decoded(found: re.Match[str]) -> str:
    character = chr(int(found.group(1), 16))
    return character if _UNRESERVED.fullmatch(character) else found.group(0).upper()
