"""Profiles compiled to checks that are laid over R4's own (validation.py): each asks only what R4 does not.

A profile is compiled when it is first met, or all at start (Profiles.compile_all), which finds what cannot be
understood. A value out of R4's form is passed over here: validation.py speaks of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from server.definitions import profile_checks as checks
from server.definitions import profile_faults as faults
from server.definitions.elements import Check
from server.definitions.faults import Issues, Place, path
from server.definitions.fhirpath import FhirPathError
from server.definitions.invariants import check_of, of_profile
from server.definitions.patterns import fixed_test, pattern_test
from server.definitions.primitives import PRIMITIVES
from server.definitions.profile_checks import Asked, Run, Slices, together
from server.definitions.profile_faults import Source
from server.definitions.reference import STRUCTURE, reference_faults
from server.definitions.registry import Registry, Variant
from server.definitions.slices import SliceError, Slicers
from server.definitions.snapshots import DefinitionError, Profile, Shape, Snapshots
from server.definitions.terminology import Terminology
from server.outcome import FhirError


class Profiles:
    """The profiles of a registry and their checks."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._snapshots = Snapshots(registry)
        self._terminology = Terminology.of(registry)
        self._checks: dict[str, Check] = {}

    def compile_all(self) -> list[Profile]:
        """Every profile of the registry. DefinitionError for the first that cannot be understood."""
        profiles = self._snapshots.all()
        for profile in profiles:
            self.check(profile.url)
        return profiles

    def check(self, url: str) -> Check:
        """What the profile of this URL asks of a value of its type. DefinitionError."""
        if url not in self._checks:
            profile = self._snapshots.profile(url)
            self._checks[url] = _Compiler(profile, self, self._registry, self._terminology).check()
        return self._checks[url]

    def known(self, canonical: str) -> Profile | None:
        """The profile of this URL, |version or not; None when there is none."""
        url, _, version = canonical.partition("|")
        definition = self._registry.get(url, version or None)
        if definition is None or definition["resourceType"] != "StructureDefinition":
            return None
        return self._snapshots.profile(canonical)


