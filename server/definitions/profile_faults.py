"""What is said of a resource that does not hold against a profile: every function adds one issue, and names in it
what would be right. The rule of an issue is the profile's id and the element of its definition."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from server.definitions.faults import Issues, hint
from server.definitions.faults import shown as quoted
from server.definitions.patterns import shown
from server.definitions.snapshots import Shape
from server.definitions.terminology import Members
from server.outcome import Issue

NAMED = 10
"""Codes that a text lists."""


class Source(NamedTuple):
    """The element of a profile that speaks: "nep-delivery", "Task.businessStatus"."""

    profile: str
    element: str

    @property
    def rule(self) -> str:
        return f"{self.profile}#{self.element}"


def missing(source: Source, shape: Shape, where: str, issues: Issues) -> None:
    right = " and ".join(shown(value) for value in (*shape.fixed, *shape.patterns))
    text = f"Mangler / Missing: {where} is required by {source.profile} ({_range(shape)})"
    issues.append(Issue("required", f"{text}: {right}." if right else f"{text}.", where, rule=source.rule))


def not_allowed(source: Source, where: str, issues: Issues) -> None:
    text = f"Ikke tillatt / Not allowed: {source.profile} has no {where.rpartition('.')[2]}; leave it out."
    issues.append(Issue("business-rule", text, where, rule=source.rule))


def wrong_type(source: Source, key: str, allowed: Sequence[str], where: str, issues: Issues) -> None:
    text = f"Feil type / Wrong type: {key} is given, {source.profile} takes {' or '.join(allowed)}."
    issues.append(Issue("value", text, where, rule=source.rule))


def wrong_resource(source: Source, found: Any, allowed: Collection[str], where: str, issues: Issues) -> None:
    text = f"Feil ressurstype / Wrong resource type: {quoted(found)}, expected {' or '.join(sorted(allowed))}."
    issues.append(Issue("value", text, where, rule=source.rule))


def count(source: Source, shape: Shape, found: int, where: str, issues: Issues) -> None:
    code = "required" if found < shape.min else "business-rule"
    text = f"Feil antall / Wrong number: {found} given, {source.profile} takes {_range(shape)}."
    issues.append(Issue(code, text, where, rule=source.rule))


def slice_count(source: Source, shape: Shape, label: str, found: int, where: str, issues: Issues) -> None:
    code = "required" if found < shape.min else "business-rule"
    if found == 0:
        text = f"Mangler {shape.slice_name} / Missing: {source.profile} requires one with {label} ({_range(shape)})."
    else:
        text = f"Feil antall {shape.slice_name} / Wrong number: {found} with {label}, allowed are {_range(shape)}."
    issues.append(Issue(code, text, where, rule=source.rule))


def no_slice(source: Source, given: str, labels: Sequence[str], where: str, issues: Issues) -> None:
    """`labels`: what each slice would have, such as "type nep-task-io#status"."""
    near = hint(given, [label.rpartition(" ")[2] for label in labels], issues)
    named = ", ".join(labels[:NAMED]) + (" …" if len(labels) > NAMED else "")
    text = (
        f"Ukjent her / Not known here: {given or 'this'} is none of the kinds that {source.profile} has{near}; "
        f"it has {named}."
    )
    issues.append(Issue("code-invalid", text, where, rule=source.rule))


def out_of_order(source: Source, name: str, where: str, issues: Issues) -> None:
    text = f"Feil rekkefølge / Wrong order: {source.profile} wants {name} further up."
    issues.append(Issue("business-rule", text, where, rule=source.rule))


def wrong_value(source: Source, expected: Any, where: str, issues: Issues) -> None:
    text = f"Feil verdi / Wrong value: {source.profile} expects {shown(expected)}."
    issues.append(Issue("value", text, where, rule=source.rule))


def not_member(
    source: Source, given: Any, value_set: str, members: Members, where: str, issues: Issues, severity: str = "error"
) -> None:
    codes = members.codes
    named = ", ".join(codes[:NAMED]) + (" …" if len(codes) > NAMED else "")
    near = hint(given, codes, issues)
    found = f"{quoted(given)} is not in" if given is not None else "a code is required from"
    text = f"Ukjent kode / Unknown code: {found} {value_set}{near}; it has {named}."
    issues.append(Issue("code-invalid", text, where, severity, source.rule))


def too_long(source: Source, length: int, where: str, issues: Issues) -> None:
    text = f"For lang / Too long: {source.profile} takes {length} characters."
    issues.append(Issue("business-rule", text, where, rule=source.rule))


def bad_reference(source: Source, fault: str, where: str, issues: Issues) -> None:
    text = f"Ugyldig referanse / Not a valid reference by {source.profile}: {fault}"
    issues.append(Issue("value", text, where, rule=source.rule))


def _range(shape: Shape) -> str:
    return f"{shape.min}..{'*' if shape.max is None else shape.max}"
