"""Printed words to codes, spellings to actors: the ConceptMaps and CodeSystems of profiles/ as look-ups."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from mappings.tables import ORGANIZATIONS, Organization, concept_map, displays, squeezed

_ACTOR = ("label/actor", "sid/aktor")
_CELL = "label/dependencies.actor"


@dataclass(frozen=True, slots=True)
class Coded:
    """A printed word and the codes of `system` (a CodeSystem id) that it means; more than one for FA alone."""

    system: str
    codes: tuple[str, ...]
    text: str

    @property
    def code(self) -> str:
        return self.codes[0]


@dataclass(frozen=True, slots=True)
class Actors:
    """What a cell of dependencies.actor names. `organizations` are the known ones; `sole`: the cell names
    exactly that one; `initiative` a tiltaksnummer or ""; `solutions` codes of nep-national-solution.
    `comment` says why, where the table does."""

    organizations: tuple[Organization, ...] = ()
    sole: bool = False
    initiative: str = ""
    solutions: tuple[str, ...] = ()
    comment: str = ""


@cache
def display(code_system: str, code: str) -> str:
    """The Norwegian display. KeyError for a code that the CodeSystem does not have."""
    return _displays(code_system)[code]


@cache
def _displays(code_system: str) -> dict[str, str]:
    return displays(code_system)


def codes(code_system: str) -> tuple[str, ...]:
    """All codes of one of our CodeSystems, in its order."""
    return tuple(_displays(code_system))


@cache
def _labels() -> dict[str, tuple[str, dict[str, tuple[str, ...]]]]:
    """Column -> (CodeSystem, word -> codes)."""
    found: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {}
    for map_id in ("nep-import-labels", "nep-risk-2023"):
        for (source, target), words in concept_map(map_id).items():
            column, system = source.removeprefix("label/"), target.removeprefix("CodeSystem/")
            known = found.setdefault(column, (system, {}))[1]
            known.update({word: tuple(target.code for target in targets) for word, targets in words.items()})
    return found


def label(column: str, text: str) -> Coded | None:
    """The printed `text` of a coded column ("initiatives.phase"); None for a word that it does not have."""
    system, words = _labels()[column]
    found = words.get(squeezed(text))
    return Coded(system, found, text) if found else None


def words(column: str) -> tuple[str, ...]:
    """The words that a coded column may hold."""
    return tuple(_labels()[column][1])


@cache
def _aliases() -> dict[str, str]:
    return {word: targets[0].code for word, targets in concept_map("nep-actor-aliases")[_ACTOR].items()}


def organization(text: str) -> Organization | None:
    """The organisation of this name or spelling; None when there is none."""
    slug = _aliases().get(squeezed(text))
    return ORGANIZATIONS[slug] if slug else None


def aliases(slug: str) -> tuple[str, ...]:
    """The other spellings of an organisation's name."""
    name = ORGANIZATIONS[slug].name
    return tuple(word for word, target in _aliases().items() if target == slug and word != name)


@cache
def _cells() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    groups = concept_map("nep-dependency-actors")
    return (
        groups[_CELL, "sid/aktor"],
        groups[_CELL, "sid/tiltaksnummer"],
        groups[_CELL, "CodeSystem/nep-national-solution"],
    )


def actors(text: str) -> Actors | None:
    """What a dependency's actor cell names: by the table of spellings, else as an organisation's alias.
    None for a spelling that is in neither."""
    cell = squeezed(text)
    organizations, initiatives, solutions = _cells()
    if cell not in organizations:
        known = organization(cell)
        return Actors((known,), sole=True) if known else None
    targets = organizations[cell]
    named = initiatives.get(cell, ())
    return Actors(
        organizations=tuple(ORGANIZATIONS[target.code] for target in targets if target.code),
        sole=len(targets) == 1 and targets[0].equivalence == "wider",
        initiative=named[0].code if named else "",
        solutions=tuple(target.code for target in solutions.get(cell, ())),
        comment=targets[0].comment,
    )


@cache
def task_status(delivery_status: str) -> str:
    """Task.status of a nep-delivery-status."""
    groups = concept_map("nep-delivery-to-task-status")
    return next(iter(groups.values()))[delivery_status][0].code
