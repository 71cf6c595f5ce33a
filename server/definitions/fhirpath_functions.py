"""FHIRPath's functions of values: what comes in and goes out are collections, no expression is evaluated here."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from server.definitions import fhirpath_values as values
from server.definitions.fhirpath_code import BOOLEAN, INTEGER, STRING, Evaluate, Types
from server.definitions.fhirpath_parser import FhirPathError
from server.definitions.fhirpath_values import Nodes, boolean, single, text_of


def _number(nodes: Nodes) -> int:
    node = single(nodes)
    if node is None or type(node[1]) is not int:
        raise FhirPathError("a whole number was expected")
    return node[1]


def _strings(value: str | None) -> Nodes:
    return () if value is None else (("string", value, None),)


def _integers(value: int | None) -> Nodes:
    return () if value is None else (("integer", value, None),)


def _text_test(test: Callable[[str, str], bool]) -> Callable[..., Nodes]:
    def run(nodes: Nodes, argument: Nodes) -> Nodes:
        text, other = text_of(single(nodes)), text_of(single(argument))
        return boolean(None if text is None or other is None else test(text, other))

    return run


def _text_change(change: Callable[..., str]) -> Callable[..., Nodes]:
    def run(nodes: Nodes, *arguments: Nodes) -> Nodes:
        text = text_of(single(nodes))
        others = [text_of(single(argument)) for argument in arguments]
        return () if text is None or None in others else _strings(change(text, *others))

    return run


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.DOTALL)
    except re.error as error:
        raise FhirPathError(f"{text!r} is no regular expression: {error}") from None


def _replace_matches(text: str, pattern: str, by: str) -> str:
    return _pattern(pattern).sub(re.sub(r"\$(\d+)", r"\\g<\1>", by), text)


def _substring(nodes: Nodes, start: Nodes, length: Nodes | None = None) -> Nodes:
    text = text_of(single(nodes))
    if text is None or not start:
        return ()
    first = _number(start)
    if not 0 <= first < len(text):
        return ()
    return _strings(text[first : first + _number(length)] if length else text[first:])


def _index_of(nodes: Nodes, argument: Nodes) -> Nodes:
    text, other = text_of(single(nodes)), text_of(single(argument))
    return _integers(None if text is None or other is None else text.find(other))


def _length(nodes: Nodes) -> Nodes:
    text = text_of(single(nodes))
    return _integers(None if text is None else len(text))


def _to_chars(nodes: Nodes) -> Nodes:
    return [("string", letter, None) for letter in text_of(single(nodes)) or ""]


def _split(nodes: Nodes, separator: Nodes) -> Nodes:
    text, at = text_of(single(nodes)), text_of(single(separator))
    return [("string", part, None) for part in text.split(at or None)] if text is not None else ()


def _join(nodes: Nodes, separator: Nodes = ()) -> Nodes:
    texts = [node[1] for node in nodes if isinstance(node[1], str)]
    return _strings((text_of(single(separator)) or "").join(texts) if texts else None)


def _to_decimal(nodes: Nodes) -> Nodes:
    text = values.as_text(single(nodes))
    try:
        number = Decimal({"true": "1", "false": "0"}.get(text or "", text or "-"))
    except InvalidOperation:
        return ()
    return (("decimal", number, None),) if number.is_finite() else ()


def _to_integer(nodes: Nodes) -> Nodes:
    text = {"true": "1", "false": "0"}.get(found := values.as_text(single(nodes)) or "", found)
    return _integers(int(text)) if re.fullmatch(r"[+-]?\d+", text) else ()


BOOLEANS = {"true": True, "t": True, "yes": True, "y": True, "1": True, "1.0": True} | {
    "false": False, "f": False, "no": False, "n": False, "0": False, "0.0": False,
}  # fmt: skip


def _to_boolean(nodes: Nodes) -> Nodes:
    return boolean(BOOLEANS.get((values.as_text(single(nodes)) or "").casefold()))


def _has_value(nodes: Nodes) -> Nodes:
    return boolean(len(nodes) == 1 and nodes[0][1] is not None and not isinstance(nodes[0][1], dict))


def _one(nodes: Nodes) -> Nodes:
    single(nodes)
    return nodes


def _intersect(nodes: Nodes, others: Nodes) -> Nodes:
    return values.distinct([node for node in nodes if values.member(node, others)])


def _booleans(wanted: bool, every: bool) -> Callable[[Nodes], Nodes]:
    def run(nodes: Nodes) -> Nodes:
        found = (node[1] is wanted for node in nodes)
        return boolean(all(found) if every else any(found))

    return run


def _rounding(change: Callable[[Decimal], Any]) -> Callable[[Nodes], Nodes]:
    def run(nodes: Nodes) -> Nodes:
        node = single(nodes)
        if node is None or node[1] is None:
            return ()
        result = change(values.number_of(node[1]))
        return (("integer" if isinstance(result, int) else "decimal", result, None),)

    return run


def _round(nodes: Nodes, digits: Nodes = ()) -> Nodes:
    step = Decimal(1).scaleb(-_number(digits)) if digits else Decimal(1)
    return _rounding(lambda number: values.rounded(number, step))(nodes)


def subset(nodes: Nodes, others: Nodes) -> bool:
    return all(values.member(node, others) for node in nodes)


@dataclass(frozen=True, slots=True)
class Function:
    """`least` to `most` arguments; `types` of the result, None: those of the base (and of the arguments)."""

    run: Callable[..., Nodes]
    types: Types = None
    least: int = 0
    most: int = 0


_FIRST_ITEM: Callable[[Nodes], Nodes] = lambda nodes: nodes[:1]  # noqa: E731

FUNCTIONS: dict[str, Function] = {
    "count": Function(lambda nodes: _integers(len(nodes)), INTEGER),
    "first": Function(_FIRST_ITEM),
    "last": Function(lambda nodes: nodes[-1:]),
    "tail": Function(lambda nodes: nodes[1:]),
    "skip": Function(lambda nodes, number: nodes[max(_number(number), 0) :], None, 1, 1),
    "take": Function(lambda nodes, number: nodes[: max(_number(number), 0)], None, 1, 1),
    "single": Function(_one),
    "distinct": Function(values.distinct),
    "isDistinct": Function(lambda nodes: boolean(len(values.distinct(nodes)) == len(nodes)), BOOLEAN),
    "combine": Function(lambda nodes, others: [*nodes, *others], None, 1, 1),
    "union": Function(lambda nodes, others: values.distinct([*nodes, *others]), None, 1, 1),
    "intersect": Function(_intersect, None, 1, 1),
    "exclude": Function(lambda nodes, others: [n for n in nodes if not values.member(n, others)], None, 1, 1),
    "subsetOf": Function(lambda nodes, others: boolean(subset(nodes, others)), BOOLEAN, 1, 1),
    "supersetOf": Function(lambda nodes, others: boolean(subset(others, nodes)), BOOLEAN, 1, 1),
    "allTrue": Function(_booleans(True, every=True), BOOLEAN),
    "allFalse": Function(_booleans(False, every=True), BOOLEAN),
    "anyTrue": Function(_booleans(True, every=False), BOOLEAN),
    "anyFalse": Function(_booleans(False, every=False), BOOLEAN),
    "hasValue": Function(_has_value, BOOLEAN),
    "startsWith": Function(_text_test(str.startswith), BOOLEAN, 1, 1),
    "endsWith": Function(_text_test(str.endswith), BOOLEAN, 1, 1),
    "contains": Function(_text_test(str.__contains__), BOOLEAN, 1, 1),
    # R4's own patterns are written for a match of the whole text (name.matches('[A-Z]([A-Za-z0-9_]){0,254}')).
    "matches": Function(_text_test(lambda text, pattern: bool(_pattern(pattern).fullmatch(text))), BOOLEAN, 1, 1),
    "replace": Function(_text_change(str.replace), STRING, 2, 2),
    "replaceMatches": Function(_text_change(_replace_matches), STRING, 2, 2),
    "upper": Function(_text_change(str.upper), STRING),
    "lower": Function(_text_change(str.lower), STRING),
    "trim": Function(_text_change(str.strip), STRING),
    "length": Function(_length, INTEGER),
    "substring": Function(_substring, STRING, 1, 2),
    "indexOf": Function(_index_of, INTEGER, 1, 1),
    "toChars": Function(_to_chars, STRING),
    "split": Function(_split, STRING, 1, 1),
    "join": Function(_join, STRING, 0, 1),
    "toString": Function(lambda nodes: _strings(values.as_text(single(nodes))), STRING),
    "toInteger": Function(_to_integer, INTEGER),
    "toDecimal": Function(_to_decimal, frozenset({"decimal"})),
    "toBoolean": Function(_to_boolean, BOOLEAN),
    "abs": Function(_rounding(abs), frozenset({"decimal"})),
    "ceiling": Function(_rounding(lambda number: -int(-number // 1)), INTEGER),
    "floor": Function(_rounding(lambda number: int(number.to_integral_value("ROUND_FLOOR"))), INTEGER),
    "truncate": Function(_rounding(int), INTEGER),
    "round": Function(_round, frozenset({"decimal"}), 0, 1),
    "today": Function(lambda nodes: (("date", values.now()[:10], None),), frozenset({"date"})),
    "now": Function(lambda nodes: (("dateTime", values.now(), None),), frozenset({"dateTime"})),
    # The XHTML of a narrative is checked by the validator, not by this expression.
    "htmlChecks": Function(lambda nodes: values.TRUE, BOOLEAN),
}


def apply(function: Function, base: Evaluate, arguments: Sequence[Evaluate]) -> Evaluate:
    run = function.run
    if not arguments:
        return lambda scope, this: run(base(scope, this))
    if len(arguments) == 1:
        argument = arguments[0]
        return lambda scope, this: run(base(scope, this), argument(scope, this))
    return lambda scope, this: run(base(scope, this), *(one(scope, this) for one in arguments))
