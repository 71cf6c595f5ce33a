"""Words of codes, from the CodeSystems in the registry: Norwegian displays, English designations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Lang = Literal["nb", "en"]


@dataclass(frozen=True, slots=True)
class Coded:
    """A code with its word. `lang` is the language of `display`; `printed` the word that the reporter
    used, "" when it is the code's own; `system` "" for a concept that is text alone."""

    system: str
    code: str
    display: str
    lang: Lang
    printed: str = ""


@dataclass(frozen=True)
class Codes:
    """`words`: (system, code) -> language -> word; the order within a system is that of its CodeSystem.
    `base` is the canonical base of our own systems."""

    base: str
    words: Mapping[tuple[str, str], Mapping[Lang, str]]

    @classmethod
    def of(cls, base: str, code_systems: Iterable[Mapping[str, Any]]) -> Codes:
        """Of CodeSystem resources, nested concepts included."""
        words: dict[tuple[str, str], Mapping[Lang, str]] = {}
        for system in code_systems:
            for concept in _concepts(system.get("concept", ())):
                words[system["url"], concept["code"]] = _words(concept)
        return cls(base, words)

    def system(self, name: str) -> str:
        """The URL of one of our own systems: "segment" is nep-segment."""
        return f"{self.base}/CodeSystem/nep-{name}"

    def options(self, name: str, lang: Lang) -> Iterator[Coded]:
        """Every code of one of our own systems, in its order."""
        url = self.system(name)
        return (self._coded(url, code, "", lang) for system, code in self.words if system == url)

    def coded(self, concept: Mapping[str, Any] | None, lang: Lang, system: str = "") -> Coded | None:
        """The concept's word: of the coding in one of our own systems if `system` names it, else of the first
        coding; its text when it has no coding; None when it has neither."""
        if not concept:
            return None
        url = self.system(system) if system else None
        for coding in concept.get("coding", ()):
            if "code" in coding and url in (None, coding.get("system")):
                found = self._coded(coding.get("system", ""), coding["code"], coding.get("display", ""), lang)
                return _with_printed(found, concept.get("text", ""), self._norwegian(found))
        text = concept.get("text")
        return Coded("", "", text, "nb") if text and not system else None

    def _coded(self, system: str, code: str, display: str, lang: Lang) -> Coded:
        words = self.words.get((system, code), {})
        if lang in words:
            return Coded(system, code, words[lang], lang)
        return Coded(system, code, words.get("nb") or display or code, "nb")

    def _norwegian(self, coded: Coded) -> str:
        return self.words.get((coded.system, coded.code), {}).get("nb", coded.display)


def _with_printed(coded: Coded, text: str, norwegian: str) -> Coded:
    """Decision 16: the printed word stays beside the code; it is shown when it says something else."""
    if not text or text.casefold() == norwegian.casefold():
        return coded
    return Coded(coded.system, coded.code, coded.display, coded.lang, text)


def _concepts(concepts: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for concept in concepts:
        yield concept
        yield from _concepts(concept.get("concept", ()))


def _words(concept: Mapping[str, Any]) -> Mapping[Lang, str]:
    words: dict[Lang, str] = {"nb": concept["display"]}
    for designation in concept.get("designation", ()):
        # A designation with a use is how a report once printed the code, not its name.
        if designation.get("language") == "en" and "use" not in designation:
            words["en"] = designation["value"]
    return words
