"""A resource as the elements that rights are given on: top-level names, meta's own, and slices of lists.

A slice is named as the profiles name it: useContext[fase], identifier[own], relatedArtifact[documentation],
output[levert-av], extension[nep-finance-line], meta.security[label]. An item of a list may be in several slices (a type
with two codings); it is written only by those who may write all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.access.labels import is_label
from server.resource import Resource, encode

Slices = tuple[str, ...]
Permits = Callable[[str, Slices], bool]
"""(element, its slices) -> whether it may be written"""

LABEL = "meta.security[label]"
SLICED = frozenset({"useContext", "identifier", "relatedArtifact", "input", "output", "extension", "meta.security"})
_CONTEXTS = {"program": "portfolio"}
# A reference or coding that says less than the stored one says the same: a client need not repeat what the server
# or an earlier report added beside it.
_BESIDE = frozenset({"display", "identifier", "type", "userSelected", "version"})


def slices(element: str, item: Any, canonical: str) -> Slices:
    """The slices that an item of this element is in; none for what is out of form."""
    if not isinstance(item, dict):
        return ()
    match element:
        case "useContext":
            code = _text(item.get("code"), "code")
            return (_CONTEXTS.get(code, code),)
        case "identifier":
            system = str(item.get("system", ""))
            issued = f"{canonical}/sid/"
            return (system.removeprefix(issued) if system.startswith(issued) else "own",)
        case "relatedArtifact":
            return (str(item.get("type", "")),)
        case "input" | "output":
            return _codes(item.get("type"))
        case "extension":
            return (str(item.get("url", "")).rpartition("/")[2],)
        case "meta.security":
            return ("label" if is_label(item) else "own",)
    return ()


def _codes(concept: Any) -> Slices:
    codings = concept.get("coding") if isinstance(concept, dict) else None
    found = {_text(one, "code") for one in (codings if isinstance(codings, list) else ())}
    return tuple(sorted(found)) or ("",)


def _text(value: Any, key: str) -> str:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


@dataclass(frozen=True)
class Fault:
    """An element that was written and may not be. `place`: with its index ("useContext[2]"); `element` and `slices`
    as the table names them."""

    place: str
    element: str
    slices: Slices = ()


@dataclass
class Merge:
    """What is sent laid over what stands. For an element that may not be written, absent keeps what stands (with
    `keep`; else it counts as removed, and so as a difference), what agrees stays as it stands, and anything else is
    a fault. `stamped` elements stay as they stand whatever is sent."""

    permits: Permits
    stamped: frozenset[str]
    canonical: str
    keep: bool
    faults: list[Fault] = field(default_factory=list)

    def of(self, stood: Resource, sent: Resource) -> Resource:
        """The merged resource; `faults` are then complete."""
        result = self._object(stood, sent, "")
        before, after = stood.get("meta", {}), sent.get("meta", {})
        if isinstance(after, dict):
            meta = self._object(before, after, "meta.")
            result.pop("meta", None)
            if meta:
                result["meta"] = meta
        return result

    def _object(self, stood: Resource, sent: Resource, prefix: str) -> Resource:
        result = dict(sent)
        for key in dict.fromkeys([*sent, *stood]):
            element = f"{prefix}{key.removeprefix('_')}"
            if element in _APART:
                continue
            if element in self.stamped:
                result.pop(key, None)
                if key in stood:
                    result[key] = stood[key]
            elif element in SLICED and _is_list(stood.get(key)) and _is_list(sent.get(key)):
                merged = self._list(stood.get(key) or [], sent.get(key) or [], element)
                result.pop(key, None)
                if merged:
                    result[key] = merged
            elif not self.permits(element, ()):
                self._whole(stood, sent, key, element, result)
        return result

    def _whole(self, stood: Resource, sent: Resource, key: str, element: str, result: Resource) -> None:
        if key not in sent:
            if self.keep:
                result[key] = stood[key]
            else:
                self.faults.append(Fault(element, element))
        elif key in stood and agrees(sent[key], stood[key]):
            result[key] = stood[key]
        else:
            self.faults.append(Fault(_first_difference(sent[key], stood.get(key), element), element))

    def _list(self, stood: Sequence[Any], sent: Sequence[Any], element: str) -> list[Any]:
        """Kept items go back to where they stood, so that what leaves out only those comes out as it stands."""
        before, after = _grouped(stood, element, self.canonical), _grouped(sent, element, self.canonical)
        result, kept = list(sent), []
        for names in dict.fromkeys([*after, *before]):
            if f"{element}[{','.join(names)}]" == LABEL or self.permits(element, names):
                continue
            ours, theirs = before.get(names, []), after.get(names, [])
            if not theirs and self.keep:
                kept += ours
            elif not theirs:
                self.faults.append(Fault(element, element, names))
            else:
                self._compare(stood, result, ours, theirs, Fault(element, element, names))
        for index in sorted(kept):
            result.insert(min(index, len(result)), stood[index])
        return result

    def _compare(self, stood: Sequence[Any], result: list[Any], ours: list[int], theirs: list[int], at: Fault) -> None:
        for place, index in enumerate(theirs):
            if place < len(ours) and agrees(result[index], stood[ours[place]]):
                result[index] = stood[ours[place]]
            else:
                self.faults.append(Fault(f"{at.element}[{index}]", at.element, at.slices))
        if len(theirs) < len(ours):
            self.faults.append(at)


_APART = frozenset({"resourceType", "id", "meta", "meta.versionId", "meta.lastUpdated"})


def _grouped(items: Sequence[Any], element: str, canonical: str) -> dict[Slices, list[int]]:
    groups: dict[Slices, list[int]] = {}
    for index, item in enumerate(items):
        groups.setdefault(slices(element, item, canonical), []).append(index)
    return groups


def _is_list(value: Any) -> bool:
    return value is None or isinstance(value, list)


def _first_difference(sent: Any, stood: Any, element: str) -> str:
    if isinstance(sent, list) and isinstance(stood, list):
        for index, item in enumerate(sent):
            if index >= len(stood) or not agrees(item, stood[index]):
                return f"{element}[{index}]"
    return element


def agrees(sent: Any, stood: Any) -> bool:
    """Whether what is sent says nothing else than what stands. Displays and identifiers beside a reference or code
    may be left out, and so may codings beside the ones that are there."""
    if isinstance(sent, dict) and isinstance(stood, dict):
        named = any(key in stood for key in ("reference", "code"))
        missing = set(stood) - set(sent)
        if set(sent) - set(stood) or (missing and not (named and missing <= _BESIDE)):
            return False
        return all(
            _among(value, stood[key]) if key == "coding" else agrees(value, stood[key]) for key, value in sent.items()
        )
    if isinstance(sent, list) and isinstance(stood, list):
        return len(sent) == len(stood) and all(map(agrees, sent, stood))
    return type(sent) is type(stood) and _same(sent, stood)


def _among(sent: Any, stood: Any) -> bool:
    if not isinstance(sent, list) or not isinstance(stood, list) or not sent:
        return agrees(sent, stood)
    return all(any(agrees(one, other) for other in stood) for one in sent)


def _same(sent: Any, stood: Any) -> bool:
    # Decimals by their digits, as they would be stored.
    return bool(sent == stood and encode([sent]) == encode([stood]))


def pieces(resource: Resource, canonical: str) -> Iterator[Fault]:
    """Every element of a resource, the items of sliced lists one by one."""
    for prefix, part in (("", resource), ("meta.", resource.get("meta"))):
        for key, value in part.items() if isinstance(part, dict) else ():
            element = f"{prefix}{key.removeprefix('_')}"
            if element in _APART:
                continue
            if element in SLICED and isinstance(value, list):
                for index, item in enumerate(value):
                    yield Fault(f"{element}[{index}]", element, slices(element, item, canonical))
            else:
                yield Fault(element, element)
