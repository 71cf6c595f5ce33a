"""Extensions: those that are defined are checked by their definition and where they may stand; any other is R4's to
allow, but not one under our own base, nor one that changes meaning. R4 extensibility.html, defining-extensions.html."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from server.definitions.faults import Issues, Place, hint, path
from server.definitions.faults import shown as quoted
from server.definitions.profiles import Profiles
from server.definitions.registry import Schema
from server.definitions.snapshots import DefinitionError, Profile
from server.outcome import Issue


class Extensions:
    """The extensions that profiles define. `canonical` is the base of our own."""

    def __init__(self, profiles: Profiles, defined: Iterable[Profile], schema: Schema, canonical: str) -> None:
        self._schema = schema
        self._own = f"{canonical}/"
        self._known = {
            one.url: (profiles.check(one.url), self._contexts(one), one) for one in defined if one.type == "Extension"
        }

    def check(self, value: Any, place: Place, issues: Issues) -> None:
        """Adds the issues of one extension, its form apart."""
        url = value.get("url")
        known = self._known.get(url) if type(url) is str else None
        if known is None:
            if type(url) is str:
                self._unknown(url, place, issues)
            return
        check, contexts, profile = known
        if not self._is_at(contexts, place, issues.root):
            self._misplaced(profile, contexts, place, issues)
        check(value, place, issues)

    def _unknown(self, url: str, place: Place, issues: Issues) -> None:
        where = f"{path(place)}.url"
        if url.startswith(self._own):
            text = (
                f"Ukjent utvidelse / Unknown extension: {quoted(url)} is not defined{hint(url, self._known, issues)}."
            )
            issues.append(Issue("extension", text, where, rule="extension-unknown"))
        elif place[1] == "modifierExtension":
            text = f"Ukjent utvidelse / Unknown extension: {quoted(url)} may change what the rest means; leave it out."
            issues.append(Issue("extension", text, where, rule="extension-modifier"))

    def _misplaced(self, profile: Profile, contexts: frozenset[str], place: Place, issues: Issues) -> None:
        text = f"Feil sted / Wrong place: {profile.id} belongs to {', '.join(sorted(contexts))}, not here."
        issues.append(Issue("extension", text, path(place), rule=f"{profile.id}#context"))

    def _contexts(self, profile: Profile) -> frozenset[str]:
        for type, expression in profile.contexts:
            if type != "element" or self._schema.type(expression.partition(".")[0]) is None:
                raise DefinitionError(profile.url, "context", f"{type} {expression} is not understood.")
        return frozenset(expression for _, expression in profile.contexts)

    def _is_at(self, contexts: frozenset[str], place: Place, root: dict[str, Any]) -> bool:
        holder = place[0]
        assert holder is not None
        if holder[0] is None and holder[1] in contexts:
            return True
        return not contexts.isdisjoint(self._names(holder, root))

    def _names(self, place: Place, root: dict[str, Any]) -> set[str]:
        """All names by which a context may mean the element at this place: its path from the resource or from the
        datatype it is in, its type, and what that type is derived from."""
        steps: list[tuple[str, int]] = []
        step: Place | None = place
        while step is not None and step[0] is not None:
            steps.append((step[1], step[2]))
            step = step[0]
        assert step is not None
        value, type, paths = root, step[1], [step[1]]
        for name, index in reversed(steps):
            key, type = self._key(type, name, value)
            value = value.get(key, {}) if isinstance(value, dict) else {}
            value = value[index] if index >= 0 and isinstance(value, list) and index < len(value) else value
            paths = [f"{one}.{name}" for one in paths]
            if type == "Resource" and isinstance(value, dict):
                type, paths = value.get("resourceType", type), []
            if "." not in type:
                paths.append(type)
        return {*paths, *self._ancestors(type)}

    def _key(self, type: str, name: str, value: Any) -> tuple[str, str]:
        """The JSON key of an element, and the type that it has there."""
        child = self._schema.child(type, name)
        if child is None:
            return name, "Element"
        return next((one for one in child.keys if isinstance(value, dict) and one[0] in value), child.keys[0])

    def _ancestors(self, type: str) -> Iterable[str]:
        definition = self._schema.type(type)
        while definition is not None:
            yield definition.name
            definition = self._schema.type(definition.base) if definition.base else None
