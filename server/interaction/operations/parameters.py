"""An operation's parameters, of the URL and of a Parameters resource, read alike; and Parameters to answer with."""

from __future__ import annotations

from datetime import date
from typing import Any

from server.interaction.engine import Engine
from server.operations import Call
from server.outcome import FhirError, invalid
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

    def identifier(self, name: str) -> str | None:
        """An Identifier as SYSTEM|VALUE, or the text that stands for one in a URL."""
        value = self._first(name)
        if isinstance(value, dict):
            value = "|".join(str(value[part]) for part in ("system", "value") if value.get(part))
        if value is None or (isinstance(value, str) and value):
            return value
        raise _wrong(name, "an Identifier, or its value as text")

    def day(self, name: str) -> date | None:
        """A date of ten characters."""
        text = self.text(name)
        if text is None:
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise _wrong(name, "a date such as 2021-11-30") from None

    @property
    def names(self) -> tuple[str, ...]:
        """The names that were given, in the order of their coming."""
        return tuple(self._values)

    def _first(self, name: str) -> Any:
        return next(iter(self._values.get(name, ())), None)


# Of the answer's form.
_ALWAYS = ("_format", "_pretty")


def asked_of(engine: Engine, call: Call, definition: str) -> Asked:
    """The parameters of a call of our operation with this id. FhirError for a body that is no Parameters, and
    not-supported (400) for a parameter that its OperationDefinition does not have: a misspelt one must not be lost."""
    if call.body is not None and (faults := engine.form_faults(call.body, "Parameters")):
        raise invalid(faults)
    asked = Asked(call)
    operation = engine.registry.get(f"{engine.access.canonical}/OperationDefinition/{definition}") or {}
    known = [str(one["name"]) for one in operation.get("parameter", ()) if one["use"] == "in"]
    known += ["_asOf"] if "asOf" in known else []
    for name in asked.names:
        if name not in known and name not in _ALWAYS:
            text = f"Ukjent parameter / unknown parameter «{name}»; kjente / known: {', '.join(known)}."
            raise FhirError("not-supported", text, expression=name)
    return asked


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
