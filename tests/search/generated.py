"""Random resources and random searches that have something to find: both draw from the same few values."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.search.asked import Amount, Chain, Compared, Criterion, Has, Parts, Ref, Search, Simple, Str, Tok, Uri, Value
from tests.search.matcher import codings, texts
from tests.search.matcher import strings as _strings
from tests.search.parameters import LINE, OWNER, PARAMETERS, Parameter, S

Resource = dict[str, Any]
Draw = Any

SYSTEMS = ["urn:a", "http://s.example/a|b", "http://s.example/b"]
CODES = ["x", "X", "x y", "a|b", "c,d", "e$f", "g\\h", "å", "x1"]
STRINGS = ["Møte i Ås", "møte", "MOTE I AS, to", "Mo", "Ærlig Øl", "aerlig", "a|b", "a\\,b", "50 $", "Café  é", "Été"]
URLS = ["http://u.example/a", "http://u.example/a/b", "http://u.example/ab", "http://u.example/a/b,c"]
DATES = ["2023", "2024", "2023-12", "2024-01", "2024-02", "2023-12-31", "2024-01-01", "2024-02-29"]
TIMES = [
    "2023-12-31T23:30:00Z", "2024-01-01T00:30:00+01:00", "2024-01-01T00:00:00+01:00", "2024-01-01T12:00:00.500Z",
    "2024-01-01T12:00:00Z", "2024-03-31T02:30:00+01:00", "2023-12-31T18:00:00-05:00",
]  # fmt: skip
MINUTES = ["2024-01-01T12:00Z", "2024-01-01T00:30", "2023-12-31T23:30+00:00"]
NUMBERS = ["0", "1", "5", "5.0", "5.25", "5.3", "10", "-2.5", "100"]
UNITS = [("http://unitsofmeasure.org", "a", "år"), ("http://unitsofmeasure.org", "mo", "mnd"), ("", "", "kr")]
PREFIXES = ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"]
STATUSES = {
    "PlanDefinition": ["draft", "active", "retired"],
    "Task": ["ready", "in-progress", "completed", "on-hold"],
}

strings = st.sampled_from(STRINGS)
dates = st.sampled_from(DATES + TIMES)
tokens = st.tuples(st.sampled_from([*SYSTEMS, ""]), st.sampled_from(CODES))


def sometimes(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The value, or None for an element that is not there."""
    return st.one_of(strategy, strategy, strategy, st.none())


def some(strategy: st.SearchStrategy[Any], most: int = 2) -> st.SearchStrategy[list[Any]]:
    return st.lists(strategy, min_size=1, max_size=most) | st.lists(strategy, max_size=most)


def given(**elements: Any) -> Resource:
    return {name: value for name, value in elements.items() if value not in (None, [], {})}


@st.composite
def coding(draw: Draw) -> Resource:
    system, code = draw(tokens)
    return given(system=system or None, code=code, display=draw(sometimes(strings)))


def concepts() -> st.SearchStrategy[Resource]:
    return st.builds(given, coding=st.lists(coding(), min_size=1, max_size=2), text=sometimes(strings)) | st.builds(
        lambda text: {"text": text}, strings
    )


@st.composite
def identifiers(draw: Draw) -> Resource:
    system, value = draw(tokens)
    kind = draw(sometimes(strings))
    return given(system=system or None, value=value, type={"text": kind} if kind else None)


@st.composite
def periods(draw: Draw) -> Resource:
    """Open on either side, or two days in order."""
    start, end = sorted(draw(st.lists(st.sampled_from(DATES[5:]), min_size=2, max_size=2)))
    choice = draw(st.integers(0, 3))
    either = {"start": draw(dates)} if choice == 0 else {"end": draw(dates)}
    return either if choice < 2 else {"start": start, "end": end}


@st.composite
def references(draw: Draw, ids: list[str], elsewhere: bool = True) -> Resource:
    """To one of "Type/id", to another registry, or only by identifier or name."""
    makes = [lambda: {"display": draw(strings)}, lambda: {"identifier": draw(identifiers())}]
    if elsewhere:
        makes.append(lambda: {"reference": "http://other.example/fhir/Organization/o1"})
    if ids:
        makes += [lambda: {"reference": draw(st.sampled_from(ids))}] * 3
    made: Resource = draw(st.sampled_from(makes))()
    return made


def _slot(type: str, system: str = f"{S}/nep-task-io", **value: Any) -> Resource:
    return {"type": {"coding": [{"system": system, "code": type}]}, **value}


