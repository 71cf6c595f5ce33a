"""Signed JWTs: which are taken, and what of them must hold. RFC 7515, RFC 7519, and the advice of RFC 8725.

Signatures and claims are checked by joserfc; here stand the choices. No text of this module quotes a token.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError, SecurityWarning
from joserfc.jwk import JWKRegistry, Key, OctKey
from joserfc.jws import CompactSignature, JWSRegistry, extract_compact, validate_compact
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry

# Asymmetric only: with a shared secret whoever can check a token could also make one. Both names of Ed25519 are
# taken, that of RFC 9864 and the older one, which most issuers still write.
ALGORITHMS = (
    "PS256", "PS384", "PS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA",
)  # fmt: skip
MAX_TOKEN = 16 * 1024
"""Characters of a token. Those of HelseID with all its claims are a quarter of this."""

LEEWAY = 30
"""Seconds by which another's clock may differ from ours."""

_MIN_RSA = 2048
_MOST_KEYS = 50
# What joserfc and the decoders below it raise for bytes that no honest issuer sends.
_MALFORMED = (JoseError, ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError)

warnings.filterwarnings("ignore", message="EdDSA is deprecated", category=SecurityWarning)


class NotAccepted(Exception):
    """A token that does not hold, and why: nothing of it is quoted. `error` is RFC 6750's or RFC 9449's."""

    def __init__(self, reason: str, error: str = "invalid_token") -> None:
        super().__init__(reason)
        self.reason = reason
        self.error = error


class _Sizes(JWSRegistry):
    """Larger headers than joserfc's own limit: a DPoP proof carries its RSA key there."""

    max_header_length = 4 * 1024
    max_payload_length = MAX_TOKEN


@dataclass(frozen=True, slots=True)
class Signed:
    """The header and claims of a token; whether they are to be believed depends on who made it."""

    header: dict[str, Any]
    claims: dict[str, Any]


class Keys:
    """The keys of a JWKS that can check signatures. Others in it are left aside, as RFC 7517 section 5 asks."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = tuple(keys)

    @classmethod
    def of(cls, document: Any) -> Keys:
        """From a JWK Set. ValueError when it is none, or has no key that is of use."""
        listed = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(listed, list):
            raise ValueError('expected a JWK Set: {"keys": […]}')
        keys = [key for one in listed[:_MOST_KEYS] if (key := public_key(one)) is not None]
        if not keys:
            raise ValueError("none of its keys checks an asymmetric signature")
        return cls(keys)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def candidates(self, header: dict[str, Any]) -> list[Key]:
        """The keys that may have signed a token with this header: that of its `kid`, or all when it names none."""
        kid = header.get("kid")
        return [key for key in self._keys if kid is None or key.kid == kid]


def public_key(jwk: Any) -> Key | None:
    """The public key of a JWK, or None when it is symmetric, weak, for encryption, or not understood."""
    try:
        key = JWKRegistry.import_key(jwk)
        key.check_use("sig")
        raw = key.public_key if not isinstance(key, OctKey) else None
    except _MALFORMED:
        return None
    if isinstance(key, OctKey) or (isinstance(raw, RSAPublicKey) and raw.key_size < _MIN_RSA):
        return None
    return key


def header_of(token: str) -> dict[str, Any]:
    """The header, not yet to be believed. NotAccepted for what is no signed JWT or too long."""
    return _extracted(token).protected


def unverified_claims(token: str) -> dict[str, Any]:
    """The claims, not to be believed: only to find out whose keys are to be asked. NotAccepted."""
    return _claims(_extracted(token).payload)


def _extracted(token: str) -> CompactSignature:
    if len(token) > MAX_TOKEN:
        raise NotAccepted(f"it is longer than {MAX_TOKEN} characters")
    try:
        extracted = extract_compact(token.encode(), registry=_Sizes())
    except _MALFORMED:
        raise NotAccepted("it is no signed JWT") from None
    if not isinstance(extracted.protected, dict):
        raise NotAccepted("it is no signed JWT")
    return extracted


def verified(token: str, keys: Sequence[Key], *, algorithms: Collection[str], types: Collection[str]) -> Signed:
    """What the token says, once one of the keys has signed it. `types`: the values that `typ` may have, in lower
    case and without "application/", "" where it may be absent. NotAccepted."""
    signed = _extracted(token)
    header = signed.protected
    allowed = [name for name in algorithms if name in ALGORITHMS]
    # joserfc takes an empty list for its own, which holds a symmetric algorithm.
    if not allowed or header.get("alg") not in allowed:
        raise NotAccepted("its algorithm is not one of those agreed upon")
    if "crit" in header:
        raise NotAccepted("it has a critical header that is not known here")
    if str(header.get("typ") or "").lower().removeprefix("application/") not in types:
        raise NotAccepted("it is another kind of token")
    if not any(_signs(signed, key, allowed) for key in keys):
        raise NotAccepted("its signature does not hold")
    return Signed(header, _claims(signed.payload))


def check_claims(
    claims: dict[str, Any], *, issuer: str, audience: str, now: float, leeway: int = LEEWAY, needed: Sequence[str] = ()
) -> None:
    """Issuer, audience and times. NotAccepted for the first that does not hold, or for one of `needed` that is
    not there."""
    options: dict[str, ClaimsOption] = {name: {"essential": True} for name in ("exp", *needed)}
    options["iss"] = {"essential": True, "value": issuer}
    options["aud"] = {"essential": True, "value": audience}
    registry = JWTClaimsRegistry(int(now), leeway, **options)
    try:
        registry.validate(claims)
    except ExpiredTokenError:
        raise NotAccepted("it has expired") from None
    except MissingClaimError as error:
        raise NotAccepted(f"it lacks {error.claim}") from None
    except InvalidClaimError as error:
        raise NotAccepted(_WRONG.get(error.claim, "one of its claims is out of form")) from None
    except _MALFORMED:
        raise NotAccepted("one of its claims is out of form") from None


_WRONG = {
    "iss": "it is of another issuer",
    "aud": "it is for another audience",
    "nbf": "it does not hold yet",
    "iat": "it was issued in the future",
}


def _signs(signed: CompactSignature, key: Key, algorithms: Collection[str]) -> bool:
    try:
        key.check_alg(signed.protected["alg"])
        registry = _Sizes(algorithms=algorithms, strict_check_header=False)
        return validate_compact(signed, key, registry=registry)
    except _MALFORMED:
        return False


def _claims(payload: bytes) -> dict[str, Any]:
    try:
        claims = json.loads(payload)
    except (ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise NotAccepted("its claims are no JSON object")
    return claims
