"""References within a request made real: urn:uuid and full URLs of other entries, and conditional ones.

R4 http.html#trules: conditional references are resolved after everything else of the transaction, so they
see its new and changed resources, and no longer its deleted ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from server.interaction.engine import Engine, Reading
from server.outcome import FhirError
from server.resource import Resource, references, rewritten, unresolved
from server.search.match import matches
from server.search.query import Query
from server.store.store import Indexed, Ref


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
    _names: dict[str, str] = field(default_factory=dict)
    _resolved: dict[str, str] = field(default_factory=dict)
    _rows: dict[str, list[tuple[str, Indexed]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for target in self.targets:
            if target.full_url and not target.deleted:
                name = "/".join(target.ref)
                self._names[target.full_url] = name
                if not target.full_url.startswith("urn:"):
                    # A relative reference is resolved against the entry's own full URL. R4 bundle.html#references.
                    self._names.setdefault("/".join(target.full_url.rsplit("/", 2)[-2:]), name)

    def clash(self) -> FhirError | None:
        """Two entries that would make one identity: what one creates upon a condition, another makes too."""
        for target in self.targets:
            if target.condition is None:
                continue
            query = self.engine.parser.condition(target.ref[0], target.condition, place=target.place)
            if any(id != target.ref[1] and self._meets(query, id, rows) for id, rows in self._new(target.ref[0])):
                text = f"Another entry makes the {target.ref[0]} that «{target.condition}» asks for; name it once."
                return FhirError("duplicate", text, expression=target.place, status=400)
        return None

    async def resolved(self, resource: Resource) -> Resource:
        """The resource with every reference as it will be stored. FhirError (422) for one that finds nothing,
        (412) for one that finds several."""
        if self._names:
            resource = rewritten(resource, self._renamed)
        if not unresolved(resource):
            return resource
        known: dict[str, str] = {}
        for place, reference in references(resource, resource["resourceType"]):
            text = reference["reference"]
            kind, mark, condition = text.partition("?")
            if mark and "/" not in kind and ":" not in kind:
                known[text] = await self._found(kind, condition, f"{place}.reference")
            elif text.startswith("urn:"):
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
        self.engine.known_type(kind)
        query = self.engine.parser.condition(kind, condition, place=place)
        page = await self.snapshot.search(query)
        stored = frozenset(version.id for version in page.versions)
        self.found.append((query, stored))
        rewrites = {
            target.ref[1] for target in self.targets if target.ref[0] == kind and (target.sent or target.deleted)
        }
        made = {id for id, rows in self._new(kind) if self._meets(query, id, rows)}
        ids = (stored - rewrites) | made
        if len(ids) != 1:
            text = f"«{asked}» finds {'nothing' if not ids else 'several'}; a reference needs exactly one."
            status = 422 if not ids else 412
            raise FhirError("not-found" if not ids else "multiple-matches", text, expression=place, status=status)
        self._resolved[asked] = f"{kind}/{next(iter(ids))}"
        return self._resolved[asked]

    def _renamed(self, key: str, text: str) -> str:
        if text in self._names and (key == "reference" or text.startswith("urn:")):
            return self._names[text]
        if key == "div" and "urn:" in text:
            for name, real in self._names.items():
                text = text.replace(f'"{name}"', f'"{real}"')
        return text

    def _new(self, kind: str) -> list[tuple[str, Indexed]]:
        """(id, index rows) of the request's resources of this type, as sent."""
        if kind not in self._rows:
            self._rows[kind] = [
                (target.ref[1], self.engine.indexer.indexed(target.sent))
                for target in self.targets
                if target.ref[0] == kind and target.sent is not None and not self.engine.faults(target.sent, kind)
            ]
        return self._rows[kind]

    def _meets(self, query: Query, id: str, rows: Indexed) -> bool:
        try:
            return all(matches(criterion, query.resource_type, id, rows) for criterion in query.criteria)
        except ValueError:
            # A chain leads out of the request; what it finds is looked for among what is stored.
            return False
