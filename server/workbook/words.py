"""The words of codes as they are chosen and written in a workbook: displays, English, the codes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from server.workbook.table import FORM


def squeezed(text: str) -> str:
    """For comparing words: white space and case count for nothing."""
    return " ".join(text.split()).casefold()


@dataclass(frozen=True)
class Words:
    """Of each list (code system's id, or a name of sheets.json): code -> the word that is shown, and every spelling
    -> code. `canonical` is the base of our systems."""

    canonical: str
    shown: Mapping[str, Mapping[str, str]]
    spelled: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, canonical: str, code_systems: Iterable[Mapping[str, Any]]) -> Words:
        """From the CodeSystems in force."""
        ours = [one for one in code_systems if str(one.get("url", "")).startswith(f"{canonical}/CodeSystem/")]
        spellings = {str(one["url"]).rpartition("/")[2]: dict(_spellings(one.get("concept", ()))) for one in ours}
        spellings |= {name: dict(words) for name, words in FORM.words.items()}
        return cls(
            canonical,
            {name: {code: said[0] for code, said in codes.items()} for name, codes in spellings.items()},
            {name: _by_spelling(codes) for name, codes in spellings.items()},
        )

    def word(self, system: str, code: str) -> str:
        """What is shown for a code; the code itself when the list does not have it."""
        return self.shown.get(system, {}).get(code, code)

    def code(self, system: str, text: str) -> str | None:
        """The code that a cell means, None for no word of the list."""
        return self.spelled.get(system, {}).get(squeezed(text))

    def choices(self, system: str) -> tuple[str, ...]:
        """The words of a list, in its order."""
        return tuple(self.shown.get(system, {}).values())

    def coding(self, system: str, code: str) -> dict[str, Any]:
        """{system, code, display} of one of our code systems."""
        return {"system": f"{self.canonical}/CodeSystem/{system}", "code": code, "display": self.word(system, code)}


def _spellings(concepts: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for concept in concepts:
        said = [concept.get("display", concept["code"])]
        # A designation with a use is how a report once printed the code, in a column of its own.
        said += [one["value"] for one in concept.get("designation", ()) if "use" not in one]
        yield concept["code"], (*said, concept["code"])
        yield from _spellings(concept.get("concept", ()))


def _by_spelling(codes: Mapping[str, tuple[str, ...]]) -> Mapping[str, str]:
    """A spelling of two codes is the code's whose word comes first."""
    found: dict[str, str] = {}
    ranks = max((len(said) for said in codes.values()), default=0)
    for rank in range(ranks):
        for code, said in codes.items():
            if rank < len(said):
                found.setdefault(squeezed(said[rank]), code)
    return found
