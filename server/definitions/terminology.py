"""Code systems as the searches use them: which codes are below or above another. R4 codesystem.html#hierarchy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Code = tuple[str, str]
"""(system, code)"""


@dataclass(frozen=True)
class Terminology:
    """`parents`: each code of a hierarchical code system with the code above it, "" at the top."""

    parents: dict[Code, str]

    @classmethod
    def of(cls, code_systems: Iterable[Mapping[str, Any]]) -> Terminology:
        """Of CodeSystem resources, nested concepts read as is-a."""
        return cls(
            {
                (system["url"], code): parent
                for system in code_systems
                for code, parent in _concepts(system.get("concept", []), "")
            }
        )

    def subsumes(self, system: str | None, code: str, up: bool) -> Sequence[Code]:
        """The code with those above it (`up`) or below it; of every system that has it when `system` is None.
        Empty for a code that is not known here."""
        starts = [key for key in self.parents if key[1] == code and system in (None, key[0])]
        return [found for start in starts for found in (self._above(start) if up else self._below(start))]

    def _above(self, start: Code) -> Iterator[Code]:
        system, code = start
        while code:
            yield system, code
            code = self.parents[system, code]

    def _below(self, start: Code) -> Iterator[Code]:
        yield start
        for (system, code), parent in self.parents.items():
            if (system, parent) == start:
                yield from self._below((system, code))


def _concepts(concepts: Iterable[dict[str, Any]], parent: str) -> Iterator[tuple[str, str]]:
    for concept in concepts:
        yield concept["code"], parent
        yield from _concepts(concept.get("concept", []), concept["code"])
