"""What the standard and we have defined: R4's tables (Schema) and the resources in profiles/ (Registry).

The tables in r4/ are written by scripts/r4_definitions, which describes their columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

R4 = Path(__file__).parent / "r4"
CANONICAL = "http://eportefolje.example/fhir"
"""The canonical base that the files in profiles/ are written with."""

_base = re.compile(re.escape(CANONICAL) + r'(?=[/"|])')


class Child(NamedTuple):
    """An element below a type: its JSON keys with their types, several for a choice; `many`: a JSON array."""

    keys: tuple[tuple[str, str], ...]
    many: bool


@dataclass(frozen=True, slots=True)
class Constraint:
    """An invariant: `severity` is error or warning, `expression` FHIRPath with the element as its context."""

    key: str
    severity: str
    expression: str


@dataclass(frozen=True, slots=True)
class Variant:
    """One type that an element may have. `key` is its JSON key, `type` the type to read it by: "Period",
    "Task.restriction", or SimpleQuantity, the one profile of a datatype that R4's own elements use;
    `targets` the types that a Reference or canonical may point to, empty for any."""

    key: str
    type: str
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Element:
    """An element as its type defines it. `name` is without [x]; `max` None is *; `required` is the URL of
    the value set that it is bound to as required, "" for none; `summary`: _summary=true shows it."""

    name: str
    min: int
    max: int | None
    variants: tuple[Variant, ...]
    required: str = ""
    summary: bool = False
    constraints: tuple[Constraint, ...] = ()

    @property
    def many(self) -> bool:
        return self.max is None or self.max > 1


@dataclass(frozen=True, slots=True)
class Type:
    """A resource type, datatype or backbone path ("Task.restriction"), with inherited elements and rules.

    `kind` is primitive-type, complex-type, resource or constraint (SimpleQuantity, MoneyQuantity).
    """

    name: str
    kind: str
    base: str
    abstract: bool
    elements: Mapping[str, Element]
    constraints: tuple[Constraint, ...]


class Schema:
    """R4's types. Reads its table at once (4 ms) and builds each type when first asked for."""

    def __init__(self, folder: Path = R4) -> None:
        self._folder = folder
        self._rows: dict[str, dict[str, Any]] = msgspec.json.decode((folder / "types.json").read_bytes())
        self._types: dict[str, Type] = {}
        self._children: dict[tuple[str, str], Child | None] = {}
        self.resource_types = frozenset(
            name for name, row in self._rows.items() if row["kind"] == "resource" and "abstract" not in row
        )

    def child(self, type: str, name: str) -> Child | None:
        """The element `name` (without [x]) of a datatype, resource type or backbone path; None if it has none.

        A contentReference is resolved: PlanDefinition.action.action is of type "PlanDefinition.action".
        """
        if (type, name) not in self._children:
            self._children[type, name] = self._child(type, name)
        return self._children[type, name]

    def _child(self, type: str, name: str) -> Child | None:
        definition = self.type(type)
        element = definition.elements.get(name) if definition else None
        if element is None:
            return None
        return Child(tuple((v.key, self._plain(v.type)) for v in element.variants), element.many)

    def is_subtype(self, type: str, ancestor: str) -> bool:
        """Whether `type` is `ancestor` or derived from it: Age of Quantity, Task of Resource, id of string."""
        current: str | None = type
        while current and current != ancestor:
            definition = self.type(current)
            current = definition.base if definition else None
        return current == ancestor

    def type(self, name: str) -> Type | None:
        """The definition of a type or backbone path; None when R4 has none of that name."""
        if name not in self._types:
            root, _, path = name.partition(".")
            row = self._rows.get(root)
            if row is None or (path and path not in row["elements"]):
                return None
            self._types[name] = self._backbone(root, path) if path else self._top(root)
        return self._types[name]

    def summary(self, resource_type: str) -> frozenset[str]:
        """The JSON keys at the top of a resource that _summary=true shows: R4's summary elements, and those that
        must be there. R4 search.html#summary."""
        definition = self.type(resource_type)
        elements = definition.elements.values() if definition else ()
        return frozenset(v.key for element in elements if element.summary or element.min for v in element.variants)

    def codes(self, value_set: str) -> Mapping[str, frozenset[str]] | None:
        """System -> codes of a value set that R4 binds as required; None for one that cannot be listed."""
        return self._value_sets.get(value_set)

    @cached_property
    def _value_sets(self) -> dict[str, dict[str, frozenset[str]]]:
        table = msgspec.json.decode((self._folder / "valuesets.json").read_bytes())
        return {url: {system: frozenset(codes) for system, codes in systems.items()} for url, systems in table.items()}

    def _plain(self, type: str) -> str:
        """SimpleQuantity is a profile: its type is Quantity."""
        row = self._rows.get(type)
        return str(row["base"]) if row and row["kind"] == "constraint" else type

    def _top(self, name: str) -> Type:
        row = self._rows[name]
        base = row.get("base", "")
        return self._built(name, row["kind"], base, row, [path for path in row["elements"] if "." not in path])

    def _backbone(self, root: str, path: str) -> Type:
        row = self._rows[root]["elements"][path]
        below = [p for p in self._rows[root]["elements"] if p.startswith(f"{path}.") and "." not in p[len(path) + 1 :]]
        base = next(iter(row["types"]))
        return self._built(f"{root}.{path}", "complex-type", base, row, below)

    def _built(self, name: str, kind: str, base: str, row: dict[str, Any], paths: list[str]) -> Type:
        parent = self.type(base) if base else None
        elements = dict(parent.elements) if parent else {}
        for path in paths:
            element = self._element(name.partition(".")[0], path)
            elements[element.name] = element
        rules = (parent.constraints if parent else ()) + constraints(row)
        return Type(name, kind, base, "abstract" in row, elements, rules)

    def _element(self, root: str, path: str) -> Element:
        row = self._rows[root]["elements"][path]
        name = path.rpartition(".")[2]
        strength, value_set = row.get("binding", ("", ""))
        variants = tuple(self._variants(root, path, name, row))
        return Element(
            name=name.removesuffix("[x]"),
            min=row.get("min", 0),
            max=None if row.get("max") == "*" else int(row.get("max", 1)),
            variants=variants,
            required=value_set if strength == "required" else "",
            summary="summary" in row,
            # The rules of a backbone stand at its type, for all elements that share it.
            constraints=() if "." in variants[0].type else constraints(row),
        )

    def _variants(self, root: str, path: str, name: str, row: dict[str, Any]) -> Iterator[Variant]:
        if "content" in row:
            yield Variant(name, row["content"])
        elif any(other.startswith(f"{path}.") for other in self._rows[root]["elements"]):
            yield Variant(name, f"{root}.{path}")
        else:
            choice = name.removesuffix("[x]")
            for type, targets in row["types"].items():
                plain = self._plain(type)
                key = name if choice == name else choice + plain[0].upper() + plain[1:]
                yield Variant(key, type, tuple(targets))


