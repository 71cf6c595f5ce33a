"""Every option once: name, default, unit, and what it is for. A wrong value stops the start."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

_UNITS = {"": 1, "kib": 1024, "mib": 1024**2}


def _bytes(text: str) -> str:
    if not re.fullmatch(r"\d+ ?(?:[kKmM]i[bB])?", text):
        raise ValueError("expected a number of bytes, or one with KiB or MiB, e.g. 5 MiB")
    return text


def _store(text: str) -> str:
    if not re.match(r"sqlite:///.|mongodb(\+srv)?://.", text):
        raise ValueError("expected sqlite:///PATH or mongodb://HOST/DATABASE")
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError("expected the name of a time zone, e.g. Europe/Oslo") from None
    return text


def _url(text: str) -> str:
    if text and not re.match(r"https?://[^/?#]+", text):
        raise ValueError("expected an absolute http(s) URL without query, e.g. https://registry.example/fhir")
    return text.rstrip("/")


class Settings(BaseSettings):
    """Read from PORTFOLIO_… in the environment, else from `.env`, else the default here."""

    model_config = SettingsConfigDict(env_prefix="PORTFOLIO_", env_file=".env", extra="ignore", frozen=True)

    store: Annotated[str, AfterValidator(_store)] = Field(
        "sqlite:///./data/portfolio.db", description="where the registry keeps everything: sqlite:///PATH"
    )
    auth: Literal["off", "dev"] = Field(
        "dev", description="off: everyone may do everything, loopback only; dev: tokens by the development key"
    )
    canonical: Annotated[str, AfterValidator(_url)] = Field(
        "http://eportefolje.example/fhir", description="canonical base of the profiles"
    )
    timezone: Annotated[str, AfterValidator(_zone)] = Field("Europe/Oslo", description="zone of dates that have none")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=1, le=65535, description="port to listen on")
    base_url: Annotated[str, AfterValidator(_url)] = Field(
        "", description="public FHIR base, when it is not http://HOST:PORT/fhir"
    )
    keys: Path = Field(Path("./data/keys"), description="folder of signing keys; made at first start in dev")
    max_body: Annotated[str, AfterValidator(_bytes)] = Field("5 MiB", description="larger bodies get 413")

    @cached_property
    def base(self) -> str:
        """The FHIR base that clients see, without a slash at the end."""
        return self.base_url or f"http://{self.host}:{self.port}/fhir"

    @cached_property
    def body_limit(self) -> int:
        """Bytes."""
        number, unit = re.fullmatch(r"(\d+) ?(\w*)", self.max_body).groups()  # type: ignore[union-attr]
        return int(number) * _UNITS[unit.lower()]

    @cached_property
    def sqlite_path(self) -> Path:
        """The database file of a sqlite:/// store."""
        return Path(self.store.removeprefix("sqlite:///"))


class WrongSetting(Exception):
    """The start stops: the setting's name, its value, and what was expected."""


def read_settings(**given: object) -> Settings:
    """The settings in force. WrongSetting for the first one that is wrong."""
    try:
        settings = Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        fault = error.errors()[0]
        name = "_".join(str(part) for part in fault["loc"]).upper()
        expected = fault["msg"].removeprefix("Value error, ")
        raise WrongSetting(f"PORTFOLIO_{name}={fault['input']}: {expected}") from None
    if settings.auth == "off" and settings.host not in ("127.0.0.1", "localhost", "::1"):
        raise WrongSetting(f"PORTFOLIO_AUTH=off: only on loopback, not on PORTFOLIO_HOST={settings.host}")
    if settings.store.startswith("mongodb"):
        raise WrongSetting(f"PORTFOLIO_STORE={settings.store}: this version keeps its data in sqlite:///PATH only")
    return settings
