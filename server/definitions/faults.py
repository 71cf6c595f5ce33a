"""What the validator says, and where: every function adds one issue. Called only when something is wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, TypeAlias

from server.definitions.primitives import JSON_NAMES, PRIMITIVES
from server.definitions.registry import Element, Type, Variant
from server.outcome import Issue

# A step into a resource: the place above, the element's name, its index in an array or -1, levels so far.
# A plain tuple, because one is made for every object of a resource (30 ns; a NamedTuple costs 200).
Place: TypeAlias = "tuple[Place | None, str, int, int]"

Met: TypeAlias = "tuple[dict[str, Any], Place]"


class Issues(list[Issue]):
    """The issues so far, and what a check must know beside its value: `resource` and `root` are %resource and
    %rootResource of invariants; `extensions` and `codings` those met on the way, with their places; `judging`:
    invariants are evaluated, not the form alone; `known_faults`: the form was judged before, and had faults."""

    __slots__ = ("_ids", "codings", "extensions", "judging", "known_faults", "resource", "root")

    def __init__(self, resource: Any, *, judging: bool = True, known_faults: bool = False) -> None:
        super().__init__()
        self.resource: dict[str, Any] = resource if type(resource) is dict else {}
        self.root = self.resource
        self._ids: tuple[dict[str, Any], frozenset[str]] | None = None
        self.extensions: list[Met] = []
        self.codings: list[Met] = []
        self.judging = judging
        self.known_faults = known_faults

    @property
    def contained_ids(self) -> frozenset[str]:
        """Of the resources within `root`, gathered once."""
        if self._ids is None or self._ids[0] is not self.root:
            contained = self.root.get("contained", ())
            self._ids = self.root, frozenset(one["id"] for one in contained if "id" in one)
        return self._ids[1]

    @property
    def ill_formed(self) -> bool:
        """Whether a value may be out of R4's form."""
        return self.known_faults or len(self) > 0


DEEPEST = 100
"""Levels of elements. R4 sets no limit, but no honest resource comes near it."""
HINTED = 50
"""Issues that get a "did you mean": each costs up to a millisecond, and a body has room for 100 000 faults."""


def path(place: Place) -> str:
    """As FHIRPath with indices: "Task.input[2].value"."""
    steps: list[str] = []
    step: Place | None = place
    while step is not None:
        above, name, index, _ = step
        steps.append(name if index < 0 else f"{name}[{index}]")
        step = above
    return ".".join(reversed(steps))


def wrong_shape(value: Any, expected: str, where: str, issues: Issues) -> None:
    """`expected`: object or array. Also for empty ones, which R4's JSON does not have."""
    norwegian = {"object": "objekt", "array": "liste"}[expected]
    found = "an empty one" if value in ({}, []) else json_name(value)
    text = f"Her ventes {norwegian} / A JSON {expected} with content was expected here, not {found}."
    issues.append(Issue("structure", text, where))


def too_deep(where: str, issues: Issues) -> None:
    text = f"For dypt / Too deep: at most {DEEPEST} levels of elements are read; what is below was not checked."
    issues.append(Issue("structure", text, where))


def unknown(key: str, definition: Type, where: str, issues: Issues) -> None:
    """A JSON key that the type does not have."""
    text = f"Ukjent element / Unknown element: {definition.name} has no {shown(key)}"
    where = f"{where}.{identifier(key)}"
    for element in definition.elements.values():
        if len(element.variants) > 1 and key.lstrip("_").startswith(element.name):
            keys = [variant.key for variant in element.variants]
            near = "" if key == element.name else hint(key, keys, issues)
            near = near or f"; {element.name}[x] may be {listed(keys)}"
            return issues.append(Issue("structure", f"{text}{near}.", where))
    known = [variant.key for element in definition.elements.values() for variant in element.variants]
    return issues.append(Issue("structure", f"{text}{hint(key, known, issues)}.", where))


