"""The seal of an edition: a digest of its content, and a detached signature that anyone can check offline.

What is sealed is the document in one canonical form: JSON as UTF-8, object members in the order of their names by code
point, no space between tokens, decimals with the digits they have, and without Bundle.id, Bundle.meta and
Bundle.signature (as R4's http://hl7.org/fhir/canonicalization/json#document, but for the text, which belongs to an
edition and is kept). The digest is SHA-256 of that; the signature a JWS with detached payload (RFC 7515, appendix F) by
Ed25519, in Bundle.signature.data.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry

from server.auth.keys import signing_key
from server.resource import Resource, encode

FILE = "edition-ed25519.pem"
_UNSEALED = ("id", "meta", "signature")
# R4 valueset-signature-type: the signature of the one who made the document.
_AUTHOR = {"system": "urn:iso-astm:E1762-95:2013", "code": "1.2.840.10065.1.12.1.1", "display": "Author's Signature"}


def canonical(document: Resource) -> bytes:
    """What is sealed of a document Bundle, as the module's docstring has it."""
    return encode(_ordered({name: value for name, value in document.items() if name not in _UNSEALED}))


def digest(document: Resource) -> str:
    """SHA-256 of the canonical form, in hexadecimal."""
    return hashlib.sha256(canonical(document)).hexdigest()


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _ordered(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    return value


class _Whole(JWSRegistry):
    """A payload of any size: it is at hand, and not taken from the network."""

    max_payload_length = 2**31


@dataclass(frozen=True)
class Seal:
    """Signs editions with the installation's key. `kid` is the key's thumbprint (RFC 7638)."""

    key: OKPKey
    kid: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kid", self.key.thumbprint())

    @classmethod
    def of(cls, folder: Path) -> Seal:
        """With the key in this folder, made when there is none. WrongSetting when it cannot be used."""
        return cls(signing_key(folder, FILE))

    def signature(self, document: Resource, who: Resource, when: str) -> Resource:
        """R4 Signature: `who` a Reference, `when` an instant; data is the compact JWS in base64."""
        header = {"alg": "Ed25519", "kid": self.kid, "typ": "JOSE"}
        whole = jws.serialize_compact(header, canonical(document), self.key, registry=_Whole(algorithms=["Ed25519"]))
        return {
            "type": [_AUTHOR],
            "when": when,
            "who": who,
            "targetFormat": "application/fhir+json;canonicalization=http://hl7.org/fhir/canonicalization/json#document",
            "sigFormat": "application/jose",
            "data": base64.b64encode(jws.detach_content(whole).encode()).decode(),
        }

    def keys(self) -> dict[str, Any]:
        """The public key as a JSON Web Key Set. RFC 7517."""
        public = self.key.as_dict(private=False)
        return {"keys": [{**public, "kid": self.kid, "alg": "Ed25519", "use": "sig"}]}


def holds(document: Resource, key: OKPKey) -> bool:
    """Whether the document's signature is this key's, and of this very content."""
    try:
        detached = base64.b64decode(document["signature"]["data"], validate=True)
        jws.deserialize_compact(detached, key, registry=_Whole(algorithms=["Ed25519"]), payload=canonical(document))
    except (KeyError, TypeError, ValueError, JoseError):
        return False
    return True
