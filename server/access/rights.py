"""The table of rights.json: who × what × interaction × elements. Domain model 10; a new right is a line of that file.

`parties`: where a resource names an organisation – `at` are the paths in its JSON, `search` the search parameter of the
same, `then` the party of the resource that is found there. `kinds`: by nep-task-type, `tiltak` for a PlanDefinition,
else by resource type. A role is what a caller's organisation is to a resource by one of the kind's parties;
`anonymous` is everybody, and everybody may have what anonymous has. Of a kind:

read     by label; what is labelled R is found and read by these roles alone
create   role -> elements; `with`: what they must then hold
update   role -> elements, named or `all but` some; what is not among them is kept (merge, then validate)
move     role -> elements that change only by a move of states.json that is open to this role
derived  what follows from the status when it is sent as it stood, or not at all
stamped  what the server sets whatever is sent: profiles require it, so that every client sends something

Start states and moves are the life cycle's (server/portfolio/states.json). The label is the server's for everybody.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from server.access.elements import SLICED, Slices
from server.definitions.registry import Registry
from server.portfolio.states import INITIATIVE, standard

Grant = Literal["owner", "requester", "performer", "counterpart", "assessor", "nominator", "reporter", "author", "self",
                "organization", "agent"]  # fmt: skip

TABLE = Path(__file__).with_name("rights.json")
_ALWAYS = ("meta.profile", "meta.tag", "meta.source", "language")
"""What says nothing of the matter, and may be sent by whoever may write anything."""
_PARTS = frozenset({"type", "parties", "read", "create", "update", "move", "derived", "stamped"})


@dataclass(frozen=True, slots=True)
class Elements:
    """Those named, or all but those named; `needs` (create alone): element -> the value it must have."""

    named: frozenset[str]
    inverted: bool = False
    needs: Mapping[str, Any] = field(default_factory=dict)

    def hold(self, element: str, slices: Slices) -> bool:
        """Whether an element that is in these slices is among them."""
        parts = [f"{element}[{slice}]" for slice in slices]
        if self.inverted:
            return element not in self.named and not self.named.intersection(parts)
        return element in self.named or element in _ALWAYS or (bool(parts) and self.named.issuperset(parts))


@dataclass(frozen=True, slots=True)
class Party:
    """Where a resource of one type names an organisation, or (`then`) a resource that does."""

    resource_type: str
    search: str
    at: tuple[str, ...]
    then: Party | None


@dataclass(frozen=True, slots=True)
class Kind:
    """The rights on one kind of resource. `restricted`: the parties that read what is labelled R."""

    name: str
    resource_type: str
    parties: Mapping[str, Party]
    restricted: frozenset[str]
    create: Mapping[str, Elements]
    update: Mapping[str, Elements]
    move: Mapping[str, Elements]
    derived: frozenset[str]
    stamped: frozenset[str]


@dataclass(frozen=True)
class Rights:
    """The table: `everywhere` are the interactions that a role of callers has on every kind."""

    kinds: Mapping[str, Kind]
    everywhere: Mapping[str, frozenset[str]]

    def of_type(self, resource_type: str) -> tuple[Kind, ...]:
        """The kinds that resources of this type can be of."""
        return tuple(kind for kind in self.kinds.values() if kind.resource_type == resource_type)

    def check(self, registry: Registry, served: Collection[str]) -> None:
        """ValueError, with file and reason, for a word that R4 and profiles/ do not have, or a type left out."""
        known = {kind.resource_type for kind in self.kinds.values()}
        for missing in sorted(set(served) - known):
            raise _wrong(missing, "a served type without rights")
        for kind in self.kinds.values():
            if kind.resource_type not in served:
                raise _wrong(kind.name, f"{kind.resource_type!r} is no type that is served")
            if kind.name not in (INITIATIVE, kind.resource_type) and kind.name not in standard():
                raise _wrong(kind.name, "neither a kind of states.json nor a resource type")
            _check_elements(kind, registry)


@cache
def standard_rights() -> Rights:
    """The table that is shipped, read once."""
    return rights()


def rights(path: Path = TABLE) -> Rights:
    """The table. ValueError names the file, the kind and the word that is not understood."""
    table: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    rows: dict[str, dict[str, Any]] = table["parties"]

    def party(name: str) -> Party:
        if name not in rows:
            raise _wrong(name, "no such party", path)
        row = rows[name]
        then = party(row["then"]) if "then" in row else None
        return Party(name.partition(".")[0], row["search"], tuple(row["at"]), then)

    kinds = {}
    for name, row in table["kinds"].items():
        try:
            kinds[name] = _kind(name, row, {role: party(one) for role, one in row.get("parties", {}).items()})
        except ValueError as error:
            raise _wrong(name, str(error), path) from None
    return Rights(kinds, {role: frozenset(may) for role, may in table["everywhere"].items()})


def _kind(name: str, row: Mapping[str, Any], parties: Mapping[str, Party]) -> Kind:
    parts = ("create", "update", "move")
    granted = {part: {role: _elements(said) for role, said in row.get(part, {}).items()} for part in parts}
    kind = Kind(
        name,
        row.get("type", name),
        parties,
        frozenset(row["read"]["R"]),
        granted["create"],
        granted["update"],
        granted["move"],
        frozenset(row.get("derived", ())),
        frozenset(row.get("stamped", ())),
    )
    if unknown := set(row) - _PARTS:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    for role in {*parties, *kind.restricted, *kind.create, *kind.update, *kind.move}:
        if role not in get_args(Grant) or role not in parties:
            raise ValueError(f"{role!r} is none of its parties: {', '.join(parties) or 'none'}")
    if unseen := set(kind.update) - kind.restricted:
        raise ValueError(f"{', '.join(unseen)} may write what they may not read")
    for party in parties.values():
        if party.resource_type != kind.resource_type:
            raise ValueError(f"a party of {party.resource_type}, not of {kind.resource_type}")
    return kind


def _elements(said: Any) -> Elements:
    if isinstance(said, list):
        return Elements(frozenset(said))
    if not isinstance(said, dict) or "all but" not in said or set(said) - {"all but", "with"}:
        raise ValueError(f"{said!r}: expected a list of elements, or «all but» with a list")
    return Elements(frozenset(said["all but"]), True, said.get("with", {}))


def _check_elements(kind: Kind, registry: Registry) -> None:
    definition = registry.schema.type(kind.resource_type)
    meta = registry.schema.type("Meta")
    assert definition is not None
    assert meta is not None
    known = {variant.key for element in definition.elements.values() for variant in element.variants}
    known |= {f"meta.{variant.key}" for element in meta.elements.values() for variant in element.variants}
    granted = [one for part in (kind.create, kind.update, kind.move) for one in part.values()]
    named = {name for one in granted for name in (*one.named, *one.needs)}
    slices = _known_slices(registry)
    for name in sorted(named | kind.derived | kind.stamped):
        element, _, slice = name.removesuffix("]").partition("[")
        if element not in known:
            raise _wrong(kind.name, f"{element!r} is no element of {kind.resource_type}")
        if slice and (element not in SLICED or slice not in slices.get(element, ())):
            raise _wrong(kind.name, f"{name!r} is no slice that is known")


def _known_slices(registry: Registry) -> dict[str, set[str]]:
    def codes(*ids: str) -> set[str]:
        systems = [one for one in registry.of_type("CodeSystem") if one.get("id") in ids]
        return {code for one in systems for code in _codes(one.get("concept", ()))}

    slots = codes("nep-task-io", "nep-assessment-criterion") | {"questionnaire", "questionnaire-response"}
    sids = {one["id"].removeprefix("nep-sid-") for one in registry.of_type("NamingSystem") if "id" in one}
    return {
        "useContext": codes("nep-context-type") | {"portfolio", "user"},
        "identifier": sids | {"own"},
        "relatedArtifact": {
            "documentation",
            "composed-of",
            "predecessor",
            "successor",
            "derived-from",
            "justification",
        },
        "input": slots,
        "output": slots,
        "extension": {one["id"] for one in registry.of_type("StructureDefinition") if one.get("type") == "Extension"},
        "meta.security": {"label", "own"},
    }


def _codes(concepts: Any) -> set[str]:
    return {code for one in concepts for code in ({one["code"]} | _codes(one.get("concept", ())))}


def _wrong(name: str, reason: str, path: Path = TABLE) -> ValueError:
    return ValueError(f"{path}: {name}: {reason}.")
