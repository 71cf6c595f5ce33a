"""Every option once: name, default, unit, and what it is for. A wrong value stops the start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, SettingsConfigDict

from server.store.mongo_driver import database_of

_PREFIX = "PORTFOLIO_"
SECRETS = Path("/run/secrets")
"""Where containers find their secrets: a file there named as a setting, in small letters, gives its value unless the
environment does. An address with a password comes in `portfolio_store`."""
_UNITS = {"": 1, "kib": 1024, "mib": 1024**2}
_PERIODS = {"second": 1, "minute": 60, "hour": 3600}

# Names that are no settings here, with the values they may have (none: any): they are for the tests.
_RESERVED: dict[str, tuple[str, ...]] = {
    "TEST_MONGODB": (),
    "SHARED": (),
}


def _bytes(text: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,11} ?(?:[kKmM]i[bB])?", text):
        raise ValueError("expected a number of bytes above 0, or one with KiB or MiB, e.g. 5 MiB")
    return text


def _store(text: str) -> str:
    if not re.match(r"sqlite:///.|mongodb(\+srv)?://.", text):
        raise ValueError("expected sqlite:///PATH or mongodb://HOST/DATABASE")
    if text.startswith("mongodb"):
        try:
            database_of(text)
        except ValueError as error:
            raise ValueError(f"expected mongodb://HOST/DATABASE, but {error}") from None
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError("expected the name of a time zone, e.g. Europe/Oslo") from None
    return text


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[^/?#\s]+(/[^?#\s]*)?", text):
        raise ValueError("expected an absolute http(s) URL without query, e.g. https://registry.example/fhir")
    return text.rstrip("/")


def _url_or_none(text: str) -> str:
    return _url(text) if text else ""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in so many seconds."""

    count: int
    seconds: int

    def __str__(self) -> str:
        return f"{self.count} requests in {self.seconds} s"


def _claim_or_none(text: str) -> str:
    if text and not re.fullmatch(r"[^=\s]+=\S.*", text):
        raise ValueError("expected CLAIM=VALUE, e.g. role=secretariat")
    return text


def _period(text: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,3}[mh]", text):
        raise ValueError("expected minutes or hours, e.g. 30m or 8h")
    return text


def _rate(text: str) -> str:
    if text != "off" and not re.fullmatch(r"[1-9][0-9]{0,8}/(second|minute|hour)", text):
        raise ValueError("expected a count and a period, e.g. 600/minute, or off")
    return text


def _rate_of(text: str) -> Rate | None:
    count, _, period = text.partition("/")
    return Rate(int(count), _PERIODS[period]) if period else None


def _networks(text: str) -> str:
    try:
        for one in text.split(",") if text else []:
            ip_network(one.strip())
    except ValueError:
        raise ValueError("expected addresses or networks with commas between, e.g. 10.0.0.5,10.1.0.0/16") from None
    return text


def safe_url(text: str) -> bool:
    """Whether what is fetched there cannot be changed on the way: https, or http on loopback."""
    return bool(re.fullmatch(r"(https://[^/?#\s]+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?)(/[^?#\s]*)?", text))


def _issuer(text: str) -> str:
    """As it is written: an issuer's name is compared letter by letter, a slash at its end included."""
    if text and not safe_url(text):
        raise ValueError("expected the issuer's https URL, as in its tokens' iss; http is for loopback only")
    return text


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%\w+)?", text):
        raise ValueError("expected an address or host name alone, e.g. 127.0.0.1, ::1 or registry.example")
    return text


