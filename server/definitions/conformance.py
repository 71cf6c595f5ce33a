"""Which definitions a resource must hold against, and what it does not hold: R4 always, and under `enforce` and
`warn` the profiles that it declares or that its code chooses. Domain model, decision 3."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from server.definitions.extensions import Extensions
from server.definitions.faults import Issues, Place, hint, path, shown
from server.definitions.profiles import Profiles
from server.definitions.registry import Registry
from server.definitions.snapshots import DefinitionError, Profile, Shape
from server.definitions.terminology import concepts_of
from server.definitions.validation import Validator
from server.outcome import Issue

Mode = Literal["enforce", "warn", "off"]
Code = tuple[str, str]

PROFILED = ("PlanDefinition", "Task", "Organization")
"""The types of which every resource must conform to one of our profiles."""


@dataclass(frozen=True)
class Choice:
    """How a type's profile is chosen: `only` one there is, or by the coding of `system` in its code."""

    only: Profile | None
    system: str
    by_code: dict[str, Profile]


class Conformance:
    """The judge of every write. `canonical` is the base of our own definitions."""

    def __init__(self, registry: Registry, canonical: str, mode: Mode = "enforce") -> None:
        """DefinitionError for a definition that cannot be understood, with the file that it was read from."""
        self.mode = mode
        self._validator = Validator(registry.schema)
        self._profiles = Profiles(registry)
        try:
            self._prepare(registry, canonical)
        except DefinitionError as error:
            raise error.of_file(registry.files) from None

    def _prepare(self, registry: Registry, canonical: str) -> None:
        for type in ("CodeSystem", "ValueSet", "StructureDefinition"):
            for definition in registry.of_type(type):
                for issue in self._validator.judged(definition, type, form_only=True):
                    raise DefinitionError(definition.get("url", type), issue.expression, issue.text)
        profiles = self._profiles.compile_all()
        self._by_url = {profile.url: profile for profile in profiles}
        self._extensions = Extensions(self._profiles, profiles, registry.schema, canonical)
        own = [one for one in profiles if one.url.startswith(f"{canonical}/") and not one.abstract]
        self._codes = {
            one["url"]: frozenset(concepts_of(one)) for one in registry.of_type("CodeSystem") if _is_whole(one)
        }
        self._choices = {type: _choice([one for one in own if one.type == type]) for type in PROFILED}

    def form(self, resource: Any, resource_type: str) -> list[Issue]:
        """What is wrong with the JSON by R4, invariants apart."""
        return self._validator.judged(resource, resource_type, form_only=True)

    def issues(self, resource: Any, resource_type: str, asked: Sequence[str] = ()) -> list[Issue]:
        """All that is wrong with a resource, warnings among it; `asked` are canonicals of profiles that it must
        conform to whatever the mode. FhirError is never raised."""
        issues = self._validator.judged(resource, resource_type)
        if type(resource) is not dict or resource.get("resourceType") != resource_type:
            return list(issues)
        laid = self._laid(resource, resource_type, issues) if self.mode != "off" else []
        if self.mode == "warn":
            laid = [replace(issue, severity="warning") if issue.severity == "error" else issue for issue in laid]
        if asked:
            laid += self._asked(resource, resource_type, issues, asked)
        return [*issues, *laid]

    def _laid(self, resource: dict[str, Any], resource_type: str, issues: Issues) -> list[Issue]:
        laid = Issues(resource, known_faults=bool(issues))
        for profile in self._meant(resource, resource_type, laid):
            self._profiles.check(profile.url)(resource, (None, resource_type, -1, 0), laid)
        for index, entry in _entries(resource):
            laid += [one.within(f"Bundle.entry[{index}].resource") for one in self._of_entry(entry, bool(issues))]
        for extension, place in issues.extensions:
            self._extensions.check(extension, place, laid)
        for coding, place in issues.codings:
            self._known_code(coding, place, issues, laid)
        return _without_doubles(laid, issues)

    def _of_entry(self, resource: dict[str, Any], known_faults: bool) -> Issues:
        """Of a copy in a Bundle, by the profiles that it declares: what it had to be when it was copied."""
        laid, type = Issues(resource, known_faults=known_faults), resource["resourceType"]
        for profile in self._declared(resource, type, laid):
            self._profiles.check(profile.url)(resource, (None, type, -1, 0), laid)
        return laid

    def _known_code(self, coding: dict[str, Any], place: Place, issues: Issues, laid: Issues) -> None:
        """A code of a code system that is known here in full is one of its codes, whatever the binding; told where
        no fault was found in the coding or of what it is in. R4 datatypes.html#Coding."""
        system, code = coding["system"], coding["code"]
        codes = self._codes.get(system) if type(system) is str else None
        if codes is not None and type(code) is str and code not in codes:
            where = f"{path(place)}.code"
            faults = [one for one in (*issues, *laid) if one.severity == "error" and "." in one.expression]
            if any(f"{where}.".startswith(f"{one.expression}.") for one in faults):
                return
            text = f"Ukjent kode / Unknown code: {system} has no code {shown(code)}{hint(code, codes, laid)}."
            laid.append(Issue("code-invalid", text, where, rule="code-unknown"))

    def _asked(
        self, resource: dict[str, Any], resource_type: str, issues: Issues, canonicals: Iterable[str]
    ) -> list[Issue]:
        laid = Issues(resource, known_faults=bool(issues))
        for canonical in canonicals:
            profile = self._profile(canonical)
            if profile is None:
                text = f"Ukjent profil / Unknown profile: {canonical} is not known here, so nothing was checked by it."
                laid.append(Issue("not-found", text, resource_type))
            elif profile.type != resource_type:
                laid.append(_of_other_type(profile, resource_type, resource_type))
            else:
                self._profiles.check(profile.url)(resource, (None, resource_type, -1, 0), laid)
        return _without_doubles(laid, issues)

    def _meant(self, resource: dict[str, Any], resource_type: str, laid: Issues) -> list[Profile]:
        """The profiles that are declared and the one that is chosen, without those that another builds on."""
        found = self._declared(resource, resource_type, laid)
        choice = self._choices.get(resource_type)
        if choice is not None and (chosen := _chosen(choice, resource, laid)) is not None and chosen not in found:
            found.append(chosen)
        covered = {url for profile in found for url in profile.ancestors}
        return [profile for profile in found if profile.url not in covered]

    def _declared(self, resource: dict[str, Any], resource_type: str, laid: Issues) -> list[Profile]:
        meta = resource.get("meta")
        canonicals = meta.get("profile") if type(meta) is dict else None
        found: list[Profile] = []
        for index, canonical in enumerate(canonicals if type(canonicals) is list else ()):
            if type(canonical) is not str:
                continue
            where, profile = f"{resource_type}.meta.profile[{index}]", self._profile(canonical)
            if profile is None:
                text = f"Ukjent profil / Unknown profile: it is not known here{hint(canonical, self._by_url, laid)}."
                laid.append(Issue("not-found", text, where, "warning"))
            elif profile.type != resource_type:
                laid.append(_of_other_type(profile, resource_type, where))
            elif profile not in found:
                found.append(profile)
        return found

    def _profile(self, canonical: str) -> Profile | None:
        if "|" not in canonical:
            return self._by_url.get(canonical)
        return self._profiles.known(canonical)


