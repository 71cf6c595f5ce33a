"""docker-compose.yml, Dockerfile and what they run. No container engine runs here: the files are checked against the
specification, and each command that a container of ours runs is run on this machine."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from server.settings import read_settings
from tests.real.process import Installation
from tests.store import mongodb

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = YAML(typ="safe").load(ROOT / "docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
ONCE = {"replica-set"}


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=given, cwd=ROOT, check=False)


def test_the_servers_believe_the_proxy_and_nobody_else() -> None:
    address = COMPOSE["services"]["proxy"]["networks"]["default"]["ipv4_address"]
    for server in ("server-1", "server-2"):
        assert COMPOSE["services"][server]["environment"]["PORTFOLIO_TRUSTED_PROXIES"] == address


def test_no_container_is_given_an_address_that_another_is_to_have() -> None:
    (network,) = COMPOSE["networks"]["default"]["ipam"]["config"]
    given = [service["networks"]["default"]["ipv4_address"] for service in SERVICES.values() if "networks" in service]
    assert len(set(given)) == len(given) == 3
    for address in given:
        assert ip_address(address) in ip_network(network["subnet"])
        assert ip_address(address) not in ip_network(network["ip_range"])
    assert ip_network(network["ip_range"]).subnet_of(ip_network(network["subnet"]))  # type: ignore[arg-type]


def test_the_file_holds_against_the_compose_specification() -> None:
    """The schema that check-jsonschema carries."""
    program = Path(sys.executable).parent / "check-jsonschema"
    done = run(str(program), "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_schema_finds_a_fault(tmp_path: Path) -> None:
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text((ROOT / "docker-compose.yml").read_text().replace("healthcheck:", "healtcheck:", 1))
    program = Path(sys.executable).parent / "check-jsonschema"
    assert run(str(program), "--builtin-schema", "vendor.compose-spec", str(wrong)).returncode != 0


def test_no_password_is_in_any_file() -> None:
    files = ["docker-compose.yml", "Dockerfile", "scripts/nginx.conf", "scripts/secrets", "scripts/replica_set"]
    for name in files:
        text = (ROOT / name).read_text()
        assert not re.search(r"mongodb://[^:/$\s]+:[^$@\s]+@", text), name
        assert not re.search(r"(?im)password\w*\s*[:=]\s*([\"'][A-Za-z0-9]|[A-Za-z0-9]+$)", text), name
    assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    assert not any("secret" in line or ".env" in line for line in ignored)


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_pinned_and_says_how_it_fares(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[a-z/-]+:\d+\.\d+\.\d+(-\w+)?", service["image"])
    ours = "build" in service
    if name in ONCE:
        assert service["restart"] == "on-failure"
    else:
        assert "healthcheck" in service or (ours and "HEALTHCHECK" in DOCKERFILE)
        assert service["restart"] == "unless-stopped"
    if ours:
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])


def test_the_image_is_pinned_and_runs_as_nobody_of_note() -> None:
    assert re.search(r"^FROM python:3\.\d+\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)
    assert "--require-hashes" in DOCKERFILE
    users = re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)
    assert users == ["10001:10001"]
    copied = re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert all((ROOT / name).exists() for names in copied for name in names.split())
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {name for names in copied for name in names.split()} == let_in


def test_servers_are_two_and_the_database_three() -> None:
    commands = [service.get("command", []) for service in SERVICES.values()]
    assert sum("mongod" in command for command in commands) == 3
    proxied = set(re.findall(r"server (server-\d):8000", (ROOT / "scripts/nginx.conf").read_text()))
    assert proxied == {name for name in SERVICES if name.startswith("server-")} == {"server-1", "server-2"}
    members = SERVICES["replica-set"]["command"][-1]
    assert members == ",".join(f"{name}:27017" for name in SERVICES if name.startswith("mongo-"))


def test_every_volume_and_secret_is_one_that_is_declared() -> None:
    for service in SERVICES.values():
        named = {volume.partition(":")[0] for volume in service.get("volumes", []) if not volume.startswith(".")}
        assert named <= set(COMPOSE["volumes"])
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])


# What the containers run


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    done = run("sh", "scripts/secrets", str(folder))
    assert done.returncode == 0, done.stderr
    return folder


def test_secrets_are_made_once_for_each_that_is_declared(secrets: Path) -> None:
    declared = {Path(one["file"]).name for one in COMPOSE["secrets"].values()}
    before = {path.name: path.read_text() for path in secrets.iterdir()}
    assert before.keys() == declared
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert 6 <= len(before["mongo_key"]) <= 1024  # What a key file may hold.
    assert run("sh", "scripts/secrets", str(secrets)).returncode == 0
    assert {path.name: path.read_text() for path in secrets.iterdir()} == before


def test_the_address_in_the_secret_is_the_registrys_store(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.settings.SECRETS", secrets)
    monkeypatch.delenv("PORTFOLIO_STORE", raising=False)
    store = read_settings(_env_file=None).store
    assert re.fullmatch(r"mongodb://registry:\w{48}@mongo-1:27017,.*/portfolio\?replicaSet=portfolio&.*", store)


def test_the_replica_set_is_initiated_once_and_the_user_made(tmp_path: Path) -> None:
    member = mongodb.server()
    wait, member._wait = member._wait, lambda: None  # type: ignore[method-assign]
    member.start()
    try:
        host = f"127.0.0.1:{member.port}"
        (tmp_path / "portfolio_store").write_text(f"mongodb://registry:right@{host}/portfolio?directConnection=true")
        script = str(ROOT / "scripts/replica_set")
        name = member.replica_set or "portfolio"
        command = (sys.executable, script, "--name", name, "--members", host, "--secrets", str(tmp_path))
        first, second = run(*command), run(*command)
        assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
        assert "User registry made." in first.stdout
        assert second.stdout.splitlines() == ["The replica set is there.", "User registry is there."]
        wait()
    finally:
        member.stop()


def test_healthy_tells_a_server_that_is_ready_from_one_that_is_away(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    script = (sys.executable, str(ROOT / "scripts/healthy"))
    assert run(*script, PORTFOLIO_PORT=str(installation.port)).returncode == 1
    with installation.serving():
        assert run(*script, PORTFOLIO_PORT=str(installation.port)).returncode == 0


def test_the_proxys_configuration_is_one(tmp_path: Path) -> None:
    nginx = shutil.which("nginx")
    if nginx is None:
        pytest.skip("there is no nginx on this machine to read it")
    # It looks names up as it reads them, and these are only known among the containers.
    text = re.sub(r"server-\d:8000", "127.0.0.1:8000", (ROOT / "scripts/nginx.conf").read_text())
    (tmp_path / "nginx.conf").write_text(text)
    done = run(nginx, "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"))
    assert "syntax is ok" in done.stderr, done.stderr