def constraints(row: Mapping[str, Any]) -> tuple[Constraint, ...]:
    return tuple(Constraint(*rule) for rule in row.get("constraints", ()))


class Registry:
    """The definitions in force: R4's tables and the resources in profiles/ (`resources`, in order of their
    files), found by canonical URL or type. `files`: where each URL was read from, for what is said of faults."""

    def __init__(
        self, schema: Schema, resources: Sequence[Mapping[str, Any]], files: Mapping[str, Path] | None = None
    ) -> None:
        self.schema = schema
        self.files = files or {}
        self.resources = tuple(resources)
        self._by_type: dict[str, list[Mapping[str, Any]]] = {}
        self._by_url: dict[str, list[Mapping[str, Any]]] = {}
        for resource in resources:
            self._by_type.setdefault(resource["resourceType"], []).append(resource)
            if "url" in resource:
                self._by_url.setdefault(resource["url"], []).append(resource)

    @classmethod
    def load(cls, profiles: Path, canonical: str = CANONICAL) -> Registry:
        """Reads R4's tables and every .json below `profiles` but in its examples/, in order of their paths.

        `canonical` replaces the base that the files are written with. ValueError names the file that is
        no JSON, no R4 resource, or defines what another file defines already.
        """
        if not profiles.is_dir():
            raise ValueError(f"{profiles}: no folder of definitions is there.")
        schema = Schema()
        resources: list[Mapping[str, Any]] = []
        seen: dict[tuple[str, str | None], Path] = {}
        for file in sorted(file for file in profiles.rglob("*.json") if profiles / "examples" not in file.parents):
            resource = _read(file, canonical, schema)
            key = (resource.get("url", ""), resource.get("version"))
            if key[0] and key in seen:
                raise ValueError(f"{file}: {key[0]} is defined in {seen[key]} already.")
            seen[key] = file
            resources.append(resource)
        return cls(schema, resources, {url: file for (url, _), file in seen.items() if url})

    @property
    def resource_types(self) -> frozenset[str]:
        """The resource types of R4, abstract ones left out."""
        return self.schema.resource_types

    def get(self, url: str, version: str | None = None) -> Mapping[str, Any] | None:
        """The definition with this canonical URL (without |version), of this version or else the last one."""
        found = [one for one in self._by_url.get(url, ()) if version in (None, one.get("version"))]
        return max(found, key=_version_order, default=None)

    def of_type(self, resource_type: str) -> tuple[Mapping[str, Any], ...]:
        """The definitions of one type, in order of their files."""
        return tuple(self._by_type.get(resource_type, ()))

    @cached_property
    def search_parameters_r4(self) -> tuple[Mapping[str, Any], ...]:
        """R4's own: code, url, type, base, expression ("" for none), target, component (definition, expression)."""
        return tuple(msgspec.json.decode((R4 / "search-parameters.json").read_bytes()))


def _version_order(resource: Mapping[str, Any]) -> list[tuple[int, str]]:
    """1.10.0 after 1.9.0."""
    parts = str(resource.get("version", "")).split(".")
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _read(file: Path, canonical: str, schema: Schema) -> Mapping[str, Any]:
    try:
        text = file.read_text("utf-8")
        if canonical != CANONICAL:
            text = _base.sub(lambda _: canonical, text)
        resource = msgspec.json.Decoder(float_hook=Decimal).decode(text)
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise ValueError(f"{file}: not JSON: {error}") from error
    if not isinstance(resource, dict):
        raise ValueError(f"{file}: a JSON object with a resourceType was expected.")
    if resource.get("resourceType") not in schema.resource_types:
        raise ValueError(f"{file}: {resource.get('resourceType')!r} is no resource type of R4.")
    for name in ("url", "version"):
        if not isinstance(resource.get(name, ""), str):
            raise ValueError(f"{file}: {name} is no string.")
    return resource
