"""Issuers of tokens to test against, each over real connections: a small one written here, which always runs, and the
certified `oidc-provider` as a process of its own, where Node and npm are to be had.

Both sign with keys that the test knows, so that any fault can be made of a token that is otherwise theirs.
"""

from __future__ import annotations

import fcntl
import json
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import JWKRegistry, KeySet

from server.auth import dpop
from tests.real.process import free_port

AUDIENCE = "nhn:eportefolje"
CLIENT = "client-1"
SCOPES = f"{AUDIENCE}/les {AUDIENCE}/rapporter {AUDIENCE}/sekretariat system/Task.rs system/Task.crus system/*.cruds"
VEST = "983658725"
PARENT = "helseid://claims/client/claims/orgnr_parent"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

_PROVIDER = Path(__file__).parent / "provider"


def key(kid: str = "first", kind: str = "EC", size: str | int = "P-256", **more: str) -> Any:
    usual = {"alg": "ES256"} if size == "P-256" else {}
    return JWKRegistry.generate_key(kind, size, {"kid": kid, "use": "sig", **usual, **more})


def signed(claims: dict[str, Any], signer: Any, **header: Any) -> str:
    stated = {"alg": "ES256", **({"kid": signer.kid} if signer.kid else {}), **header}
    return jwt.encode({name: value for name, value in stated.items() if value is not None}, claims, signer,
                      algorithms=[stated["alg"]], default_type=None)  # fmt: skip


def asserted(client: str, audience: str, signer: Any, header: dict[str, Any] | None = None, **more: Any) -> str:
    """A client assertion, good but for what is given; None leaves a claim out."""
    now = int(time.time())
    usual = {"iss": client, "sub": client, "aud": audience, "iat": now, "exp": now + 60, "jti": secrets.token_hex()}
    claims = {name: value for name, value in {**usual, **more}.items() if value is not None}
    return signed(claims, signer, **(header or {}))


def proof(
    signer: Any, method: str, url: str, token: str = "", header: dict[str, Any] | None = None, **more: Any
) -> str:
    """A DPoP proof, good but for what is given; None leaves a claim or header out."""
    usual = {"htm": method, "htu": url, "iat": int(time.time()), "jti": secrets.token_hex()}
    bound = {"ath": dpop.digest(token)} if token else {}
    claims = {name: value for name, value in {**usual, **bound, **more}.items() if value is not None}
    stated = {"typ": "dpop+jwt", "jwk": signer.as_dict(private=False), "kid": None, **(header or {})}
    return signed(claims, signer, **stated)


class SmallIssuer:
    """`published` are the keys that it shows, `asked` the paths that were fetched, `metadata` what its discovery
    document says beside the usual; `status` other than 200 makes it answer that alone."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.key: Any = key()
        self.published = [self.key]
        self.metadata: dict[str, Any] = {}
        self.status = 200
        self.asked: list[str] = []

    def claims(self, **more: Any) -> dict[str, Any]:
        now = int(time.time())
        usual = {"iss": self.url, "aud": AUDIENCE, "sub": CLIENT, "client_id": CLIENT, "iat": now, "nbf": now,
                 "exp": now + 600, "jti": secrets.token_hex()}  # fmt: skip
        return {name: value for name, value in {**usual, **more}.items() if value is not None}

    def token(self, *, header: dict[str, Any] | None = None, signed_by: Any = None, **more: Any) -> str:
        """A good one, but for what is given: claims by name, None to leave one out."""
        return signed(self.claims(**more), signed_by or self.key, **{"typ": "at+jwt", **(header or {})})

    def granted(self, scope: str, bound_to: Any = None) -> str:
        """What the issuer itself gives a client of Helse Vest."""
        bound = {"cnf": {"jkt": bound_to.thumbprint()}} if bound_to else {}
        return self.token(scope=scope.split(), **{PARENT: VEST}, **bound)

    def rotate(self, kid: str) -> None:
        """A new key beside the old ones, with which it signs from now on."""
        self.key = key(kid)
        self.published = [self.key, *self.published]

    def answer(self, path: str) -> Any:
        self.asked.append(path)
        if path == "/.well-known/openid-configuration":
            usual = {"issuer": self.url, "jwks_uri": f"{self.url}/jwks", "token_endpoint": f"{self.url}/token",
                     "authorization_endpoint": f"{self.url}/auth"}  # fmt: skip
            return {**usual, **self.metadata}
        if path == "/jwks":
            return KeySet(self.published).as_dict(private=False)
        return None


@contextmanager
def small_issuer() -> Iterator[SmallIssuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = issuer.answer(self.path)
            self.send_response(issuer.status if found is not None else 404)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        def log_message(self, *said: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = SmallIssuer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()


class ProviderIssuer(SmallIssuer):
    """`oidc-provider`, with the keys of the test. It shows and grants by itself."""

    def __init__(self, url: str, process: subprocess.Popen[str]) -> None:
        super().__init__(url)
        self.process = process
        self.client_key = key("client")
        self._configure()

    def rotate(self, kid: str) -> None:
        super().rotate(kid)
        self._configure()

    def granted(self, scope: str, bound_to: Any = None) -> str:
        """By client_credentials at its token endpoint; bound to a key when a proof of it is sent along."""
        endpoint = f"{self.url}/token"
        form = {"grant_type": "client_credentials", "scope": scope, "client_assertion_type": ASSERTION,
                "client_assertion": asserted(CLIENT, self.url, self.client_key)}  # fmt: skip
        proven = {"DPoP": proof(bound_to, "POST", endpoint)} if bound_to else {}
        answer = httpx.post(endpoint, data=form, headers=proven, timeout=30)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def _configure(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        client = {"client_id": CLIENT, "jwks": {"keys": [self.client_key.as_dict(private=False)]}, "scope": SCOPES}
        jwks = {"keys": [one.as_dict(private=True) for one in self.published]}
        settings = {"jwks": jwks, "client": client, "audience": AUDIENCE, "claims": {PARENT: VEST}}
        print(json.dumps(settings), file=self.process.stdin, flush=True)
        # It has advice to give before it says so.
        assert any(said == "ready\n" for said in self.process.stdout)


@contextmanager
def provider_issuer() -> Iterator[ProviderIssuer]:
    """Skips where Node, npm or the packages are not to be had."""
    _install()
    port = free_port()
    process = subprocess.Popen(
        ["node", "driver.js", str(port)],
        cwd=_PROVIDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        yield ProviderIssuer(f"http://127.0.0.1:{port}", process)
    finally:
        process.kill()
        process.communicate()


def _install() -> None:
    """The packages of package-lock.json, once; a second run of the tests finds them."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("Node and npm are not here: the certified provider is left out, the small issuer runs.")
    with (Path(tempfile.gettempdir()) / "portfolio-provider.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        installed = _PROVIDER / "node_modules" / ".package-lock.json"
        wanted = _PROVIDER / "package-lock.json"
        if installed.exists() and installed.stat().st_mtime >= wanted.stat().st_mtime:
            return
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            done = subprocess.run(command, cwd=_PROVIDER, capture_output=True, timeout=120, check=False)
        except subprocess.TimeoutExpired:
            done = None
        if done is None or done.returncode != 0:
            pytest.skip("npm could not install oidc-provider: it is left out, the small issuer runs.")


ISSUERS = {"small": small_issuer, "oidc-provider": provider_issuer}