@st.composite
def organizations(draw: Draw, world: str, number: int) -> Resource:
    above = [f"Organization/{world}o{n}" for n in range(number)]
    name = draw(strings)
    address = st.builds(given, city=strings, line=some(strings), country=sometimes(strings))
    return {
        "resourceType": "Organization",
        "id": f"{world}o{number}",
        "name": name,
        **given(
            alias=draw(some(strings)),
            identifier=draw(some(identifiers())),
            active=draw(sometimes(st.booleans())),
            type=draw(some(concepts())),
            address=draw(some(address, 1)),
            partOf=draw(sometimes(references(above, elsewhere=False))) if above else None,
        ),
    }


@st.composite
def contexts(draw: Draw) -> Resource:
    system, code, unit = draw(st.sampled_from(UNITS))
    amount = given(value=float(draw(st.sampled_from(NUMBERS))), system=system, code=code, unit=unit)
    amount = {name: value for name, value in amount.items() if value != ""}
    one = draw(st.sampled_from(["concept", "quantity", "low", "high"]))
    value = {"valueCodeableConcept": draw(concepts())} if one == "concept" else {"valueQuantity": amount}
    if one in ("low", "high"):
        value = {"valueRange": {one: amount}}
    return {"code": draw(coding()), **value}


@st.composite
def finance_lines(draw: Draw, organizations: list[str]) -> Resource:
    parts: list[Resource] = [
        {"url": "type", "valueCode": draw(st.sampled_from(["investering", "drift"]))},
        {"url": "year", "valueDate": draw(st.sampled_from(["2023", "2024"]))},
        {"url": "source", "valueCodeableConcept": draw(concepts())},
    ]
    if draw(st.booleans()):
        parts.append({"url": "funder", "valueReference": draw(references(organizations))})
    return {"url": LINE, "extension": parts}


@st.composite
def plans(draw: Draw, world: str, number: int, organizations: list[str]) -> Resource:
    urls = [f"{url}/{world}" for url in URLS]
    composed = st.sampled_from([*urls, f"{urls[0]}|1", f"{urls[0]}|2"])
    owner = draw(sometimes(references(organizations)))
    extension = [{"url": OWNER, "valueReference": owner}] if owner else []
    return {
        "resourceType": "PlanDefinition",
        "id": f"{world}p{number}",
        "status": draw(st.sampled_from(STATUSES["PlanDefinition"])),
        **given(
            extension=draw(some(finance_lines(organizations))),
            url=draw(sometimes(st.sampled_from(urls))),
            version=draw(sometimes(st.sampled_from(["1", "2"]))),
            identifier=draw(some(identifiers())),
            name=draw(sometimes(st.sampled_from(["Mote", "Aerlig"]))),
            title=draw(sometimes(strings)),
            publisher=draw(sometimes(strings)),
            description=draw(sometimes(strings)),
            date=draw(sometimes(dates)),
            effectivePeriod=draw(sometimes(periods())),
            topic=draw(some(concepts())),
            useContext=draw(some(contexts(), 3)),
            author=[{"name": "a", "extension": extension}] if extension else None,
            relatedArtifact=[{"type": "composed-of", "resource": url} for url in draw(some(composed, 1))],
        ),
    }


@st.composite
def tasks(draw: Draw, world: str, number: int, organizations: list[str], plan_ids: list[str]) -> Resource:
    above = [f"Task/{world}t{n}" for n in range(number)]
    dated = draw(st.sampled_from(["authoredOn", "lastModified"]))
    inputs = [
        *(_slot("motpart", valueReference=one) for one in draw(some(references(organizations), 1))),
        *(_slot("kritikalitet", valueCodeableConcept=one) for one in draw(some(concepts(), 1))),
        *(_slot("avklart-plan", valueBoolean=one) for one in draw(some(st.booleans(), 1))),
        *(_slot("tjeneste", valueString=one) for one in draw(some(strings, 1))),
    ]
    number_of = draw(some(st.sampled_from(NUMBERS), 1))
    criterion = f"{S}/nep-assessment-criterion"
    return {
        "resourceType": "Task",
        "id": f"{world}t{number}",
        "status": draw(st.sampled_from(STATUSES["Task"])),
        "intent": "plan",
        **given(
            identifier=draw(some(identifiers())),
            groupIdentifier=draw(sometimes(identifiers())),
            code=draw(sometimes(concepts())),
            businessStatus=draw(sometimes(concepts())),
            description=draw(sometimes(strings)),
            basedOn=draw(some(references([*plan_ids, *above]))),
            partOf=draw(some(references(above, elsewhere=False), 1)) if above else None,
            focus=draw(sometimes(references([*plan_ids, *organizations]))),
            owner=draw(sometimes(references(organizations))),
            requester=draw(sometimes(references(organizations))),
            executionPeriod=draw(sometimes(periods())),
            restriction=given(period=draw(sometimes(periods()))),
            input=inputs,
            output=[_slot("score", criterion, valueDecimal=float(n)) for n in number_of],
            **{dated: draw(dates)},
        ),
    }


