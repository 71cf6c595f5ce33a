"""What FHIRPath's operators do with values: equality, order, arithmetic, text. No paths, no types of elements.

A node is (FHIR type, JSON value, sibling): the sibling is the `_name` object of a primitive (its id and
extensions), else None; a primitive that has only extensions has the value None.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any

from server.definitions.fhirpath_parser import FhirPathError

Node = tuple[str, Any, Any]
Nodes = Sequence[Node]

TRUE: Nodes = (("boolean", True, None),)
FALSE: Nodes = (("boolean", False, None),)

NUMBERS = frozenset({"integer", "decimal", "positiveInt", "unsignedInt"})
DATES = frozenset({"date", "dateTime", "instant"})
QUANTITIES = frozenset({"Quantity", "Age", "Count", "Distance", "Duration", "MoneyQuantity", "SimpleQuantity"})


def primitive(type: str) -> bool:
    """FHIR names its primitive types with a small first letter."""
    return type[:1].islower()


def family(type: str) -> str:
    """The kind of value within which two are comparable."""
    if type in NUMBERS:
        return "number"
    if type in DATES:
        return "date"
    if type in QUANTITIES:
        return "quantity"
    if type in ("boolean", "time"):
        return type
    return "string" if primitive(type) else "complex"


def boolean(value: bool | None) -> Nodes:
    """True, false or (None) the empty collection."""
    if value is None:
        return ()
    return TRUE if value else FALSE


def truth(nodes: Nodes) -> bool | None:
    """A collection where a boolean is expected: one boolean is itself, one item of another kind is true."""
    if not nodes:
        return None
    if len(nodes) > 1:
        raise FhirPathError(f"one value was expected where {len(nodes)} are")
    type, value, _ = nodes[0]
    return value if type == "boolean" else True


def single(nodes: Nodes) -> Node | None:
    """The only item, None of none."""
    if len(nodes) > 1:
        raise FhirPathError(f"one value was expected where {len(nodes)} are")
    return nodes[0] if nodes else None


def text_of(node: Node | None) -> str | None:
    """The text of a string-like node; dates are text in FHIR's JSON."""
    return node[1] if node is not None and type(node[1]) is str else None


@lru_cache(maxsize=4096)
def moment(text: str) -> tuple[tuple[int | Decimal, ...], int | None]:
    """A date's parts (year, month, day, hour, minute, second) as far as they are given, and its offset from
    UTC in minutes. Raises FhirPathError on text that is no date."""
    day, _, clock = text.partition("T")
    offset = None
    if clock.endswith("Z"):
        clock, offset = clock[:-1], 0
    elif clock[-6:-5] in ("+", "-"):
        sign = -1 if clock[-6] == "-" else 1
        offset = sign * (int(clock[-5:-3]) * 60 + int(clock[-2:]))
        clock = clock[:-6]
    try:
        return tuple(int(part) for part in day.split("-")) + clock_parts(clock), offset
    except (ValueError, ArithmeticError):
        raise FhirPathError(f"{text!r} is no date") from None


def clock_parts(clock: str) -> tuple[int | Decimal, ...]:
    """(hour, minute, second) as far as they are given."""
    parts = clock.split(":") if clock else []
    return (*(int(part) for part in parts[:2]), *(Decimal(part) for part in parts[2:]))


def _to_utc(parts: tuple[int | Decimal, ...], offset: int) -> tuple[int | Decimal, ...]:
    """The same instant in UTC; without hours and minutes there is nothing to shift."""
    if not offset or len(parts) < 5:
        return parts
    year, month, day, hour, minute, *second = parts
    try:
        shifted = datetime(int(year), int(month), int(day), int(hour), int(minute)) - timedelta(minutes=offset)
    except (ValueError, OverflowError):
        raise FhirPathError(f"{parts} is no date") from None
    return (shifted.year, shifted.month, shifted.day, shifted.hour, shifted.minute, *second)


def _order_parts(left: tuple[Any, ...], right: tuple[Any, ...]) -> int | None:
    """-1, 0, 1; None when they agree as far as both go and one goes further."""
    for one, other in zip(left, right, strict=False):
        if one != other:
            return -1 if one < other else 1
    return 0 if len(left) == len(right) else None


def order_dates(left: str, right: str) -> int | None:
    """-1, 0, 1, or None where the precision leaves it open. A zone counts only where both state one."""
    (one, one_offset), (other, other_offset) = moment(left), moment(right)
    if one_offset is not None and other_offset is not None:
        one, other = _to_utc(one, one_offset), _to_utc(other, other_offset)
    return _order_parts(one, other)


def _unit(quantity: dict[str, Any]) -> str:
    return str(quantity.get("code") or quantity.get("unit") or "1")


