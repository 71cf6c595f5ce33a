"""A person's name wherever it may stand in stored JSON, and the texts that take its place. Decision 22.

A name is found whatever its case, with any white space, markup or one of `. - _ +` between its parts, family name first
with a comma, in the genitive, in entities of HTML and in letters put together from two signs.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from html.entities import codepoint2name
from typing import Any

from server.resource import encode, restored, rewritten

ERASED = "[slettet]"

_BETWEEN = r"(?:\s|\\[nrt]|<[^<>]*>|&nbsp;|&\#0*160;|%20|[.\-_+])+"
_COMMA = r"(?:\s|\\[nrt]|<[^<>]*>|&nbsp;|&\#0*160;|%20)*,(?:\s|\\[nrt]|<[^<>]*>|&nbsp;|&\#0*160;|%20)*"
# What a resource is known by: others and the record point to it, so it stands.
_KEPT = frozenset(("resourceType", "id", "versionId", "lastUpdated"))
_LOCAL = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}(/_history/\d+)?\Z")


@dataclass(frozen=True)
class Erasing:
    """An Eraser (store.py) of texts: names, of two parts or more, and `exact` texts such as a mail address. `perhaps`
    finds all that `pattern` finds and more, in JSON as it is written."""

    pattern: re.Pattern[str]
    perhaps: re.Pattern[str]

    @classmethod
    def of(cls, names: Sequence[str], exact: Sequence[str] = ()) -> Erasing:
        """ValueError for a name of one part, which would take words out of everything."""
        forms = [_name(name) for name in names] + [_letters(text.strip()) for text in exact if text.strip()]
        either = "|".join(sorted(forms, key=len, reverse=True))
        bounded = rf"(?<!\w)(?:{either})(?:'?s|’s)?(?!\w)"
        return cls(re.compile(bounded, re.IGNORECASE), re.compile(either, re.IGNORECASE))

    def text(self, text: str) -> str:
        """As Eraser.text."""
        return self.pattern.sub(ERASED, text)

    def body(self, body: bytes) -> bytes | None:
        """As Eraser.body. meta.versionId and lastUpdated stay, and so does what the resource is known by."""
        if not self.perhaps.search(body.decode()):
            return None
        stored = restored(body)
        changed = rewritten(stored, self._changed)
        return encode(changed) if changed != stored else None

    def _changed(self, key: str, text: str) -> str:
        known_by = key in _KEPT or (key == "reference" and _LOCAL.match(text))
        return text if known_by else self.text(text)


def parts_of(name: str) -> list[str]:
    """The parts of a name, in the order they are said: "Nordmann, Kari Anne" begins with Kari."""
    family, comma, given = name.partition(",")
    return (f"{given} {family}" if comma else name).split()


def _name(name: str) -> str:
    parts = parts_of(name)
    if len(parts) < 2 or sum(map(len, parts)) < 5:
        raise ValueError(f"«{name}» is no full name; expected given and family name")
    spelled = [_letters(part) for part in parts]
    turned = f"{spelled[-1]}{_COMMA}{_BETWEEN.join(spelled[:-1])}"
    return f"{_BETWEEN.join(spelled)}|{turned}"


def _letters(text: str) -> str:
    return "".join(_letter(letter) for letter in unicodedata.normalize("NFC", text))


def _letter(letter: str) -> str:
    """A letter in all the ways that it may be written."""
    forms = {letter, unicodedata.normalize("NFD", letter)}
    for case in {letter, letter.upper(), letter.lower()}:
        if not case.isascii() and len(case) == 1:
            forms |= {f"&#{ord(case)};", f"&#x{ord(case):x};", f"\\u{ord(case):04x}"}
            forms |= {f"&{codepoint2name[ord(case)]};"} if ord(case) in codepoint2name else set()
        elif html.escape(case) != case:
            forms.add(html.escape(case))
    if len(forms) == 1:
        return re.escape(letter)
    return f"(?:{'|'.join(re.escape(form) for form in sorted(forms))})"


def texts_of(role: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What a PractitionerRole says of its person: full names, and ways to reach them."""
    name = str(role.get("practitioner", {}).get("display", ""))
    telecoms = [str(contact["value"]) for contact in role.get("telecom", []) if contact.get("value")]
    return [name] if len(parts_of(name)) > 1 else [], telecoms
