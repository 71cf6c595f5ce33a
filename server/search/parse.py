"""Query string to Query, or FhirError; alone knows the escapes \\, \\| \\$ \\\\. R4 search.html."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, get_args
from zoneinfo import ZoneInfo

import orjson

from server.outcome import FhirError, Issue
from server.search import values
from server.search.limits import MAX_CONDITIONS, MAX_IDS, MAX_SORTS, MAX_VALUES, check_links, conditions, limited
from server.search.parameters import Parameter, Parameters, SearchType
from server.search.query import (
    AnyOf,
    Chain,
    Clause,
    Composite,
    Criterion,
    Cursor,
    Has,
    Include,
    Kind,
    Query,
    Reference,
    Sort,
    Summary,
    Text,
    Token,
    Total,
    Uri,
    Value,
)
from server.search.urls import pairs_of

DEFAULT_COUNT = 50
MAX_COUNT = 500
MAX_CODES = 1000
"""Codes of the value sets of one :in."""

# Said of a whole request and answered by the routes, or that are no criteria.
_REQUEST = frozenset({"_format", "_pretty", "_asOf", "__explain"})
_RESULT = frozenset(
    {"_count", "_sort", "_include", "_revinclude", "_total", "_summary", "_elements", "_page", "_contained"}
)

# R4 search.html#modifiers, as far as the index answers them; what is not here is refused.
_MODIFIERS: dict[SearchType, frozenset[str]] = {
    "string": frozenset({"missing", "exact", "contains"}),
    "token": frozenset({"missing", "not", "text", "above", "below", "in", "not-in"}),
    "reference": frozenset({"missing", "identifier"}),
    "uri": frozenset({"missing", "above", "below"}),
    "date": frozenset({"missing"}),
    "number": frozenset({"missing"}),
    "quantity": frozenset({"missing"}),
    "composite": frozenset({"missing"}),
    "special": frozenset(),
}
_KINDS: dict[SearchType, Kind] = {
    "string": "string",
    "token": "token",
    "date": "date",
    "number": "number",
    "quantity": "quantity",
    "uri": "uri",
    "reference": "reference",
}
_MOST = 2**63 - 1
"""The greatest integer that every store holds."""
_RESOURCE_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A search as understood: `unknown` names what was left out (a warning each; empty when strict).
    `as_of` is the instant asked for, as written; `explain` that the plan is wanted."""

    query: Query
    unknown: tuple[Issue, ...] = ()
    as_of: str | None = None
    explain: bool = False


def _no_members(url: str) -> Sequence[tuple[str, str]]:
    raise FhirError("not-found", f"Ukjent verdisett / The value set {url} is not known here.")


class Unknown(Exception):
    """A parameter that is not known here: an error or a remark, as the client prefers."""

    code, status = "not-supported", 400


class Building(Unknown):
    """A parameter whose index is not whole yet: what it found would be a part that passes for all."""

    code, status = "transient", 503


