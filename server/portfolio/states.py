"""The life cycles of states.json: which state may follow which, and by whose hand. Domain model 9, decisions 12 and 23.

The table has a machine for each kind of Task (nep-task-type) and for initiatives (`tiltak`). A state is written
status/businessStatus where `business` says that both make it, for initiatives livslop/status, else the status
alone; `/*` stands for every state that begins so. `start` is what an owner may create; the secretariat creates in
any state, makes any listed move, and alone may mark something as entered in error. `locked`: nothing changes any
more but by a listed move; `held`: only the secretariat changes what is in it. `needs` names conditions that
rules.py checks.
Beyond decision 12 an owner may tell of a dependency first when it is met already: the report of 2023 does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from server.outcome import Issue
from server.resource import Resource

Who = Literal["owner", "part", "assessor", "sekretariat"]
Need = Literal[
    "open-round", "amended-round",
    "same-round", "reason", "silent-counterpart", "segment", "fase", "nomination", "nomination:received",
    "nomination:accepted", "nomination:rejected", "nomination:cancelled", "nomination:completed",
]  # fmt: skip

TABLE = Path(__file__).with_name("states.json")
INITIATIVE = "tiltak"
IN_ERROR = "entered-in-error"

WORDS: dict[Who, str] = {
    "owner": "eier / owner",
    "part": "motpart eller utfører / counterpart or performer",
    "assessor": "vurderer / assessor",
    "sekretariat": "sekretariatet / secretariat",
}


@dataclass(frozen=True, slots=True)
class Move:
    """One line of the table: from any of `sources` to any of `targets`; no sources for a start."""

    sources: frozenset[str]
    targets: tuple[str, ...]
    who: frozenset[Who]
    needs: tuple[Need, ...]


@dataclass(frozen=True, slots=True)
class Machine:
    """The life cycle of one kind."""

    kind: str
    business: bool
    states: tuple[str, ...]
    start: tuple[Move, ...]
    moves: tuple[Move, ...]
    locked: frozenset[str]
    held: frozenset[str]

    def state(self, resource: Resource, canonical: str) -> str:
        """The resource's state as the table writes it, – for a part that is missing."""
        status = resource.get("status", "–")
        if self.kind == INITIATIVE:
            return f"{context_code(resource, 'livslop', canonical) or '–'}/{status}"
        if not self.business or status == IN_ERROR:
            return str(status)
        return f"{status}/{_first_code(resource.get('businessStatus')) or '–'}"

    def found(self, before: str, after: str) -> tuple[Move, ...]:
        """The lines by which `after` may follow `before`."""
        return tuple(move for move in self.moves if before in move.sources and after in move.targets)

    def onward(self, before: str) -> str:
        """What may follow, in words."""
        lines = [
            f"{target} ({', '.join(WORDS[who] for who in sorted(move.who))})"
            for move in self.moves
            if before in move.sources
            for target in move.targets
            if target != before
        ]
        return "; ".join(lines) or "ingenting / nothing"


def machines(path: Path = TABLE) -> Mapping[str, Machine]:
    """The table, by kind. ValueError names the machine and the word that is not understood."""
    rows: dict[str, dict[str, Any]] = msgspec.json.decode(path.read_bytes())
    return {kind: _machine(kind, row) for kind, row in rows.items()}


@cache
def standard() -> Mapping[str, Machine]:
    """The table that is shipped, read once."""
    return machines()


def _machine(kind: str, row: Mapping[str, Any]) -> Machine:
    states = tuple(row["states"])

    def expanded(patterns: Iterable[str]) -> tuple[str, ...]:
        return tuple(state for pattern in patterns for state in _matching(kind, states, pattern))

    def move(line: Mapping[str, Any]) -> Move:
        known = {"who": get_args(Who), "needs": get_args(Need)}
        for part, words in known.items():
            for word in line.get(part, ()):
                if word not in words:
                    raise ValueError(f"{kind}: {word!r} in {part}; expected one of {', '.join(words)}.")
        sources = frozenset(expanded(line.get("from", ())))
        return Move(sources, expanded(line["to"]), frozenset(line["who"]), tuple(line.get("needs", ())))

    return Machine(
        kind,
        bool(row.get("business")),
        states,
        tuple(move(line) for line in row["start"]),
        tuple(move(line) for line in row["moves"]),
        frozenset(expanded(row.get("locked", ()))),
        frozenset(expanded(row.get("held", ()))),
    )


