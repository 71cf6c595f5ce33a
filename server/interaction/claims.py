"""What a client says of its own writing: the header X-Provenance, a Provenance as JSON. R4 provenance.html, http.html.

Taken: when it occurred, policy, location, reason, further agents, entities. `recorded` is overwritten, for every
client must send one. Refused, because the server knows better or answers for it: target, activity, id, meta, an agent
that is an organisation, onBehalfOf. Refused too is free text (text, display, extensions, signatures): the record stands
for ever, and the name of a person would stand in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from server.access import Caller
from server.asking import without_personal
from server.interaction.engine import Engine
from server.outcome import FhirError, Issue, invalid
from server.resource import Resource, decode

_TAKEN = ("occurredPeriod", "occurredDateTime", "policy", "location", "reason", "agent", "entity")
_WORDS = frozenset(("display", "text", "extension", "modifierExtension", "div", "contained", "name"))
_ORGANIZATIONS = ("urn:oid:2.16.578.1.12.4.1.4.101", "sid/aktor")


def claimed(engine: Engine, caller: Caller) -> Resource:
    """The elements of X-Provenance to be merged, none when it was not sent or nothing is put on record. FhirError
    for what is no Provenance, and for claims that are not the client's to make."""
    if caller.request is None or not caller.request.provenance or not engine.recording:
        return {}
    try:
        # Latin-1 is how the server reads a header; a client sends UTF-8 or ASCII.
        sent = decode(caller.request.provenance.encode("latin-1"))
    except FhirError as error:
        raise FhirError("structure", error.issues[0].text, expression="X-Provenance") from None
    issues = [_placed(issue) for issue in _faults(engine, sent)]
    if issues:
        raise invalid(issues)
    return {name: sent[name] for name in _TAKEN if name in sent}


def _faults(engine: Engine, sent: Resource) -> list[Issue]:
    if sent.get("resourceType") != "Provenance":
        return [Issue("invalid", "X-Provenance holder en / holds a Provenance.", "Provenance.resourceType")]
    refused = [
        Issue("business-rule", f"{name} settes av tjeneren / is set by the server; leave it out.", f"Provenance.{name}")
        for name in sent
        if name not in (*_TAKEN, "resourceType", "recorded")
    ]
    if refused:
        return refused
    trial = {**sent, "target": [{"reference": "Task/1"}], "recorded": "2026-01-01T00:00:00Z"}
    trial.setdefault("agent", [{"who": {"display": "client"}}])
    form = [issue for issue in engine.issues(trial, "Provenance") if issue.severity == "error"]
    return form or [*_words(sent, "Provenance"), *_organizations(sent)]


def _words(value: Any, place: str) -> Iterator[Issue]:
    """Where free text or a personal number stands."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name.lstrip("_") in _WORDS:
                text = f"{name}: fritekst føres ikke / free text is not kept on record; use codes and identifiers."
                yield Issue("business-rule", text, f"{place}.{name}")
            else:
                yield from _words(item, f"{place}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _words(item, f"{place}[{index}]")
    elif isinstance(value, str) and without_personal(value) != value:
        yield Issue("business-rule", "Personnummer føres ikke / A personal number is not kept on record.", place)


def _organizations(sent: Resource) -> Iterator[Issue]:
    for index, agent in enumerate(sent.get("agent", ())):
        who, place = agent["who"], f"Provenance.agent[{index}]"
        system = who.get("identifier", {}).get("system", "")
        named = "Organization" in (who.get("type"), who.get("reference", "").rpartition("/")[0].rpartition("/")[2])
        if named or system.endswith(_ORGANIZATIONS):
            yield _told(f"{place}.who")
        if "onBehalfOf" in agent:
            yield _told(f"{place}.onBehalfOf")


def _told(place: str) -> Issue:
    text = "Organisasjonen kjennes av tilgangsbeviset / The organisation is told by the token; leave it out."
    return Issue("business-rule", text, place)


def _placed(issue: Issue) -> Issue:
    return issue.within("X-Provenance")
