"""What the profiles add to R4's own validation, on the real portfolio: processor time alone, no server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import orjson

import mappings
from scripts.benchmarks.client import Measured
from server.app import PROFILES
from server.definitions.conformance import Conformance
from server.definitions.registry import CANONICAL, Registry
from server.resource import decode

ROUNDS = 200
Resource = dict[str, Any]
Judged = tuple[Measured, Measured]


def measured(report: Path) -> tuple[Judged, Judged]:
    """(what the profiles add, R4 alone) of the Tasks and of the largest PlanDefinition, per resource."""
    registry = Registry.load(PROFILES)
    enforced, plain = Conformance(registry, CANONICAL), Conformance(registry, CANONICAL, "off")
    resources = list(_stored(report))
    tasks = [resource for resource in resources if resource["resourceType"] == "Task"]
    plans = [resource for resource in resources if resource["resourceType"] == "PlanDefinition"]
    largest = max(plans, key=lambda plan: len(orjson.dumps(plan, default=float)))
    return _compared(enforced, plain, tasks, ROUNDS // 20), _compared(enforced, plain, [largest], ROUNDS)


def _compared(enforced: Conformance, plain: Conformance, resources: Sequence[Resource], rounds: int) -> Judged:
    """In turns, resource by resource, so that neither finds the processor's caches full of itself, and each first
    every other round. The best round of each counts, for others use the processor too."""
    best = {plain: 0, enforced: 0}
    for round in range(rounds):
        spent = dict.fromkeys(best, 0)
        order = (plain, enforced) if round % 2 else (enforced, plain)
        for resource in resources:
            for conformance in order:
                start = perf_counter_ns()
                conformance.issues(resource, resource["resourceType"])
                spent[conformance] += perf_counter_ns() - start
        best = {one: min(best[one] or found, found) for one, found in spent.items()}
    size = sum(len(orjson.dumps(one, default=float)) for one in resources) // len(resources)
    return _of(best[enforced] - best[plain], len(resources), size), _of(best[plain], len(resources), size)


def _of(nanoseconds: int, resources: int, size: int) -> Measured:
    return Measured(resources, nanoseconds / 1e9, nanoseconds / 1e3 / resources, size)


def _stored(report: Path) -> Iterable[Resource]:
    """The resources of a report as they are judged: with the references that the server resolves them to."""
    entries = mappings.bundle(mappings.read_report(report), canonical=CANONICAL).bundle["entry"]
    names = {entry["fullUrl"]: f"{entry['resource']['resourceType']}/{entry['fullUrl'][9:]}" for entry in entries}

    def resolved(reference: str) -> str:
        kind, mark, _ = reference.partition("?")
        return names.get(reference, f"{kind}/found" if mark else reference)

    for entry in entries:
        resource = decode(orjson.dumps(entry["resource"]))
        _each_reference(resource, resolved)
        yield resource


def _each_reference(value: Any, change: Callable[[str], str]) -> None:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            value["reference"] = change(value["reference"])
        for below in value.values():
            _each_reference(below, change)
    elif isinstance(value, list):
        for below in value:
            _each_reference(below, change)
