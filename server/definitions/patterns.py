"""Fixed values and patterns, compiled to tests. R4 elementdefinition.html, fixed[x] and pattern[x]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Test = Callable[[Any], bool]


def fixed_test(expected: Any) -> Test:
    """Whether a value is exactly this one; 1.0 is 1.00 here, as two numbers."""
    if type(expected) is bool:
        return lambda value: value is expected
    return lambda value: bool(value == expected) and type(value) is not bool


def pattern_test(expected: Any) -> Test:
    """Whether a value has all that the pattern has: each of its keys, and each of an array's items in any place."""
    if type(expected) is dict:
        return _object_test(expected)
    if type(expected) is list:
        tests = [pattern_test(item) for item in expected]
        if len(tests) == 1:
            [only] = tests
            return lambda value: type(value) is list and any(map(only, value))
        return lambda value: type(value) is list and all(any(map(test, value)) for test in tests)
    return fixed_test(expected)


def _object_test(expected: dict[str, Any]) -> Test:
    if all(type(item) is str for item in expected.values()):
        texts = tuple(expected.items())

        def has_texts(value: Any) -> bool:
            return type(value) is dict and all(value.get(key) == text for key, text in texts)

        return has_texts
    tests = [(key, pattern_test(item)) for key, item in expected.items()]
    if len(tests) == 1:
        [(only, test)] = tests
        return lambda value: type(value) is dict and test(value.get(only))
    return lambda value: type(value) is dict and all(test(value.get(key)) for key, test in tests)


def shown(expected: Any) -> str:
    """A fixed value or pattern as a text names it: codings as code (system), the rest as it is."""
    if type(expected) is dict:
        if "coding" in expected:
            return " + ".join(shown(coding) for coding in expected["coding"])
        if "code" in expected:
            name = str(expected.get("system", "")).rpartition("/")[2]
            return f"{name}#{expected['code']}" if name else str(expected["code"])
        return ", ".join(f"{key} {shown(item)}" for key, item in expected.items())
    if type(expected) is list:
        return " + ".join(shown(item) for item in expected)
    return str(expected)