@st.composite
def worlds(draw: Draw, world: str) -> list[Resource]:
    """A few resources, each labelled with the world's name, their ids beginning with it."""
    counts = [draw(st.integers(2, most)) for most in (3, 3, 6)]
    own = [f"Organization/{world}o{n}" for n in range(counts[0])]
    plan_ids = [f"PlanDefinition/{world}p{n}" for n in range(counts[1])]
    made = [draw(organizations(world, n)) for n in range(counts[0])]
    made += [draw(plans(world, n, own)) for n in range(counts[1])]
    made += [draw(tasks(world, n, own, plan_ids)) for n in range(counts[2])]
    return [{**one, "meta": {"tag": [{"system": "urn:world", "code": world}]}} for one in made]


# Searches


@st.composite
def part_of(draw: Draw, text: str) -> Str:
    """A part of it, from the start or within, in any case."""
    start = draw(st.integers(0, len(text) - 1)) if draw(st.booleans()) else 0
    part = text[start : start + draw(st.integers(1, len(text)))]
    changed = draw(st.sampled_from([str, str.upper, str.lower]))(part)
    return Str(changed if changed.strip() else text)


@st.composite
def token_searched(draw: Draw, system: str, code: str) -> Tok:
    return draw(st.sampled_from([Tok(None, code), Tok(system, code), Tok(system or "urn:a", None)]))


@st.composite
def amount_searched(draw: Draw, number: str, system: str, code: str, unit: str) -> Amount:
    asked = draw(st.sampled_from([None, (system, code), ("", code or unit), ("", unit)]))
    return Amount(Compared(draw(st.sampled_from(PREFIXES)), number), asked if asked and asked[1] else None)


CLOSED = {
    "status": [*STATUSES["PlanDefinition"], *STATUSES["Task"]],
    "finance-type": ["investering", "drift"],
    "active": ["true", "false"],
    "plan-agreed": ["true", "false"],
    "version": ["1", "2"],
}


@st.composite
def values(draw: Draw, code: str, parameter: Parameter, elements: list[Any], base: str) -> Value:
    """What to search by: mostly taken from what stands in one of `elements`, those of the world; else any."""
    element = draw(st.sampled_from(elements)) if elements and draw(st.integers(0, 4)) else None
    prefix = draw(st.sampled_from(PREFIXES))
    match parameter.type:
        case "string":
            known = _strings(element) if element is not None else []
            return draw(part_of(draw(st.sampled_from(known or STRINGS))))
        case "token" if code in CLOSED:
            return Tok(None, draw(st.sampled_from(CLOSED[code])))
        case "token":
            known = [one for one in codings(element) if any(one)] if element is not None else []
            return draw(token_searched(*(draw(st.sampled_from(known)) if known else draw(tokens))))
        case "date":
            days = [element] if isinstance(element, str) else list((element or {}).values())
            return Compared(prefix, draw(st.sampled_from(days or DATES + TIMES + MINUTES)))
        case "number":
            return Compared(prefix, str(element) if element is not None else draw(st.sampled_from(NUMBERS)))
        case "quantity":
            unit = draw(st.sampled_from(UNITS))
            return draw(amount_searched(draw(st.sampled_from([*NUMBERS, "1e1", "5.2"])), *unit))
        case "uri":
            cut = str(element or draw(st.sampled_from(URLS)))
            return Uri(draw(st.sampled_from([cut, cut.rpartition("/")[0], f"{cut}/more", cut[:-1]])))
        case "reference":
            stored = element if isinstance(element, str) else (element or {}).get("reference", "Organization/none")
            forms = [stored, f"{base}/{stored}", stored.rpartition("/")[2]]
            return Ref(draw(st.sampled_from(forms)) if ":" not in stored else stored)
        case "composite":
            return draw(composites(code, parameter, elements, base))
    raise AssertionError(parameter)


