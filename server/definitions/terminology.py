"""Code systems, value sets and concept maps, as searches and the terminology operations use them. R4 terminologies.

Built of resources; of two with the same URL the later one counts. What cannot be listed (a code system that is not
known here) is an error and never an empty list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from server.definitions.registry import Registry
from server.outcome import FhirError

Code = tuple[str, str]
"""(system, code)"""
Definition = Mapping[str, Any]
TYPES = ("CodeSystem", "ValueSet", "ConceptMap")
"""What a terminology is made of."""
Subsumption = Literal["equivalent", "subsumes", "subsumed-by", "not-subsumed"]

_INVERSE = {"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes"}
_UNRELATED = frozenset({"unmatched", "disjoint"})


class NotListed(FhirError):
    """A value set whose codes cannot all be told: it names a code system that is not known here in full."""


@dataclass(frozen=True)
class Members:
    """A value set as bindings look at it. `pairs`: (system, code); `codes`: the codes of whatever system, in the
    order of their definition."""

    pairs: frozenset[Code]
    codes: tuple[str, ...]

    def has(self, coding: Any) -> bool:
        """Whether a Coding is one of them."""
        return type(coding) is dict and (coding.get("system"), coding.get("code")) in self.pairs


@dataclass(frozen=True, slots=True)
class Concept:
    """One code. `parent` is the code above it, "" at the top; `source` its element in the CodeSystem or ValueSet;
    `language` that of the display."""

    system: str
    code: str
    display: str = ""
    parent: str = ""
    language: str = ""
    source: Definition = field(default_factory=dict, compare=False)

    def shown(self, language: str | None) -> str:
        """The display in a language ("en", "en-GB, nb;q=0.5"), else the one there is."""
        for wanted in _languages(language):
            if self.language.partition("-")[0].lower() == wanted:
                return self.display
            for designation in self.source.get("designation", ()):
                # One with a `use` is a wording for some purpose, not the display in another language.
                if "use" not in designation and designation.get("language", "").partition("-")[0].lower() == wanted:
                    return str(designation["value"])
        return self.display

    @property
    def inactive(self) -> bool:
        values = [
            one.get("valueCode", one.get("valueBoolean"))
            for one in self.source.get("property", ())
            if one.get("code") in ("status", "inactive")
        ]
        return any(value in ("retired", "inactive", True) for value in values)


def _languages(asked: str | None) -> list[str]:
    return [part.partition(";")[0].strip().partition("-")[0].lower() for part in (asked or "").split(",") if part]


@dataclass(frozen=True, slots=True)
class Match:
    """One answer of a concept map; `map` is its URL."""

    equivalence: str
    concept: Concept
    map: str


class Terminology:
    """`resources`: CodeSystem, ValueSet and ConceptMap. `codes`: system -> codes of a value set that R4 itself binds,
    None for one that it does not list."""

    def __init__(
        self,
        resources: Iterable[Definition],
        codes: Callable[[str], Mapping[str, frozenset[str]] | None] = lambda url: None,
    ) -> None:
        self._codes = codes
        self._by_url: dict[tuple[str, str], Definition] = {}
        self._concepts: dict[str, dict[str, Concept]] = {}
        self._expanded: dict[str, list[Concept]] = {}
        for resource in resources:
            if resource.get("url"):
                self._by_url[resource["resourceType"], resource["url"]] = resource

    @classmethod
    def of(cls, registry: Registry, stored: Iterable[Definition] = ()) -> Terminology:
        """Of R4 and profiles/, and of what is stored."""
        shipped = (one for kind in TYPES for one in registry.of_type(kind))
        return cls([*shipped, *stored], registry.schema.codes)

    def get(self, resource_type: str, canonical: str) -> Definition | None:
        """The resource with this URL, or URL|version."""
        url, _, version = canonical.partition("|")
        found = self._by_url.get((resource_type, url))
        return found if found is not None and version in ("", found.get("version")) else None

    def maps(self) -> list[Definition]:
        """All concept maps, in order of their URLs."""
        return [one for (kind, _), one in sorted(self._by_url.items()) if kind == "ConceptMap"]

    def concepts(self, system: str) -> Mapping[str, Concept] | None:
        """The codes of a code system in its order; None for one that is not known here."""
        url = system.partition("|")[0]
        definition = self.get("CodeSystem", system)
        if definition is None:
            return None
        if url not in self._concepts:
            self._concepts[url] = concepts_of(definition)
        return self._concepts[url]

    def concept(self, system: str, code: str) -> Concept | None:
        """The concept, found without regard to case where the code system has none."""
        known = self.concepts(system) or {}
        if code in known or (self.get("CodeSystem", system) or {}).get("caseSensitive", True):
            return known.get(code)
        return next((concept for concept in known.values() if concept.code.lower() == code.lower()), None)

    # Hierarchy

    def subsumes(self, system: str | None, code: str, up: bool) -> Sequence[Code]:
        """The code with those above it (`up`) or below it; of every system that has it when `system` is None.
        Empty for a code that is not known here."""
        systems = [system] if system is not None else [url for kind, url in self._by_url if kind == "CodeSystem"]
        found = []
        for url in systems:
            known = self.concepts(url) or {}
            if code in known:
                found += [(url, one) for one in (_above(known, code) if up else _below(known, code))]
        return found

    def relation(self, system: str, a: str, b: str) -> Subsumption:
        """How code a stands to code b."""
        if a == b:
            return "equivalent"
        known = self.concepts(system) or {}
        if a in _above(known, b):
            return "subsumes"
        return "subsumed-by" if b in _above(known, a) else "not-subsumed"

    # Value sets

    def members(self, url: str) -> list[Code]:
        """The codes of a value set. FhirError not-found for one that is not known, or cannot be listed, here."""
        return [(concept.system, concept.code) for concept in self._of_url(url, ())]

    def listed(self, url: str) -> Members | None:
        """The codes of a value set, to test many against; None for one that cannot be listed. FhirError for one that
        is not known, or not understood."""
        try:
            codes = self.members(url)
        except NotListed:
            return None
        return Members(frozenset(codes), tuple(dict.fromkeys(code for _, code in codes)))

    def value_set(self, url: str) -> Definition:
        """The value set with this URL; one of R4's own as far as R4 binds it. FhirError not-found."""
        found = self.get("ValueSet", url)
        listed = self._codes(url.partition("|")[0]) if found is None else None
        if listed is not None:
            systems = [
                {"system": system, "concept": [{"code": code} for code in sorted(codes)]}
                for system, codes in sorted(listed.items())
            ]
            found = {"resourceType": "ValueSet", "url": url, "status": "active", "compose": {"include": systems}}
        if found is None:
            raise FhirError("not-found", f"Ukjent verdisett / The value set {url} is not known here.")
        return found

    def expand(self, value_set: Definition) -> list[Concept]:
        """Every code once, in the order of the definition. FhirError for one that cannot be listed."""
        return self._expansion(value_set, ())

    def _of_url(self, url: str, within: tuple[str, ...]) -> list[Concept]:
        """Expanded once: many may include the same. `within`: the value sets that led here."""
        if url in within:
            path = " → ".join(within)
            raise FhirError("processing", f"Verdisettet går i ring / The value set {url} includes itself, by {path}.")
        if url not in self._expanded:
            self._expanded[url] = self._expansion(self.value_set(url), (*within, url))
        return self._expanded[url]

    def _expansion(self, value_set: Definition, within: tuple[str, ...]) -> list[Concept]:
        compose, expansion = value_set.get("compose"), value_set.get("expansion")
        if compose is None and expansion is None:
            text = f"The value set {value_set.get('url', '')} says nothing of its codes."
            raise NotListed("not-found", f"Uten innhold / {text}")
        if compose is None:
            return list(_contained((expansion or {}).get("contains", ())))
        out = {(one.system, one.code) for part in compose.get("exclude", ()) for one in self._included(part, within)}
        kept = {
            (concept.system, concept.code): concept
            for part in compose.get("include", ())
            for concept in self._included(part, within)
        }
        return [concept for key, concept in kept.items() if key not in out]

    def _included(self, part: Definition, within: tuple[str, ...]) -> list[Concept]:
        """One include or exclude: what its system part and all its value sets have in common."""
        found: list[Concept] | None = self._of_system(part) if "system" in part else None
        for url in part.get("valueSet", ()):
            others = self._of_url(url, within)
            if found is None:
                found = others
            else:
                keys = {(one.system, one.code) for one in others}
                found = [concept for concept in found if (concept.system, concept.code) in keys]
        return found or []

    def _of_system(self, part: Definition) -> list[Concept]:
        system = part["system"]
        known = self.concepts(system)
        if "concept" in part:
            return [_listed(system, row, (known or {}).get(row["code"])) for row in part["concept"]]
        if known is None:
            raise NotListed("not-found", f"Ukjent kodeverk / The code system {system} is not known here.")
        if (self.get("CodeSystem", system) or {}).get("content", "complete") != "complete":
            raise NotListed("not-found", f"Bare delvis kjent / The code system {system} is not known here in full.")
        found = list(known.values())
        for rule in part.get("filter", ()):
            found = [concept for concept in found if self._passes(known, concept, rule)]
        return found

    def _passes(self, known: Mapping[str, Concept], concept: Concept, rule: Definition) -> bool:
        name, op, value = rule["property"], rule["op"], str(rule["value"])
        match op:
            case "is-a":
                return value in _above(known, concept.code)
            case "descendent-of":
                return value in _above(known, concept.code) and concept.code != value
            case "is-not-a":
                return value not in _above(known, concept.code)
            case "generalizes":
                return concept.code in _above(known, value)
        values = _property(concept, name)
        match op:
            case "=":
                return value in values
            case "in":
                return any(one in [part.strip() for part in value.split(",")] for one in values)
            case "not-in":
                return not any(one in [part.strip() for part in value.split(",")] for one in values)
            case "regex":
                return any(re.fullmatch(value, one) for one in values)
            case "exists":
                return bool(values) == (value == "true")
        raise FhirError("not-supported", f"The filter {op} of a value set is not supported here.")

    # Concept maps

    def translate(self, map: Definition, system: str, code: str, *, reverse: bool = False) -> list[Match]:
        """What a map says of a code, in its order; empty when it says nothing."""
        found = []
        for group in map.get("group", ()):
            here, there = ("target", "source") if reverse else ("source", "target")
            if system and group.get(here, "").partition("|")[0] != system:
                continue
            answers = list(_answers(group, code, reverse))
            if not answers and not reverse:
                found += self._unmapped(map, group, system, code)
            for equivalence, target in answers:
                other = group.get(there, "").partition("|")[0]
                known = self.concept(other, target.get("code", ""))
                display = target.get("display") or (known.display if known else "")
                found.append(Match(equivalence, Concept(other, target.get("code", ""), display), map.get("url", "")))
        return found

    def _unmapped(self, map: Definition, group: Definition, system: str, code: str) -> list[Match]:
        rule = group.get("unmapped")
        if rule is None:
            return []
        target = group.get("target", "").partition("|")[0]
        match rule.get("mode"):
            case "provided":
                return [Match("equal", Concept(target, code), map.get("url", ""))]
            case "fixed":
                display = rule.get("display", "")
                return [Match("wider", Concept(target, rule.get("code", ""), display), map.get("url", ""))]
        other = self.get("ConceptMap", rule.get("url", ""))
        return self.translate(other, system, code) if other is not None and other is not map else []