def order(left: Node, right: Node) -> int | None:
    """-1, 0, 1 of two values of one family; None when that is open. FhirPathError between families."""
    kind = family(left[0])
    if kind != family(right[0]) or kind in ("complex", "boolean"):
        raise FhirPathError(f"{left[0]} and {right[0]} have no order between them")
    one, other = left[1], right[1]
    if one is None or other is None:
        return None
    if kind == "date":
        return order_dates(one, other)
    if kind == "time":
        return _order_parts(clock_parts(one), clock_parts(other))
    if kind == "quantity":
        if _unit(one) != _unit(other):
            return None
        one, other = one.get("value"), other.get("value")
        if one is None or other is None:
            return None
    return int(one > other) - int(one < other)


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compare(sign: str, left: Nodes, right: Nodes) -> bool | None:
    """<, <=, > or >= of two single values; None when either is missing or the order is open."""
    one, other = single(left), single(right)
    if one is None or other is None:
        return None
    found = order(one, other)
    return None if found is None else COMPARISONS[sign](found, 0)


def equal_nodes(left: Node, right: Node) -> bool | None:
    """Two items; None where precision or units leave it open."""
    kind = family(left[0])
    if kind != family(right[0]):
        return False
    if kind in ("date", "time", "quantity"):
        found = order(left, right)
        return None if found is None else found == 0
    return bool(left[1] == right[1])


def equal(left: Nodes, right: Nodes) -> bool | None:
    """left = right: same items in the same order; empty when either side is."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    result: bool | None = True
    for one, other in zip(left, right, strict=True):
        found = equal_nodes(one, other)
        if found is False:
            return False
        if found is None:
            result = None
    return result


def _scale(number: Any) -> int:
    exponent = Decimal(str(number)).as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


def equivalent_nodes(left: Node, right: Node) -> bool:
    """Two items by `~`: text without case and spacing, numbers at the lesser precision."""
    kind = family(left[0])
    if kind != family(right[0]):
        return False
    one, other = left[1], right[1]
    if kind == "string" and isinstance(one, str) and isinstance(other, str):
        return one.casefold().split() == other.casefold().split()
    if kind == "number":
        step = Decimal(1).scaleb(-min(_scale(one), _scale(other)))
        return rounded(one, step) == rounded(other, step)
    if kind in ("date", "time", "quantity"):
        return order(left, right) == 0
    return bool(one == other)


def rounded(number: Any, step: Decimal) -> Decimal:
    return number_of(number).quantize(step, ROUND_HALF_UP)


def equivalent(left: Nodes, right: Nodes) -> bool:
    """left ~ right: the same items in any order; two empty collections are equivalent."""
    rest = list(right)
    for node in left:
        match = next((at for at, other in enumerate(rest) if equivalent_nodes(node, other)), None)
        if match is None:
            return False
        del rest[match]
    return not rest


def member(node: Node, nodes: Nodes) -> bool:
    return any(equal_nodes(node, other) for other in nodes)


def distinct(nodes: Nodes) -> Nodes:
    """The items, each once, in the order of their first appearance."""
    if len(nodes) < 2:
        return nodes
    if all(family(type) == "string" for type in {node[0] for node in nodes}):
        # A dictionary keeps the place of a key's first appearance.
        return tuple({node[1]: node for node in nodes}.values())
    found: list[Node] = []
    for node in nodes:
        if not member(node, found):
            found.append(node)
    return found


def number_of(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value))


def _divide(left: Decimal, right: Decimal) -> Decimal | None:
    return left / right if right else None


def _whole(left: Decimal, right: Decimal) -> int | None:
    return int(left / right) if right else None


def _rest(left: Decimal, right: Decimal) -> Decimal | None:
    return left % right if right else None


ARITHMETIC: dict[str, Callable[[Decimal, Decimal], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "div": _whole,
    "mod": _rest,
}


def arithmetic(sign: str, left: Nodes, right: Nodes) -> Nodes:
    """Numbers, and `+` of strings. Empty when either is, and on division by zero."""
    one, other = single(left), single(right)
    if one is None or other is None or one[1] is None or other[1] is None:
        return ()
    if sign == "+" and isinstance(one[1], str) and isinstance(other[1], str):
        return (("string", one[1] + other[1], None),)
    if family(one[0]) != "number" or family(other[0]) != "number":
        raise FhirPathError(f"{one[0]} {sign} {other[0]} is not supported: numbers were expected")
    if sign in "+-*" and isinstance(one[1], int) and isinstance(other[1], int):
        return (("integer", int(ARITHMETIC[sign](number_of(one[1]), number_of(other[1]))), None),)
    result = ARITHMETIC[sign](number_of(one[1]), number_of(other[1]))
    if result is None:
        return ()
    return (("integer" if isinstance(result, int) else "decimal", result, None),)


def concatenate(left: Nodes, right: Nodes) -> Nodes:
    """`&`: the empty collection counts as the empty string."""
    return (("string", (as_text(single(left)) or "") + (as_text(single(right)) or ""), None),)


def as_text(node: Node | None) -> str | None:
    """What toString gives: numbers as written, booleans in small letters; None for what has no text."""
    if node is None or node[1] is None or isinstance(node[1], dict):
        return None
    if isinstance(node[1], bool):
        return "true" if node[1] else "false"
    return str(node[1])


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