@dataclass(frozen=True)
class Parser:
    """Understands searches of the served types. `subsumes(system, code, up)` lists the codes below (or above)
    one, itself included, of a hierarchical code system, `members(url)` the codes of a value set; `base` is this
    server's FHIR base URL. `shares`: of each stored parameter's generation, the part of its index that is there."""

    parameters: Parameters
    resource_types: frozenset[str]
    zone: ZoneInfo
    base: str
    subsumes: Callable[[str | None, str, bool], Sequence[tuple[str, str]]]
    now: Callable[[], datetime] = field(default=datetime.now)
    members: Callable[[str], Sequence[tuple[str, str]]] = _no_members
    shares: Mapping[int, float] = field(default_factory=dict)

    def parse(self, resource_type: str, pairs: Iterable[tuple[str, str]], *, strict: bool = False) -> Parsed:
        """The query of these decoded name=value pairs, in order. FhirError for a value or modifier that is
        not understood; for an unknown parameter only when strict."""
        draft = _Draft(resource_type)
        for name, text in pairs:
            try:
                self._add(draft, name, text)
            except Unknown as unknown:
                if strict:
                    raise _refusal(unknown, name) from None
                draft.unknown.append(Issue(unknown.code, str(unknown), name, severity="warning"))
        return draft.parsed()

    def criterion(self, resource_type: str, name: str, text: str) -> Criterion:
        """One search condition, chains and _has followed. Unknown when the parameter is not known."""
        check_links(name)
        if name.startswith("_has:"):
            return self._has(resource_type, name, text)
        head, dot, rest = name.partition(".")
        if dot:
            return self._chain(resource_type, head, rest, text)
        code, _, modifier = name.partition(":")
        if code == "_id":
            return _ids(name, modifier, text)
        if code == "_lastUpdated" and not modifier:
            return self._clause(Parameter(resource_type, code, "date", "", ""), name, modifier, text)
        if code == "_lastUpdated":
            raise FhirError("not-supported", f"{name}: _lastUpdated takes no modifier.", expression=name)
        return self._clause(self._parameter(resource_type, code), name, modifier, text)

    def condition(self, resource_type: str, query_string: str, *, place: str) -> Query:
        """The query of a conditional create, update, delete or reference: strict, without result parameters.
        FhirError when it names nothing to search by, so that it would match everything."""
        pairs = pairs_of(query_string)
        if not pairs or any(name in _RESULT | _REQUEST for name, _ in pairs):
            raise FhirError(
                "value",
                f"«{query_string}» is no condition; expected search parameters such as identifier=SYSTEM|VALUE.",
                expression=place,
            )
        draft = _Draft(resource_type)
        try:
            for name, text in pairs:
                draft.add(self.criterion(resource_type, name, text), name)
        except Unknown as unknown:
            raise _refusal(unknown, place) from None
        except FhirError as error:
            raise FhirError(error.issues[0].code, error.issues[0].text, expression=place) from None
        return Query(resource_type, tuple(draft.criteria), count=2)

    def _add(self, draft: _Draft, name: str, text: str) -> None:
        code, _, modifier = name.partition(":")
        if code in _REQUEST:
            draft.request(code, text)
            return
        if code in _RESULT:
            self._result(draft, code, modifier, name, text)
        else:
            draft.add(self.criterion(draft.resource_type, name, text), name)
        if code != "_page":
            draft.used.append((name, str(draft.count) if code == "_count" else text))

    def _result(self, draft: _Draft, code: str, modifier: str, name: str, text: str) -> None:
        if modifier and (modifier != "iterate" or code not in ("_include", "_revinclude")):
            raise FhirError("not-supported", f"{name}: this modifier is not known here.", expression=name)
        match code:
            case "_count":
                draft.count = _count(text)
            case "_sort":
                draft.sort += self._sorts(draft.resource_type, text)
                limited("sort keys", len(draft.sort), MAX_SORTS, "_sort")
            case "_include" | "_revinclude":
                draft.includes.append(self._include(draft.resource_type, code, modifier == "iterate", text))
            case "_total":
                draft.total = _choice(name, text, get_args(Total))
            case "_summary":
                draft.summary = _choice(name, text, get_args(Summary))
            case "_elements":
                draft.elements = tuple(part.strip().split(".")[0] for part in text.split(",") if part.strip())
            case "_page":
                draft.cursor = cursor(text)
            case _:
                _choice(name, text, ("false",))

    def _parameter(self, resource_type: str, code: str) -> Parameter:
        found = self.parameters.find(resource_type, code)
        if found is None or found.type == "special":
            raise Unknown(f"Ukjent søkeparameter / Unknown search parameter «{code}» for {resource_type}.")
        return self._whole(found)

    def _whole(self, parameter: Parameter) -> Parameter:
        share = self.shares.get(parameter.generation, 0.0) if parameter.generation else 1.0
        if share < 1:
            text = f"«{parameter.code}» indekseres, {share:.0%} ferdig / is being indexed, {share:.0%} done; left out."
            raise Building(text)
        return parameter

    def _clause(self, parameter: Parameter, name: str, modifier: str, text: str) -> Criterion:
        if text == "":
            raise FhirError("value", f"{name}: empty; leave the parameter out or give a value.", expression=name)
        if modifier and modifier not in _MODIFIERS[parameter.type]:
            if parameter.type == "reference" and modifier in self.resource_types:
                return self._typed(parameter, name, modifier, text)
            raise _unsupported(name, modifier, parameter)
        if modifier == "missing":
            key, kind = _presence(parameter)
            missing = _choice(name, text, ("true", "false")) == "true"
            return Clause(key, kind, "missing", (), negated=not missing)
        if modifier in ("above", "below") and parameter.type == "token":
            return Clause(parameter.key, "token", "match", self._subsumed(name, text, modifier == "above"))
        if modifier in ("in", "not-in"):
            return self._of_value_set(parameter, name, text, negated=modifier == "not-in")
        if modifier == "text":
            return Clause(f"{parameter.key}:text", "string", "match", _each(text, _text))
        if modifier == "identifier":
            return Clause(f"{parameter.key}:identifier", "token", "match", _each(text, _token(name)))
        if parameter.type == "composite":
            return Clause(
                parameter.key, "composite", "match", _each(text, lambda v: self._composite(parameter, name, v))
            )
        op = modifier if modifier in ("exact", "contains", "above", "below") else "match"
        compared = self._values(parameter, parameter.type, name, text)
        return Clause(parameter.key, _KINDS[parameter.type], op, compared, negated=modifier == "not")  # type: ignore[arg-type]

    def _values(self, parameter: Parameter, kind: SearchType, name: str, text: str) -> tuple[Value, ...]:
        readers: dict[SearchType, Callable[[str], Value]] = {
            "string": _text,
            "token": _token(name),
            "uri": lambda v: Uri(_unescaped(v)),
            "date": lambda v: values.span_date(_unescaped(v), self.zone, self.now()),
            "number": lambda v: values.span_number(_unescaped(v)),
            "quantity": values.quantity,
            "reference": lambda v: self._reference(parameter, name, parameter.targets, _unescaped(v)),
        }
        try:
            return _each(text, readers[kind])
        except ValueError as error:
            raise FhirError("value", f"{name}={text}: {error}", expression=name) from None

    def _typed(self, parameter: Parameter, name: str, target: str, text: str) -> Clause:
        """owner:Organization=helse-vest. R4 search.html#reference, [type] modifier."""
        if parameter.targets and target not in parameter.targets:
            raise FhirError("value", f"{name}: {parameter.code} never points to {target}.", expression=name)
        only = frozenset({target})
        found = _each(text, lambda v: self._reference(parameter, name, only, _unescaped(v)))
        return Clause(parameter.key, "reference", "match", found)

    def _reference(self, parameter: Parameter, name: str, targets: frozenset[str], text: str) -> Reference:
        if parameter.canonical:
            url, _, version = text.partition("|")
            local = (
                [f"{kind}/{url}" for kind in sorted(targets & self.resource_types)] if _RESOURCE_ID.match(url) else []
            )
            return Reference((url, *local), version or None)
        relative = text.removeprefix(f"{self.base}/") if text.startswith(f"{self.base}/") else text
        kind, slash, id = relative.partition("/")
        if slash and kind in self.resource_types and _RESOURCE_ID.match(id):
            return Reference((relative,) if not targets or kind in targets else ("",))
        if re.match(r"[a-z][a-z0-9+.-]*:", text):
            return Reference((text,))
        if _RESOURCE_ID.match(text):
            return Reference(tuple(f"{kind}/{text}" for kind in sorted(targets or self.resource_types)))
        raise ValueError("expected an id, Type/id or an absolute URL")

    def _composite(self, parameter: Parameter, name: str, text: str) -> Composite:
        parts = _split(text, "$")
        if len(parts) > len(parameter.components):
            raise FhirError("value", f"{name}={text}: at most {len(parameter.components)} parts.", expression=name)
        clauses = []
        for index, (part, component) in enumerate(zip(parts, parameter.components, strict=False)):
            if part:
                compared = self._values(parameter, component.type, name, part)
                clauses.append(Clause(f"{parameter.key}${index}", _KINDS[component.type], "match", compared))
        if not clauses:
            raise FhirError("value", f"{name}={text}: no part is given.", expression=name)
        return Composite(tuple(clauses))

    def _subsumed(self, name: str, text: str, up: bool) -> tuple[Value, ...]:
        found: list[Value] = []
        for value in _each(text, _token(name)):
            if not isinstance(value, Token) or value.code is None:
                raise FhirError("value", f"{name}={text}: a code is needed.", expression=name)
            found += [Token(system, code) for system, code in self.subsumes(value.system, value.code, up)] or [value]
        return tuple(found)

    def _of_value_set(self, parameter: Parameter, name: str, text: str, *, negated: bool) -> Clause:
        """code:in=URL, several URLs with commas. R4 search.html#modifiers."""
        codes = {code: None for url in _split(text, ",") for code in self.members(_unescaped(url))}
        if len(codes) > MAX_CODES:
            raise FhirError(
                "too-costly", f"{name}: {len(codes)} codes; at most {MAX_CODES} are searched.", expression=name
            )
        if not codes:
            # No id is empty: nothing matches, or with :not-in everything.
            return Clause("_id", "id", "match", (Token(None, ""),), negated=negated)
        tokens = tuple(Token(system, code) for system, code in codes)
        return Clause(parameter.key, "token", "match", tokens, negated=negated)

    def _chain(self, resource_type: str, head: str, rest: str, text: str) -> Criterion:
        code, _, target = head.partition(":")
        parameter = self._parameter(resource_type, code)
        name = f"{head}.{rest}"
        if parameter.type != "reference":
            raise FhirError("value", f"{name}: {code} is no reference, so nothing follows it.", expression=name)
        if target and target not in (parameter.targets or self.resource_types) & self.resource_types:
            raise FhirError("value", f"{name}: {code} never points to a {target} served here.", expression=name)
        targets = [target] if target else sorted((parameter.targets or self.resource_types) & self.resource_types)
        found: list[Criterion] = []
        refused: FhirError | None = None
        for kind in targets:
            try:
                found.append(Chain(parameter.key, kind, parameter.canonical, self.criterion(kind, rest, text)))
            except Building:
                raise
            except Unknown:
                continue
            except FhirError as error:
                # Where no type is named, one that cannot be searched so says nothing of the others.
                refused = refused or error
        if not found:
            raise refused or Unknown(f"Ukjent søkeparameter / Unknown search parameter «{rest}» after {head}.")
        return found[0] if len(found) == 1 else AnyOf(tuple(found))

    def _has(self, resource_type: str, name: str, text: str) -> Criterion:
        parts = name.split(":", 3)
        if len(parts) < 4:
            raise FhirError("value", f"{name}: expected _has:TYPE:REFERENCE:PARAMETER.", expression=name)
        _, source, reference, rest = parts
        if source not in self.resource_types:
            raise FhirError("value", f"{name}: {source} is no resource type served here.", expression=name)
        parameter = self._parameter(source, reference)
        if parameter.type != "reference" or (parameter.targets and resource_type not in parameter.targets):
            raise FhirError("value", f"{name}: {source}.{reference} never points to {resource_type}.", expression=name)
        return Has(source, parameter.key, parameter.canonical, self.criterion(source, rest, text))

    def _sorts(self, resource_type: str, text: str) -> list[Sort]:
        found = []
        for part in text.split(","):
            code = part.strip().removeprefix("-")
            descending = part.strip().startswith("-")
            if code == "_id":
                found.append(Sort("_id", "id", descending))
            elif code == "_lastUpdated":
                found.append(Sort("_lastUpdated", "updated", descending))
            else:
                parameter = self._parameter(resource_type, code)
                if parameter.type == "composite":
                    raise FhirError("value", f"_sort={text}: a composite has no order.", expression="_sort")
                found.append(Sort(parameter.key, _KINDS[parameter.type], descending))
        return found

    def _include(self, resource_type: str, name: str, iterate: bool, text: str) -> Include:
        reverse = name == "_revinclude"
        source, _, rest = text.partition(":")
        code, _, target = rest.partition(":")
        if text == "*":
            source, code = ("", "*") if reverse else (resource_type, "*")
        if not code or (source and source not in self.resource_types):
            raise FhirError(
                "value", f"{name}={text}: expected TYPE:PARAMETER[:TARGET], e.g. Task:based-on.", expression=name
            )
        if not reverse and not iterate and source != resource_type:
            raise FhirError(
                "value", f"{name}={text}: the matches are {resource_type}; use {name}:iterate.", expression=name
            )
        if target and target not in self.resource_types:
            raise FhirError("value", f"{name}={text}: {target} is no resource type served here.", expression=name)
        sources = [source] if source else sorted(self.resource_types)
        followed = [p for kind in sources for p in self._references(kind, code)]
        if not followed:
            raise FhirError("value", f"{name}={text}: {source} has no reference parameter «{code}».", expression=name)
        canonical = frozenset(p.key for p in followed if p.canonical)
        return Include(source, tuple(p.key for p in followed), target, reverse, iterate, canonical)

    def _references(self, resource_type: str, code: str) -> list[Parameter]:
        known = self.parameters.of(resource_type)
        return [self._whole(p) for p in known if p.type == "reference" and code in ("*", p.code)]


