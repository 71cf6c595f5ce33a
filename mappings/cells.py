"""The cells of one row, each read as what its column holds. What cannot be understood is refused, never guessed."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

from mappings.html_text import markdown
from mappings.log import Refusal, Wanted
from mappings.reading import Row
from mappings.tables import INITIATIVES, ORGANIZATIONS, Organization
from mappings.terminology import Coded, codes, display, label, organization, words

AMOUNT = Wanted(
    ("er ikke noe beløp", "is no amount"),
    ("et tall i mill. kr med hele kroner, f.eks. 28.3", "a number in MNOK of whole NOK, e.g. 28.3"),
)
DATE = Wanted(("er ingen dato", "is no date"), ("f.eks. 2022-12-31 eller 31.12.2022", "e.g. 2022-12-31 or 31.12.2022"))
YEAR = Wanted(("er ikke noe år", "is no year"), ("et år fra 2000 til 2050", "a year from 2000 to 2050"))
WHOLE = Wanted(("er ikke noe antall", "is no count"), ("et helt tall, f.eks. 10", "a whole number, e.g. 10"))
SEQUENCE = Wanted(
    ("er ikke noe løpenummer", "is no sequence number"),
    ("et helt tall fra 1, brukt én gang i tiltaket", "a whole number from 1, used once in the initiative"),
)
BLANK = Wanted(("mangler", "is missing"), ("en verdi", "a value"))
INITIATIVE = Wanted(
    ("er ikke noe kjent tiltak", "is no known initiative"),
    ("en kode fra tables/initiatives.csv", "an id of tables/initiatives.csv"),
)
TWICE = Wanted(("står to ganger", "comes twice"), ("én rad for hver", "one row of each"))
ACTOR = Wanted(
    ("er ingen kjent aktør", "is no known actor"),
    (
        "en skrivemåte i ConceptMap nep-actor-aliases",
        "a spelling of ConceptMap nep-actor-aliases",
    ),
)

_AMOUNT = re.compile(r"-?\d{1,9}(?:[.,]\d+)?\Z")
_ISO = re.compile(r"\d{4}-\d\d-\d\d\Z")
_NORWEGIAN = re.compile(r"(\d\d?)\.(\d\d?)\.(\d{4})\Z")
_NOBODY = Organization("", "", "")


def _one_of(known: tuple[str, ...]) -> Wanted:
    listed = ", ".join(f"«{word}»" for word in known)
    return Wanted(("er ikke en av verdiene", "is none of the values"), (listed, listed))


class Cells:
    """Reads the cells of `row`; `refused` collects the bad ones. A refused cell reads as blank, or as an empty
    value where one must be: the row is dropped anyhow. `seen` holds the keys of the report's rows."""

    def __init__(self, row: Row, seen: set[tuple[str, str, str]]) -> None:
        self.row = row
        self.refused: list[Refusal] = []
        self._seen = seen

    def _raw(self, column: str) -> str:
        return self.row.cells.get(self.row.header(column), "").strip()

    def _refuse(self, column: str, found: str, wanted: Wanted) -> None:
        self.refused.append(Refusal(self.row.place(self.row.header(column)), found, wanted))

    def text(self, column: str) -> str | None:
        """The text as written, to the character; HTML becomes markdown. None when blank."""
        return markdown(self.row.cells.get(self.row.header(column), "")) if self._raw(column) else None

    def required(self, column: str) -> str:
        """The text as written; a blank is refused."""
        if not self._raw(column):
            self._refuse(column, "", BLANK)
        return self.text(column) or ""

    def date(self, column: str) -> str | None:
        """YYYY-MM-DD, from that or from dd.mm.yyyy."""
        found = self._raw(column)
        if not found:
            return None
        day = _NORWEGIAN.match(found)
        written = f"{day[3]}-{day[2]:0>2}-{day[1]:0>2}" if day else found
        try:
            if not _ISO.match(written):
                raise ValueError
            return date.fromisoformat(written).isoformat()
        except ValueError:
            self._refuse(column, found, DATE)
            return None

    def amount(self, column: str) -> int | None:
        """Whole NOK from MNOK; 0 stays 0, blank is None."""
        found = self._raw(column)
        if not found:
            return None
        kroner = Decimal(found.replace(",", ".")) * 1_000_000 if _AMOUNT.match(found) else None
        if kroner is None or kroner != int(kroner):
            self._refuse(column, found, AMOUNT)
            return None
        return int(kroner)

    def year(self, column: str) -> str:
        """A year of four digits; FHIR's partial date."""
        found = self._raw(column)
        if not (re.fullmatch(r"\d{4}", found) and 2000 <= int(found) <= 2050):
            self._refuse(column, found, YEAR)
        return found

    def whole(self, column: str) -> int | None:
        """A whole number from 0."""
        found = self._raw(column)
        if found and not re.fullmatch(r"\d{1,6}", found):
            self._refuse(column, found, WHOLE)
            return None
        return int(found) if found else None

    def yes_no(self, column: str) -> bool | None:
        """Ja or Nei; None when blank."""
        found = self._raw(column)
        if found in ("", "Ja", "Nei"):
            return None if not found else found == "Ja"
        self._refuse(column, found, _one_of(("Ja", "Nei")))
        return None

    def coded(self, column: str, labels: str) -> Coded | None:
        """A printed word of the label group `labels`, e.g. "initiatives.phase"."""
        found = self._raw(column)
        if not found:
            return None
        known = label(labels, found)
        if known is None:
            self._refuse(column, found, _one_of(words(labels)))
        return known

    def must(self, column: str, labels: str) -> Coded:
        """The same where a blank is refused too."""
        known = self.coded(column, labels)
        if known is None and not self._raw(column):
            self._refuse(column, "", _one_of(words(labels)))
        return known or Coded("", ("",), "")

    def several(self, column: str, labels: str) -> tuple[Coded, ...]:
        """Words separated by semicolons (or the commas of two printed rows)."""
        found = [part.strip() for part in re.split(r"[;,]", self._raw(column)) if part.strip()]
        known = [(part, label(labels, part)) for part in found]
        for part, coded in known:
            if coded is None:
                self._refuse(column, part, _one_of(words(labels)))
        return tuple(coded for _, coded in known if coded)

    def focus_area(self, code_column: str, name_column: str) -> Coded | None:
        """A code of nep-focus-area-2017 with its printed name."""
        code = self._raw(code_column)
        if not code:
            return None
        if code not in codes("nep-focus-area-2017"):
            self._refuse(code_column, code, _one_of(codes("nep-focus-area-2017")))
            return None
        return Coded("nep-focus-area-2017", (code,), self._raw(name_column) or display("nep-focus-area-2017", code))

    def goal(self, column: str) -> Coded | None:
        """«2 - Enklere arbeidshverdag»: the code before the dash, the whole as text."""
        found = self._raw(column)
        if not found:
            return None
        code = found.partition(" - ")[0].strip()
        if code not in codes("nep-strategic-goal-2023"):
            self._refuse(column, found, _one_of(codes("nep-strategic-goal-2023")))
            return None
        return Coded("nep-strategic-goal-2023", (code,), found)

    def organization(self, column: str, name: str) -> Organization:
        """The known organisation of this name."""
        known = organization(name) if name else _NOBODY
        if known is None or (name and known.slug not in ORGANIZATIONS):
            self._refuse(column, name, ACTOR)
        return known or _NOBODY

    def initiative(self, *, first: bool = False) -> str:
        """The initiative's id; `first` in the sheet that lists each once."""
        id = self._raw("initiative_id")
        if id not in INITIATIVES:
            self._refuse("initiative_id", id, INITIATIVE)
        elif first:
            self._key(id, "", "initiative_id", TWICE)
        return id

    def sequence(self) -> str:
        """The row's number within its initiative."""
        seq = self._raw("seq")
        if not re.fullmatch(r"[1-9]\d{0,3}", seq):
            self._refuse("seq", seq, SEQUENCE)
        else:
            self._key(self._raw("initiative_id"), seq, "seq", SEQUENCE)
        return seq

    def once(self, key: str, column: str) -> None:
        """Refuses a second row of the initiative with this key."""
        if key:
            self._key(self._raw("initiative_id"), key, column, TWICE)

    def _key(self, id: str, key: str, column: str, wanted: Wanted) -> None:
        if (self.row.sheet, id, key) in self._seen:
            self._refuse(column, key or id, wanted)
        self._seen.add((self.row.sheet, id, key))
