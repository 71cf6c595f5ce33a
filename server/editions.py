"""The public key of editions, for whoever checks one; and that check."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from server.outcome import FhirError
from server.portfolio.seal import Seal, digest, holds
from server.resource import decode, encode

PATH = "/fhir/.well-known/edition-keys"
_SECONDS = 10


def routes(seal: Seal) -> list[BaseRoute]:
    """GET PATH: a JSON Web Key Set. RFC 7517."""
    content = encode(seal.keys())

    async def keys(request: Request) -> Response:
        return Response(content, media_type="application/jwk-set+json", headers={"Cache-Control": "max-age=3600"})

    return [Route(PATH, keys)]


def keys_from(source: str) -> list[OKPKey]:
    """The keys of a JWKS in a file or at an address. ValueError says what is wrong with it."""
    try:
        raw = httpx.get(source, timeout=_SECONDS).text if source.startswith("http") else Path(source).read_text("utf-8")
        return keys_of(json.loads(raw))
    except (OSError, httpx.HTTPError, ValueError) as error:
        raise ValueError(f"{source}: {error}") from None


def keys_of(found: dict[str, Any]) -> list[OKPKey]:
    """Those of a JSON Web Key Set. ValueError when it is none."""
    try:
        return [OKPKey.import_key(key) for key in found["keys"]]
    except (KeyError, TypeError, JoseError) as error:
        raise ValueError(f"expected a JSON Web Key Set; {error!r}") from None


def faults(raw: bytes, keys: Iterable[OKPKey]) -> list[str]:
    """What does not hold of an edition as it was read; empty for one that is as it was published."""
    try:
        edition = decode(raw)
    except FhirError as error:
        return [error.issues[0].text]
    if edition.get("resourceType") != "Bundle" or edition.get("type") != "document":
        return ["not a document Bundle"]
    tags = [one.get("code") for one in edition.get("meta", {}).get("tag", [])]
    said = [code for code in tags if str(code).startswith("sha-256:")]
    found = (
        [] if said == [f"sha-256:{digest(edition)}"] else [f"its digest is sha-256:{digest(edition)}, it says {said}"]
    )
    if not any(holds(edition, key) for key in keys):
        found.append("no key that was given has signed this content")
    return found