@st.composite
def composites(draw: Draw, code: str, parameter: Parameter, elements: list[Any], base: str) -> Parts:
    """Parts of one element mostly; trailing ones may be left out, and those between may be empty."""
    one = [draw(st.sampled_from(elements))] if elements else []
    parts = [
        draw(values("finance-type" if (code, n) == ("finance", 0) else "", component, known, base))
        for n, component in enumerate(parameter.components)
        for known in [[found for element in one for found in component.elements(element)]]
    ]
    kept = draw(st.lists(st.booleans(), min_size=len(parts), max_size=len(parts)))
    kept[draw(st.integers(0, len(parts) - 1))] = True
    shown = [part if keep else None for part, keep in zip(parts, kept, strict=True)]
    while shown[-1] is None:
        shown.pop()
    return Parts(tuple(shown))  # type: ignore[arg-type]


MODIFIERS: dict[str, list[str]] = {
    "string": ["exact", "contains", "missing"],
    "token": ["not", "text", "missing"],
    "reference": ["identifier", "missing", "Organization"],
    "uri": ["above", "below", "missing"],
    "date": ["missing"],
    "number": ["missing"],
    "quantity": ["missing"],
    "composite": [],
}


@st.composite
def simple(draw: Draw, resource_type: str, world: list[Resource], base: str) -> Simple:
    code = draw(st.sampled_from(sorted(set(PARAMETERS[resource_type]) - {"_tag"})))
    parameter = PARAMETERS[resource_type][code]
    elements = [x for one in world if one["resourceType"] == resource_type for x in parameter.elements(one)]
    modifier = draw(st.sampled_from(["", "", *_modifiers(code, parameter)]))
    match modifier:
        case "missing":
            return Simple(code, modifier, (Str(draw(st.sampled_from(["true", "false"]))),))
        case "text":
            known = [text for element in elements for text in texts(element)]
            return Simple(code, modifier, (draw(part_of(draw(st.sampled_from(known or STRINGS)))),))
        case "identifier":
            known = [one["identifier"] for one in elements if "identifier" in one]
            pairs = [pair for one in known for pair in codings(one)]
            return Simple(code, modifier, (draw(token_searched(*draw(st.sampled_from(pairs) if pairs else tokens))),))
        case "Organization":
            ids = [one["id"] for one in world if one["resourceType"] == "Organization"]
            return Simple(code, modifier, (Ref(draw(st.sampled_from(ids))),))
    asked = st.lists(values(code, parameter, elements, base), min_size=1, max_size=2)
    return Simple(code, modifier, tuple(draw(asked)))


def _modifiers(code: str, parameter: Parameter) -> list[str]:
    known = MODIFIERS[parameter.type]
    if parameter.type == "reference" and code not in ("owner", "requester", "counterpart"):
        return ["missing"]
    return [modifier for modifier in known if modifier != "text"] if code in CLOSED else known


LINKS = {
    "Task": [("based-on", "PlanDefinition"), ("based-on", "Task"), ("owner", "Organization"),
             ("counterpart", "Organization"), ("part-of", "Task"), ("focus", "PlanDefinition")],
    "PlanDefinition": [("owner", "Organization"), ("composed-of", "PlanDefinition")],
    "Organization": [("partof", "Organization")],
}  # fmt: skip


@st.composite
def criteria(draw: Draw, resource_type: str, world: list[Resource], base: str, depth: int = 2) -> Criterion:
    kind = draw(st.sampled_from(["simple", "simple", "chain", "has"])) if depth else "simple"
    if kind == "chain":
        code, target = draw(st.sampled_from(LINKS[resource_type]))
        inner = draw(criteria(target, world, base, depth - 1))
        return Chain(code, target if draw(st.booleans()) or isinstance(inner, Has) else "", inner)
    pointing = [(source, code) for source, links in LINKS.items() for code, to in links if to == resource_type]
    if kind == "has" and pointing:
        source, code = draw(st.sampled_from(pointing))
        return Has(source, code, draw(criteria(source, world, base, depth - 1)))
    return draw(simple(resource_type, world, base))


SORTED = {
    "PlanDefinition": ["title", "date", "end", "effective", "status", "url", "_id", "publisher"],
    "Task": ["due", "planned", "score", "status", "authored-on", "modified", "description", "_id"],
    "Organization": ["name", "_id", "active"],
}


@st.composite
def searches(draw: Draw, world: list[Resource], base: str) -> Search:
    resource_type = draw(st.sampled_from(sorted(PARAMETERS)))
    keys = st.tuples(st.sampled_from(SORTED[resource_type]), st.booleans())
    own = Simple("_tag", "", (Tok("urn:world", world[0]["meta"]["tag"][0]["code"]),))
    asked = draw(st.lists(criteria(resource_type, world, base), min_size=1, max_size=2))
    sort = draw(st.lists(keys, max_size=2, unique_by=lambda key: key[0]))
    return Search(resource_type, (own, *asked), tuple(sort), draw(st.integers(1, 5)))