@dataclass
class _Draft:
    """A Query being made."""

    resource_type: str
    criteria: list[Criterion] = field(default_factory=list)
    conditions: int = 0
    sort: list[Sort] = field(default_factory=list)
    includes: list[Include] = field(default_factory=list)
    used: list[tuple[str, str]] = field(default_factory=list)
    unknown: list[Issue] = field(default_factory=list)
    count: int = DEFAULT_COUNT
    total: Total = "none"
    summary: Summary = "false"
    elements: tuple[str, ...] = ()
    cursor: Cursor | None = None
    as_of: str | None = None
    explain: bool = False

    def add(self, criterion: Criterion, name: str) -> None:
        self.conditions += conditions(criterion)
        limited("conditions (each type that a chain may lead to is one)", self.conditions, MAX_CONDITIONS, name)
        self.criteria.append(criterion)

    def request(self, code: str, text: str) -> None:
        if code == "_asOf":
            self.as_of = text
        elif code == "__explain":
            self.explain = _choice(code, text, ("true", "false")) == "true"

    def parsed(self) -> Parsed:
        if self.cursor is not None and len(self.cursor.keys) != len(self.sort):
            raise _no_page()
        counted = 0 if self.summary == "count" else self.count
        query = Query(
            self.resource_type,
            tuple(self.criteria),
            tuple(self.sort),
            counted,
            self.total,
            "count" if counted == 0 else self.summary,
            self.elements,
            tuple(self.includes),
            self.cursor,
            tuple(self.used),
        )
        return Parsed(query, tuple(self.unknown), self.as_of, self.explain)


