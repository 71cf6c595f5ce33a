"""A resource against R4's definitions: returns every issue, raises nothing. R4 validation.html, json.html.

A type is compiled when it is first met: to a closure per JSON key, found by one dictionary look-up, a list of what
must not be missing, and R4's invariants, but for those that hold as a matter of form (ENSURED).
What profiles ask beyond it is laid over it by profiles.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from server.definitions import elements, faults
from server.definitions.elements import Accepts, Check, Entry, Fault
from server.definitions.faults import DEEPEST, Issues, Place, path
from server.definitions.invariants import check_of, of_r4
from server.definitions.primitives import PRIMITIVES
from server.definitions.reference import is_plain, reference_faults
from server.definitions.registry import Constraint, Element, Schema, Type, Variant
from server.outcome import Issue

ENSURED = frozenset({"ele-1", "ext-1", "dom-2", "dom-4", "txt-1", "txt-2"})
"""Keys of the invariants that hold for every resource without issues, so that they are not evaluated."""

CURRENCIES = "http://hl7.org/fhir/ValueSet/currencies"
_currency = re.compile(r"[A-Z]{3}").fullmatch


class _Checks(dict[str, Check]):
    """Type or backbone path -> its check, compiled when first asked for."""

    def __init__(self, compile: Callable[[str], Check]) -> None:
        self._compile = compile

    def __missing__(self, type: str) -> Check:
        check = self[type] = self._compile(type)
        return check


class Validator:
    """R4's rules of form, compiled. One instance serves the whole process."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._checks = _Checks(self._compile)

    def validate(self, resource: Any, *, expected_type: str | None = None) -> list[Issue]:
        """All issues, in the order of the elements; empty for a valid resource.

        `resource` as decoded from JSON, decimals as Decimal. Places are FHIRPath with indices: a choice by
        its element's name ("Task.input[2].value"), an element that R4 does not know by its JSON key.
        Codes: structure (unknown element, wrong shape or JSON type), value (wrong content), required
        (missing), code-invalid (required binding), invariant (with its key as `rule`). The severity of some
        invariants is warning.
        """
        return self.judged(resource, expected_type)

    def judged(self, resource: Any, expected_type: str | None = None, *, form_only: bool = False) -> Issues:
        """As `validate`, with the extensions and codings met on the way; `form_only` leaves the invariants out."""
        issues = Issues(resource, judging=not form_only)
        found = resource.get("resourceType") if type(resource) is dict else None
        if expected_type and found is not None and found != expected_type:
            text = f"Feil ressurstype / Wrong resource type: {expected_type} was expected, not {faults.shown(found)}."
            issues.append(Issue("structure", text, f"{expected_type}.resourceType"))
            return issues
        name = found if isinstance(found, str) and found in self._schema.resource_types else expected_type
        self._resource(resource, (None, name or "Resource", -1, 0), issues)
        return issues

    # ---- types

    def _compile(self, name: str) -> Check:
        if name == "Resource":
            return self._resource
        definition = self._schema.type(name)
        if definition is None:
            raise KeyError(f"{name} is no type of R4.")
        return self._object(definition)

    def _resource(self, value: Any, place: Place, issues: Issues) -> None:
        """A resource of any type, by its resourceType."""
        if type(value) is not dict:
            return faults.wrong_shape(value, "object", path(place), issues)
        name = value.get("resourceType")
        if not isinstance(name, str) or name not in self._schema.resource_types:
            return faults.wrong_resource_type(name, self._schema.resource_types, path(place), issues)
        if place[0] is None:
            return self._checks[name](value, place, issues)
        outer = issues.resource, issues.root
        # What is contained belongs to the resource around it; an entry of a Bundle stands for itself.
        issues.resource, issues.root = value, issues.root if place[1] == "contained" else value
        self._checks[name](value, place, issues)
        issues.resource, issues.root = outer
        return None

    def _object(self, definition: Type) -> Check:
        """The check of a complex type: each property by its entry, then what is missing, then its own rules."""
        rules = self._invariants(definition.constraints, definition.name)
        entries = self._entries(definition)
        needed = [(_keys(element), element) for element in definition.elements.values() if element.min]
        own_rules = _OWN_RULES.get(definition.name)

        def check(value: Any, place: Place, issues: Issues) -> None:
            if type(value) is not dict or not value:
                return faults.wrong_shape(value, "object", path(place), issues)
            if place[3] > DEEPEST:
                return faults.too_deep(path(place), issues)
            for key, item in value.items():
                entry = entries.get(key)
                if entry is None:
                    faults.unknown(key, definition, path(place), issues)
                else:
                    entry(item, value, place, issues)
            for keys, element in needed:
                if keys.isdisjoint(value):
                    faults.missing(element, path(place), issues)
            if own_rules is not None:
                own_rules(value, place, issues)
            if rules is not None and issues.judging:
                rules(value, place, issues)
            return None

        return check

    def _invariants(self, constraints: tuple[Constraint, ...], type: str) -> Check | None:
        left = [constraint for constraint in constraints if constraint.key not in ENSURED]
        return check_of(of_r4(left, type, self._schema))

    def _entries(self, definition: Type) -> dict[str, Entry]:
        """JSON key -> its check, for every key that the type knows."""
        entries: dict[str, Entry] = {"resourceType": elements.nothing} if definition.kind == "resource" else {}
        for element in definition.elements.values():
            for variant in element.variants:
                own = {variant.key: self._entry(element, variant)}
                if _may_be_extended(definition, element, variant):
                    own[f"_{variant.key}"] = elements.shadow(element, variant.key, self._checks)
                if len(element.variants) > 1:
                    own = {key: elements.chosen(element, variant, key, entry) for key, entry in own.items()}
                entries |= own
        return entries

    # ---- elements

    def _entry(self, element: Element, variant: Variant) -> Entry:
        rules = self._invariants(element.constraints, variant.type)
        entry = self._plain_entry(element, variant)
        return entry if rules is None else elements.with_rules(element, entry, rules)

    def _plain_entry(self, element: Element, variant: Variant) -> Entry:
        if variant.type in PRIMITIVES:
            accepts, fault = self._primitive(element, variant)
            if element.many:
                return elements.primitives(element, variant.key, accepts, fault)
            return elements.primitive(element, accepts, fault)
        build = elements.complexes if element.many else elements.complex_
        return build(element, variant.type, self._checks, self._beyond_type(element, variant))

    def _primitive(self, element: Element, variant: Variant) -> tuple[Accepts, Fault]:
        """What accepts a value of this element, and what says why it was not accepted."""
        accepts, codes = PRIMITIVES[variant.type].accepts, self._codes(element)

        def fault(value: Any, where: str, issues: Issues) -> None:
            if accepts(value):
                faults.bad_code(value, element.required, codes, where, issues)
            else:
                faults.bad_primitive(variant.type, value, where, issues)

        if element.required == CURRENCIES:
            return lambda value: type(value) is str and _currency(value) is not None, fault
        if not codes:
            return accepts, fault
        return lambda value: type(value) is str and value in codes, fault

    def _codes(self, element: Element) -> frozenset[str]:
        """The codes of the required value set, of whatever system; none when it cannot be listed."""
        return frozenset[str]().union(*(self._schema.codes(element.required) or {}).values())

    def _beyond_type(self, element: Element, variant: Variant) -> Check | None:
        """What an element asks of its value beyond the type; None for nothing."""
        if variant.type == "Reference":
            return self._reference(variant)
        if variant.type == "Resource" and element.name == "contained":
            return _contained
        if variant.type in ("Coding", "CodeableConcept") and self._schema.codes(element.required):
            return self._bound(element, variant)
        return None

    def _bound(self, element: Element, variant: Variant) -> Check:
        systems = self._schema.codes(element.required) or {}

        def check(value: Any, place: Place, issues: Issues) -> None:
            codings = [value] if variant.type == "Coding" else value.get("coding")
            if not any(_is_of(systems, coding) for coding in (codings if isinstance(codings, list) else ())):
                faults.bad_concept(element.required, systems, path(place), issues)

        return check

    def _reference(self, variant: Variant) -> Check:
        known, targets = self._schema.resource_types, frozenset(variant.targets)
        allowed = targets or known

        def check(value: Any, place: Place, issues: Issues) -> None:
            if is_plain(value, allowed):
                return
            for name, fault in reference_faults(value, targets, known):
                text = f"Ugyldig referanse / Not a valid reference: {fault}"
                issues.append(Issue("value", text, f"{path(place)}.{name}"))

        return check


