"""Slices told apart: which slice of an element an item belongs to, by its discriminators. R4 profiling.html#slicing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from server.definitions.patterns import Test, fixed_test, pattern_test, shown
from server.definitions.registry import Schema
from server.definitions.snapshots import Shape, Slicing
from server.definitions.terminology import Members

Classify = Callable[[Any], int]
"""An item -> the index of its slice, or -1."""
Step = tuple[str, ...]
"""The JSON keys that one step of a path may stand for: several for a choice."""


class SliceError(ValueError):
    """A slice that nothing tells apart."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What one discriminator asks of the items of one slice: `test` of a value found by `steps` from the item;
    `expected` the JSON that it compares with, None for other tests; `label` the same for people."""

    steps: tuple[Step, ...]
    test: Test
    expected: Any
    label: str

    def __call__(self, item: Any) -> bool:
        return any(map(self.test, _values(item, self.steps)))


@dataclass(frozen=True)
class Slicer:
    """`marks` and `labels` in the order of the slices."""

    marks: tuple[tuple[Mark, ...], ...]
    labels: tuple[str, ...]
    classify: Classify

    def given(self, item: Any) -> str:
        """What an item has where its slice would show, for people; "" for nothing."""
        found = _values(item, self.marks[0][0].steps) if self.marks else []
        return shown(found[0]) if found else ""


@dataclass(frozen=True)
class Slicers:
    """Makes slicers. `listed` gives the codes of a value set."""

    schema: Schema
    listed: Callable[[str], Members | None]

    def slicer(self, shape: Shape) -> Slicer:
        """SliceError when a slice does not say what its discriminators ask for."""
        assert shape.slicing is not None
        marks = tuple(tuple(self._marks(one, shape.slicing)) for one in shape.slices.values())
        labels = tuple(" and ".join(mark.label for mark in row) for row in marks)
        return Slicer(marks, labels, _by_table(marks) or _one_by_one(marks))

    def _marks(self, slice: Shape, slicing: Slicing) -> Iterator[Mark]:
        for kind, path in slicing.discriminators:
            names = [] if path == "$this" else path.split(".")
            match kind:
                case "value" | "pattern":
                    yield self._value_mark(slice, path, names)
                case "type":
                    yield self._type_mark(slice, path, names)
                case "exists":
                    yield self._exists_mark(slice, path, names)
                case _:
                    raise SliceError(f"a discriminator of type {kind} is not understood")

    def _value_mark(self, slice: Shape, path: str, names: list[str]) -> Mark:
        steps, label = self._steps(slice, names), f"{path} " if path != "$this" else ""
        for depth in range(len(names), -1, -1):
            for shape in _below(slice, names[:depth]):
                for test, expected in _values_of(shape, names[depth:]):
                    return Mark(steps, test, expected, f"{label}{shown(expected)}")
                if depth == len(names) and (mark := self._loose_mark(shape, steps, label)) is not None:
                    return mark
        if names == ["url"] and slice.profiles:
            return Mark(steps, fixed_test(slice.profiles[0]), slice.profiles[0], slice.profiles[0])
        raise SliceError(f"{slice.id} does not say which {path} it has")

    def _loose_mark(self, shape: Shape, steps: tuple[Step, ...], label: str) -> Mark | None:
        """By a required binding, or by what is fixed below the discriminator's element."""
        if shape.binding is not None and shape.binding[0] == "required":
            members = self.listed(shape.binding[1])
            if members is not None:
                return Mark(steps, lambda value: _is_member(members, value), None, f"{label}of {shape.binding[1]}")
        below = [(child, child.fixed + child.patterns) for child in shape.children.values()]
        expected = {child.name: values[0] for child, values in below if values}
        if expected:
            return Mark(steps, pattern_test(expected), expected, f"{label}{shown(expected)}")
        return None

    def _type_mark(self, slice: Shape, path: str, names: list[str]) -> Mark:
        resolved = names[-1:] == ["resolve()"]
        at = names[:-1] if resolved else names
        variants = [variant for shape in _below(slice, at) for variant in shape.variants]
        steps = self._steps(slice, at)
        if resolved:
            types = frozenset(target for variant in variants for target in variant.targets)
            steps = (*steps, ("reference",))
        else:
            types = frozenset(variant.type for variant in variants) & self.schema.resource_types
        if not types:
            raise SliceError(f"{slice.id} does not say of which type of resource it is")
        read = _target if resolved else _resource_type
        return Mark(steps, lambda value: read(value) in types, None, f"{path} {', '.join(sorted(types))}")

    def _exists_mark(self, slice: Shape, path: str, names: list[str]) -> Mark:
        found = _below(slice, names)
        if not found or (found[0].min == 0 and found[0].max != 0):
            raise SliceError(f"{slice.id} does not say whether {path} is there")
        steps, present = self._steps(slice, names), found[0].min > 0
        label = f"{'with' if present else 'without'} {path}"
        return Mark((), lambda item: bool(_values(item, steps)) is present, None, label)

    def _steps(self, shape: Shape, names: Sequence[str]) -> tuple[Step, ...]:
        """The JSON keys of each step; SliceError for a path that the type does not have."""
        types, steps = {variant.type for variant in shape.variants}, []
        for name in names:
            children = [child for type in types if (child := self.schema.child(type, name)) is not None]
            if not children:
                raise SliceError(f"{shape.id}: the discriminator's path {'.'.join(names)} is not understood")
            keys = {key: type for child in children for key, type in child.keys}
            steps.append(tuple(keys))
            types = set(keys.values())
        return tuple(steps)


