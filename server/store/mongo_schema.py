"""MongoDB's collections, their documents and indexes, and the schema's version.

**version**: one document for each version of a resource.

    _id      its ordinal (store.py): the order of writing, and the last word of every sort
    type, id, ref            "Task", "a", "Task/a"
    version, at, method      version_id; the commit's instant in µs; POST, PUT, PATCH or DELETE
    body                     the JSON as served, as bytes; none for a deletion
    until    the sequence that ended it, OPEN while it is the newest: it was current in [_id >> 16, until)
    state    "now": current, to be found by searches of the present · "was": has ended · "gone": a deletion
    link     the digest of the unit's link in the record's chain, on the unit's first record
    string, token, date, number, quantity, uri, reference
             its index rows (store.Indexed) as documents with the row's members by name, each once; no array
             where there are none

Rows stand inside the document, so that a create is one insert and a version can never be without its rows. `state`
begins every index of rows: the keys of the present lie together and a search of it touches nothing old, while one of
the past reads both stretches of the same index. (A second, partial set of indexes for the past would double
what each write keeps up.) A unit that writes nothing leaves a *mark*: _id (sequence << 16) | 0xFFFF, version 0 and a
`ref` of its own, so that every sequence keeps its instant.

Unique: (ref, version), which decides who creates a resource; and ref while `until` is OPEN (a partial index), by which
a resource has one newest version, whatever happens. `at` and _id grow together.

**state**: two documents. "clock" is written by every commit, so that commits are serial over all processes (see
mongo_unit.py): `sequence` and `instant` of the newest commit; `floor`, the greatest instant that was answered as past;
`head`, the newest link of the record's chain (mongo_chain.py); `deletion`, the newest commit that deleted anything;
`definition`, the newest SearchParameter version (Indexing.newest); `builds`, by that version's ordinal as text, how far
its rows are: all versions up to `reached` have theirs, `done` of `total`; whole when reached is `upto`. A snapshot
begins by reading it, and so knows all of this for one round trip. `turns` counts the transactions, `asked` says that a
process waits for its turn. "schema": `version`, of this description.

**Sharding**, where one machine no longer holds it: shard `version` by {ref: 1}. Both unique indexes begin with it, a
read goes to one shard, and ids are random, so that writes spread. Searches ask every shard.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, get_args

from pymongo import IndexModel

from server.search.query import Kind
from server.store.chain import GENESIS
from server.store.instants import instant_text
from server.store.store import Indexed, Version
from server.store.terms import PREFIX

VERSION = 1
OPEN = 2**62
MARK = 0xFFFF
VERSIONS, STATE = "version", "state"
CLOCK: dict[str, Any] = {
    "_id": "clock",
    "sequence": 0,
    "instant": 0,
    "floor": 0,
    "definition": 0,
    "deletion": 0,
    "head": {"sequence": 0, "digest": GENESIS},
    "builds": {},
    "turns": 0,
    "asked": False,
}

Document = dict[str, Any]

KINDS: tuple[Kind, ...] = get_args(Kind)

# The members of each kind's rows, as store.Indexed has them, without the key that begins and the n that ends them.
MEMBERS: dict[Kind, tuple[str, ...]] = {
    "string": ("folded", "exact"),
    "token": ("code", "system"),
    "date": ("low", "high"),
    "number": ("low", "high"),
    "quantity": ("low", "high", "code", "system", "unit"),
    "uri": ("value",),
    "reference": ("target", "version"),
}

# What the index of each kind's rows holds after `state`. Values are followed by _id, so that the newest of one value
# stream in order; uri and reference begin with the value, for what is looked up under any key.
_KEYS: dict[Kind, tuple[str, ...]] = {
    "string": ("key", "prefix"),
    "token": ("key", "code"),
    "date": ("key", "low"),
    "number": ("key", "low"),
    "quantity": ("key", "low"),
    "uri": ("value", "key"),
    "reference": ("target", "key"),
}
_NAMED: dict[str, list[tuple[str, int]]] = {
    "at": [("at", 1)],
    "type": [("type", 1), ("_id", -1)],
    "standing": [("state", 1), ("type", 1), ("_id", -1)],
    "updated": [("state", 1), ("type", 1), ("at", 1)],
    **{
        f"{kind}_rows": [("state", 1), *((f"{kind}.{member}", 1) for member in keys), ("_id", -1)]
        for kind, keys in _KEYS.items()
    },
}


def indexes() -> list[IndexModel]:
    """Of the collection `version`."""
    return [
        IndexModel([("ref", 1), ("version", 1)], name="numbered", unique=True),
        IndexModel([("ref", 1)], name="newest", unique=True, partialFilterExpression={"until": OPEN}),
        *(IndexModel(keys, name=name) for name, keys in _NAMED.items()),
    ]


def rows(indexed: Indexed) -> Document:
    """The arrays of rows, for a version document; kinds without rows left out."""
    found: Document = {}
    for kind in KINDS:
        members = ("key", *MEMBERS[kind], "n")
        # A resource may say the same twice; a row counts once.
        some = [dict(zip(members, row, strict=True)) for row in dict.fromkeys(getattr(indexed, kind))]
        if kind == "string":
            for row in some:
                row["prefix"] = row["folded"][:PREFIX]
        if some:
            found[kind] = some
    return found


def row_of(kind: Kind, document: Mapping[str, Any]) -> tuple[Any, ...]:
    """A row as store.Indexed has it; None for a member that is not there."""
    return tuple(document.get(member) for member in ("key", *MEMBERS[kind], "n"))


PACKED_FROM = 4 * 1024 * 1024
"""Bytes of a body from which on it is stored compressed: an edition of 1 000 initiatives has 26 MB of JSON, a document
holds 16, and JSON comes down to about a tenth."""

# JSON begins with a brace, a zlib stream with this: a body tells itself which it is.
_ZLIB = b"\x78"


def packed(body: bytes) -> bytes:
    """A body as a document holds it."""
    return body if len(body) < PACKED_FROM else zlib.compress(body)


def unpacked(document: Mapping[str, Any]) -> bytes | None:
    """The body of a version's document; None for a deletion."""
    stored: bytes | None = document.get("body")
    return zlib.decompress(stored) if stored is not None and stored.startswith(_ZLIB) else stored


SHOWN: Document = {"type": 1, "id": 1, "version": 1, "at": 1, "method": 1, "body": 1}
"""The projection that `version_of` needs."""


def version_of(document: Mapping[str, Any]) -> Version:
    return Version(
        document["type"],
        document["id"],
        document["version"],
        document["_id"],
        instant_text(document["at"]),
        document["method"],
        unpacked(document),
    )
