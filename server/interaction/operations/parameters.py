"""An operation's parameters, of the URL and of a Parameters resource, read alike; and Parameters to answer with."""

from __future__ import annotations

from typing import Any

from server.operations import Call
from server.outcome import FhirError
from server.resource import Resource


class Asked:
    """The parameters of one call. FhirError invalid for a body that is no Parameters."""

    def __init__(self, call: Call) -> None:
        self._values: dict[str, list[Any]] = {}
        for name, text in call.parameters:
            self._values.setdefault(name, []).append(text)
        for one in _rows(call.body):
            value = next((item for key, item in one.items() if key.startswith("value") or key == "resource"), None)
            self._values.setdefault(str(one.get("name", "")), []).append(value)

    def text(self, name: str) -> str | None:
        """The first value, where it is a text."""
        value = self._first(name)
        if value is None or isinstance(value, str):
            return value
        raise _wrong(name, "a text")

    def needed(self, name: str) -> str:
        """The text. FhirError required when it is not given."""
        value = self.text(name)
        if not value:
            raise FhirError(
                "required", f"Parameteren {name} mangler / The parameter {name} is missing.", expression=name
            )
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self._first(name)
        if value is None:
            return default
        if value in (True, "true"):
            return True
        if value in (False, "false"):
            return False
        raise _wrong(name, "true or false")

    def number(self, name: str) -> int | None:
        """A whole number from 0."""
        value = self._first(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
            return value
        if isinstance(value, str) and value.isascii() and value.isdigit():
            return int(value[:9])
        raise _wrong(name, "a whole number from 0")

    def object(self, name: str) -> Resource | None:
        """A value with elements: a Coding, a CodeableConcept, a resource."""
        value = self._first(name)
        if value is None or isinstance(value, dict):
            return value
        raise _wrong(name, "an object, in a Parameters that is posted")

    def objects(self, name: str) -> list[Resource]:
        """All values with elements, in their order; empty when none is given."""
        values = self._values.get(name, [])
        if all(isinstance(value, dict) for value in values):
            return list(values)
        raise _wrong(name, "objects, in a Parameters that is posted")

    def given(self, name: str) -> bool:
        """Whether there is a value at all."""
        return self._first(name) is not None

    def _first(self, name: str) -> Any:
        return next(iter(self._values.get(name, ())), None)


def _rows(body: Resource | None) -> list[dict[str, Any]]:
    if body is None:
        return []
    rows = body.get("parameter", [])
    if body.get("resourceType") != "Parameters" or not isinstance(rows, list):
        raise FhirError("invalid", "Operasjonen tar Parameters / The operation takes a Parameters resource.")
    return [row for row in rows if isinstance(row, dict)]


def _wrong(name: str, expected: str) -> FhirError:
    return FhirError("value", f"{name}: expected {expected}.", expression=name)


def parameters(*rows: Resource | None) -> Resource:
    """The Parameters of these rows, those that are None left out."""
    return {"resourceType": "Parameters", "parameter": [row for row in rows if row is not None]}


def row(name: str, **value: Any) -> Resource | None:
    """One parameter; None when its value is None or empty. `parts` are rows themselves."""
    ((key, content),) = value.items()
    if content is None or content == "":
        return None
    if key == "parts":
        return {"name": name, "part": [part for part in content if part is not None]}
    return {"name": name, key: content}
