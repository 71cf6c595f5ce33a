"""An external OIDC issuer: its discovery document and keys, and what its tokens say. OpenID Connect Discovery 1.0,
RFC 8414, RFC 9068."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from server.auth import jose
from server.auth.fetching import FRESH, Away, Kept, fetched
from server.auth.jose import Keys, NotAccepted
from server.settings import safe_url

ACCESS_TOKEN = frozenset({"", "jwt", "at+jwt"})
ID_TOKEN = frozenset({"", "jwt"})
_REMEMBERED = 5000


@dataclass(frozen=True, slots=True)
class Published:
    """What the issuer publishes, fetched together so that its keys are never those of another document."""

    metadata: dict[str, Any]
    keys: Keys
    algorithms: tuple[str, ...]


class Issuer:
    """One issuer, named by its `iss`. Nothing is fetched before something is asked."""

    def __init__(
        self, url: str, *, now: Callable[[], float] = time.time, elapsed: Callable[[], float] = time.monotonic
    ) -> None:
        self.url = url
        self._now = now
        self._kept = Kept(url, self._load, elapsed)
        self._known: OrderedDict[bytes, tuple[float, dict[str, Any]]] = OrderedDict()

    async def metadata(self) -> dict[str, Any]:
        """The discovery document, whose `issuer` is this one. FhirError transient (503)."""
        return (await self._kept.value()).metadata

    async def claims(self, token: str, audience: str, types: Collection[str] = ACCESS_TOKEN) -> dict[str, Any]:
        """The claims of a token that the issuer has signed for this audience and that holds now. `types` are the
        values of its `typ`: ID_TOKEN for sign-in. A token that held is remembered, for a signature costs as much
        as a read. NotAccepted; FhirError transient (503)."""
        digest = hashlib.sha256(f"{audience}\0{sorted(types)}\0{token}".encode("utf-8", "replace")).digest()
        held = self._known.get(digest)
        if held is not None and held[0] > self._now():
            return held[1]
        claims = await self._checked(token, audience, types)
        self._remember(digest, claims)
        return claims

    async def _checked(self, token: str, audience: str, types: Collection[str]) -> dict[str, Any]:
        header = jose.header_of(token)
        published = await self._kept.value()
        if not published.keys.candidates(header):
            published = await self._kept.newer()
        candidates = published.keys.candidates(header)
        if not candidates:
            raise NotAccepted("its key is not one of the issuer's")
        signed = jose.verified(token, candidates, algorithms=published.algorithms, types=types)
        jose.check_claims(signed.claims, issuer=self.url, audience=audience, now=self._now(), needed=("iat",))
        return signed.claims

    def _remember(self, digest: bytes, claims: dict[str, Any]) -> None:
        """Not beyond the time after which the issuer's keys are looked at: a key may be withdrawn."""
        self._known[digest] = (min(claims["exp"], self._now() + FRESH), claims)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    async def _load(self) -> Published:
        metadata = await fetched(f"{self.url.rstrip('/')}/.well-known/openid-configuration")
        if not isinstance(metadata, dict) or metadata.get("issuer") != self.url:
            raise Away("its discovery document names another issuer")
        keys_url = metadata.get("jwks_uri")
        if not isinstance(keys_url, str) or not safe_url(keys_url):
            raise Away("its discovery document has no jwks_uri that is https, or http on loopback")
        try:
            keys = Keys.of(await fetched(keys_url))
        except ValueError as error:
            raise Away(f"{keys_url}: {error}") from None
        return Published(metadata, keys, _algorithms(metadata))


def _algorithms(metadata: dict[str, Any]) -> tuple[str, ...]:
    """Those that the issuer says it signs with and we take; all of ours when it says nothing."""
    stated = metadata.get("id_token_signing_alg_values_supported")
    if not isinstance(stated, list):
        return jose.ALGORITHMS
    allowed = tuple(name for name in jose.ALGORITHMS if name in stated)
    if not allowed:
        raise Away("its discovery document names no asymmetric algorithm that is taken here")
    return allowed