def _refusal(unknown: Unknown, place: str) -> FhirError:
    headers = {"Retry-After": "2"} if unknown.status == 503 else None
    return FhirError(unknown.code, str(unknown), expression=place, status=unknown.status, headers=headers)


def cursor(text: str) -> Cursor:
    """A page's beginning, as a page link carries it. FhirError value when it was not made here."""
    try:
        keys, ordinal = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if not (isinstance(ordinal, int) and 0 <= ordinal <= _MOST and all(_is_key(key) for key in keys)):
            raise ValueError
        return Cursor(tuple(keys), ordinal)
    except (ValueError, TypeError):
        raise _no_page() from None


def _is_key(key: Any) -> bool:
    return abs(key) <= _MOST if isinstance(key, int) else isinstance(key, str | float | None)


def _no_page() -> FhirError:
    return FhirError("value", "_page: not a page of this search; follow the links of a Bundle.", expression="_page")


def cursor_text(value: Cursor) -> str:
    """The `_page` value of this cursor."""
    return base64.urlsafe_b64encode(orjson.dumps([value.keys, value.ordinal])).decode().rstrip("=")


def _split(text: str, separator: str) -> list[str]:
    """The parts between unescaped separators; the parts keep their escapes."""
    parts, start, escaped = [], 0, False
    for index, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == separator:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]


