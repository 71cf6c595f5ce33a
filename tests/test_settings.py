"""Settings: what is accepted, what stops the start, and what is said then."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from server.auth.tokens import Tokens
from server.settings import WrongSetting, read_settings


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without .env, and no setting of this machine."""
    monkeypatch.chdir(tmp_path)
    for name in ("PORTFOLIO_SHARED", "PORTFOLIO_TEST_MONGODB"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("CANONICAL", "", "expected an absolute http(s) URL"),
        ("CANONICAL", "http://a.example/fhir?x=y", "without query"),
        ("BASE_URL", "http://a.example/fhir?a=b", "without query"),
        ("BASE_URL", "http://a.example/fhir#a", "without query"),
        ("BASE_URL", "http://a.example/my fhir", "expected an absolute"),
        ("BASE_URL", "http:///fhir", "expected an absolute"),
        ("MAX_BODY", "0", "expected a number of bytes"),
        ("MAX_BODY", "0 MiB", "expected a number of bytes"),
        ("MAX_BODY", "-1", "expected a number of bytes"),
        ("HOST", "", "expected an address"),
        ("HOST", "[::1]", "expected an address"),
        ("HOST", "localhost:8000/fhir", "expected an address"),
        ("OIDC_ISSUER", "issuer.example", "expected the issuer's https URL"),
        ("OIDC_ISSUER", "http://issuer.example", "http is for loopback only"),
        ("OIDC_ISSUER", "http://localhost.example", "http is for loopback only"),
        ("OIDC_ISSUER", "https://issuer.example/?a=b", "expected the issuer's https URL"),
        # Names that the contract has and nothing here reads yet.
        ("PROFILES", "zork", "should be 'enforce', 'warn' or 'off'"),
        ("PROFILES", "", "should be 'enforce', 'warn' or 'off'"),
        ("MONGO_DRIVER", "zork", "should be 'motor' or 'pymongo'"),
        ("STORE", "mongodb://127.0.0.1", "it names no database"),
        ("STORE", "mongodb+srv://registry.example/?w=1", "it names no database"),
        ("STORE", "mongodb://127.0.0.1:port/x", "expected mongodb://HOST/DATABASE"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(f"PORTFOLIO_{name}", value)
    with pytest.raises(WrongSetting) as caught:
        read_settings()
    assert str(caught.value).startswith(f"PORTFOLIO_{name}={value}: ")
    assert expected in str(caught.value)


def test_unknown_names_stop_the_start_and_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTFOLIO_PROT", "9000")
    monkeypatch.setenv("portfolio_stor", "sqlite:///x.db")
    with pytest.raises(WrongSetting) as caught:
        read_settings()
    unknown, _, known = str(caught.value).partition(": ")
    assert unknown == "PORTFOLIO_PROT, PORTFOLIO_STOR"
    assert {"PORTFOLIO_PORT", "PORTFOLIO_STORE", "PORTFOLIO_MAX_BODY"} <= set(known.replace(",", "").split())


def test_an_unknown_name_in_the_file_of_settings_stops_the_start_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OTHER_PROT=1\nPORTFOLIO_PORT=8100\nPORTFOLIO_PROT=9000\n")
    with pytest.raises(WrongSetting, match=r"^PORTFOLIO_PROT: unknown"):
        read_settings()
    (tmp_path / ".env").write_text("OTHER_PROT=1\nPORTFOLIO_PORT=8100\n")
    assert read_settings().port == 8100


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORTFOLIO_PROFILES", "warn"),
        ("PORTFOLIO_MONGO_DRIVER", "pymongo"),
        ("PORTFOLIO_OIDC_ISSUER", "https://issuer.example"),
        ("PORTFOLIO_OIDC_AUDIENCE", "registry"),
        ("PORTFOLIO_CLIENTS", "./data/clients.json"),
        ("PORTFOLIO_TEST_MONGODB", "mongodb://127.0.0.1:27017"),
        ("PORTFOLIO_SHARED", "/elsewhere"),
        ("PORTFOLIO_BASE_URL", ""),
        ("portfolio_port", "8100"),
    ],
)
def test_a_name_that_is_known_is_accepted(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert read_settings().auth == "dev"


@pytest.mark.parametrize("missing", ["OIDC_ISSUER", "OIDC_AUDIENCE"])
def test_oidc_needs_its_issuer_and_audience(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    given = {"AUTH": "oidc", "OIDC_ISSUER": "https://issuer.example/", "OIDC_AUDIENCE": "nhn:eportefolje"}
    for name, value in given.items():
        monkeypatch.setenv(f"PORTFOLIO_{name}", value)
    assert read_settings().oidc_issuer == "https://issuer.example/"
    monkeypatch.setenv(f"PORTFOLIO_{missing}", "")
    with pytest.raises(WrongSetting, match=f"^PORTFOLIO_{missing}=: expected a value"):
        read_settings()


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/fhir"),
        ("registry.example", "http://registry.example:8000/fhir"),
        ("::1", "http://[::1]:8000/fhir"),
    ],
)
def test_the_base_is_made_of_host_and_port(host: str, base: str) -> None:
    assert read_settings(host=host).base == base


@pytest.mark.parametrize(("text", "limit"), [("1", 1), ("64 KiB", 65_536), ("5MiB", 5 * 1024**2)])
def test_a_body_limit_in_bytes(text: str, limit: int) -> None:
    assert read_settings(max_body=text).body_limit == limit


def test_a_slash_at_the_end_of_a_base_is_left_out() -> None:
    assert read_settings(base_url="https://a.example/fhir/").base == "https://a.example/fhir"


@pytest.mark.parametrize("spoil", ["a file", "under a file", "no key", "another key", "a folder as key"])
def test_keys_that_cannot_be_used_are_named(tmp_path: Path, spoil: str) -> None:
    folder = tmp_path / "keys"
    match spoil:
        case "a file":
            folder.write_text("x")
        case "under a file":
            (tmp_path / "file").write_text("x")
            folder = tmp_path / "file" / "keys"
        case "a folder as key":
            (folder / "token-ed25519.pem").mkdir(parents=True)
        case _:
            folder.mkdir()
            elliptic = ec.generate_private_key(ec.SECP256R1())
            pem = elliptic.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            (folder / "token-ed25519.pem").write_bytes(pem if spoil == "another key" else b"x")
    with pytest.raises(WrongSetting) as caught:
        Tokens.of(folder, "http://a.example/fhir")
    assert str(caught.value).startswith(f"PORTFOLIO_KEYS={folder}: ")
    assert len(str(caught.value).splitlines()) == 1


def test_a_password_is_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTFOLIO_STORE", "mongodb://registry:s3cret@a.example")
    with pytest.raises(WrongSetting) as caught:
        read_settings()
    assert str(caught.value).startswith("PORTFOLIO_STORE=mongodb://…@a.example: ")


def test_a_secret_comes_from_its_file_unless_the_environment_gives_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("server.settings.SECRETS", tmp_path)
    (tmp_path / "portfolio_store").write_text("mongodb://registry:s3cret@a.example/portfolio\n")
    assert read_settings().store == "mongodb://registry:s3cret@a.example/portfolio"
    monkeypatch.setenv("PORTFOLIO_STORE", "sqlite:///x.db")
    assert read_settings().store == "sqlite:///x.db"