def _below(shape: Shape, names: Sequence[str]) -> list[Shape]:
    """The shapes at a path below a slice: of the element there, and of slices of it that must be there."""
    found = [shape]
    for name in names:
        children = [child for one in found if (child := one.children.get(name)) is not None]
        found = children + [one for child in children for one in child.slices.values() if one.min]
    return found


def _values_of(shape: Shape, names: Sequence[str]) -> Iterator[tuple[Test, Any]]:
    """The tests of what a shape fixes at a path within its value."""
    for values, make in ((shape.fixed, fixed_test), (shape.patterns, pattern_test)):
        for value in values:
            part = _part(value, names)
            if part is not None:
                yield make(part), part


def _part(expected: Any, names: Sequence[str]) -> Any:
    """What a fixed value or pattern says at a path within it; None for nothing."""
    for name in names:
        items = expected if type(expected) is list else [expected]
        found = [item[name] for item in items if type(item) is dict and name in item]
        if len(found) != 1:
            return None
        [expected] = found
    return expected


def _values(item: Any, steps: tuple[Step, ...]) -> list[Any]:
    found = [item]
    for keys in steps:
        below: list[Any] = []
        for value in found:
            if type(value) is dict:
                for key in keys:
                    if key in value:
                        one = value[key]
                        below.extend(one) if type(one) is list else below.append(one)
        found = below
    return found


def _is_member(members: Members, value: Any) -> bool:
    if type(value) is not dict:
        return value in members.codes
    codings = value.get("coding")
    return any(map(members.has, codings)) if type(codings) is list else members.has(value)


def _resource_type(value: Any) -> Any:
    return value.get("resourceType") if type(value) is dict else None


def _target(reference: Any) -> str:
    parts = reference.split("/") if type(reference) is str else [""]
    return str(parts[-2]) if len(parts) > 1 else ""


# ---- one look-up, where all slices are told apart by one coding or one text


def _by_table(marks: Sequence[Sequence[Mark]]) -> Classify | None:
    """The way of nearly all our slicings, 0.3 µs an item for some 5; None for others."""
    if any(len(row) != 1 for row in marks) or len({row[0].steps for row in marks}) != 1:
        return None
    expected = [row[0].expected for row in marks]
    steps = marks[0][0].steps
    if len(steps) == 1 and len(steps[0]) == 1 and all(type(one) is str for one in expected):
        return _by_text(steps[0][0], {text: index for index, text in enumerate(expected)})
    codings = [_coding(one) for one in expected]
    if len(steps) != 1 or len(steps[0]) != 1 or None in codings or len(set(codings)) != len(codings):
        return None
    return _by_coding(steps[0][0], {coding: index for index, coding in enumerate(codings) if coding is not None})


def _coding(expected: Any) -> tuple[str, str] | None:
    """The (system, code) that a pattern consists of."""
    if type(expected) is dict and expected.keys() == {"coding"} and len(expected["coding"]) == 1:
        [expected] = expected["coding"]
    if type(expected) is dict and expected.keys() == {"system", "code"}:
        return expected["system"], expected["code"]
    return None


def _by_text(key: str, table: dict[str, int]) -> Classify:
    def classify(item: Any) -> int:
        text = item.get(key) if type(item) is dict else None
        return table.get(text, -1) if type(text) is str else -1

    return classify


def _by_coding(key: str, table: dict[tuple[str, str], int]) -> Classify:
    def classify(item: Any) -> int:
        value = item.get(key) if type(item) is dict else None
        if type(value) is not dict:
            return -1
        codings = value.get("coding")
        for coding in codings if type(codings) is list else (value,):
            if type(coding) is dict:
                system, code = coding.get("system"), coding.get("code")
                found = table.get((system, code), -1) if type(system) is str and type(code) is str else -1
                if found >= 0:
                    return found
        return -1

    return classify


def _one_by_one(marks: Sequence[Sequence[Mark]]) -> Classify:
    def classify(item: Any) -> int:
        for index, row in enumerate(marks):
            if all(mark(item) for mark in row):
                return index
        return -1

    return classify
