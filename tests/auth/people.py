"""Issuers that people sign in at: a small one that lies as a test asks it to, and the certified `oidc-provider`."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import httpx

from tests.auth.issuers import _PROVIDER, SmallIssuer, _install, key
from tests.real.process import free_port

CLIENT = "pages"


class PeoplesIssuer(SmallIssuer):
    """`said` are the claims of the person who signs in (None leaves one out), `forms` what was sent to the token
    endpoint, with the Authorization header; `status` of the token endpoint is `taken`."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.said: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.forms: list[dict[str, str]] = []
        self.taken = 200
        self.asked_for: dict[str, str] = {}

    def authorized(self, url: str, **more: str) -> str:
        """The answer of a person's browser that was sent to this URL: a code for the redirect."""
        self.asked_for = dict(httpx.URL(url).params)
        answer = {"code": "c0de", "state": self.asked_for["state"], **more}
        return str(httpx.URL(self.asked_for["redirect_uri"], params=answer))

    def exchanged(self, form: dict[str, str]) -> dict[str, Any]:
        self.forms.append(form)
        usual = {"aud": CLIENT, "sub": "person-1", "nonce": self.asked_for["nonce"], "client_id": None}
        return {
            "token_type": "Bearer",
            "access_token": "x",
            "id_token": self.token(header={"typ": "JWT", **self.header}, **{**usual, **self.said}),
        }


@contextmanager
def peoples_issuer() -> Iterator[PeoplesIssuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = issuer.answer(self.path)
            self._send(200 if found is not None else 404, found)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {**dict(parse_qsl(body)), "Authorization": self.headers.get("Authorization", "")}
            self._send(issuer.taken, issuer.exchanged(form))

        def _send(self, status: int, content: Any) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *said: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = PeoplesIssuer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def certified(client: dict[str, Any], claims: dict[str, Any]) -> Iterator[str]:
    """The URL of an `oidc-provider` that signs everyone in with these claims. Skips where it is not to be had."""
    _install()
    port = free_port()
    process = subprocess.Popen(
        ["node", "people.js", str(port)],
        cwd=_PROVIDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    signing = key("people").as_dict(private=True) | {"alg": "ES256"}
    settings = {"jwks": {"keys": [signing]}, "client": {"client_id": CLIENT, **client}, "claims": claims}
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        print(json.dumps(settings), file=process.stdin, flush=True)
        # It has advice to give before it says so.
        assert any(said == "ready\n" for said in process.stdout)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def through(url: str, until: str) -> str:
    """A browser's way through the issuer, until it is sent to an address that begins so."""
    with httpx.Client(timeout=30) as http:
        for _ in range(10):
            if url.startswith(until):
                return url
            answer = http.get(url)
            assert answer.status_code in (302, 303), f"{url}: {answer.status_code} {answer.text}"
            url = str(httpx.URL(url).join(answer.headers["location"]))
    raise AssertionError(f"never came to {until}")
