"""Invariants compiled to checks: R4's own of a type or element, and those of profiles. R4 elementdefinition.html."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from server.definitions.elements import Check
from server.definitions.faults import Issues, Place, path
from server.definitions.fhirpath import FhirPathError, Scope, compile, holds
from server.definitions.registry import Constraint, Schema
from server.definitions.snapshots import Rule
from server.outcome import Issue

UNREPORTED = frozenset({"dom-6", "cid-0", "ras-1"})
"""dom-6 is advice to have a narrative, which a registry of facts follows nowhere; the other two are R4's slips:
they name elements that their own types do not have."""

# Elements without which an invariant of R4 says nothing, though FHIRPath gives nothing then, which would fail
# (decision 28): of ref-1 and bdl-8 this is needed, of the others it saves evaluating them.
NEEDED: dict[str, frozenset[str]] = {
    "ref-1": frozenset({"reference"}),
    "bdl-8": frozenset({"fullUrl"}),
    "per-1": frozenset({"start", "end"}),
    "rng-2": frozenset({"low", "high"}),
    "qty-3": frozenset({"code"}),
    "sqty-1": frozenset({"comparator"}),
    "cpt-2": frozenset({"value"}),
    "att-1": frozenset({"data"}),
    "dom-3": frozenset({"contained"}),
    "dom-5": frozenset({"contained"}),
    "inv-1": frozenset({"authoredOn", "lastModified"}),
    **{
        f"{prefix}-0": frozenset({"name"})
        for prefix in ("cpb", "csd", "cmd", "ig", "mea", "nsd", "opd", "pdf", "que", "sdf", "spd", "vsd")
    },
}
LONGEST_SHOWN = 200
"""Characters of an expression in a text."""


def _contained_are_used(value: Any, issues: Issues) -> bool:
    """dom-3: what is contained is pointed to from somewhere in the resource, or points to it by "#"."""
    around = _fragments({key: item for key, item in value.items() if key != "contained"})
    within = [_fragments(one) for one in value["contained"]]
    # One without an id is reported as such.
    known = {"#"}.union(around, *within)
    return all(
        f"#{one.get('id', '')}" in known or "#" in own for one, own in zip(value["contained"], within, strict=True)
    )


def _fragments(value: Any) -> set[str]:
    """The texts at any depth that point within the resource."""
    if type(value) is str:
        return {value} if value.startswith("#") else set()
    items = value.values() if type(value) is dict else value if type(value) is list else ()
    return set().union(*map(_fragments, items))


def _points_within(value: Any, issues: Issues) -> bool:
    """ref-1: "#a" is the id of a contained resource. As R4 writes it, it also forbids "#", by which a contained
    resource points to the one around it (references.html)."""
    reference = value["reference"]
    return not reference.startswith("#") or reference == "#" or reference[1:] in issues.contained_ids


def _groups_are_known(value: Any, issues: Issues) -> bool:
    """ig-1: each resource's grouping is one of the guide's."""
    known = {grouping.get("id") for grouping in value.get("grouping", ())}
    return all(one.get("groupingId", None) in known for one in value.get("resource", ()) if "groupingId" in one)


def _snapshot_is_of_its_type(value: Any, issues: Issues) -> bool:
    """sdf-8: the first path is the type, and the others go on from it."""
    first, *rest = [element["path"] for element in value["element"]]
    of_type = issues.resource["kind"] == "logical" or first == issues.resource["type"]
    return of_type and all(path.startswith(f"{first}.") for path in rest)


def _differential_is_of_its_type(value: Any, issues: Issues) -> bool:
    """sdf-8a: the first path begins with the type, and all with what the first begins with."""
    first, *rest = [element["path"] for element in value["element"]]
    of_type = issues.resource["kind"] == "logical" or first.startswith(issues.resource["type"])
    return of_type and all(path.startswith(f"{first.partition('.')[0]}.") for path in rest)


# R4's expressions for these look through the whole resource for each item: of a body of 5 MiB, for hours.
BY_HAND: dict[str, Callable[[Any, Issues], bool]] = {
    "dom-3": _contained_are_used,
    "ref-1": _points_within,
    "ig-1": _groups_are_known,
    "sdf-8": _snapshot_is_of_its_type,
    "sdf-8a": _differential_is_of_its_type,
}


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule ready to run: `holds` takes a value and the Issues so far, and may raise what comes of a value out of
    form; `rule` is its key, `text` what is said when it does not hold; `needed`: keys without which it is not run."""

    rule: str
    text: str
    severity: str
    needed: frozenset[str]
    holds: Callable[[Any, Issues], bool]


def of_r4(constraints: Sequence[Constraint], type: str, schema: Schema) -> list[Invariant]:
    """R4's own invariants of a type, or of an element of that type."""
    return [
        Invariant(
            one.key,
            f"{one.key}: Regelen i R4 er brutt / R4's rule does not hold: {_short(one.expression)}",
            one.severity,
            NEEDED.get(one.key, frozenset()),
            BY_HAND.get(one.key) or _evaluated(one.expression, type, schema),
        )
        for one in constraints
        if one.key not in UNREPORTED
    ]


def of_profile(rules: Sequence[Rule], type: str, schema: Schema) -> list[Invariant]:
    """A profile's. FhirPathError for an expression that cannot be compiled."""
    return [
        Invariant(
            rule.key,
            f"{rule.key}: {rule.human or rule.expression}",
            rule.severity,
            frozenset(),
            _evaluated(rule.expression, type, schema),
        )
        for rule in rules
    ]


def _short(expression: str) -> str:
    return f"{expression[:LONGEST_SHOWN]}…" if len(expression) > LONGEST_SHOWN else expression


def _evaluated(expression: str, type: str, schema: Schema) -> Callable[[Any, Issues], bool]:
    evaluate = compile(expression, type, schema).evaluate

    def met(value: Any, issues: Issues) -> bool:
        node = (type, value, None)
        try:
            return holds(evaluate(Scope(node, issues.resource, issues.root), node))
        except FhirPathError:
            return False

    return met


def check_of(invariants: Sequence[Invariant]) -> Check | None:
    """The check of these on a value of their type, in their order; None for none."""
    if not invariants:
        return None
    rows = tuple((one.needed, one.holds, one) for one in invariants)

    def check(value: Any, place: Place, issues: Issues) -> None:
        for needed, met, invariant in rows:
            if needed and not (value.__class__ is dict and needed <= value.keys()):
                continue
            try:
                if met(value, issues):
                    continue
            except (AttributeError, KeyError, TypeError, ValueError):
                # Of a value out of R4's form nothing can be told, and the form's own issue has spoken.
                if issues.ill_formed:
                    continue
                raise
            issues.append(Issue("invariant", invariant.text, path(place), invariant.severity, invariant.rule))

    return check
