"""What a Reference may say and point to. R4 references.html."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from server.definitions.faults import shown

STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"

_VERSION = r"(?:/_history/[A-Za-z0-9.-]{1,64})?"
_relative = re.compile(rf"([A-Za-z]+)/[A-Za-z0-9.-]{{1,64}}{_VERSION}").fullmatch
_conditional = re.compile(r"([A-Za-z]+)\?\S+").fullmatch
_absolute = re.compile(rf"[A-Za-z][A-Za-z0-9+.-]*:\S*/([A-Za-z]+)/[A-Za-z0-9.-]{{1,64}}{_VERSION}").fullmatch
_scheme = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+").fullmatch

Fault = tuple[str, str]
"""The element of the Reference that is wrong, and what would be right."""


def is_plain(reference: dict[str, Any], allowed: frozenset[str]) -> bool:
    """Whether it is what nearly all are, "Type/id" of an allowed type and no stated type: nothing more to ask."""
    address = reference.get("reference")
    if not isinstance(address, str) or "type" in reference:
        return False
    match = _relative(address)
    return match is not None and match[1] in allowed


def reference_faults(reference: dict[str, Any], targets: frozenset[str], known: frozenset[str]) -> Iterator[Fault]:
    """What is wrong with a Reference that may point to `targets` (empty: any of `known`, the resource types).

    The strings themselves are checked by their type; here only what they mean.
    """
    address, named = reference.get("reference"), reference.get("type")
    pointed = None
    if isinstance(address, str) and address:
        pointed = target_type(address, known)
        if pointed is None and not _is_untyped(address):
            yield "reference", f"{shown(address)} is no Type/id, Type?criteria, #id or absolute URL of a known type."
    if pointed and targets and pointed not in targets:
        yield "reference", f"{pointed} may not be pointed to here, only {', '.join(sorted(targets))}."
    if isinstance(named, str) and named:
        yield from _type_faults(named, pointed, targets, known)


def _type_faults(named: str, pointed: str | None, targets: frozenset[str], known: frozenset[str]) -> Iterator[Fault]:
    type = named.removeprefix(STRUCTURE)
    if type not in known and (targets or "/" not in type):
        yield "type", f"{shown(named)} is no resource type."
    elif targets and type not in targets:
        yield "type", f"{type} may not be pointed to here, only {', '.join(sorted(targets))}."
    elif pointed and type in known and type != pointed:
        yield "type", f"{type} contradicts the reference, which points to {pointed}."


def target_type(address: str, known: frozenset[str]) -> str | None:
    """The resource type that a reference names: "Task/1", "Task?identifier=…", "https://host/fhir/Task/1".
    None when it names none that is known."""
    match = _relative(address) or _conditional(address) or _absolute(address)
    return match[1] if match and match[1] in known else None


def _is_untyped(address: str) -> bool:
    """A form that need not tell its type: #id, urn:uuid:…, or any absolute URL."""
    return (address.startswith("#") and " " not in address) or _scheme(address) is not None
