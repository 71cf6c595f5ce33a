"""Profiles put together: a StructureDefinition's differential laid over what it builds on. R4 profiling.html.

A Shape is one element (or slice) of a profile with all that the chain of profiles says of it; R4's own type, at the
end of the chain, stays in registry.Schema, so that a Shape holds only what is asked beyond it. What cannot be
understood is refused here, by DefinitionError, before the server starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from server.definitions.reference import STRUCTURE
from server.definitions.registry import Element, Registry, Schema, Variant

Json = Mapping[str, Any]

# What an ElementDefinition may say that a validator has nothing to do with.
SILENT = frozenset(
    {
        "id", "path", "sliceName", "sliceIsConstraining", "representation", "label", "code", "short", "definition",
        "comment", "requirements", "alias", "base", "meaningWhenMissing", "orderMeaning", "example", "condition",
        "mustSupport", "isModifier", "isModifierReason", "isSummary", "mapping", "extension",
    }
)  # fmt: skip


class DefinitionError(ValueError):
    """A StructureDefinition, or a value set it binds, that cannot be understood: which one, where in it, why."""

    def __init__(self, url: str, element: str, reason: str, file: Path | None = None) -> None:
        super().__init__(f"{f'{file}: ' if file else ''}{url}{f', element {element}' if element else ''}: {reason}")
        self.parts = (url, element, reason)

    def of_file(self, files: Mapping[str, Path]) -> DefinitionError:
        """The same with the file that it is about, when it was read from one."""
        return DefinitionError(*self.parts, files.get(self.parts[0]))


@dataclass(frozen=True, slots=True)
class Rule:
    """An invariant as a profile states it; `human` says what would be right."""

    key: str
    severity: str
    expression: str
    human: str


@dataclass(frozen=True, slots=True)
class Slicing:
    """`discriminators`: (type, path) of each; `rules`: open, openAtEnd or closed."""

    discriminators: tuple[tuple[str, str], ...]
    rules: str
    ordered: bool


@dataclass(slots=True)
class Shape:
    """What a profile asks of one element or slice.

    `name` is the element's without [x]; `holder` R4's own definition of it (None at the root); `variants` the types
    left to it, a Reference's targets as resource types; `profiles` those that its value must conform to as well;
    `fixed` and `patterns` JSON values; `children` and `slices` by their names, in the order of the definition.
    """

    id: str
    name: str
    holder: Element | None
    variants: tuple[Variant, ...]
    min: int = 0
    max: int | None = None
    profiles: tuple[str, ...] = ()
    fixed: list[Any] = field(default_factory=list)
    patterns: list[Any] = field(default_factory=list)
    binding: tuple[str, str] | None = None
    max_length: int | None = None
    rules: list[Rule] = field(default_factory=list)
    slicing: Slicing | None = None
    slice_name: str = ""
    slices: dict[str, Shape] = field(default_factory=dict)
    children: dict[str, Shape] = field(default_factory=dict)

    @property
    def many(self) -> bool:
        return self.holder is not None and self.holder.many


@dataclass(frozen=True, slots=True)
class Profile:
    """A StructureDefinition with its chain: `ancestors` are the URLs of the profiles it builds on; `contexts`, of
    an extension, the (type, expression) where it may stand."""

    url: str
    id: str
    type: str
    abstract: bool
    ancestors: tuple[str, ...]
    contexts: tuple[tuple[str, str], ...]
    root: Shape


class Snapshots:
    """The profiles of a registry, put together when first asked for."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._schema = registry.schema
        self._made: dict[str, Profile] = {}
        self._making: list[str] = []

    def all(self) -> list[Profile]:
        """Every StructureDefinition of the registry that constrains a type. DefinitionError for the first fault."""
        return [self.profile(definition["url"]) for definition in self._registry.of_type("StructureDefinition")]

    def profile(self, canonical: str) -> Profile:
        """The profile of this URL, |version or not. DefinitionError when it is unknown or cannot be understood."""
        url, _, version = canonical.partition("|")
        definition = self._registry.get(url, version or None)
        if definition is None or definition["resourceType"] != "StructureDefinition":
            raise DefinitionError(canonical, "", "no StructureDefinition of this URL is known.")
        if url in self._making:
            raise DefinitionError(url, "", f"it builds on itself, by {' and '.join(self._making)}.")
        if url not in self._made:
            self._making.append(url)
            self._made[url] = self._profile(url, definition)
            self._making.remove(url)
        return self._made[url]

    def _profile(self, url: str, definition: Json) -> Profile:
        type, base = definition.get("type", ""), definition.get("baseDefinition", "")
        if definition.get("derivation") != "constraint" or self._schema.type(type) is None:
            raise DefinitionError(url, "", f"only constraints of R4's types are understood, not of {type!r}.")
        ancestors: tuple[str, ...] = ()
        if base == f"{STRUCTURE}{type}":
            root = Shape(type, type, None, (Variant("", type),))
        else:
            if self._registry.get(base.partition("|")[0]) is None:
                raise DefinitionError(url, "", f"its base {base!r} is not known.")
            parent = self.profile(base)
            if parent.type != type:
                raise DefinitionError(url, "", f"it is of {type}, and what it builds on of {parent.type}.")
            root, ancestors = deepcopy(parent.root), (parent.url, *parent.ancestors)
        _Laying(url, self._schema, self._registry).lay(root, definition.get("differential", {}).get("element", []))
        contexts = tuple((one["type"], one["expression"]) for one in definition.get("context", []))
        return Profile(
            url, definition.get("id", url), type, bool(definition.get("abstract")), ancestors, contexts, root
        )


