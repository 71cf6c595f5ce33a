"""Crosswalks on intake: a reporter's own codes get ours beside them, by the concept maps of its organisation.

A ConceptMap is an organisation's when it is active and has a useContext of code `user` (R4 usage-context-type) whose
valueReference is the Organization; it counts for what that organisation sends, or one above it by partOf. Each of
its groups maps one of their code systems (source) to one of ours (target). Our coding is put first in the
CodeableConcept, theirs stays beside it; a code that the maps of its system leave out is refused, with the nearest
ones named. What is sent again comes out the same again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

from server.access import Caller, Look
from server.definitions.terminology import Concept, Definition, Terminology, is_match
from server.interaction.engine import Engine, Reading
from server.interaction.terminology import terminology_of
from server.outcome import FhirError, Issue
from server.resource import Resource
from server.search.values import fold
from server.store.store import Snapshot

USAGE = "http://terminology.hl7.org/CodeSystem/usage-context-type"
_NEAREST = 3


async def crossed(
    engine: Engine, snapshot: Snapshot | Reading, caller: Caller, resource: Resource, look: Look
) -> Resource:
    """The resource with our codings added. FhirError code-invalid (422) with every code that is not mapped."""
    if caller.role != "reporter":
        return resource
    terminology = await terminology_of(engine, snapshot)
    maps = [map for map in terminology.maps() if await _is_of(engine, caller, map, look)]
    sources = {_url(group, "source") for map in maps for group in map.get("group", ())}
    if not sources:
        return resource
    walk = _Walk(terminology, maps, sources, [])
    result: Resource = walk.value(resource, resource["resourceType"])
    if walk.issues:
        raise FhirError("code-invalid", walk.issues[0].text, issues=walk.issues)
    return result


async def _is_of(engine: Engine, caller: Caller, map: Definition, look: Look) -> bool:
    if map.get("status") != "active":
        return False
    for context in map.get("useContext", ()):
        reference = context.get("valueReference", {}).get("reference", "")
        code = context.get("code", {})
        names_user = code.get("code") == "user" and code.get("system") == USAGE
        if names_user and await engine.access.is_own(caller, reference, look):
            return True
    return False


class _Walk:
    """Goes through a resource; `issues` collects what is not mapped."""

    def __init__(
        self, terminology: Terminology, maps: Sequence[Definition], sources: set[str], issues: list[Issue]
    ) -> None:
        self.terminology = terminology
        self.maps = maps
        self.sources = sources
        self.issues = issues

    def value(self, value: Any, place: str) -> Any:
        if isinstance(value, list):
            return [self.value(item, f"{place}[{index}]") for index, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        found = {key: self.value(item, f"{place}.{key}") for key, item in value.items()}
        if isinstance(found.get("coding"), list):
            found["coding"] = self._codings(found["coding"], f"{place}.coding")
        return found

    def _codings(self, codings: list[Any], place: str) -> list[Any]:
        added: list[Resource] = []
        for index, coding in enumerate(codings):
            if not self._is_theirs(coding):
                continue
            targets = self._targets(coding)
            if not targets:
                self.issues.append(self._unmapped(coding, f"{place}[{index}].code"))
            for target in targets:
                ours = [one for one in codings if isinstance(one, dict) and one.get("system") == target.system]
                if any(one.get("code") == target.code for one in ours) or _coding(target) in added:
                    continue
                if ours:
                    self.issues.append(_contradiction(coding, target, ours[0], place))
                else:
                    added.append(_coding(target))
        return [*added, *codings]

    def _is_theirs(self, coding: Any) -> bool:
        """What is out of form is left to the validation, which comes after."""
        if not isinstance(coding, dict) or not isinstance(coding.get("code"), str):
            return False
        system = coding.get("system")
        return isinstance(system, str) and system in self.sources

    def _targets(self, coding: Resource) -> list[Concept]:
        return [
            match.concept
            for map in self.maps
            for match in self.terminology.translate(map, coding["system"], coding["code"])
            if is_match(match)
        ]

    def _unmapped(self, coding: Resource, place: str) -> Issue:
        nearest = ", ".join(self._nearest(coding)) or "ingen / none"
        text = (
            f"«{coding['code']}» er ikke i kodekartet for / is not in the concept map of {coding['system']}. "
            f"Nærmest / Nearest: {nearest}."
        )
        return Issue("code-invalid", text, place)

    def _nearest(self, coding: Resource) -> list[str]:
        """The codes of the maps that are most like it, with what they are mapped to; and ours that are."""
        asked = [fold(coding[name]) for name in ("code", "display") if isinstance(coding.get(name), str)]
        rated: dict[str, float] = {}
        for words, text in self._candidates(coding["system"]):
            likeness = max(SequenceMatcher(None, fold(word), one).ratio() for word in words for one in asked)
            rated[text] = max(likeness, rated.get(text, 0.0))
        return sorted(rated, key=lambda text: -rated[text])[:_NEAREST]

    def _candidates(self, system: str) -> Iterator[tuple[list[str], str]]:
        for map in self.maps:
            for group in map.get("group", ()):
                if _url(group, "source") != system:
                    continue
                for element in group.get("element", ()):
                    for target in element.get("target", ()):
                        words = [one[name] for one in (element, target) for name in ("code", "display") if name in one]
                        yield words, f"«{element.get('code')}» → {target.get('code')}"


def _coding(concept: Concept) -> Resource:
    coding = {"system": concept.system, "code": concept.code, "display": concept.display}
    return {name: value for name, value in coding.items() if value}


def _contradiction(coding: Resource, target: Concept, ours: Resource, place: str) -> Issue:
    text = (
        f"«{coding['code']}» er / is {target.code} ({target.system}), men / but {ours.get('code')} is sent beside it; "
        "send bare deres egen / send your own alone."
    )
    return Issue("code-invalid", text, place)


def _url(group: Definition, end: str) -> str:
    return str(group.get(end, "")).partition("|")[0]
