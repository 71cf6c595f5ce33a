"""What an operation answered with, a Parameters, read by the names of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.portfolio import elements

Part = Mapping[str, Any]


def parts(of: Part, name: str) -> list[Part]:
    """The parameters of that name, or the parts within one, in their order."""
    return [one for one in of.get("parameter", of.get("part", ())) if one["name"] == name]


def value(of: Part, name: str) -> Any:
    """The value of the first of them, None for none."""
    return next((elements.value_of(one) for one in parts(of, name)), None)


def reference(of: Part, name: str = "resource") -> str:
    """What the Reference of that name points to, "" for none."""
    return str((value(of, name) or {}).get("reference", ""))
