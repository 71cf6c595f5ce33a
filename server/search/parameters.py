"""The SearchParameters in force: R4's for the served types and our own from profiles/. R4 searchparameter.html."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SearchType = Literal["number", "date", "string", "token", "reference", "composite", "quantity", "uri", "special"]


@dataclass(frozen=True, slots=True)
class Component:
    """A part of a composite: `expression` is relative to the composite's own element."""

    type: SearchType
    expression: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter as it stands for one resource type.

    `key` is what its index rows are filed under ("Task.status"). `targets` (references only) are the types
    it may point to, empty for any. `canonical`: the reference is a canonical URL, matched against `url`.
    """

    resource_type: str
    code: str
    type: SearchType
    expression: str
    url: str
    targets: frozenset[str] = frozenset()
    canonical: bool = False
    components: tuple[Component, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.resource_type}.{self.code}"