class Settings(BaseSettings):
    """Read from PORTFOLIO_… in the environment, else from `.env`, else from SECRETS, else the default here."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_file=".env", extra="ignore", frozen=True)

    store: Annotated[str, AfterValidator(_store)] = Field(
        "sqlite:///./data/portfolio.db",
        description="where the registry keeps everything: sqlite:///PATH or mongodb://HOST/DATABASE",
    )
    mongo_driver: Literal["motor", "pymongo"] = Field(
        "motor", description="of a mongodb:// store: motor, or pymongo for its successor in PyMongo itself"
    )
    auth: Literal["off", "dev", "oidc"] = Field(
        "dev",
        description="off: everyone may do everything, loopback only; dev: tokens by the development key; "
        "oidc: tokens of an external issuer",
    )
    profiles: Literal["enforce", "warn", "off"] = Field(
        "enforce",
        description="enforce: initiatives, Tasks and organisations must hold against our profiles; "
        "warn: what does not is a warning; off: R4 alone",
    )
    canonical: Annotated[str, AfterValidator(_url)] = Field(
        "http://eportefolje.example/fhir", description="canonical base of the profiles"
    )
    timezone: Annotated[str, AfterValidator(_zone)] = Field("Europe/Oslo", description="zone of dates that have none")
    host: Annotated[str, AfterValidator(_host)] = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=1, le=65535, description="port to listen on")
    base_url: Annotated[str, AfterValidator(_url_or_none)] = Field(
        "", description="public FHIR base, when it is not http://HOST:PORT/fhir"
    )
    keys: Path = Field(Path("./data/keys"), description="folder of signing keys; made at first start in dev")
    oidc_issuer: Annotated[str, AfterValidator(_issuer)] = Field(
        "", description="the external issuer, as in its tokens' iss; required with oidc"
    )
    oidc_audience: str = Field("", description="the audience that tokens are for, e.g. nhn:eportefolje; with oidc")
    oidc_client_id: str = Field("", description="our own client id there, for the sign-in of people; none without it")
    oidc_client_secret: SecretStr = Field(SecretStr(""), description="its secret, when it has one")
    oidc_client_secret_file: Path | None = Field(None, description="a file with the secret, instead of the secret")
    oidc_client_key: Path | None = Field(None, description="its private key (JWK or PEM), for private_key_jwt")
    oidc_scope: str = Field("openid profile", description="what a sign-in asks the issuer for")
    oidc_requires: Annotated[str, AfterValidator(_claim_or_none)] = Field(
        "", description="CLAIM=VALUE that a person's ID token must hold, e.g. a security level"
    )
    oidc_secretariat: Annotated[str, AfterValidator(_claim_or_none)] = Field(
        "role=secretariat", description="CLAIM=VALUE that makes a person the secretariat"
    )
    oidc_reporter: Annotated[str, AfterValidator(_claim_or_none)] = Field(
        "role=reporter", description="CLAIM=VALUE that makes a person a reporter of the organisation"
    )
    oidc_organization: str = Field("organization", description="claim with the number of a person's organisation")
    session: Annotated[str, AfterValidator(_period)] = Field("8h", description="how long a sign-in holds: 30m, 8h")
    clients: Path = Field(
        Path("./data/clients.json"), description="registered SMART backend clients; with dev, read anew when it changes"
    )
    max_body: Annotated[str, AfterValidator(_bytes)] = Field("5 MiB", description="larger bodies get 413")
    rate_address: Annotated[str, AfterValidator(_rate)] = Field(
        "1200/minute", description="requests of one address (IPv6: one /64), or off; more get 429"
    )
    rate_client: Annotated[str, AfterValidator(_rate)] = Field(
        "600/minute", description="requests of one client or signed-in person, or off; more get 429"
    )
    max_expensive: int = Field(2, ge=1, le=1000, description="expensive operations of one client at once; more get 429")
    max_connections: int = Field(500, ge=1, le=100_000, description="connections of one process; more get 503")
    request_timeout: int = Field(
        30, ge=1, le=3600, description="seconds that the head of a request, and then its body, may take to arrive"
    )
    trusted_proxies: Annotated[str, AfterValidator(_networks)] = Field(
        "", description="addresses and networks of the proxies whose X-Forwarded-For is believed"
    )

    @cached_property
    def base(self) -> str:
        """The FHIR base that clients see, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.base_url or f"http://{host}:{self.port}/fhir"

    @cached_property
    def body_limit(self) -> int:
        """Bytes."""
        number, unit = re.fullmatch(r"(\d+) ?(\w*)", self.max_body).groups()  # type: ignore[union-attr]
        return int(number) * _UNITS[unit.lower()]

    @cached_property
    def session_seconds(self) -> int:
        return int(self.session[:-1]) * {"m": 60, "h": 3600}[self.session[-1]]

    @cached_property
    def address_rate(self) -> Rate | None:
        return _rate_of(self.rate_address)

    @cached_property
    def client_rate(self) -> Rate | None:
        return _rate_of(self.rate_client)

    @cached_property
    def sqlite_path(self) -> Path:
        """The database file of a sqlite:/// store."""
        return Path(self.store.removeprefix("sqlite:///"))


