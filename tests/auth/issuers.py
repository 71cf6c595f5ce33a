"""A small issuer of tokens: a real HTTP server with discovery, keys, and whatever faults a test asks of it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, JWKRegistry, KeySet

AUDIENCE = "nhn:eportefolje"


def key(kid: str = "first", kind: str = "EC", size: str | int = "P-256") -> Any:
    return JWKRegistry.generate_key(kind, size, {"kid": kid, "use": "sig"})


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
        usual = {"iss": self.url, "aud": AUDIENCE, "sub": "client-1", "client_id": "client-1", "iat": now, "nbf": now,
                 "exp": now + 600, "jti": f"{time.time_ns()}"}  # fmt: skip
        return {name: value for name, value in {**usual, **more}.items() if value is not None}

    def token(self, *, header: dict[str, Any] | None = None, signed_by: Any = None, **more: Any) -> str:
        """A good one, but for what is given: claims by name, None to leave one out."""
        signer = signed_by or self.key
        stated = {"alg": "ES256", "typ": "at+jwt", "kid": signer.kid, **(header or {})}
        algorithms = [stated["alg"]]
        return jwt.encode(stated, self.claims(**more), signer, algorithms=algorithms)

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


def another_key(kid: str = "first") -> ECKey:
    """One that nobody published, under a name that somebody did."""
    return key(kid)