class _Compiler:
    """One profile on its way to a check. `_at`: the element in hand, for what is said of faults."""

    def __init__(self, profile: Profile, profiles: Profiles, registry: Registry, terminology: Terminology) -> None:
        self._profile = profile
        self._profiles = profiles
        self._schema = registry.schema
        self._terminology = terminology
        self._slicers = Slicers(self._schema, terminology.listed)
        self._at = ""

    def check(self) -> Check:
        root = self._profile.root
        try:
            return self._value_check(root, root.variants[0]) or checks.nothing
        except (FhirPathError, SliceError, FhirError) as error:
            raise DefinitionError(self._profile.url, self._at, str(error)) from None

    def _source(self, shape: Shape) -> Source:
        return Source(self._profile.id, shape.id)

    # ---- values

    def _value_check(self, shape: Shape, variant: Variant) -> Check | None:
        """All that a value of this element must hold, in the order in which it is told."""
        self._at, source = shape.id, self._source(shape)
        found: list[Check | None] = [
            *(checks.equal(source, value, fixed_test(value)) for value in shape.fixed),
            *(checks.equal(source, value, pattern_test(value)) for value in shape.patterns),
            self._bound(shape, variant),
            self._targets(shape, variant),
            checks.sized(source, shape.max_length) if shape.max_length else None,
            *self._types_within(shape),
            self._object(shape),
        ]
        self._at = shape.id
        found.append(check_of(of_profile(shape.rules, variant.type, self._schema)))
        return together([check for check in found if check is not None])

    def _bound(self, shape: Shape, variant: Variant) -> Check | None:
        strength, url = shape.binding or ("", "")
        if strength not in ("required", "extensible") or (shape.holder and shape.holder.required == url):
            return None
        try:
            members = self._terminology.listed(url)
        except FhirError:
            if strength == "required":
                raise
            members = None
        if members is None:
            return None
        source, severity = self._source(shape), "error" if strength == "required" else "warning"
        if variant.type in PRIMITIVES:
            return checks.bound_code(source, url, members, severity)
        if variant.type == "CodeableConcept":
            return checks.bound_concept(source, url, members, severity)
        return checks.bound_coding(source, url, members, severity)

    def _targets(self, shape: Shape, variant: Variant) -> Check | None:
        """What a Reference may point to, where R4 allows more."""
        of_r4 = {one.targets for one in (shape.holder.variants if shape.holder else ()) if one.key == variant.key}
        if variant.type != "Reference" or not variant.targets or variant.targets in of_r4:
            return None
        source, targets, known = self._source(shape), frozenset(variant.targets), self._schema.resource_types

        def check(value: Any, place: Place, issues: Issues) -> None:
            if type(value) is not dict:
                return
            address = value.get("reference")
            # Its form is R4's affair and was judged before.
            if type(address) is str and address.partition("/")[0] in targets and "type" not in value:
                return
            for name, fault in reference_faults(value, targets, known):
                faults.bad_reference(source, fault, f"{path(place)}.{name}", issues)

        return check

    def _types_within(self, shape: Shape) -> Iterator[Check]:
        """Of a resource within, its type; and the profiles that the value's type names. An extension's own profile
        is checked wherever the extension stands."""
        if shape.holder and shape.holder.variants[0].type == "Resource" != shape.variants[0].type:
            yield checks.of_resource_type(self._source(shape), frozenset(one.type for one in shape.variants))
        for url in shape.profiles:
            profile = self._profiles.known(url)
            if profile is None and not url.startswith(STRUCTURE):
                raise DefinitionError(self._profile.url, shape.id, f"the profile {url} is not known.")
            if profile is not None and profile.type != "Extension":
                yield self._of_profile(profile)

    def _of_profile(self, profile: Profile) -> Check:
        """Compiled when it is met: profiles may name each other."""
        type = profile.type

        def check(value: Any, place: Place, issues: Issues) -> None:
            if type not in self._schema.resource_types or (
                isinstance(value, dict) and value.get("resourceType") == type
            ):
                self._profiles.check(profile.url)(value, place, issues)

        return check

    # ---- objects and their elements

    def _object(self, shape: Shape) -> Check | None:
        children = shape.children.values()
        runs = [run for child in children for run in self._element(child)]
        needed = [(self._source(child), child) for child in children if child.min and not _required(child)]
        forbidden = {key: (self._source(child), child) for child in children for key in _forbidden(child)}
        return checks.of_object(Asked(needed, forbidden), runs) if runs or needed or forbidden else None

    def _element(self, shape: Shape) -> Iterator[tuple[str, Run]]:
        """The checks of one element of an object, by its JSON key or "" when they speak of its absence; none that
        asks nothing."""
        if shape.max == 0:
            return
        if not shape.many:
            yield from self._single(shape)
            return
        check = self._value_check(shape, shape.variants[0])
        self._at = shape.id
        slices = self._slices(shape) if shape.slices else None
        if slices is not None and slices.asks(shape):
            key = "" if any(one.min for one in shape.slices.values()) else shape.variants[0].key
            yield key, checks.sliced(self._source(shape), shape, check, slices, counted=_counted(shape))
        elif check is not None or _counted(shape):
            yield shape.variants[0].key, checks.many(self._source(shape), shape, check, counted=_counted(shape))

    def _slices(self, shape: Shape) -> Slices:
        slicer = self._slicers.slicer(shape)
        return Slices(
            slicer, [(self._source(one), one, self._value_check(one, one.variants[0])) for one in shape.slices.values()]
        )

    def _single(self, shape: Shape) -> Iterator[tuple[str, Run]]:
        """One value; the slices of a choice are told apart by its type."""
        rows = [(variant.key, self._value_check(shape, variant)) for variant in shape.variants]
        for one in shape.slices.values():
            if shape.slicing is None or shape.slicing.discriminators != (("type", "$this"),) or len(one.variants) != 1:
                raise SliceError(f"{one.id}: an element of one value is sliced by type, each slice of one, alone")
            rows.append((one.variants[0].key, self._value_check(one, one.variants[0])))
            if one.min:
                yield "", checks.needing(self._source(one), one)
        found = [(key, check) for key, check in rows if check is not None]
        if found:
            yield found[0][0] if len(found) == 1 else "", checks.single(shape.name, found)


def _required(shape: Shape) -> bool:
    """R4 itself asks for the element, and says so."""
    return shape.holder is not None and shape.holder.min > 0


def _forbidden(shape: Shape) -> list[str]:
    """The JSON keys that R4 has for an element and the profile has not."""
    kept = {variant.key for variant in shape.variants} if shape.max != 0 else set()
    keys = [variant.key for variant in (shape.holder.variants if shape.holder else ()) if variant.key not in kept]
    return [*keys, *(f"_{key}" for key in keys)]


def _counted(shape: Shape) -> bool:
    """Whether the profile asks for another number of items than R4; one at least is asked for otherwise."""
    assert shape.holder is not None
    return shape.min > max(1, shape.holder.min) or shape.max != shape.holder.max
