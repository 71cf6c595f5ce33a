"""What is wanted written, on its way from what was sent to what shall stand; what can be said of one intent alone."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Literal

import jsonpatch

from server.interaction.links import Target
from server.outcome import FhirError, Issue
from server.resource import ID, Resource, encode
from server.search.query import Clause, Criterion, Token
from server.store.store import Ref, Version, Write

_MOST_OPERATIONS = 1000
_MOST_COPIES = 100
_LARGEST = 5 * 1024**2
Method = Literal["POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True)
class Intent:
    """What a client wants written. `condition`: the query string of a conditional create, update, patch or
    delete. `if_match`: the version id that must be current. `create_only`: If-None-Match: *.
    `place` begins the expression of every fault ("Bundle.entry[3]"), "" for a single write."""

    method: Method
    resource_type: str
    id: str | None = None
    condition: str | None = None
    resource: Resource | None = None
    patch: tuple[dict[str, Any], ...] = ()
    if_match: str | None = None
    create_only: bool = False
    full_url: str | None = None
    place: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of an intent. `version` is what stands now (None: nothing was there to delete); `warnings` say
    what in the resource, though it holds, should be looked at."""

    status: Literal[200, 201, 204]
    version: Version | None
    changed: bool = True
    warnings: tuple[Issue, ...] = ()


@dataclass
class Draft:
    """An intent on its way: which resource it means, what stands, what was sent, what shall stand. `by_server`: it
    follows from another draft (its `index` and `intent.place`) and was sent by nobody."""

    index: int
    intent: Intent
    ref: Ref
    before: Version | None = None
    stood: Resource | None = None
    sent: Resource | None = None
    after: Resource | None = None
    settled: bool = False
    write: Write | None = None
    warnings: tuple[Issue, ...] = ()
    by_server: bool = False


def target(draft: Draft) -> Target:
    """What the draft is to the links of its unit."""
    intent = draft.intent
    new_by_condition = intent.condition if draft.stood is None and intent.method in ("POST", "PUT") else None
    return Target(draft.ref, intent.full_url, draft.sent, intent.method == "DELETE", new_by_condition, intent.place)


def check_form(intent: Intent) -> None:
    """The resource sent is of the URL's type, and its id the URL's."""
    kind, sent = intent.resource_type, intent.resource
    if intent.id is not None and not ID.match(intent.id):
        raise FhirError(
            "value", f"«{intent.id}» is no id; expected 1 to 64 of A-Z a-z 0-9 - .", expression=f"{kind}.id"
        )
    if intent.method not in ("POST", "PUT"):
        return
    if not isinstance(sent, dict) or sent.get("resourceType") != kind:
        found = sent.get("resourceType", "none") if isinstance(sent, dict) else "no resource"
        raise FhirError(
            "invalid", f"Feil ressurstype / Expected a {kind}, found {found}.", expression=f"{kind}.resourceType"
        )
    if "id" in sent and not (isinstance(sent["id"], str) and ID.match(sent["id"])):
        raise FhirError("value", "An id is 1 to 64 of A-Z a-z 0-9 - .", expression=f"{kind}.id")
    if intent.method == "PUT" and intent.condition is None and sent.get("id") != intent.id:
        text = f"The resource's id is {sent.get('id', 'missing')}, the URL's {intent.id}; they must be equal."
        raise FhirError("value", text, expression=f"{kind}.id")


def check_versions(intent: Intent, before: Version | None) -> None:
    """FhirError conflict (412) when not the version that was asked for is current; not-found for a patch of nothing."""
    current = str(before.version_id) if before is not None and not before.deleted else None
    if intent.if_match is not None and intent.if_match != current:
        text = f"Endret av andre / If-Match asks for version {intent.if_match}, current is {current or 'none'}."
        raise FhirError("conflict", text, status=412)
    if intent.create_only and current is not None:
        raise FhirError("conflict", f"Finnes alt / {intent.resource_type}/{intent.id} exists already.", status=412)
    if intent.method == "PATCH" and current is None:
        raise not_to_patch(intent, deleted=before is not None)


def not_to_patch(intent: Intent, *, deleted: bool = False) -> FhirError:
    """A patch of what is not there, or was deleted."""
    name = f"{intent.resource_type}?{intent.condition}" if intent.id is None else f"{intent.resource_type}/{intent.id}"
    return FhirError("deleted" if deleted else "not-found", f"Finnes ikke / {name} is not here to patch.")


def is_identity(criterion: Criterion) -> bool:
    """Whether it asks for nothing but identifiers with their system, or ids."""
    if not isinstance(criterion, Clause) or criterion.negated or criterion.op != "match":
        return False
    tokens = [value for value in criterion.values if isinstance(value, Token)]
    named = criterion.key.endswith(".identifier") and all(one.system is not None and one.code for one in tokens)
    return criterion.kind == "id" or (criterion.kind == "token" and named)


def patched(draft: Draft) -> Resource:
    """What stands, patched operation by operation: its faults are told by their place, never with what stands."""
    patched = copy.deepcopy(draft.stood)
    operations = draft.intent.patch
    if len(operations) > _MOST_OPERATIONS or sum(one.get("op") == "copy" for one in operations) > _MOST_COPIES:
        text = f"A JSON Patch has at most {_MOST_OPERATIONS} operations, {_MOST_COPIES} of them copies."
        raise FhirError("too-costly", text, status=413)
    for index, operation in enumerate(operations):
        try:
            patched = jsonpatch.apply_patch(patched, [operation], in_place=True)
        except jsonpatch.JsonPatchTestFailed:
            raise FhirError("conflict", "A test of the patch failed: the resource has changed.", status=412) from None
        except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, ValueError, KeyError):
            text = f"Operation {index} of the JSON Patch cannot be applied: its path leads nowhere, or it is malformed."
            raise FhirError("processing", text) from None
        # A few copies of a list into itself would fill the memory.
        if operation.get("op") == "copy" and len(encode(patched)) > _LARGEST:
            raise FhirError("too-long", f"For stor / The patch makes more than {_LARGEST} bytes.")
    if not isinstance(patched, dict) or (patched.get("resourceType"), patched.get("id")) != draft.ref:
        raise FhirError("invalid", "A patch may change neither resourceType nor id.")
    return patched


def condition_of(intent: Intent) -> str:
    """Where the condition stands in the request."""
    return "request.ifNoneExist" if intent.method == "POST" else "request.url"
