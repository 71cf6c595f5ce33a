"""FHIRPath text to a syntax tree. Grammar: hl7.org/fhirpath (N1), as R4 uses it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn


class FhirPathError(ValueError):
    """An expression that is not FHIRPath, that asks for what the engine does not know, or that cannot be
    evaluated on what it met (several items where one is allowed)."""


@dataclass(frozen=True, slots=True)
class Literal:
    """One value: `type` is a FHIR type name ("string", "decimal", "dateTime", "Quantity", …)."""

    type: str
    value: Any


@dataclass(frozen=True, slots=True)
class Nothing:
    """The empty collection {}."""


@dataclass(frozen=True, slots=True)
class Variable:
    """$this, $index or $total, without the sign."""

    name: str


@dataclass(frozen=True, slots=True)
class External:
    """%resource, %context, %ucum …, without the sign."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """`base`.name; without a base, of what stands in focus (or the type at the root of a path)."""

    base: Ast | None
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    base: Ast | None
    name: str
    arguments: tuple[Ast, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """base[index]"""

    base: Ast
    index: Ast


@dataclass(frozen=True, slots=True)
class Sign:
    operator: str
    operand: Ast


@dataclass(frozen=True, slots=True)
class Operation:
    operator: str
    left: Ast
    right: Ast


@dataclass(frozen=True, slots=True)
class TypeOperation:
    """operand `is` type, operand `as` type."""

    operator: str
    operand: Ast
    type: str


Ast = Literal | Nothing | Variable | External | Member | Call | Item | Sign | Operation | TypeOperation

# Tightest first in the grammar; here by rising binding power.
POWER = {
    "implies": 1,
    "or": 2,
    "xor": 2,
    "and": 3,
    "in": 4,
    "contains": 4,
    "=": 5,
    "~": 5,
    "!=": 5,
    "!~": 5,
    "<": 6,
    ">": 6,
    "<=": 6,
    ">=": 6,
    "|": 7,
    "is": 8,
    "as": 8,
    "+": 9,
    "-": 9,
    "&": 9,
    "*": 10,
    "/": 10,
    "div": 10,
    "mod": 10,
}
SIGN_POWER = 11

UNITS = frozenset(
    word + plural
    for word in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for plural in ("", "s")
)

TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
      | (?P<string>'(?:[^'\\]|\\.)*')
      | (?P<time>@T\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)
      | (?P<date>@\d{4}(?:-\d\d(?:-\d\d)?)?(?:T(?:\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)?(?:Z|[+-]\d\d:\d\d)?)?)
      | (?P<number>\d+(?:\.\d+)?)
      | (?P<variable>\$(?:this|index|total)\b)
      | (?P<external>%(?:[A-Za-z_][\w-]*|`[^`]*`|'[^']*'))
      | (?P<name>[A-Za-z_]\w*|`(?:[^`\\]|\\.)*`)
      | (?P<sign><=|>=|!=|!~|[=~<>+\-*/&|.,()\[\]{}])
    """,
    re.VERBOSE | re.DOTALL,
)

ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "f": "\f", "\\": "\\", "/": "/", "'": "'", '"': '"', "`": "`"}


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    at: int


def parse(expression: str) -> Ast:
    """The tree of the whole expression. Raises FhirPathError with the column of the first fault."""
    parser = _Parser(expression)
    tree = parser.expression(0)
    if parser.token.kind != "end":
        parser.refuse("the expression to end")
    return tree


def type_name(tree: Ast) -> str | None:
    """ "Quantity" of Quantity or FHIR.Quantity, "System.String" of itself; None when it is no type's name."""
    match tree:
        case Member(None, name):
            return name
        case Member(Member(None, "FHIR"), name):
            return name
        case Member(Member(None, "System"), name):
            return f"System.{name}"
    return None


