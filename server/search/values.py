"""Values: element -> index rows, and text asked for -> what it is compared with. R4 search.html, per type.

Where R4 leaves a choice:
token: a `code` has the system of the value set that binds it as required; a boolean has the system
http://hl7.org/fhir/special-values; strings, ids, URIs and contact points have none.
uri: a canonical with a version is also found without it.
reference: a resource within a Bundle is a copy, and neither it nor what it points to is a link of the Bundle; yet
Bundle?composition= finds a document by its copy of the Composition.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from itertools import filterfalse
from typing import Any, Literal, TypeVar, get_args
from zoneinfo import ZoneInfo

from server.definitions.fhirpath import Expression, Scope, compile
from server.definitions.fhirpath_code import Evaluate
from server.definitions.fhirpath_values import Node
from server.definitions.registry import Schema
from server.search.dates import interval, microseconds
from server.search.parameters import Parameter, Parameters, SearchType
from server.search.query import EARLIEST, LATEST, Quantity, Span
from server.store.store import Indexed

__all__ = ["HIGHEST", "LOWEST", "Indexer", "fold", "interval", "quantity", "span_date", "span_number"]

LOWEST = -sys.float_info.max
HIGHEST = sys.float_info.max
"""The open ends of a Range, or of a Quantity with a comparator."""

Prefix = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]

SPECIAL_VALUES = "http://hl7.org/fhir/special-values"
CURRENCIES = "urn:iso:std:iso:4217"


@lru_cache(maxsize=8192)
def fold(text: str) -> str:
    """Without case, accents and extra space: "  Møte  i\tÅS" is "møte i as". ø and æ are letters of their own."""
    if not text.isascii():
        text = "".join(filterfalse(unicodedata.combining, unicodedata.normalize("NFKD", text)))
    return " ".join(text.casefold().split())


# Text asked for


def _prefixed(text: str) -> tuple[Prefix, str]:
    head = text[:2]
    if not head.isalpha():
        return "eq", text
    for prefix in get_args(Prefix):
        if head == prefix:
            return prefix, text[2:]
    raise ValueError(f"«{head}» is no prefix; expected one of {', '.join(get_args(Prefix))}")


def span_date(text: str, zone: ZoneInfo, now: datetime) -> Span:
    """A date with its prefix. ap: wider on both sides by a tenth of its distance from now."""
    prefix, rest = _prefixed(text)
    low, high = interval(rest, zone)
    if prefix == "ap":
        tenth = abs(microseconds(now) - low) // 10
        low, high = low - tenth, high + tenth
    return Span(prefix, low, high)


_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d{1,3})?\Z", re.ASCII)


def span_number(text: str) -> Span:
    """A number with its prefix. eq, ne and ap mean what would be rounded to it: 100 is [99.5, 100.5)."""
    prefix, rest = _prefixed(text)
    if not _NUMBER.match(rest):
        raise ValueError(f"«{rest}» is no number; expected digits such as 100, -5.40 or 1e2")
    value = Decimal(rest)
    if prefix not in ("eq", "ne", "ap"):
        return Span(prefix, real(value), real(value))
    margin = _precision(value) + (abs(value) / 10 if prefix == "ap" else 0)
    return Span(prefix, real(value - margin), real(value + margin))


def _precision(value: Decimal) -> Decimal:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)  # the pattern lets no NaN in
    # R4 gives 1e2 the range [95, 105): with a positive exponent, half of a place finer than the last digit.
    return Decimal(5).scaleb(exponent - 1 - (exponent > 0))


def real(value: Any) -> float:
    """A number as the index holds it; what is too large for it stands at its end."""
    try:
        return min(max(float(value), LOWEST), HIGHEST)
    except OverflowError:  # An integer; a Decimal becomes infinite.
        return HIGHEST if value > 0 else LOWEST


def quantity(text: str) -> Quantity:
    """[prefix]NUMBER, NUMBER|SYSTEM|CODE or NUMBER||CODE, where CODE is a code or a printed unit."""
    parts = [re.sub(r"\\(.)", r"\1", part) for part in re.split(r"(?<!\\)\|", text)]
    if len(parts) not in (1, 3):
        raise ValueError(f"«{text}»: expected NUMBER, NUMBER|SYSTEM|CODE or NUMBER||CODE")
    _, system, code = parts if len(parts) == 3 else (parts[0], "", "")
    return Quantity(span_number(parts[0]), system or None, code or None)


# Element -> rows


@dataclass(slots=True)
class _Rows:
    """Rows on their way into an Indexed."""

    string: list[tuple[str, str, str, int]] = field(default_factory=list)
    token: list[tuple[str, str, str, int]] = field(default_factory=list)
    date: list[tuple[str, int, int, int]] = field(default_factory=list)
    number: list[tuple[str, float, float, int]] = field(default_factory=list)
    quantity: list[tuple[str, float, float, str, str, str, int]] = field(default_factory=list)
    uri: list[tuple[str, str, int]] = field(default_factory=list)
    reference: list[tuple[str, str, str, int]] = field(default_factory=list)

    def indexed(self) -> Indexed:
        return Indexed(
            _once(self.string),
            _once(self.token),
            _once(self.date),
            _once(self.number),
            _once(self.quantity),
            _once(self.uri),
            _once(self.reference),
        )


_Row = TypeVar("_Row", bound=tuple[Any, ...])


def _once(rows: list[_Row]) -> tuple[_Row, ...]:
    return tuple(dict.fromkeys(rows)) if len(rows) > 1 else tuple(rows)


class _Reader:
    """Reads the elements of one parameter, or of one component of a composite, into rows under its key.

    `systems`: code -> system, for elements of type code.
    """

    def __init__(self, key: str, type: SearchType, systems: Mapping[str, str], indexer: Indexer) -> None:
        self.key = key
        self.text_key = f"{key}:text"
        self.identifier_key = f"{key}:identifier"
        self.systems = systems
        self.zone = indexer.zone
        self.indexer = indexer
        self.readers = READERS[type]

    def read(self, nodes: Iterable[Node], n: int, rows: _Rows) -> None:
        for type, value, _ in nodes:
            reader = self.readers.get(type)
            if reader is not None and value is not None:
                reader(self, value, n, rows)

    def string(self, value: str, n: int, rows: _Rows) -> None:
        rows.string.append((self.key, fold(value), value, n))

    def human_name(self, value: dict[str, Any], n: int, rows: _Rows) -> None:
        self._parts(value, ("text", "family", "given", "prefix", "suffix"), n, rows)

    def address(self, value: dict[str, Any], n: int, rows: _Rows) -> None:
        self._parts(value, ("text", "line", "city", "district", "state", "postalCode", "country"), n, rows)

    def copy(self, value: dict[str, Any], n: int, rows: _Rows) -> None:
        """A resource itself stands where others have a reference: the first of a document or message."""
        id = value.get("id")
        if id and _COPIED.get(self.key) == value["resourceType"]:
            rows.reference.append((self.key, f"{value['resourceType']}/{id}", "", n))

    def _parts(self, value: dict[str, Any], names: tuple[str, ...], n: int, rows: _Rows) -> None:
        for name in names:
            part = value.get(name)
            for text in part if isinstance(part, list) else (part,):
                if text is not None:
                    self.string(text, n, rows)

    def coding(self, value: dict[str, Any], n: int, rows: _Rows) -> None:
        system, code = value.get("system"), value.get("code")
        if code is not None or system is not None:
            rows.token.append((self.key, code or "", system or "", n))
        self._text(value.get("display"), n, rows)

    def concept(self, value: dict[str, Any], n: int, rows: _Rows) -> None:
        for coding in value.get("coding") or ():
            self.coding(coding, n, rows)
        self._text(value.get("text"), n, rows)

    def _text(self, text: str | None, n: int, rows: _Rows) -> None:
        if text:
            rows.string.append((self.text_key, fold(text), text, n))

    def identifier(self, value: dict[str, Any], n: int, rows: _Rows) -> None:
        if value.get("value") is not None or value.get("system") is not None:
            rows.token.append((self.key, value.get("value") or "", value.get("system") or "", n))
        if "type" in value:
            self._text(value["type"].get("text"), n, rows)

    def contact(self, value: dict[str, Any], n: int, rows: _Rows) -> None:
        if value.get("value") is not None:
            rows.token.append((self.key, value["value"], "", n))

    def code(self, value: str, n: int, rows: _Rows) -> None:
        rows.token.append((self.key, value, self.systems.get(value, ""), n))

    def boolean(self, value: bool, n: int, rows: _Rows) -> None:
        rows.token.append((self.key, "true" if value else "false", SPECIAL_VALUES, n))

    def plain(self, value: str, n: int, rows: _Rows) -> None:
        rows.token.append((self.key, value, "", n))

    def date(self, value: str, n: int, rows: _Rows) -> None:
        rows.date.append((self.key, *interval(value, self.zone), n))

    def period(self, value: dict[str, Any], n: int, rows: _Rows) -> None:
        start, end = value.get("start"), value.get("end")
        if start or end:
            low = interval(start, self.zone)[0] if start else EARLIEST
            rows.date.append((self.key, low, interval(end, self.zone)[1] if end else LATEST, n))

    def timing(self, value: dict[str, Any], n: int, rows: _Rows) -> None:
        """From the first to the last of its events; without events, its bounds."""
        events = [interval(event, self.zone) for event in value.get("event") or () if event]
        if events:
            rows.date.append((self.key, min(low for low, _ in events), max(high for _, high in events), n))
        elif bounds := (value.get("repeat") or {}).get("boundsPeriod"):
            self.period(bounds, n, rows)

    def number(self, value: Any, n: int, rows: _Rows) -> None:
        rows.number.append((self.key, real(value), real(value), n))

    def quantity(self, value: dict[str, Any], n: int, rows: _Rows) -> None:
        if value.get("value") is None:
            return
        low = high = real(value["value"])
        comparator = value.get("comparator", "")
        if comparator.startswith("<"):
            low = LOWEST
        elif comparator.startswith(">"):
            high = HIGHEST
        self._quantity(low, high, value, n, rows)

    def _quantity(self, low: float, high: float, unit: dict[str, Any], n: int, rows: _Rows) -> None:
        code, system, printed = unit.get("code") or "", unit.get("system") or "", unit.get("unit") or ""
        rows.quantity.append((self.key, low, high, code, system, printed, n))

    def range(self, value: dict[str, Any], n: int, rows: _Rows) -> None:
        low, high = value.get("low") or {}, value.get("high") or {}
        if low.get("value") is None and high.get("value") is None:
            return
        least = LOWEST if low.get("value") is None else real(low["value"])
        most = HIGHEST if high.get("value") is None else real(high["value"])
        self._quantity(least, most, low or high, n, rows)

    def money(self, value: dict[str, Any], n: int, rows: _Rows) -> None:
        if value.get("value") is not None:
            unit = {"system": CURRENCIES, "code": value.get("currency")}
            self._quantity(real(value["value"]), real(value["value"]), unit, n, rows)

    def uri(self, value: str, n: int, rows: _Rows) -> None:
        rows.uri.append((self.key, value, n))

    def canonical_uri(self, value: str, n: int, rows: _Rows) -> None:
        self.uri(value, n, rows)
        if "|" in value:
            self.uri(value.partition("|")[0], n, rows)

    def reference(self, value: dict[str, Any], n: int, rows: _Rows) -> None:
        target = self.indexer.target(value.get("reference"))
        if target:
            rows.reference.append((self.key, target, "", n))
        identifier = value.get("identifier")
        if identifier and (identifier.get("value") or identifier.get("system")):
            found = (self.identifier_key, identifier.get("value") or "", identifier.get("system") or "", n)
            rows.token.append(found)

    def canonical(self, value: str, n: int, rows: _Rows) -> None:
        url, _, version = value.partition("|")
        if url and not url.startswith("#"):
            rows.reference.append((self.key, url, version, n))


_Read = Callable[[_Reader, Any, int, _Rows], None]

_TEXTS = ("string", "markdown", "code", "id", "uri", "url", "canonical", "oid", "uuid")
_URIS = ("uri", "url", "oid", "uuid")

_COPIED = {"Bundle.composition": "Composition", "Bundle.message": "MessageHeader"}

READERS: dict[SearchType, dict[str, _Read]] = {
    "string": {
        **dict.fromkeys(_TEXTS, _Reader.string),
        "HumanName": _Reader.human_name,
        "Address": _Reader.address,
    },
    "token": {
        **dict.fromkeys(_TEXTS, _Reader.plain),
        "Coding": _Reader.coding,
        "CodeableConcept": _Reader.concept,
        "Identifier": _Reader.identifier,
        "ContactPoint": _Reader.contact,
        "code": _Reader.code,
        "boolean": _Reader.boolean,
    },
    "date": {
        **dict.fromkeys(("date", "dateTime", "instant"), _Reader.date),
        "Period": _Reader.period,
        "Timing": _Reader.timing,
    },
    "number": dict.fromkeys(("integer", "positiveInt", "unsignedInt", "decimal"), _Reader.number),
    "quantity": {
        **dict.fromkeys(("Quantity", "Age", "Count", "Distance", "Duration"), _Reader.quantity),
        "Money": _Reader.money,
        "Range": _Reader.range,
    },
    "uri": {**dict.fromkeys(_URIS, _Reader.uri), "canonical": _Reader.canonical_uri},
    "reference": {
        "Reference": _Reader.reference,
        **dict.fromkeys((*_URIS, "canonical"), _Reader.canonical),
        **dict.fromkeys(_COPIED.values(), _Reader.copy),
    },
}

_Run = Callable[[Scope, Node, _Rows], None]
_ReadAll = Callable[[Iterable[Node], int, _Rows], None]


class Indexer:
    """Index rows of resources. Expressions are compiled for a resource type when its first resource comes."""

    def __init__(self, parameters: Parameters, schema: Schema, base: str, zone: str) -> None:
        """`base`: this server's FHIR base URL; `zone`: the name of the zone of dates without one."""
        self.parameters = parameters
        self.schema = schema
        self.base = base.rstrip("/") + "/"
        self.zone = ZoneInfo(zone)
        self._runs: dict[str, tuple[_Run, ...]] = {}
        self._newest = parameters.newest

    def indexed(self, resource: dict[str, Any]) -> Indexed:
        """All rows of a valid resource, `_id` and `_lastUpdated` left out (the store's own columns answer those)."""
        if self._newest != self.parameters.newest:
            self._newest, self._runs = self.parameters.newest, {}
        type = resource["resourceType"]
        runs = self._runs.get(type)
        if runs is None:
            runs = self._runs[type] = self._compiled(type)
        node = (type, resource, None)
        scope, rows = Scope(node, resource), _Rows()
        for run in runs:
            run(scope, node, rows)
        if type != "Bundle":
            self._links(resource, rows)
        return rows.indexed()

    def partial(self, generation: int) -> Callable[[dict[str, Any]], Indexed]:
        """Like `indexed`, with the rows of one stored definition alone; no links."""
        runs: dict[str, list[_Run]] = {}
        for parameter in self.parameters.of_generation(generation):
            if parameter.type == "composite" or parameter.type in READERS:
                for type in self._types_of(parameter.resource_type):
                    runs.setdefault(type, []).append(self._run(replace(parameter, resource_type=type)))

        def index(resource: dict[str, Any]) -> Indexed:
            node, rows = (resource["resourceType"], resource, None), _Rows()
            for run in runs.get(resource["resourceType"], ()):
                run(Scope(node, resource), node, rows)
            return rows.indexed()

        return index

    def _types_of(self, base: str) -> list[str]:
        return [type for type in sorted(self.schema.resource_types) if self.schema.is_subtype(type, base)]

    def target(self, text: str | None) -> str | None:
        """What a literal reference points to: "Type/id" when here, else its URL; None within the resource."""
        if not text or text[0] == "#":
            return None
        if text.startswith(self.base):
            text = text[len(self.base) :]
        return text.partition("/_history/")[0] if "/_history/" in text else text

    def _links(self, resource: dict[str, Any], rows: _Rows) -> None:
        """References to resources here that no parameter covers, under the key ""."""
        covered = {row[1] for row in rows.reference}
        for text in _references(resource, []):
            target = self.target(text)
            if target and target not in covered and self._is_local(target):
                rows.reference.append(("", target, "", 0))

    def _is_local(self, target: str) -> bool:
        type, slash, id = target.partition("/")
        return bool(slash and id) and "/" not in id and type in self.schema.resource_types

    def _compiled(self, type: str) -> tuple[_Run, ...]:
        known = (one for one in self.parameters.of(type) if one.code not in ("_id", "_lastUpdated"))
        return tuple(self._run(one) for one in known if one.type == "composite" or one.type in READERS)

    def _run(self, parameter: Parameter) -> _Run:
        expression = compile(parameter.expression, parameter.resource_type, self.schema)
        if parameter.type == "composite":
            return self._composite(parameter, expression)
        read = self._reader(parameter.key, parameter.type, expression).read
        evaluate = expression.evaluate

        def run(scope: Scope, node: Node, rows: _Rows) -> None:
            found = evaluate(scope, node)
            if found:
                read(found, 0, rows)

        return run

    def _composite(self, parameter: Parameter, expression: Expression) -> _Run:
        """Rows "Type.code$0", "$1" … with the element's ordinal, so that all are known to be of one element."""
        parts = {
            type: [self._component(parameter, index, type) for index in range(len(parameter.components))]
            for type in expression.types or ()
        }
        evaluate = expression.evaluate

        def run(scope: Scope, node: Node, rows: _Rows) -> None:
            for n, element in enumerate(evaluate(scope, node)):
                for component, read in parts[element[0]]:
                    read(component(scope, element), n, rows)

        return run

    def _component(self, parameter: Parameter, index: int, type: str) -> tuple[Evaluate, _ReadAll]:
        component = parameter.components[index]
        expression = compile(component.expression, type, self.schema)
        return expression.evaluate, self._reader(f"{parameter.key}${index}", component.type, expression).read

    def _reader(self, key: str, type: SearchType, expression: Expression) -> _Reader:
        return _Reader(key, type, self._systems(expression) if type == "token" else {}, self)

    def _systems(self, expression: Expression) -> Mapping[str, str]:
        """The systems of code elements, from the value sets that bind them as required."""
        systems: dict[str, str] = {}
        for type, name in expression.origins:
            definition = self.schema.type(type)
            bound = definition.elements[name].required if definition else ""
            for system, codes in (self.schema.codes(bound.partition("|")[0]) or {}).items():
                systems |= dict.fromkeys(codes, system)
        return systems


def _references(value: dict[str, Any], found: list[str]) -> list[str]:
    """The texts of all References within, added to `found`. An Expression has a `reference` too, which is no link;
    its required `language` tells it apart."""
    for key, item in value.items():
        if item.__class__ is dict:
            _references(item, found)
        elif item.__class__ is list:
            for one in item:
                if one.__class__ is dict:
                    _references(one, found)
        elif key == "reference" and item.__class__ is str and "language" not in value:
            found.append(item)
    return found
