"""What a server writes while it runs holds no secret: no token, no key, no cookie, no query."""

from __future__ import annotations

import socket

import httpx
import pytest
from typer.testing import CliRunner

from server.__main__ import cli
from tests.http.build import FHIR, bundle, entry, task
from tests.real.process import Installation

SECRET = "eyJzZWNyZXQ.in-the-request.9f8e7d6c"


def asked(installation: Installation) -> None:
    """All kinds of answers, each to a request that carries secrets wherever one can be put."""
    token = installation.token()
    sent = {**FHIR, "Cookie": f"portfolio-session={SECRET}", "DPoP": SECRET}
    with httpx.Client(base_url=f"http://127.0.0.1:{installation.port}", headers=sent) as client:
        for bearer in (token, SECRET):
            for method, path, body in (
                ("GET", "/fhir/Task", None),
                ("GET", "/fhir/nowhere/at/all/then", None),
                ("GET", "/nowhere", None),
                ("GET", "/", None),
                ("GET", "/logg-inn", None),
                ("POST", "/logg-ut", None),
                ("POST", "/fhir/Task", task("a")),
                ("POST", "/fhir/Task", {"resourceType": SECRET}),
                ("POST", "/fhir", bundle(entry("POST", f"Task?x={SECRET}", task("b")))),
                ("POST", "/fhir/auth/token", None),
            ):
                url = f"{path}?access_token={SECRET}&_count={SECRET}"
                client.request(method, url, json=body, headers={"Authorization": f"Bearer {bearer}"})
    with socket.create_connection(("127.0.0.1", installation.port)) as line:
        line.sendall(f"NONSENSE {SECRET}\r\nAuthorization: {SECRET}\r\n\r\n".encode())
        line.recv(1000)
    with socket.create_connection(("127.0.0.1", installation.port)) as line:
        line.sendall(f"POST /fhir/Task?x={SECRET} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n".encode())


def test_nothing_of_a_request_is_written(tmp_path):
    installation = Installation(tmp_path)
    process = installation.serve()
    asked(installation)
    process.terminate()
    output, _ = process.communicate(timeout=30)
    # What it writes does come out here.
    assert "Invalid HTTP request received." in output
    assert SECRET not in output
    assert installation.token().split(".")[2] not in output
    assert "eyJ" not in output


@pytest.mark.parametrize("name", ["STORE", "OIDC_CLIENT_SECRET"])
def test_a_start_that_fails_names_no_password(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    values = {"STORE": "mongodb://portfolio:hunter2@db.example/portfolio", "OIDC_CLIENT_SECRET": "hunter2"}
    environment = {f"PORTFOLIO_{name}": values[name], "PORTFOLIO_AUTH": "wrong" if name != "STORE" else "dev"}
    result = CliRunner().invoke(cli, ["check"], env=environment)
    assert result.exit_code != 0
    assert "PORTFOLIO_" in result.output
    assert "hunter2" not in result.output
