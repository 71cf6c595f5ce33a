"""What is wrong with a unit of writes, told of all its entries at once and where each stands in the request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from server.interaction.engine import Engine
from server.interaction.intents import Draft, Intent
from server.outcome import FhirError, Issue
from server.resource import references
from server.store.store import Conflict, Ref


def within(error: FhirError, intent: Intent) -> FhirError:
    """The fault as seen from the Bundle: in the entry's resource, or in its request."""

    def placed(issue: Issue) -> Issue:
        if issue.expression.startswith("request."):
            return replace(issue, expression=f"{intent.place}.{issue.expression}")
        return issue.within(f"{intent.place}.resource" if issue.expression else intent.place)

    issues = [placed(issue) for issue in error.issues]
    return FhirError(issues[0].code, issues[0].text, issues=issues, status=error.status, headers=error.headers)


def twice(drafts: Sequence[Draft]) -> FhirError | None:
    """R4 http.html#trules: one identity, one entry."""
    seen: dict[Ref, str] = {}
    for draft in drafts:
        if draft.ref in seen:
            text = f"{'/'.join(draft.ref)} is meant by {seen[draft.ref]} too; a Bundle may name it once."
            return FhirError("duplicate", text, expression=draft.intent.place, status=400)
        seen[draft.ref] = draft.intent.place
    return None


def raise_all(faults: Sequence[FhirError | None]) -> None:
    """FhirError with all of them; nothing when there is none."""
    found = [fault for fault in faults if fault is not None]
    if found:
        raise joined(found)


def joined(faults: Sequence[FhirError]) -> FhirError:
    """Several faults as one error, with the status of the first."""
    if len(faults) == 1:
        return faults[0]
    issues = [issue for fault in faults for issue in fault.issues]
    return FhirError(issues[0].code, issues[0].text, issues=issues, status=faults[0].status, headers=faults[0].headers)


def refused(engine: Engine, conflict: Conflict, drafts: Sequence[Draft]) -> FhirError:
    """What the commit found, as the client is told it."""
    if conflict.kind == "referenced":
        names = ", ".join("/".join(ref) for ref in conflict.refs)
        return FhirError("conflict", f"Andre viser hit / Still pointed to by {names}.")
    issues = [issue for draft in drafts for issue in absent(engine, conflict, draft)]
    return FhirError("not-found", "A reference does not resolve.", issues=issues, status=422)


def nowhere(reference: str, place: str) -> Issue:
    """A reference to what is not here."""
    return Issue("not-found", f"Finnes ikke / {reference} does not exist here.", place)


def absent(engine: Engine, conflict: Conflict, draft: Draft) -> list[Issue]:
    """The references of one draft that lead nowhere."""
    gone = {"/".join(ref) for ref in conflict.refs}
    found = [
        nowhere(reference["reference"], place)
        for place, reference in references(draft.after or {}, draft.ref[0])
        if engine.indexer.target(reference["reference"]) in gone
    ]
    return [issue.within(f"{draft.intent.place}.resource") if draft.intent.place else issue for issue in found]
