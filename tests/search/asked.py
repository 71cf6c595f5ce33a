"""A search as data: what the generator makes, what the matcher answers, and how it is written in a URL.

R4 search.html: values joined by commas are any of them, parameters are all of them; \\, | $ and the backslash
itself are escaped by a backslash.
"""

from __future__ import annotations

from dataclasses import dataclass


def escaped(text: str) -> str:
    for char in "\\,|$":
        text = text.replace(char, f"\\{char}")
    return text


@dataclass(frozen=True)
class Str:
    text: str

    def __str__(self) -> str:
        return escaped(self.text)


@dataclass(frozen=True)
class Tok:
    """`system` None: not asked for; "": none. `code` None: any code of the system."""

    system: str | None
    code: str | None

    def __str__(self) -> str:
        code = escaped(self.code or "")
        return code if self.system is None else f"{escaped(self.system)}|{code}"


@dataclass(frozen=True)
class Compared:
    """A date or number with its prefix, "" for none."""

    prefix: str
    text: str

    def __str__(self) -> str:
        return f"{self.prefix}{self.text}"


@dataclass(frozen=True)
class Amount:
    """`unit` None: any; else (system or "", code)."""

    number: Compared
    unit: tuple[str, str] | None

    def __str__(self) -> str:
        return str(self.number) if self.unit is None else f"{self.number}|{'|'.join(map(escaped, self.unit))}"


@dataclass(frozen=True)
class Uri:
    text: str

    def __str__(self) -> str:
        return escaped(self.text)


@dataclass(frozen=True)
class Ref:
    """An id, Type/id, or URL."""

    text: str

    def __str__(self) -> str:
        return escaped(self.text)


@dataclass(frozen=True)
class Parts:
    """A composite's parts, None where one is left out."""

    parts: tuple[Str | Tok | Compared | Amount | Uri | Ref | None, ...]

    def __str__(self) -> str:
        return "$".join("" if part is None else str(part) for part in self.parts)


Value = Str | Tok | Compared | Amount | Uri | Ref | Parts


@dataclass(frozen=True)
class Simple:
    """`modifier` "" for none; "missing" has the values true or false as Str."""

    code: str
    modifier: str
    values: tuple[Value, ...]

    def pair(self) -> tuple[str, str]:
        name = f"{self.code}:{self.modifier}" if self.modifier else self.code
        return name, ",".join(map(str, self.values))


@dataclass(frozen=True)
class Chain:
    """`target` "" when the type is not named."""

    code: str
    target: str
    inner: Criterion

    def pair(self) -> tuple[str, str]:
        name, text = self.inner.pair()
        return f"{self.code}{f':{self.target}' if self.target else ''}.{name}", text


@dataclass(frozen=True)
class Has:
    source: str
    code: str
    inner: Criterion

    def pair(self) -> tuple[str, str]:
        name, text = self.inner.pair()
        return f"_has:{self.source}:{self.code}:{name}", text


Criterion = Simple | Chain | Has


@dataclass(frozen=True)
class Search:
    """`sort`: (code, descending) in order."""

    resource_type: str
    criteria: tuple[Criterion, ...]
    sort: tuple[tuple[str, bool], ...]
    count: int

    def pairs(self) -> list[tuple[str, str]]:
        found = [criterion.pair() for criterion in self.criteria]
        if self.sort:
            found.append(("_sort", ",".join(f"-{code}" if down else code for code, down in self.sort)))
        return [*found, ("_count", str(self.count)), ("_total", "accurate")]
