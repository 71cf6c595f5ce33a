"""The SearchParameters in force: R4's for the served types and our own from profiles/. R4 searchparameter.html."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from server.definitions.fhirpath import Expression, FhirPathError, compile
from server.definitions.registry import Registry, Schema

SearchType = Literal["number", "date", "string", "token", "reference", "composite", "quantity", "uri", "special"]


@dataclass(frozen=True, slots=True)
class Component:
    """A part of a composite: `expression` is relative to the composite's own element."""

    type: SearchType
    expression: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter as it stands for one resource type.

    `key` is what its index rows are filed under ("Task.status"). `targets` (references only) are the types
    it may point to, empty for any. `canonical`: the reference is a canonical URL, matched against `url`. `generation`:
    the ordinal of the stored version that defines it, 0 for R4's and those of profiles/. Each generation files its
    rows apart, so that no row is ever taken for one of another definition.
    """

    resource_type: str
    code: str
    type: SearchType
    expression: str
    url: str
    targets: frozenset[str] = frozenset()
    canonical: bool = False
    components: tuple[Component, ...] = ()
    generation: int = 0

    @property
    def key(self) -> str:
        own = f"#{self.generation}" if self.generation else ""
        return f"{self.resource_type}.{self.code}{own}"


Stored = tuple[int, Mapping[str, Any]]
"""(ordinal of its version, SearchParameter)"""


class Parameters:
    """All parameters, by resource type. R4's are read at once and made for a type when first asked for; those
    of profiles/ are made, and so compiled, when this is; stored ones come and go with `adopt`.

    `newest`: the ordinal of the newest SearchParameter version that is taken account of."""

    def __init__(self, registry: Registry) -> None:
        """ValueError names the SearchParameter of profiles/ that cannot be used, and why."""
        self._registry = registry
        self._schema = registry.schema
        self.newest = 0
        self.stored: tuple[Stored, ...] = ()
        self._begin()

    def _begin(self) -> None:
        self._definitions: dict[str, Mapping[str, Any]] = {}
        self._by_base: dict[str, dict[str, Mapping[str, Any]]] = {}
        self._made: dict[str, dict[str, Parameter]] = {}
        self._generations: dict[str, int] = {}
        self._types: dict[str, set[str]] | None = None
        for definition in self._registry.search_parameters_r4:
            self._enter(definition)
        own = [one for one in self._registry.of_type("SearchParameter") if one.get("status") != "retired"]
        for resource in own:
            self._definitions[resource.get("url", "")] = resource
        for resource in own:
            self._enter_own(resource, "profiles/")

    def adopt(self, stored: Sequence[Stored], newest: int) -> list[str]:
        """Takes these stored SearchParameters into force instead of those before; gives the faults of those that
        cannot be. One that profiles/ or R4 defines already is left to them."""
        self._begin()
        self.newest = newest
        faults, taken = [], []
        for ordinal, resource in sorted(stored, key=lambda one: one[0]):
            if resource.get("status") != "active" or self.is_shipped(resource.get("url", "")):
                continue
            try:
                self.enter(resource, ordinal)
                taken.append((ordinal, resource))
            except ValueError as error:
                faults.append(str(error))
        self.stored = tuple(taken)
        return faults

    def is_shipped(self, url: str) -> bool:
        """Whether R4 or profiles/ defines the parameter with this URL."""
        return url in self._definitions and url not in self._generations

    def definition(self, url: str) -> Mapping[str, Any] | None:
        return self._definitions.get(url)

    def enter(self, resource: Mapping[str, Any], generation: int) -> None:
        """One more. ValueError says what is wrong with it, and then it is not in force."""
        by_base = {base: dict(codes) for base, codes in self._by_base.items()}
        url = str(resource.get("url", ""))
        try:
            self._generations[url] = generation
            self._definitions[url] = resource
            self._enter_own(resource, "")
        except ValueError:
            self._by_base = by_base
            del self._generations[url], self._definitions[url]
            raise
        finally:
            self._made, self._types = {}, None

    def of_generation(self, generation: int) -> tuple[Parameter, ...]:
        """Those that one stored version defines, one for each of its bases."""
        found = [resource for ordinal, resource in self.stored if ordinal == generation]
        return tuple(self._parameter(resource, base) for resource in found for base in resource["base"])

    def trial(self, without: Collection[str]) -> Parameters:
        """Others like these, less the stored ones of these ids, to try a definition on."""
        other = Parameters(self._registry)
        other.adopt([one for one in self.stored if one[1].get("id") not in without], self.newest)
        return other

    def types_of(self, code: str) -> frozenset[str]:
        """The types of all parameters of this code, whatever their resource; empty for an unknown one."""
        if self._types is None:
            self._types = {}
            for one in self._definitions.values():
                self._types.setdefault(str(one.get("code")), set()).add(str(one.get("type")))
        return frozenset(self._types.get(code, ()))

    def find(self, resource_type: str, code: str) -> Parameter | None:
        return self._of(resource_type).get(code)

    def of(self, resource_type: str) -> tuple[Parameter, ...]:
        """Those of one type, in order of their codes; the ones that all resources share are among them."""
        return tuple(self._of(resource_type).values())

    def _of(self, resource_type: str) -> dict[str, Parameter]:
        if resource_type not in self._made:
            found = {
                code: definition
                for base in ("Resource", "DomainResource", resource_type)
                if self._schema.is_subtype(resource_type, base)
                for code, definition in self._by_base.get(base, {}).items()
            }
            self._made[resource_type] = {code: self._parameter(found[code], resource_type) for code in sorted(found)}
        return self._made[resource_type]

    def _enter(self, definition: Mapping[str, Any]) -> None:
        self._definitions[definition["url"]] = definition
        for base in definition["base"]:
            # _text, _content and _query have no expression: they name no element that could be indexed.
            if definition["expression"]:
                self._by_base.setdefault(base, {})[definition["code"]] = definition

    def _enter_own(self, resource: Mapping[str, Any], where: str) -> None:
        name = f"SearchParameter {resource.get('url') or resource.get('id')}" + (f" ({where})" if where else "")
        missing = [key for key in ("url", "code", "base", "type", "expression") if not resource.get(key)]
        if missing:
            raise ValueError(f"{name}: {', '.join(missing)} is missing.")
        if resource["type"] not in get_args(SearchType):
            raise ValueError(f"{name}: {resource['type']!r} is no type of a search parameter.")
        for base in resource["base"]:
            if resource["code"] in self._by_base.get(base, {}):
                raise ValueError(f"{name}: {base} has a search parameter {resource['code']!r} already.")
            self._by_base.setdefault(base, {})[resource["code"]] = resource
            try:
                check(self._parameter(resource, base), self._schema)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None

    def _parameter(self, definition: Mapping[str, Any], resource_type: str) -> Parameter:
        type: SearchType = definition["type"]
        expression = compile(definition["expression"], resource_type, self._schema)
        return Parameter(
            resource_type=resource_type,
            code=definition["code"],
            type=type,
            expression=definition["expression"],
            url=definition["url"],
            targets=self._targets(definition) if type == "reference" else frozenset(),
            canonical=type == "reference" and _is_canonical(expression),
            components=tuple(self._component(one) for one in definition.get("component", ())),
            generation=self._generations.get(definition["url"], 0),
        )

    def _targets(self, definition: Mapping[str, Any]) -> frozenset[str]:
        targets = frozenset(definition.get("target", ()))
        # R4 writes "any" as the list of all types but Parameters, which nothing can point to.
        any_type = "Resource" in targets or targets >= self._schema.resource_types - {"Parameters"}
        return frozenset() if any_type else targets

    def _component(self, component: Mapping[str, Any]) -> Component:
        url = component["definition"].partition("|")[0]
        definition = self._definitions.get(url)
        if definition is None:
            raise ValueError(f"its component {url} is not defined.")
        if definition["type"] in ("composite", "special"):
            raise ValueError(f"its component {url} is {definition['type']}, which no component can be.")
        return Component(definition["type"], component["expression"])


def _is_canonical(expression: Expression) -> bool:
    return bool(expression.types) and (expression.types or frozenset()) <= {"canonical", "uri", "url"}


_URIS = frozenset({"uri", "url", "canonical", "oid", "uuid"})
_TEXTS = frozenset({"string", "markdown", "code", "id"}) | _URIS

# What each search type can be taken from. R4 search.html, "Search Parameter Types".
INDEXED: dict[SearchType, frozenset[str]] = {
    "number": frozenset({"integer", "positiveInt", "unsignedInt", "decimal"}),
    "date": frozenset({"date", "dateTime", "instant", "Period", "Timing"}),
    "string": _TEXTS | {"HumanName", "Address"},
    "token": _TEXTS | {"Coding", "CodeableConcept", "Identifier", "ContactPoint", "boolean"},
    "reference": _URIS | {"Reference", "Composition", "MessageHeader"},
    "quantity": frozenset({"Quantity", "Age", "Count", "Distance", "Duration", "Money", "Range"}),
    "uri": _URIS,
}


def check(parameter: Parameter, schema: Schema) -> None:
    """Whether rows can come of it at all. FhirPathError for an expression or component that is refused, or that
    gives what its search type has no rows for."""
    expression = compile(parameter.expression, parameter.resource_type, schema)
    if expression.types is not None and not expression.types:
        raise FhirPathError(f"{parameter.expression!r} leads to nothing in {parameter.resource_type}.")
    if parameter.type == "composite":
        _check_components(parameter, expression, schema)
    else:
        _check_types(parameter.type, expression)


def _check_components(parameter: Parameter, expression: Expression, schema: Schema) -> None:
    if not parameter.components:
        raise FhirPathError("a composite has components.")
    if expression.types is None:
        raise FhirPathError(f"{parameter.expression!r}: the type of what it gives is not known.")
    for component in parameter.components:
        for type in expression.types:
            _check_types(component.type, compile(component.expression, type, schema))


def _check_types(type: SearchType, expression: Expression) -> None:
    wrong = (expression.types or frozenset()) - INDEXED.get(type, frozenset())
    if wrong:
        raise FhirPathError(f"{expression.text!r} gives {', '.join(sorted(wrong))}, which {type} cannot search.")
