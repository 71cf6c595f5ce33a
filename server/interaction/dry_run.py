"""A push tried out: entry by entry what a transaction or batch would do, with nothing written.

The answer is a Bundle of the same shape as the real one (transaction-response, batch-response). An entry's
response.status is what it would be; its response.outcome tells the rest, each issue with a code in
details.coding: `created`, `updated`, `unchanged`, `deleted`, `refused` says what becomes of the entry; `changed` is one
element of an update, in `expression`, its value before and after as JSON in `diagnostics`, – for none. Under
Prefer: return=representation an entry carries the resource as it would stand.

A transaction with faults answers for all of its entries; those that are right by themselves say that it is refused
as a whole. R4 lets the entries of a batch not depend on each other, so each is tried on what stands now.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from server.access import Caller
from server.interaction.engine import Engine
from server.interaction.intents import Intent
from server.interaction.rehearse import Rehearsed, rehearse
from server.interaction.transaction import ORDER, Entry, entries_of, get, intent_of
from server.outcome import FhirError, Issue, outcome
from server.resource import Resource, encode

_NOTHING: Any = object()
_WORDS = {
    "created": "Opprettes / Would be created",
    "updated": "Oppdateres / Would be updated",
    "unchanged": "Uendret / Would stay as it is",
    "deleted": "Slettes / Would be deleted",
}


async def dry_run(engine: Engine, caller: Caller, bundle: Resource, *, show: bool = False) -> list[Entry]:
    """The answers in the order of the Bundle's entries, with their resources if `show`. FhirError for a Bundle out
    of shape, as for a real one."""
    entries = entries_of(engine, bundle)
    intents: dict[int, Intent] = {}
    answers: dict[int, Entry] = {}
    for index, entry in enumerate(entries):
        try:
            if ORDER[entry["request"]["method"]] == 3:
                answers[index] = await get(engine, caller, entry["request"])
            else:
                intents[index] = intent_of(engine, entry, f"Bundle.entry[{index}]")
        except FhirError as error:
            answers[index] = _refused(error)
    together = bundle["type"] == "transaction"
    outlooks = await _rehearsed(engine, caller, intents, together=together)
    faulty = any(answer.status >= 400 for answer in answers.values()) or any(one.fault for one in outlooks.values())
    for index, outlook in outlooks.items():
        answers[index] = _answer(outlook, held_back=together and faulty, show=show)
    return [answers[index] for index in range(len(entries))]


async def _rehearsed(
    engine: Engine, caller: Caller, intents: dict[int, Intent], *, together: bool
) -> dict[int, Rehearsed]:
    if together:
        order = sorted(intents, key=lambda index: ORDER[intents[index].method])
        outlooks = await rehearse(engine, caller, [intents[index] for index in order])
        return dict(zip(order, outlooks, strict=True))
    return {index: (await rehearse(engine, caller, [intent]))[0] for index, intent in intents.items()}


def _refused(error: FhirError) -> Entry:
    said = Issue(
        "processing", f"Avvises / Would be refused with {error.status}.", severity="information", rule="refused"
    )
    return Entry(error.status, outcome=encode(outcome([said, *error.issues])), changed=False)


def _answer(outlook: Rehearsed, *, held_back: bool, show: bool) -> Entry:
    if outlook.fault is not None:
        return _refused(outlook.fault)
    what = _what(outlook)
    named = f": {'/'.join(outlook.ref)}" if outlook.ref is not None else ""
    issues = [Issue("informational", f"{_WORDS[what]}{named}.", severity="information", rule=what)]
    if what == "updated" and outlook.before is not None and outlook.after is not None:
        issues += changes(outlook.before, outlook.after)
    issues += outlook.warnings
    if held_back:
        text = "Men transaksjonen avvises som helhet / But the transaction as a whole is refused."
        issues.append(Issue("processing", text, severity="warning"))
    body = encode(outlook.after) if show and outlook.after is not None else None
    return Entry(outlook.status, body=body, outcome=encode(outcome(issues)), changed=outlook.changed)


def _what(outlook: Rehearsed) -> str:
    if not outlook.changed:
        return "unchanged"
    if outlook.status == 204:
        return "deleted"
    return "created" if outlook.status == 201 else "updated"


def changes(before: Resource, after: Resource) -> list[Issue]:
    """One issue for each element that differs, in the order of their places; meta.versionId and meta.lastUpdated
    are the commit's and left out."""
    return [
        Issue("informational", f"{_json(old)} → {_json(new)}", place, severity="information", rule="changed")
        for place, old, new in _differences(_plain(before), _plain(after), after["resourceType"])
    ]


def _plain(resource: Resource) -> Resource:
    meta = {key: value for key, value in resource.get("meta", {}).items() if key not in ("versionId", "lastUpdated")}
    rest = {key: value for key, value in resource.items() if key != "meta"}
    return {**rest, "meta": meta} if meta else rest


def _differences(before: Any, after: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from _differences(before.get(key, _NOTHING), after.get(key, _NOTHING), f"{place}.{key}")
    elif isinstance(before, list) and isinstance(after, list):
        yield from _list_differences(before, after, place)
    elif before is _NOTHING or after is _NOTHING or _json(before) != _json(after):
        yield place, before, after


def _list_differences(before: list[Any], after: list[Any], place: str) -> Iterator[tuple[str, Any, Any]]:
    """What both begin and end with is left out, so that one item more is one change and not many."""
    shorter = min(len(before), len(after))
    start = next((i for i in range(shorter) if _json(before[i]) != _json(after[i])), shorter)
    left = shorter - start
    end = next((i for i in range(left) if _json(before[-1 - i]) != _json(after[-1 - i])), left)
    middle = zip_longest(before[start : len(before) - end], after[start : len(after) - end], fillvalue=_NOTHING)
    for index, (old, new) in enumerate(middle, start):
        yield from _differences(old, new, f"{place}[{index}]")


def _json(value: Any) -> str:
    return "–" if value is _NOTHING else encode(value).decode()
