"""The installation's own signing keys: one Ed25519 key a file, in the folder that PORTFOLIO_KEYS names."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from server.auth.keyfile import write_once
from server.settings import WrongSetting


def signing_key(folder: Path, file: str) -> OKPKey:
    """The key in this file, made at the first start. One that another process makes at the same moment is used
    instead. WrongSetting when folder or key cannot be used."""
    path = folder / file
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        key = OKPKey.import_key(path.read_bytes())
    except OSError as error:
        raise WrongSetting(f"PORTFOLIO_KEYS={folder}: expected a folder of keys; {error.strerror}") from None
    except (JoseError, ValueError, TypeError):
        key = None
    if key is None or not isinstance(key.private_key, Ed25519PrivateKey):
        raise WrongSetting(f"PORTFOLIO_KEYS={folder}: expected an Ed25519 private key, unencrypted, in {file}")
    return key


def _make(path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_once(path, pem)