class _Laying:
    """One differential on its way over a shape."""

    def __init__(self, url: str, schema: Schema, registry: Registry) -> None:
        self._url = url
        self._schema = schema
        self._registry = registry
        self._at = ""

    def lay(self, root: Shape, elements: Iterable[Json]) -> None:
        for element in elements:
            self._at = element.get("id") or element.get("path", "")
            self._refine(self._found(root, self._at, element), element)

    def _refuse(self, reason: str) -> DefinitionError:
        return DefinitionError(self._url, self._at, reason)

    # ---- finding the shape

    def _found(self, root: Shape, id: str, element: Json) -> Shape:
        first, *steps = id.split(".")
        if first != root.id:
            raise self._refuse(f"the element is not of {root.id}.")
        shape = root
        for index, step in enumerate(steps):
            name, _, slice = step.partition(":")
            shape = self._child(shape, name)
            if slice:
                shape = self._slice(shape, slice, create=index == len(steps) - 1)
        if shape.slice_name != element.get("sliceName", shape.slice_name):
            raise self._refuse(f"its sliceName is {element['sliceName']!r}.")
        return shape

    def _child(self, parent: Shape, step: str) -> Shape:
        name = step.removesuffix("[x]")
        if name not in parent.children:
            types = {variant.type for variant in parent.variants}
            if len(types) > 1:
                raise self._refuse(f"{parent.id} has several types; state one of {', '.join(sorted(types))} first.")
            definition = self._schema.type(types.pop())
            holder = definition.elements.get(name) if definition else None
            if definition is None or holder is None or (step == name) == (holder.variants[0].key != name):
                raise self._refuse(f"{definition.name if definition else parent.id} has no {step}.")
            parent.children[name] = Shape(f"{parent.id}.{step}", name, holder, holder.variants, holder.min, holder.max)
        return parent.children[name]

    def _slice(self, shape: Shape, name: str, *, create: bool) -> Shape:
        if name not in shape.slices:
            if not create:
                raise self._refuse(f"the slice {name} is not defined before.")
            if shape.slicing is None and shape.name in ("extension", "modifierExtension"):
                shape.slicing = Slicing((("value", "url"),), "open", False)
            if shape.slicing is None:
                raise self._refuse(f"{shape.id} has no slicing.")
            if "/" in name:
                raise self._refuse("slices of slices are not understood.")
            shape.slices[name] = Shape(
                f"{shape.id}:{name}", shape.name, shape.holder, shape.variants, 0, shape.max, slice_name=name
            )
        return shape.slices[name]

    # ---- what the element says

    def _refine(self, shape: Shape, element: Json) -> None:
        for key, value in element.items():
            name = key.removeprefix("_")
            if name in SILENT:
                continue
            match name:
                case "min" | "max":
                    self._cardinality(shape, name, value)
                case "type":
                    self._types(shape, value)
                case "binding":
                    self._binding(shape, value)
                case "constraint":
                    shape.rules.extend(self._rule(one) for one in value)
                case "slicing":
                    self._slicing(shape, value)
                case "maxLength":
                    shape.max_length = value
                case _ if name.startswith(("fixed", "pattern")):
                    self._value(shape, name, value)
                case _:
                    raise self._refuse(f"{name} is not understood here.")

    def _cardinality(self, shape: Shape, name: str, value: Any) -> None:
        if shape.holder is None:
            return
        if name == "min":
            if value < shape.min:
                raise self._refuse(f"min {value} is below the {shape.min} of what it builds on.")
            shape.min = value
            return
        maximum = None if value == "*" else int(value)
        if shape.max is not None and (maximum is None or maximum > shape.max):
            raise self._refuse(f"max {value} is above the {shape.max} of what it builds on.")
        shape.max = maximum

    def _types(self, shape: Shape, types: Iterable[Json]) -> None:
        kept: list[Variant] = []
        profiles: list[str] = []
        for type in types:
            kept.append(self._variant(shape, type["code"], type))
            profiles.extend(type.get("profile", ()))
        shape.variants = tuple(kept)
        shape.profiles = tuple(profiles) or shape.profiles

    def _variant(self, shape: Shape, code: str, type: Json) -> Variant:
        targets = tuple(self._target(target) for target in type.get("targetProfile", ()))
        for variant in shape.variants:
            if code == self._plain(variant.type):
                any_target = not variant.targets or "Resource" in variant.targets
                beyond = [] if any_target else [one for one in targets if one not in variant.targets]
                if beyond:
                    raise self._refuse(f"{', '.join(beyond)} is no target of what it builds on.")
                return replace(variant, targets=targets or variant.targets)
            if variant.type == "Resource" and code in self._schema.resource_types:
                return Variant(variant.key, code)
        raise self._refuse(f"type {code} is none of what it builds on: {', '.join(v.type for v in shape.variants)}.")

    def _plain(self, type: str) -> str:
        """The type that a profile names for an element: of a backbone or SimpleQuantity what it is derived from."""
        definition = self._schema.type(type)
        derived = definition is not None and ("." in type or definition.kind == "constraint")
        return definition.base if definition is not None and derived else type

    def _target(self, canonical: str) -> str:
        """The resource type that a target profile is of."""
        url = canonical.partition("|")[0]
        name = url.removeprefix(STRUCTURE)
        if name in self._schema.resource_types or name == "Resource":
            return name
        definition = self._registry.get(url)
        if definition is None or definition["resourceType"] != "StructureDefinition":
            raise self._refuse(f"the target profile {canonical} is not known.")
        return str(definition["type"])

    def _binding(self, shape: Shape, binding: Json) -> None:
        strength, value_set = binding.get("strength", ""), binding.get("valueSet", "").partition("|")[0]
        if shape.binding is not None and shape.binding[0] == "required" and strength != "required":
            raise self._refuse(f"a binding that is required already cannot be {strength}.")
        shape.binding = (strength, value_set)

    def _rule(self, constraint: Json) -> Rule:
        if "expression" not in constraint:
            raise self._refuse(f"the constraint {constraint.get('key')} has no expression.")
        return Rule(constraint["key"], constraint["severity"], constraint["expression"], constraint.get("human", ""))

    def _slicing(self, shape: Shape, slicing: Json) -> None:
        discriminators = tuple((one["type"], one["path"]) for one in slicing.get("discriminator", ()))
        if not discriminators:
            raise self._refuse("a slicing without a discriminator cannot be decided.")
        if shape.slicing is not None and shape.slices and shape.slicing.discriminators != discriminators:
            raise self._refuse("its slices are told apart otherwise in what it builds on.")
        shape.slicing = Slicing(discriminators, slicing.get("rules", "open"), bool(slicing.get("ordered")))

    def _value(self, shape: Shape, name: str, value: Any) -> None:
        kind = "fixed" if name.startswith("fixed") else "pattern"
        type = name.removeprefix(kind)
        if not any(variant.type.lower() == type.lower() for variant in shape.variants):
            raise self._refuse(f"{name} does not fit {', '.join(variant.type for variant in shape.variants)}.")
        shape.variants = tuple(variant for variant in shape.variants if variant.type.lower() == type.lower())
        values = shape.fixed if kind == "fixed" else shape.patterns
        if value not in values:
            values.append(value)