def _unescaped(text: str) -> str:
    return re.sub(r"\\([\\,|$])", r"\1", text) if "\\" in text else text


def _each(text: str, read: Callable[[str], Value]) -> tuple[Value, ...]:
    parts = _split(text, ",")
    limited("values", len(parts), MAX_VALUES, "")
    if "" in parts:
        raise FhirError("value", f"«{text}»: an empty value stands between the commas.")
    return tuple(read(part) for part in parts)


def _text(text: str) -> Text:
    exact = _unescaped(text)
    return Text(values.fold(exact), exact)


def _token(name: str) -> Callable[[str], Token]:
    def read(text: str) -> Token:
        parts = [_unescaped(part) for part in _split(text, "|")]
        if len(parts) > 2 or parts == ["", ""]:
            raise FhirError("value", f"{name}={text}: expected CODE, SYSTEM|CODE, |CODE or SYSTEM|.", expression=name)
        if len(parts) == 1:
            return Token(None, parts[0])
        return Token(parts[0], parts[1] or None)

    return read


def _ids(name: str, modifier: str, text: str) -> Clause:
    if modifier not in ("", "not"):
        raise FhirError("not-supported", f"{name}: the modifier is not supported.", expression=name)
    ids = tuple(Token(None, part) for part in text.split(",") if part)
    if not ids:
        raise FhirError("value", f"{name}: empty; give an id.", expression=name)
    limited("values", len(ids), MAX_IDS, name)
    return Clause("_id", "id", "match", ids, negated=modifier == "not")


def _presence(parameter: Parameter) -> tuple[str, Kind]:
    """The key and kind of the rows that tell that there is a value; of a composite, those of its first part."""
    if parameter.type == "composite":
        return f"{parameter.key}$0", _KINDS[parameter.components[0].type]
    return parameter.key, _KINDS[parameter.type]


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise FhirError("value", f"_count={text}: expected a whole number from 0.", expression="_count")
    return min(int(text[:9]), MAX_COUNT)


def _choice(name: str, text: str, choices: tuple[str, ...]) -> Any:
    if text not in choices:
        raise FhirError("value", f"{name}={text}: expected one of {', '.join(choices)}.", expression=name)
    return text


def _unsupported(name: str, modifier: str, parameter: Parameter) -> FhirError:
    known = ", ".join(f":{known}" for known in sorted(_MODIFIERS[parameter.type]))
    text = f"{name}: :{modifier} is not supported for {parameter.code} ({parameter.type}); supported: {known}."
    return FhirError("not-supported", text, expression=name)