def _matching(kind: str, states: Sequence[str], pattern: str) -> list[str]:
    start = pattern.removesuffix("*")
    found = [state for state in states if state == pattern or (pattern != start and state.startswith(start))]
    if not found:
        raise ValueError(f"{kind}: {pattern!r} is none of its states.")
    return found


def kind_of(resource: Resource, canonical: str) -> str:
    """The kind whose machine speaks of the resource, "" for none: its nep-task-type, or tiltak for a
    PlanDefinition with a livslop."""
    if resource["resourceType"] == "Task":
        system = f"{canonical}/CodeSystem/nep-task-type"
        codings = resource.get("code", {}).get("coding", [])
        return str(next((coding.get("code", "") for coding in codings if coding.get("system") == system), ""))
    if resource["resourceType"] == "PlanDefinition":
        return INITIATIVE if context_code(resource, "livslop", canonical) else ""
    return ""


def context_code(plan: Resource, code: str, canonical: str) -> str:
    """The code of the useContext of that nep-context-type, "" without one."""
    for _, value in contexts(plan, code, canonical):
        return _first_code(value)
    return ""


def contexts(plan: Resource, code: str, canonical: str) -> Iterator[tuple[int, Resource]]:
    """The useContext values of that nep-context-type, with their index."""
    system = f"{canonical}/CodeSystem/nep-context-type"
    for index, context in enumerate(plan.get("useContext", [])):
        named = context.get("code", {})
        if named.get("code") == code and named.get("system") == system:
            yield index, context.get("valueCodeableConcept", {})


def _first_code(concept: Resource | None) -> str:
    codings = (concept or {}).get("coding", [])
    return str(codings[0].get("code", "")) if codings else ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the table says to a change: `issue`, or the lines one of which must be open to the caller (none: the
    change is no move, or anyone's)."""

    issue: Issue | None = None
    moves: tuple[Move, ...] = ()


def judge(machine: Machine, before: Resource | None, after: Resource, *, secretariat: bool, canonical: str) -> Verdict:
    """The change by the table alone; who the caller is beyond the secretariat, and what a line needs, is for
    the rules to find out."""
    to = machine.state(after, canonical)
    place = _place(machine, before, after, canonical)
    if to == IN_ERROR:
        if secretariat:
            return Verdict()
        text = "Bare sekretariatet merker noe som feilregistrert / Only the secretariat marks as entered in error."
        return Verdict(Issue("forbidden", text, place))
    if before is None:
        return _started(machine, to, place, secretariat)
    stood = machine.state(before, canonical)
    if stood in machine.locked and not machine.found(stood, to):
        text = f"Låst / Locked: {stood}; nothing of it changes any more. A correction is a new, amended report."
        return Verdict(Issue("conflict", text, place))
    if stood == to:
        if stood in machine.held and not secretariat:
            text = f"{stood}: be sekretariatet returnere den / ask the secretariat to return it before you change it."
            return Verdict(Issue("business-rule", text, place))
        return Verdict()
    moves = machine.found(stood, to)
    if not moves:
        text = (
            f"Ulovlig overgang / Not allowed: {stood} → {to}. "
            f"Lovlig herfra / Allowed from {stood}: {machine.onward(stood)}."
        )
        return Verdict(Issue("business-rule", text, place))
    return Verdict(moves=moves)


def _started(machine: Machine, to: str, place: str, secretariat: bool) -> Verdict:
    if secretariat:
        if to in machine.states:
            return Verdict()
        text = f"Ukjent tilstand / No state of {machine.kind}: {to}. Kjente / Known: {', '.join(machine.states)}."
        return Verdict(Issue("business-rule", text, place))
    moves = tuple(move for move in machine.start if to in move.targets)
    if moves:
        return Verdict(moves=moves)
    allowed = ", ".join(state for move in machine.start for state in move.targets)
    text = (
        f"Ulovlig starttilstand / Not a state to start in: {to}. "
        f"Lovlig / Allowed: {allowed or 'opprettes av sekretariatet / created by the secretariat'}."
    )
    return Verdict(Issue("business-rule", text, place))


def _place(machine: Machine, before: Resource | None, after: Resource, canonical: str) -> str:
    """The element that makes the difference: the status, unless that stayed."""
    kind = after["resourceType"]
    same_status = before is not None and before.get("status") == after.get("status")
    if machine.kind == INITIATIVE:
        for index, _ in contexts(after, "livslop", canonical):
            return f"{kind}.useContext[{index}].valueCodeableConcept"
    if machine.business and same_status and "businessStatus" in after:
        return f"{kind}.businessStatus"
    return f"{kind}.status"
