"""The parties that a resource names: the references at a path such as `input[motpart].valueReference`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from server.access.elements import slices
from server.resource import Resource

CONTACT_REFERENCE = "http://hl7.org/fhir/StructureDefinition/cqf-contactReference"


def owner_of(initiative: Resource) -> str:
    """The reference of the organisation that owns the initiative (Aktør/Eier), or ""."""
    return next(references_at(initiative, "author.extension[cqf-contactReference].valueReference"), "")


def references_at(resource: Resource, path: str) -> Iterator[str]:
    """The local references at the path, through lists; a name in brackets is a slice. The empty path is the
    resource itself."""
    if not path:
        yield f"{resource['resourceType']}/{resource.get('id', '')}"
        return
    found: list[Any] = [resource]
    for step in path.split("."):
        key, _, slice = step.removesuffix("]").partition("[")
        found = [
            item
            for one in found
            if isinstance(one, dict)
            for item in _items(one.get(key))
            if not slice or slice in slices(key, item, "")
        ]
    for one in found:
        if isinstance(one, dict) and isinstance(one.get("reference"), str):
            yield one["reference"]


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
