"""R4's search rules over the JSON of resources: slow, plain, and written without a look at the server's.

Each parameter names its elements by a small function; a search looks at every resource. Dates are compared as
R4 search.html#date tells it, in microseconds; numbers as exact decimals.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.search.asked import Amount, Chain, Compared, Criterion, Has, Parts, Ref, Search, Simple, Str, Tok, Uri, Value
from tests.search.parameters import PARAMETERS, Parameter

Resource = dict[str, Any]
OSLO = ZoneInfo("Europe/Oslo")
FIRST, LAST = -(10**18), 10**18


def plain(text: str) -> str:
    """Without case, accents and runs of white space. æ and ø have no accent to lose."""
    bare = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
    return " ".join(bare.lower().split())


# Dates


def moment(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def interval(text: str) -> tuple[int, int]:
    """From its first microsecond to the first one after it."""
    if len(text) == 4:
        year = int(text)
        return moment(datetime(year, 1, 1, tzinfo=OSLO)), moment(datetime(year + 1, 1, 1, tzinfo=OSLO))
    if len(text) == 7:
        year, month = int(text[:4]), int(text[5:])
        after = (year + month // 12, month % 12 + 1)
        return moment(datetime(year, month, 1, tzinfo=OSLO)), moment(datetime(*after, 1, tzinfo=OSLO))
    if len(text) == 10:
        low = datetime.fromisoformat(text)
        return moment(low.replace(tzinfo=OSLO)), moment((low + timedelta(days=1)).replace(tzinfo=OSLO))
    at = datetime.fromisoformat(text)
    low = moment(at if at.tzinfo else at.replace(tzinfo=OSLO))
    clock = text[11:].rstrip("Z").partition("+")[0].partition("-")[0]
    if len(clock) == 5:
        return low, low + 60_000_000
    digits = len(clock.partition(".")[2])
    return low, low + 10 ** (6 - digits)


def element_interval(element: Any) -> tuple[int, int] | None:
    if isinstance(element, str):
        return interval(element)
    start, end = element.get("start"), element.get("end")
    if not start and not end:
        return None
    return interval(start)[0] if start else FIRST, interval(end)[1] if end else LAST


def date_matches(asked: Compared, element: Any) -> bool:
    stored = element_interval(element)
    if stored is None:
        return False
    (low, high), (begins, ends) = interval(asked.text), stored
    within = low <= begins and ends <= high
    match asked.prefix:
        case "" | "eq":
            return within
        case "ne":
            return not within
        case "gt":  # some of it is after the searched range
            return ends > high
        case "lt":
            return begins < low
        case "ge":
            return within or ends > high
        case "le":
            return within or begins < low
        case "sa":  # all of it is after the searched range
            return begins >= high
        case "eb":
            return ends <= low
    raise AssertionError(asked.prefix)


# Numbers


def number_matches(asked: Compared, low: Decimal | None, high: Decimal | None) -> bool:
    """`low` to `high` is what is stored, None for no bound."""
    value = Decimal(asked.text)
    least = Decimal("-Infinity") if low is None else low
    most = Decimal("Infinity") if high is None else high
    exponent = int(value.as_tuple().exponent)
    # R4's own examples: 100 is [99.5, 100.5), 100.00 is [99.995, 100.005), and 1e2 is [95, 105).
    half = Decimal(5).scaleb(exponent - 1 if exponent <= 0 else exponent - 2)
    equal = value - half <= least and most < value + half
    match asked.prefix:
        case "" | "eq":
            return equal
        case "ne":
            return not equal
        case "gt":
            return most > value
        case "lt":
            return least < value
        case "ge":
            return most >= value
        case "le":
            return least <= value
        case "sa":
            return least > value
        case "eb":
            return most < value
    raise AssertionError(asked.prefix)


def decimal(value: Any) -> Decimal:
    return Decimal(str(value))


def quantity_matches(asked: Amount, element: Resource) -> bool:
    """A Quantity, or a Range: its unit is that of its low end, else of its high end."""
    if "value" in element:
        low = high = decimal(element["value"])
        unit = element
    else:
        ends = [element.get("low"), element.get("high")]
        low, high = (decimal(end["value"]) if end else None for end in ends)  # type: ignore[assignment]
        unit = ends[0] or ends[1] or {}
    if asked.unit is not None:
        system, code = asked.unit
        if system and (unit.get("system"), unit.get("code")) != (system, code):
            return False
        if not system and code not in (unit.get("code"), unit.get("unit")):
            return False
    return number_matches(asked.number, low, high)


# Tokens, references, URIs


def codings(element: Any) -> Iterator[tuple[str, str]]:
    """(system, code) of anything that a token can be; "" for what is not there."""
    if isinstance(element, bool):
        yield "", str(element).lower()
    elif isinstance(element, str):
        yield "", element
    elif "coding" in element or set(element) <= {"coding", "text"}:
        for coding in element.get("coding", []):
            yield coding.get("system", ""), coding.get("code", "")
    elif "value" in element or set(element) <= {"system", "type", "use"}:  # an Identifier
        yield element.get("system", ""), element.get("value", "")
    else:
        yield element.get("system", ""), element.get("code", "")


def token_matches(asked: Tok, element: Any) -> bool:
    return any(asked.system in (None, system) and asked.code in (None, code) for system, code in codings(element))


def texts(element: Any) -> Iterator[str]:
    """What :text looks at."""
    if isinstance(element, dict):
        yield from (element[name] for name in ("text", "display") if name in element)
        for coding in element.get("coding", []):
            yield from texts(coding)
        if "type" in element:
            yield from (text for text in [element["type"].get("text")] if text)


def url_matches(modifier: str, asked: str, stored: str) -> bool:
    if modifier == "above":
        return url_matches("below", stored, asked)
    if modifier == "below":
        return stored == asked or stored.startswith(asked.rstrip("/") + "/")
    return stored == asked


@dataclass
class World:
    """Resources in the order of their writing; `base` is the server's."""

    base: str
    resources: list[Resource]

    def of_type(self, resource_type: str) -> list[Resource]:
        return [one for one in self.resources if one["resourceType"] == resource_type]

    # Searches

    def answer(self, search: Search) -> list[str]:
        """The ids in order: by each sort key, resources without a value last; what was written last, first."""
        found = [one for one in self.of_type(search.resource_type) if self.meets_all(search.criteria, one)]
        found.reverse()
        for code, descending in reversed(search.sort):
            keys = {one["id"]: sort_key(one, code, descending) for one in found}
            known = [one for one in found if keys[one["id"]] is not None]
            # sorted() keeps the order of equals in both directions.
            known.sort(key=lambda one: keys[one["id"]], reverse=descending)
            found = known + [one for one in found if keys[one["id"]] is None]
        return [one["id"] for one in found]

    def meets_all(self, criteria: Iterable[Criterion], resource: Resource) -> bool:
        return all(self.meets(criterion, resource) for criterion in criteria)

    def meets(self, criterion: Criterion, resource: Resource) -> bool:
        match criterion:
            case Chain(code, target, inner):
                return any(
                    self.meets(inner, other)
                    for other in self.targets(resource, code)
                    if target in ("", other["resourceType"]) and knows(other["resourceType"], inner)
                )
            case Has(source, code, inner):
                return any(
                    resource in self.targets(other, code) and self.meets(inner, other) for other in self.of_type(source)
                )
            case Simple():
                return self.meets_simple(criterion, resource)

    def meets_simple(self, asked: Simple, resource: Resource) -> bool:
        if asked.code == "_id":
            return Str(resource["id"]) in asked.values
        parameter = PARAMETERS[resource["resourceType"]][asked.code]
        elements = parameter.elements(resource)
        if asked.modifier == "missing":
            there = any(self.has_value(parameter, element) for element in elements)
            return (Str("true") in asked.values) != there
        matches = any(self.matches(parameter, asked.modifier, v, e) for v in asked.values for e in elements)
        return matches != (asked.modifier == "not")

    def has_value(self, parameter: Parameter, element: Any) -> bool:
        """Whether there is something that this parameter could find: the display of a reference alone, or the
        text of a concept alone, is none."""
        match parameter.type:
            case "reference":
                return not isinstance(element, dict) or "reference" in element
            case "token":
                return any(system or code for system, code in codings(element))
            case "date":
                return element_interval(element) is not None
        return True

    def matches(self, parameter: Parameter, modifier: str, asked: Value, element: Any) -> bool:
        match asked:
            case Str(text) if modifier == "text":
                return any(plain(found).startswith(plain(text)) for found in texts(element))
            case Str(text):
                return any(_string_matches(modifier, text, found) for found in strings(element))
            case Tok() if modifier == "identifier":
                return isinstance(element, dict) and token_matches(asked, element.get("identifier", {"system": None}))
            case Tok():
                return token_matches(asked, element)
            case Compared() if parameter.type == "number":
                return number_matches(asked, decimal(element), decimal(element))
            case Compared():
                return date_matches(asked, element)
            case Amount():
                return quantity_matches(asked, element)
            case Uri(text):
                return url_matches(modifier, text, element)
            case Ref(text):
                return self.points(modifier, text, element)
            case Parts(parts):
                return all(
                    any(self.matches(component, "", part, inner) for inner in component.elements(element))
                    for part, component in zip(parts, parameter.components, strict=False)
                    if part is not None
                )

    # References

    def points(self, target: str, asked: str, element: Any) -> bool:
        """`target` is the type of owner:Organization=…, or ""."""
        if isinstance(element, str):  # a canonical
            url, _, version = element.partition("|")
            asked_url, _, asked_version = asked.partition("|")
            return url == asked_url and asked_version in ("", version)
        stored = element.get("reference", "").removeprefix(f"{self.base}/")
        asked = asked.removeprefix(f"{self.base}/")
        if target and not stored.startswith(f"{target}/"):
            return False
        return stored == asked or ("/" not in asked and "/" in stored and stored.split("/")[1:] == [asked])

    def targets(self, resource: Resource, code: str) -> list[Resource]:
        """The resources here that a reference parameter leads to."""
        found = []
        for element in PARAMETERS[resource["resourceType"]][code].elements(resource):
            for other in self.resources:
                if isinstance(element, str):
                    url, _, version = element.partition("|")
                    leads = other.get("url") == url and version in ("", other.get("version"))
                else:
                    leads = self.points("", f"{other['resourceType']}/{other['id']}", element)
                if leads:
                    found.append(other)
        return found


