"""Every option once: name, default, unit, and what it is for. A wrong value stops the start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, SettingsConfigDict

from server.store.mongo_driver import database_of

_PREFIX = "PORTFOLIO_"
SECRETS = Path("/run/secrets")
"""Where containers find their secrets: a file there named as a setting, in small letters, gives its value unless the
environment does. An address with a password comes in `portfolio_store`."""
_UNITS = {"": 1, "kib": 1024, "mib": 1024**2}

# Names that are no settings here, with the values they may have (none: any). The first and OIDC_… belong to
# parts that are not here yet, and what an installation sets for them already must not stop it; the last two are
# for the tests.
_RESERVED: dict[str, tuple[str, ...]] = {
    "CLIENTS": (),
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
    auth: Literal["off", "dev"] = Field(
        "dev", description="off: everyone may do everything, loopback only; dev: tokens by the development key"
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
    max_body: Annotated[str, AfterValidator(_bytes)] = Field("5 MiB", description="larger bodies get 413")

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
    def sqlite_path(self) -> Path:
        """The database file of a sqlite:/// store."""
        return Path(self.store.removeprefix("sqlite:///"))


def shown(text: str) -> str:
    """An address without its password, for messages."""
    return re.sub(r"(?<=://)([^:/@?#]*):[^@/]*@", r"\1:…@", text)


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
    return settings


def _check_names(file: Any) -> None:
    """A mistyped name would leave its setting at the default without a word."""
    named = {**_named(DotEnvSettingsSource(Settings, env_file=file)), **_named(EnvSettingsSource(Settings))}
    known = [name.upper() for name in Settings.model_fields]
    allowed = {*known, *_RESERVED}
    unknown = sorted(f"{_PREFIX}{name}" for name in named if name not in allowed and not name.startswith("OIDC_"))
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
