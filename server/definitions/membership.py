"""Which codes a value set has, for bindings: of R4's own required ones and of those in profiles/. R4 valueset.html."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from server.definitions.registry import Registry
from server.definitions.terminology import Code

Json = Mapping[str, Any]


class ValueSetError(ValueError):
    """A value set that is unknown, or cannot be understood."""


@dataclass(frozen=True)
class Members:
    """`pairs`: (system, code); `codes`: the codes of whatever system, in the order of their definition."""

    pairs: frozenset[Code]
    codes: tuple[str, ...]

    def has(self, coding: Any) -> bool:
        """Whether a Coding is one of them."""
        return type(coding) is dict and (coding.get("system"), coding.get("code")) in self.pairs


class ValueSets:
    """The value sets of a registry, each listed once. `listed` raises ValueSetError."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._made: dict[str, Members | None] = {}
        self._making: list[str] = []

    def listed(self, url: str) -> Members | None:
        """The codes of a value set; None for one that names a code system which is not known here in full."""
        if url in self._making:
            raise ValueSetError(f"{url} includes itself, by {' and '.join(self._making)}")
        if url not in self._made:
            self._making.append(url)
            try:
                self._made[url] = self._members(url)
            finally:
                self._making.remove(url)
        return self._made[url]

    def _members(self, url: str) -> Members | None:
        definition = self._registry.get(url)
        if definition is None or definition["resourceType"] != "ValueSet":
            own = self._registry.schema.codes(url)
            if own is None:
                raise ValueSetError(f"the value set {url} is not known")
            return _members((system, code) for system, codes in own.items() for code in sorted(codes))
        compose = definition.get("compose", {})
        found: dict[Code, None] = {}
        for include in compose.get("include", ()):
            codes = self._included(url, include)
            if codes is None:
                return None
            found |= codes
        for exclude in compose.get("exclude", ()):
            for code in self._included(url, exclude) or ():
                found.pop(code, None)
        return _members(found)

    def _included(self, url: str, include: Json) -> dict[Code, None] | None:
        """What one include or exclude names: what its system part and all its value sets have in common."""
        parts: list[dict[Code, None] | None] = []
        if "system" in include:
            parts.append(self._of_system(url, include))
        for other in include.get("valueSet", ()):
            members = self.listed(other.partition("|")[0])
            parts.append(None if members is None else dict.fromkeys(members.pairs))
        if None in parts or not parts:
            return None
        first, *rest = (part for part in parts if part is not None)
        return {code: None for code in first if all(code in other for other in rest)}

    def _of_system(self, url: str, include: Json) -> dict[Code, None] | None:
        system = include["system"]
        if "concept" in include:
            return {(system, concept["code"]): None for concept in include["concept"]}
        definition = self._registry.get(system)
        if definition is None or definition.get("content") != "complete":
            return None
        concepts = dict(_concepts(definition.get("concept", ()), ()))
        for filter in include.get("filter", ()):
            concepts = {code: above for code, above in concepts.items() if self._passes(url, filter, code, above)}
        return {(system, code): None for code in concepts}

    def _passes(self, url: str, filter: Json, code: str, above: tuple[str, ...]) -> bool:
        value = filter["value"]
        match filter["property"], filter["op"]:
            case "concept", "is-a":
                return code == value or value in above
            case "concept", "descendent-of":
                return value in above
            case "concept", "is-not-a":
                return code != value and value not in above
            case "code", "in":
                return code in value.split(",")
            case "code", "not-in":
                return code not in value.split(",")
        raise ValueSetError(f"{url}: the filter {filter['property']} {filter['op']} is not understood")


def _members(pairs: Any) -> Members:
    listed = list(pairs)
    return Members(frozenset(listed), tuple(dict.fromkeys(code for _, code in listed)))


def _concepts(concepts: Any, above: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each code with all that are above it."""
    for concept in concepts:
        yield concept["code"], above
        yield from _concepts(concept.get("concept", ()), (*above, concept["code"]))