class WrongSetting(Exception):
    """The start stops: the setting's name, its value, and what was expected."""


def read_settings(**given: object) -> Settings:
    """The settings in force. WrongSetting for the first one that is wrong, or for names that are unknown."""
    _check_names(given.get("_env_file", Settings.model_config["env_file"]))
    if SECRETS.is_dir():
        given.setdefault("_secrets_dir", SECRETS)
    try:
        settings = Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        fault = error.errors()[0]
        name = "_".join(str(part) for part in fault["loc"]).upper()
        expected = fault["msg"].removeprefix("Value error, ")
        raise WrongSetting(f"{_PREFIX}{name}={shown(str(fault['input']))}: {expected}") from None
    if settings.auth == "off" and settings.host not in ("127.0.0.1", "localhost", "::1"):
        raise WrongSetting(f"PORTFOLIO_AUTH=off: only on loopback, not on PORTFOLIO_HOST={settings.host}")
    if settings.auth == "oidc":
        for name in ("oidc_issuer", "oidc_audience"):
            if not getattr(settings, name):
                raise WrongSetting(f"{_PREFIX}{name.upper()}=: expected a value, for PORTFOLIO_AUTH=oidc needs it")
    _check_client(settings)
    return settings


def _check_client(settings: Settings) -> None:
    """One way to prove who we are to the issuer, and it must be there."""
    ways = ("oidc_client_secret", "oidc_client_secret_file", "oidc_client_key")
    given = [f"{_PREFIX}{name.upper()}" for name in ways if getattr(settings, name)]
    if len(given) > 1:
        raise WrongSetting(f"{given[1]}: expected one of {' and '.join(given)}")
    for name in ways[1:]:
        path = getattr(settings, name)
        if path is not None and not path.is_file():
            raise WrongSetting(f"{_PREFIX}{name.upper()}={path}: expected a file that is there")


def shown(value: object) -> str:
    """A setting's value as it may be printed: without the name and password of a URL."""
    return re.sub(r"//[^/?#]*@", "//…@", str(value))


def _check_names(file: Any) -> None:
    """A mistyped name would leave its setting at the default without a word."""
    named = {**_named(DotEnvSettingsSource(Settings, env_file=file)), **_named(EnvSettingsSource(Settings))}
    known = [name.upper() for name in Settings.model_fields]
    allowed = {*known, *_RESERVED}
    unknown = sorted(f"{_PREFIX}{name}" for name in named if name not in allowed)
    if unknown:
        expected = ", ".join(f"{_PREFIX}{name}" for name in known)
        raise WrongSetting(f"{', '.join(unknown)}: unknown; expected {expected}")
    for name, values in _RESERVED.items():
        if values and name not in known and named.get(name, values[0]) not in values:
            raise WrongSetting(f"{_PREFIX}{name}={named[name]}: expected one of {', '.join(values)}")


def _named(source: EnvSettingsSource) -> dict[str, str | None]:
    """What begins with PORTFOLIO_, by its name without that, in capitals: letter case says nothing here."""
    named: Mapping[str, str | None] = source.env_vars
    return {
        name.upper().removeprefix(_PREFIX): value for name, value in named.items() if name.upper().startswith(_PREFIX)
    }