def _is_whole(code_system: Mapping[str, Any]) -> bool:
    return code_system.get("content") == "complete" and code_system.get("caseSensitive") is not False


def _entries(resource: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The resources within a Bundle, with the index of their entries."""
    entries = resource.get("entry") if resource.get("resourceType") == "Bundle" else None
    for index, entry in enumerate(entries if type(entries) is list else ()):
        inner = entry.get("resource") if type(entry) is dict else None
        if type(inner) is dict and type(inner.get("resourceType")) is str:
            yield index, inner


def _of_other_type(profile: Profile, resource_type: str, where: str) -> Issue:
    text = f"Feil profil / Wrong profile: {profile.id} is for {profile.type}, not for {resource_type}."
    return Issue("value", text, where, rule=profile.id)


def _without_doubles(laid: Issues, issues: Issues) -> list[Issue]:
    """One fault is one issue: where R4 spoke of an element already, a profile's word on its value adds nothing."""
    if not laid:
        return []
    told = {issue.expression for issue in issues if issue.code != "invariant"}
    unique = dict.fromkeys(laid)
    return [issue for issue in unique if issue.code == "invariant" or issue.expression not in told]


# ---- the choice


def _choice(profiles: list[Profile]) -> Choice | None:
    """One profile is the type's own; several are told apart by the system that all their codes share."""
    if len(profiles) < 2:
        return Choice(profiles[0], "", {}) if profiles else None
    codes = [(profile, _codes(profile.root)) for profile in profiles]
    shared = set.intersection(*({system for system, _ in pairs} for _, pairs in codes))
    if len(shared) != 1:
        names = ", ".join(profile.id for profile in profiles)
        raise DefinitionError(profiles[0].url, "code", f"nothing tells {names} apart: one system in code is needed.")
    [system] = shared
    by_code: dict[str, Profile] = {}
    for profile, pairs in codes:
        for code in (code for of, code in pairs if of == system):
            if code in by_code:
                raise DefinitionError(profile.url, "code", f"{by_code[code].id} has the code {code} as well.")
            by_code[code] = profile
    return Choice(None, system, by_code)


def _codes(root: Shape) -> set[Code]:
    """The codings that a profile requires in its code: as a pattern of it, or as slices of its codings."""
    code = root.children.get("code")
    if code is None:
        return set()
    coding = code.children.get("coding")
    patterns = [one for pattern in code.patterns + code.fixed for one in pattern.get("coding", ())]
    for shape in (coding, *coding.slices.values()) if coding is not None else ():
        parts = {name: child.fixed + child.patterns for name, child in shape.children.items()}
        patterns += shape.patterns + shape.fixed
        if parts.get("system") and parts.get("code"):
            patterns.append({"system": parts["system"][-1], "code": parts["code"][-1]})
    return {(one["system"], one["code"]) for one in patterns if "system" in one and "code" in one}


def _chosen(choice: Choice, resource: dict[str, Any], laid: Issues) -> Profile | None:
    """The profile that the resource's code asks for; an issue when it asks for none."""
    if choice.only is not None:
        return choice.only
    code = resource.get("code")
    codings = code.get("coding") if type(code) is dict else None
    given = [
        (index, coding.get("code"))
        for index, coding in enumerate(codings if type(codings) is list else ())
        if type(coding) is dict and coding.get("system") == choice.system
    ]
    for _, found in given:
        if type(found) is str and found in choice.by_code:
            return choice.by_code[found]
    index, found = given[0] if given else (-1, None)
    near = hint(found, choice.by_code, laid)
    where = f"{resource.get('resourceType')}.code" + (f".coding[{index}].code" if given else "")
    text = f"Ukjent type / Unknown kind: a coding of {choice.system} is required{near}: {', '.join(choice.by_code)}."
    laid.append(Issue("code-invalid" if given else "required", text, where, rule="profile-choice"))
    return None