@dataclass
class Kept:
    """The terminology last made, by the newest versions that it was made of."""

    key: tuple[int, ...] = ()
    terminology: Terminology = field(default_factory=lambda: Terminology(()))


def is_match(match: Match) -> bool:
    """Whether the map relates the two at all."""
    return match.equivalence not in _UNRELATED


def concepts_of(code_system: Definition) -> dict[str, Concept]:
    """The concepts of a CodeSystem resource, nested ones below their parents, in its order."""
    url, language = code_system["url"], code_system.get("language", "")
    return {
        row["code"]: Concept(url, row["code"], row.get("display", ""), parent or _parent(row), language, row)
        for row, parent in _nested(code_system.get("concept", ()), "")
    }


def _nested(rows: Iterable[Definition], parent: str) -> Iterator[tuple[Definition, str]]:
    for row in rows:
        yield row, parent
        yield from _nested(row.get("concept", ()), row["code"])


def _parent(row: Definition) -> str:
    """The other way to write a hierarchy: a property `parent`."""
    found = (one.get("valueCode", "") for one in row.get("property", ()) if one.get("code") == "parent")
    return str(next(found, ""))


def _above(known: Mapping[str, Concept], code: str) -> list[str]:
    """The code and those above it, upwards."""
    found: list[str] = []
    while code in known and code not in found:
        found.append(code)
        code = known[code].parent
    return found


