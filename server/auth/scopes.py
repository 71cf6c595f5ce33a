"""SMART scopes, version 2: what a token's client may do of what its role may do. Pure.

`system/Task.cruds`: create, read, update, delete, search. `system/*.rs` is of every type, and
`system/Task.rs?code=leveranse` of those alone that the search finds. SMART App Launch 2.2.0, scopes and launch context.
A scope only ever takes away: what the role may not do stays forbidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from server.outcome import FhirError
from server.search.urls import pairs_of

Letter = Literal["c", "r", "u", "d", "s"]
# The letters stand in this order. Scopes of a patient's context (patient/…) name nothing here; user/… is what the
# sign-in of a person is given.
_FORM = re.compile(r"(?:system|user)/(\*|[A-Z][A-Za-z]{1,63})\.(?=[cruds])(c?r?u?d?s?)(?:\?([^\s#]{1,500}))?")
# Above this many, a token says more than can be asked of the store at each search.
MOST = 50

_VERBS: dict[Letter, str] = {"c": "create", "r": "read", "u": "update", "d": "delete", "s": "search"}


@dataclass(frozen=True, slots=True)
class Scope:
    """`resource_type` is "*" for every type; `letters` some of "cruds" in this order; `query` a search of the type,
    as written in the scope, "" for all of it."""

    resource_type: str
    letters: str
    query: str = ""

    def __str__(self) -> str:
        return f"system/{self.resource_type}.{self.letters}{'?' if self.query else ''}{self.query}"

    def within(self, other: Scope) -> Scope | None:
        """What both give; None for nothing."""
        types = {self.resource_type, other.resource_type} - {"*"} or {"*"}
        letters = "".join(letter for letter in self.letters if letter in other.letters)
        if len(types) > 1 or not letters:
            return None
        queries = dict.fromkeys(query for query in (self.query, other.query) if query)
        return Scope(types.pop(), letters, "&".join(queries))


Scopes = tuple[Scope, ...]


def scope(text: str) -> Scope | None:
    """One scope; None for what is none of SMART's version 2, or has a query that leads to other resources."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    resource_type, letters, query = found.group(1), found.group(2), found.group(3) or ""
    if query and not _of_itself(query):
        return None
    return Scope(resource_type, letters, query)


def scopes(texts: Iterable[str]) -> Scopes:
    """Those of the texts that are scopes of SMART's version 2, each once, the first fifty; others name nothing here
    and are left aside."""
    found = dict.fromkeys(one for text in texts if (one := scope(text)) is not None)
    return tuple(found)[:MOST]


def narrowed(asked: Scopes, allowed: Scopes) -> Scopes:
    """What of `asked` is within `allowed`, without what another of them gives already."""
    shared = [both for one in asked for other in allowed if (both := one.within(other)) is not None]
    found = tuple(dict.fromkeys(shared))
    return tuple(one for one in found if not any(one != other and one.within(other) == one for other in found))


def constraints(held: Scopes | None, letter: Letter, resource_type: str) -> tuple[str, ...] | None:
    """The searches, any of which a resource must meet for this letter; () for no constraint, None when the letter is
    not given for the type. `held` None: no scopes narrow this caller."""
    if held is None:
        return ()
    given = [one.query for one in held if letter in one.letters and one.resource_type in ("*", resource_type)]
    if not given:
        return None
    return () if "" in given else tuple(dict.fromkeys(given))


def insufficient(letter: Letter, resource_type: str) -> FhirError:
    """FhirError forbidden (403) that names the scope that is missing. RFC 6750 section 3.1."""
    needed = f"system/{resource_type}.{letter}"
    return FhirError(
        "forbidden",
        f"Tilgangsbeviset gjelder ikke dette / The token's scopes do not hold {_VERBS[letter]} of {resource_type} "
        f"({needed}), or not of this one.",
        headers={"WWW-Authenticate": f'Bearer realm="fhir", error="insufficient_scope", scope="{needed}"'},
    )


def _of_itself(query: str) -> bool:
    """Whether a resource shows by itself that it meets the search: no chain, no _has, no parameter of the answer."""
    try:
        pairs = pairs_of(query)
    except FhirError:
        return False
    return bool(pairs) and all(re.fullmatch(r"(_id|_lastUpdated|[A-Za-z][\w-]*)(:[\w-]+)?", name) for name, _ in pairs)