def knows(resource_type: str, criterion: Criterion) -> bool:
    """Whether the type has the parameter that the criterion begins with."""
    return isinstance(criterion, Has) or criterion.code == "_id" or criterion.code in PARAMETERS[resource_type]


def strings(element: Any) -> Iterable[str]:
    """A string, or the parts of an Address."""
    if isinstance(element, str):
        return [element]
    parts = [element.get(name) for name in ("text", "city", "district", "state", "postalCode", "country")]
    return [part for part in [*parts, *element.get("line", [])] if part]


def _string_matches(modifier: str, asked: str, stored: str) -> bool:
    if modifier == "exact":
        return stored == asked
    if modifier == "contains":
        return plain(asked) in plain(stored)
    return plain(stored).startswith(plain(asked))


_KEYS: dict[str, Callable[[Any, bool], Any]] = {
    "string": lambda element, down: plain(element),
    "date": lambda element, down: (element_interval(element) or (None, None))[down],
    "number": lambda element, down: decimal(element),
    "uri": lambda element, down: element,
}


def sort_key(resource: Resource, code: str, descending: bool) -> Any:
    """Ascending by the least of its values, descending by the greatest; a date by its start or its end."""
    if code == "_id":
        return resource["id"]
    parameter = PARAMETERS[resource["resourceType"]][code]
    elements = parameter.elements(resource)
    if parameter.type == "token":
        keys = [code for element in elements for _, code in codings(element)]
    else:
        keys = [key for e in elements if (key := _KEYS[parameter.type](e, descending)) is not None]
    return (max if descending else min)(keys, default=None)