def _below(known: Mapping[str, Concept], code: str) -> list[str]:
    return [other for other in known if code in _above(known, other)]


def _property(concept: Concept, name: str) -> list[str]:
    if name in ("code", "concept"):
        return [concept.code]
    if name == "display":
        return [concept.display]
    if name == "parent":
        return [concept.parent] if concept.parent else []
    rows = [one for one in concept.source.get("property", ()) if one.get("code") == name]
    values = [value for row in rows for key, value in row.items() if key.startswith("value")]
    return [str(value).lower() if isinstance(value, bool) else _text(value) for value in values]


def _text(value: Any) -> str:
    return str(value.get("code", "")) if isinstance(value, dict) else str(value)


def _listed(system: str, row: Definition, known: Concept | None) -> Concept:
    """A code that the value set names itself: its own words go before the code system's."""
    if known is None:
        return Concept(system, row["code"], row.get("display", ""), source=row)
    if "display" not in row and "designation" not in row:
        return known
    designations = [*row.get("designation", ()), *known.source.get("designation", ())]
    source = {**known.source, "designation": designations}
    return Concept(system, row["code"], row.get("display", known.display), known.parent, known.language, source)


def _contained(rows: Iterable[Definition]) -> Iterator[Concept]:
    for row in rows:
        if row.get("code") and not row.get("abstract"):
            yield Concept(row.get("system", ""), row["code"], row.get("display", ""), source=row)
        yield from _contained(row.get("contains", ()))


def _answers(group: Definition, code: str, reverse: bool) -> Iterator[tuple[str, Definition]]:
    """(equivalence, the element of the other side)."""
    for element in group.get("element", ()):
        for target in element.get("target", ()):
            equivalence = target.get("equivalence", "relatedto")
            if not reverse and element.get("code") == code:
                yield equivalence, target
            elif reverse and target.get("code") == code:
                yield _INVERSE.get(equivalence, equivalence), element