def _may_be_extended(definition: Type, element: Element, variant: Variant) -> bool:
    """Whether the JSON may have _key beside key. Ids and Extension.url are plain strings in R4's definitions
    (attributes in XML), and xhtml has no extensions."""
    plain = element.name == "id" or (definition.name == "Extension" and element.name == "url")
    return variant.type in PRIMITIVES and variant.type != "xhtml" and not plain


def _keys(element: Element) -> frozenset[str]:
    """The JSON keys of which one must be there for the element to be there."""
    keys = [variant.key for variant in element.variants]
    return frozenset([*keys, *(f"_{key}" for key in keys)])


def _is_of(systems: Mapping[str, frozenset[str]], coding: Any) -> bool:
    if not isinstance(coding, dict):
        return False
    system, code = coding.get("system"), coding.get("code")
    return isinstance(system, str) and isinstance(code, str) and code in systems.get(system, ())


def _extension(value: Any, place: Place, issues: Issues) -> None:
    """ext-1: a value or extensions of its own, not both, not neither."""
    issues.extensions.append((value, place))
    has_value = any(key.startswith(("value", "_value")) for key in value)
    if has_value == ("extension" in value):
        found = "both" if has_value else "none"
        text = f"ext-1: enten verdi eller utvidelser / either value[x] or extension, not {found}."
        issues.append(Issue("invariant", text, path(place), rule="ext-1"))

    url = value.get("url")
    if type(url) is str and ":" not in url and not _is_within_extension(place):
        text = "Ikke absolutt / Extension.url: the absolute URL of the extension's definition is expected."
        issues.append(Issue("value", text, f"{path(place)}.url", rule="extension-url"))


def _is_within_extension(place: Place) -> bool:
    """The parts of a complex extension are named within it. R4 extensibility.html#Extension."""
    return place[0] is not None and place[0][1] in ("extension", "modifierExtension")


def _coding(value: Any, place: Place, issues: Issues) -> None:
    if "system" in value and "code" in value:
        issues.codings.append((value, place))


_OWN_RULES: dict[str, Check] = {"Extension": _extension, "Coding": _coding}


def _contained(value: Any, place: Place, issues: Issues) -> None:
    """An id to refer to, nothing contained in it (dom-2), and no version of its own (dom-4)."""
    where = path(place)
    if "id" not in value:
        text = f"Mangler / Missing: {where}.id is required in a contained resource."
        issues.append(Issue("required", text, f"{where}.id"))
    if "contained" in value:
        text = "dom-2: a contained resource contains no other; put it beside this one."
        issues.append(Issue("invariant", text, f"{where}.contained", rule="dom-2"))
    meta = value.get("meta")
    for name in ("versionId", "lastUpdated"):
        if isinstance(meta, dict) and name in meta:
            text = f"dom-4: a contained resource has no {name}; leave it out."
            issues.append(Issue("invariant", text, f"{where}.meta.{name}", rule="dom-4"))