def missing(element: Element, where: str, issues: Issues) -> None:
    place = f"{where}.{element.name}"
    text = f"Mangler / Missing: {place} is required ({element.min}..{maximum(element)})."
    issues.append(Issue("required", text, place))


def count(found: int, element: Element, where: str, issues: Issues) -> None:
    code = "required" if found < element.min else "structure"
    text = f"Feil antall / Wrong number: {found} given, {element.min}..{maximum(element)} allowed."
    issues.append(Issue(code, text, where))


def second_choice(element: Element, variant: Variant, first: str, where: str, issues: Issues) -> None:
    text = f"Bare én / Only one: {variant.key} beside {first}; {element.name}[x] has one value."
    issues.append(Issue("structure", text, f"{where}.{element.name}"))


def bad_primitive(type: str, value: Any, where: str, issues: Issues) -> None:
    code, right = PRIMITIVES[type].fault(value)
    issues.append(Issue(code, f"Ugyldig / Not valid: {shown(value)} is no {type}: {right}.", where))


def bad_code(value: Any, value_set: str, codes: Collection[str], where: str, issues: Issues) -> None:
    """`codes` empty: a set known by its form only, the currencies."""
    has = f"it has {listed(sorted(codes))}" if codes else "expected three capital letters (ISO 4217)"
    text = f"Ukjent kode / Unknown code: {shown(value)} is not in {value_set}{hint(value, codes, issues)}; {has}."
    issues.append(Issue("code-invalid", text, where))


def bad_concept(value_set: str, systems: Mapping[str, Iterable[str]], where: str, issues: Issues) -> None:
    text = f"Ukjent kode / Unknown code: a coding from {value_set} ({listed(sorted(systems))}) is required here."
    issues.append(Issue("code-invalid", text, where))


def stray_null(where: str, issues: Issues) -> None:
    text = "null her / null here: only in an array of a primitive type, where the array beside it has an object."
    issues.append(Issue("structure", text, where))


def unaligned(key: str, where: str, issues: Issues) -> None:
    text = f"Ulik lengde / Not aligned: {key} and _{key} must have the same length, with null where one has nothing."
    issues.append(Issue("structure", text, where))


def wrong_resource_type(found: Any, known: Collection[str], where: str, issues: Issues) -> None:
    if found is None:
        text = "Mangler / Missing: resourceType is required."
    else:
        text = f"Ukjent ressurstype / Unknown resource type: {shown(found)}{hint(found, known, issues)}."
    issues.append(Issue("structure", text, f"{where}.resourceType"))


def maximum(element: Element) -> str:
    return "*" if element.max is None else str(element.max)


def json_name(value: Any) -> str:
    return JSON_NAMES.get(type(value), type(value).__name__)


def identifier(key: str) -> str:
    """A JSON key as FHIRPath writes it: between backticks when it is no name, and never long."""
    return key if key.isidentifier() and len(key) <= 64 else f"`{ascii(key[:64])[1:-1]}`"


def shown(value: Any) -> str:
    """A value in a text: short, on one line, and safe to encode."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > 64:
        return "a number beyond 64 bits"
    if value is None or isinstance(value, dict | list):
        return json_name(value)
    text = str(value)
    start = text[:60] if text[:60].isprintable() else ascii(text[:60])[1:-1]
    return f'"{start}…"' if len(text) > 60 else f'"{start}"'


def hint(value: Any, known: Collection[str], issues: Issues) -> str:
    """ "; did you mean …?" when one of `known` is near."""
    if not isinstance(value, str) or len(value) > 60 or len(issues) > HINTED:
        return ""
    near = get_close_matches(value, known, n=1, cutoff=0.7)
    return f"; did you mean {near[0]}?" if near else ""


def listed(codes: Collection[str]) -> str:
    first = list(codes)[:12]
    return ", ".join(first) + (" …" if len(codes) > len(first) else "")
