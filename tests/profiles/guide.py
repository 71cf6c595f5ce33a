"""The guide's files, and its invariants over a resource, for the tests of this folder."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import orjson

from server.definitions.fhirpath import Expression, compile, holds
from server.definitions.registry import Registry, Schema
from server.resource import decode

PROJECT = Path(__file__).parents[2]
PROFILES = PROJECT / "profiles"
CANONICAL = "http://eportefolje.example/fhir"
SCHEMA = Schema()

Resource = dict[str, Any]


def read(path: Path) -> Resource:
    """Decimals as Decimal, as the server reads."""
    return decode(path.read_bytes())


@cache
def registry() -> Registry:
    return Registry.load(PROFILES)


def of(type: str) -> list[Any]:
    """The guide's own artefacts of a type; stand-ins for those of others are left out."""
    return [one for one in registry().of_type(type) if one["url"].startswith(CANONICAL)]


def elements(profile: Any) -> list[Any]:
    return list(profile["differential"]["element"])


def profile_of(resource: Resource) -> str:
    return str(resource["meta"]["profile"][0])


def chain(url: str) -> list[Any]:
    """The profile and those of ours that it derives from."""
    found = registry().get(url)
    return [found, *chain(found["baseDefinition"])] if found else []


@cache
def rules(url: str) -> tuple[tuple[str, str, Expression], ...]:
    """(key, severity, expression) of every invariant of a profile and its parents, by the path it stands at."""
    return tuple(
        (rule["key"], rule["severity"], compile(_at(element["path"], rule["expression"]), profile["type"], SCHEMA))
        for profile in chain(url)
        for element in elements(profile)
        for rule in element.get("constraint", ())
    )


def _at(path: str, expression: str) -> str:
    """An invariant below the root, asked of every element at its path."""
    _, _, below = path.partition(".")
    return f"{below}.all({expression})" if below else expression


def broken(resource: Resource) -> set[str]:
    """Keys of the invariants that the resource does not meet."""
    plain = decode(orjson.dumps(resource, default=float))
    return {key for key, _, expression in rules(profile_of(resource)) if not holds(expression(plain))}
