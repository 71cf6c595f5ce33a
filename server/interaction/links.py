"""References within a request made real: urn:uuid and full URLs of other entries, and conditional ones.

R4 http.html#trules: conditional references are resolved after everything else of the transaction, so they
see its new and changed resources, and no longer its deleted ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.access import Sight
from server.interaction.engine import Engine, Reading
from server.interaction.terminology import parser_at
from server.outcome import FhirError
from server.resource import Resource, references, rewritten, unresolved
from server.search.match import matches
from server.search.query import Clause, Query, Token
from server.store.store import Indexed, Ref

_URIS = frozenset({"uri", "url", "canonical", "uuid", "oid"})


@dataclass(frozen=True, slots=True)
class Target:
    """One entry as others may point to it. `sent` is its resource unless it stays as it is or goes;
    `condition` what it is created upon, when it is new by a condition."""

    ref: Ref
    full_url: str | None
    sent: Resource | None
    deleted: bool
    condition: str | None
    place: str


@dataclass
class Links:
    """The references of one request. `found` collects the searches that were relied upon."""

    engine: Engine
    snapshot: Reading
    found: list[tuple[Query, frozenset[str]]]
    targets: Sequence[Target]
    sight: Sight
    _names: dict[str, str] = field(default_factory=dict)
    _resolved: dict[str, str] = field(default_factory=dict)
    _rows: dict[str, dict[str, Indexed]] = field(default_factory=dict)
    _holders: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for target in self.targets:
            if target.full_url and not target.deleted:
                name = "/".join(target.ref)
                self._names[target.full_url] = name
                if not target.full_url.startswith("urn:"):
                    # A relative reference is resolved against the entry's own full URL. R4 bundle.html#references.
                    self._names.setdefault("/".join(target.full_url.rsplit("/", 2)[-2:]), name)

    async def clash(self) -> FhirError | None:
        """Two entries that would make one identity: what one creates upon a condition, another makes too."""
        for count, target in enumerate(self.targets, 1):
            if count % 20 == 0:
                await asyncio.sleep(0)
            if target.condition is None:
                continue
            parser = await parser_at(self.engine, self.snapshot, target.condition)
            query = parser.condition(target.ref[0], target.condition, place=target.place)
            if self._made(query) - {target.ref[1]}:
                text = f"Another entry makes the {target.ref[0]} that «{target.condition}» asks for; name it once."
                return FhirError("duplicate", text, expression=target.place, status=400)
        return None

    async def resolved(self, resource: Resource) -> Resource:
        """The resource with every reference as it will be stored. FhirError (422) for one that finds nothing,
        (412) for one that finds several."""
        if self._names:
            resource = self._renamed(resource, resource["resourceType"])
        if not unresolved(resource):
            return resource
        known: dict[str, str] = {}
        for place, reference in references(resource, resource["resourceType"]):
            text = reference["reference"]
            kind, mark, condition = text.partition("?")
            if mark and "/" not in kind and ":" not in kind:
                known[text] = await self._found(kind, condition, f"{place}.reference")
            elif text.startswith("urn:uuid:"):
                raise FhirError(
                    "not-found", f"{text} is the fullUrl of no entry here.", expression=f"{place}.reference", status=422
                )
        if known:
            resource = rewritten(resource, lambda key, text: known.get(text, text) if key == "reference" else text)
        return resource

    async def _found(self, kind: str, condition: str, place: str) -> str:
        asked = f"{kind}?{condition}"
        if asked in self._resolved:
            return self._resolved[asked]
        if kind not in self.engine.resource_types:
            raise FhirError("not-found", f"{kind} is not served here.", expression=place, status=422)
        query = (await parser_at(self.engine, self.snapshot, condition)).condition(kind, condition, place=place)
        # What the sender may not see is not found: the answer would tell of it. Its own entries it sees all.
        shown = await self.sight.narrowed(query)
        page = await self.snapshot.search(shown)
        stored = frozenset(version.id for version in page.versions)
        self.found.append((shown, stored))
        rewrites = {
            target.ref[1] for target in self.targets if target.ref[0] == kind and (target.sent or target.deleted)
        }
        ids = (stored - rewrites) | self._made(query)
        if len(ids) != 1:
            text = f"«{asked}» finds {'nothing' if not ids else 'several'}; a reference needs exactly one."
            status = 422 if not ids else 412
            raise FhirError("not-found" if not ids else "multiple-matches", text, expression=place, status=status)
        self._resolved[asked] = f"{kind}/{next(iter(ids))}"
        return self._resolved[asked]

    def _renamed(self, value: Any, type: str) -> Any:
        """The value with the names of other entries replaced, in elements of the types that R4 says: references,
        uris of all kinds, and links in the narrative. Texts and identifiers stay as they were written."""
        if isinstance(value, list):
            return [self._renamed(item, type) for item in value]
        if isinstance(value, dict):
            kinds = self._kinds(value.get("resourceType") if type == "Resource" else type)
            return {key: self._renamed(item, kinds.get(key, "")) for key, item in value.items()}
        if isinstance(value, str):
            if type in _URIS or type == "Reference.reference":
                return self._names.get(value, value)
            if type == "xhtml" and "urn:" in value:
                for name, real in self._names.items():
                    value = value.replace(f'"{name}"', f'"{real}"')
        return value

    def _kinds(self, type: Any) -> dict[str, str]:
        """JSON key -> FHIR type of a type's elements; Reference.reference stands for itself."""
        definition = self.engine.registry.schema.type(type) if isinstance(type, str) and type else None
        if definition is None:
            return {}
        kinds = {v.key: v.type for element in definition.elements.values() for v in element.variants}
        return kinds | {"reference": "Reference.reference"} if definition.name == "Reference" else kinds

    def _made(self, query: Query) -> frozenset[str]:
        """The ids of the request's own resources that the query finds."""
        kind = query.resource_type
        if kind not in self._rows:
            self._rows[kind] = {
                target.ref[1]: self.engine.indexer.indexed(target.sent)
                for target in self.targets
                if target.ref[0] == kind and target.sent is not None and not self.engine.form_faults(target.sent, kind)
            }
            for id, rows in self._rows[kind].items():
                for key, code, _, _ in rows.token:
                    self._holders.setdefault((key, code), []).append(id)
        rows_of = self._rows[kind]
        return frozenset(id for id in self._candidates(query, rows_of) if self._meets(query, id, rows_of[id]))

    def _candidates(self, query: Query, every: Iterable[str]) -> Iterable[str]:
        """Those that a token of the query allows: comparing all with all would take seconds for a large Bundle."""
        for criterion in query.criteria:
            if isinstance(criterion, Clause) and (criterion.kind, criterion.op) == ("token", "match"):
                codes = [value.code for value in criterion.values if isinstance(value, Token)]
                if not criterion.negated and None not in codes:
                    return {id for code in codes for id in self._holders.get((criterion.key, code or ""), ())}
        return every

    def _meets(self, query: Query, id: str, rows: Indexed) -> bool:
        try:
            return all(matches(criterion, query.resource_type, id, rows) for criterion in query.criteria)
        except ValueError:
            # A chain leads out of the request; what it finds is looked for among what is stored.
            return False