class _Parser:
    """Precedence climbing over the tokens; one per expression."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = self._tokens()
        self.place = 0

    def _tokens(self) -> list[Token]:
        tokens: list[Token] = []
        at = 0
        while at < len(self.text):
            found = TOKEN.match(self.text, at)
            if found is None:
                raise FhirPathError(f"{self.text!r}, column {at + 1}: {self.text[at]!r} begins no FHIRPath token")
            if found.lastgroup != "space":
                tokens.append(Token(found.lastgroup or "", found.group(), at))
            at = found.end()
        return [*tokens, Token("end", "", at)]

    @property
    def token(self) -> Token:
        return self.tokens[self.place]

    def refuse(self, expected: str) -> NoReturn:
        found = repr(self.token.text) if self.token.text else "the end"
        raise FhirPathError(f"{self.text!r}, column {self.token.at + 1}: expected {expected}, found {found}")

    def take(self) -> Token:
        token = self.token
        self.place += 1
        return token

    def accept(self, sign: str) -> bool:
        if self.token.kind == "sign" and self.token.text == sign:
            self.place += 1
            return True
        return False

    def need(self, sign: str) -> None:
        if not self.accept(sign):
            self.refuse(repr(sign))

    def expression(self, least: int) -> Ast:
        left = self._invocations(self._prefix())
        while self.token.kind in ("sign", "name"):
            operator = self.token.text
            power = POWER.get(operator, 0)
            if power <= least:
                break
            self.take()
            if operator in ("is", "as"):
                left = TypeOperation(operator, left, self._type())
            else:
                left = Operation(operator, left, self.expression(power))
        return left

    def _prefix(self) -> Ast:
        token = self.take()
        match token.kind:
            case "string":
                return Literal("string", self._unescape(token))
            case "number":
                return self._number(token.text)
            case "date":
                is_date = "T" not in token.text
                return Literal("date" if is_date else "dateTime", token.text[1:].removesuffix("T"))
            case "time":
                return Literal("time", token.text[2:])
            case "variable":
                return Variable(token.text[1:])
            case "external":
                return External(token.text[1:].strip("`'"))
            case "name" if token.text in ("true", "false"):
                return Literal("boolean", token.text == "true")
            case "name":
                return self._named(None, token)
            case "sign" if token.text in "+-":
                return Sign(token.text, self.expression(SIGN_POWER - 1))
            case "sign" if token.text == "(":
                inner = self.expression(0)
                self.need(")")
                return inner
            case "sign" if token.text == "{":
                self.need("}")
                return Nothing()
        self.place -= 1
        self.refuse("a value, a path or a function")

    def _invocations(self, base: Ast) -> Ast:
        while True:
            if self.accept("."):
                if self.token.kind != "name":
                    self.refuse("an element or a function")
                base = self._named(base, self.take())
            elif self.accept("["):
                base = Item(base, self.expression(0))
                self.need("]")
            else:
                return base

    def _named(self, base: Ast | None, token: Token) -> Ast:
        name = self._name(token)
        if not self.accept("("):
            return Member(base, name)
        arguments: list[Ast] = []
        while not self.accept(")"):
            if arguments:
                self.need(",")
            arguments.append(self.expression(0))
        return Call(base, name, tuple(arguments))

    def _name(self, token: Token) -> str:
        return self._unescape(token) if token.text.startswith("`") else token.text

    def _number(self, text: str) -> Ast:
        number = Decimal(text) if "." in text else int(text)
        if self.token.kind == "string":
            unit = self._unescape(self.take())
            return Literal("Quantity", {"value": number, "system": "http://unitsofmeasure.org", "code": unit})
        if self.token.kind == "name" and self.token.text in UNITS:
            return Literal("Quantity", {"value": number, "unit": self.take().text.removesuffix("s")})
        return Literal("decimal" if "." in text else "integer", number)

    def _type(self) -> str:
        if self.token.kind != "name":
            self.refuse("the name of a type")
        tree: Ast = Member(None, self._name(self.take()))
        while self.accept("."):
            tree = Member(tree, self._name(self.take()))
        return type_name(tree) or self.refuse("the name of a type")

    def _unescape(self, token: Token) -> str:
        def one(found: re.Match[str]) -> str:
            escape = found.group(1)
            if len(escape) == 5:
                return chr(int(escape[1:], 16))
            if escape not in ESCAPES:
                place = f"{self.text!r}, column {token.at + 1}"
                raise FhirPathError(f"{place}: \\{escape} is no escape of FHIRPath")
            return ESCAPES[escape]

        return ESCAPE.sub(one, token.text[1:-1])
