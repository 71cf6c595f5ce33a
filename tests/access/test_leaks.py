"""What a caller may not see is, to every search, as if it were not there: random searches by four callers against
a plain matcher that has only the resources which the model lets that caller read. Domain model 0, 10, 13."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import BASE
from tests.http.build import bundle, entry
from tests.portfolio.registry import Registry, of_mode, registry_in
from tests.search.asked import Search
from tests.search.generated import searches, worlds
from tests.search.matcher import World
from tests.search.parameters import OWNER, S

ENH = "urn:oid:2.16.578.1.12.4.1.4.101"
VEST, NORD = "983658725", "883658752"
CALLERS = [("", ""), ("reader", ""), ("reporter", VEST), ("reporter", NORD)]
LABEL = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
SEARCHES = 10
"""For each world and caller; with 25 worlds and four callers that is 1 000 in all."""

# Whose Task of this kind is read while it is restricted, beside the secretariat; "" for one of no kind.
# Section 10, and decision 10 for assessments.
READERS = {
    "": {"requester", "owner", "motpart", "initiative"},
    "leveranse": {"requester", "owner", "initiative"},
    "avhengighet": {"requester", "owner", "motpart", "initiative"},
    "statusrapport": {"requester", "owner", "initiative"},
    "vurdering": {"requester", "owner"},
    "nominasjon": {"requester", "initiative"},
    "radssak": {"requester", "owner"},
}

Resource = dict[str, Any]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry_in(tmp_path_factory.mktemp("leaks")) as registry:
        yield registry


@pytest.fixture(scope="module")
def seen() -> Iterator[Counter[str]]:
    """Were nothing hidden, or everything, the comparison would show nothing."""
    counted: Counter[str] = Counter()
    yield counted
    assert counted["fewer than there are"] > counted["searches"] / 10, counted
    assert counted["restricted ones among them"] > counted["searches"] / 50, counted
    assert counted["some"] > counted["searches"] / 40, counted


names = (f"l{number}-" for number in itertools.count())


@st.composite
def restricted_worlds(draw: Any, world: str) -> list[Resource]:
    """A world whose organisations are the callers' or nobody's, whose Tasks are of the portfolio's kinds or of none,
    and of which some is restricted."""
    made = draw(worlds(world))
    for one in made:
        if draw(st.booleans()):
            one["meta"] = {**one["meta"], "security": [LABEL]}
        if one["resourceType"] == "Organization" and (number := draw(st.sampled_from([VEST, NORD, ""]))):
            one["identifier"] = [*one.get("identifier", []), {"system": ENH, "value": number}]
        if one["resourceType"] == "Task" and (kind := draw(st.sampled_from(sorted(READERS)))):
            codings = one.get("code", {}).get("coding", [])
            coding = {"system": f"{S}/nep-task-type", "code": kind}
            one["code"] = {**one.get("code", {}), "coding": [*codings, coding]}
            one.pop("authoredOn", None), one.pop("lastModified", None)
            # The server dates these and labels them by kind and state.
            one["meta"] = {key: value for key, value in one["meta"].items() if key != "security"}
    return made


def reference(value: Any) -> str:
    return value.get("reference", "") if isinstance(value, dict) else ""


def owner(plan: Resource | None) -> str:
    extensions = [one for author in (plan or {}).get("author", []) for one in author.get("extension", [])]
    return next((reference(one.get("valueReference")) for one in extensions if one["url"] == OWNER), "")


def organizations(number: str, made: list[Resource]) -> set[str]:
    """The caller's organisation, and all below it."""
    known = {f"Organization/{one['id']}": one for one in made if one["resourceType"] == "Organization"}
    numbers = {ref: [x.get("value") for x in one.get("identifier", [])] for ref, one in known.items()}
    mine = {ref for ref, found in numbers.items() if number and number in found}
    while more := {ref for ref, one in known.items() if reference(one.get("partOf")) in mine} - mine:
        mine |= more
    return mine


def parties(resource: Resource, made: list[Resource]) -> set[str]:
    match resource["resourceType"]:
        case "Organization":
            return {f"Organization/{resource['id']}"}
        case "PlanDefinition":
            return {owner(resource)}
    by_ref = {f"{one['resourceType']}/{one['id']}": one for one in made}
    slots = [one for one in resource.get("input", []) if any(c["code"] == "motpart" for c in one["type"]["coding"])]
    bases = [by_ref.get(reference(one)) for one in resource.get("basedOn", [])]
    named = {
        "requester": {reference(resource.get("requester"))},
        "owner": {reference(resource.get("owner"))},
        "motpart": {reference(one.get("valueReference")) for one in slots},
        "initiative": {owner(one) for one in bases if one and one["resourceType"] == "PlanDefinition"},
    }
    codings = resource.get("code", {}).get("coding", [])
    kind = next((one["code"] for one in codings if one.get("system") == f"{S}/nep-task-type"), "")
    return set().union(*(named[name] for name in READERS[kind]))


def may_see(number: str, resource: Resource, made: list[Resource]) -> bool:
    if LABEL not in resource["meta"].get("security", []):
        return True
    return bool(organizations(number, made) & parties(resource, made))


ITERATING = [
    ("_include:iterate", "Organization:partof"), ("_include:iterate", "PlanDefinition:owner"),
    ("_revinclude:iterate", "Task:owner"),
]  # fmt: skip
INCLUDES = {
    "Task": [("_include", "Task:based-on"), ("_include", "Task:owner"), ("_include", "Task:part-of"), *ITERATING],
    "PlanDefinition": [("_include", "PlanDefinition:owner"), ("_revinclude", "Task:based-on"), *ITERATING],
    "Organization": [("_revinclude", "PlanDefinition:owner"), ("_revinclude", "Task:counterpart"), *ITERATING],
}


def reached(world: World, matches: list[Resource], includes: list[tuple[str, str]]) -> set[str]:
    """The ids that includes add to the matches: what was included counts only for those that iterate."""
    found, frontier, following = list(matches), list(matches), includes
    while frontier:
        fresh = []
        for name, path in following:
            source, code = path.split(":")
            for one in frontier:
                if name.startswith("_include"):
                    ends = world.targets(one, code) if one["resourceType"] == source else []
                else:
                    ends = [other for other in world.of_type(source) if one in world.targets(other, code)]
                fresh += [end for end in ends if end not in found and end not in fresh]
        found += fresh
        frontier, following = fresh, [one for one in includes if one[0].endswith(":iterate")]
    return {one["id"] for one in found} - {one["id"] for one in matches}


def compare(
    registry: Registry, caller: tuple[str, str], made: list[Resource], search: Search, data: Any
) -> Counter[str]:
    shown = [one for one in made if may_see(caller[1], one, made)]
    world, reader = World(BASE, shown), registry.seen_by(*caller)
    includes = data.draw(st.lists(st.sampled_from(INCLUDES[search.resource_type]), max_size=3, unique=True))
    expected, told = world.answer(search), f"{caller}: {search.resource_type}?{search.pairs()} {includes}"
    pages = reader.pages_of(search.resource_type, [*search.pairs(), *includes])
    matches = [one["id"] for page in pages for one in of_mode(page, "match")]
    assert matches == expected, told
    assert {page["total"] for page in pages} == {len(expected)}, told
    for page in pages:
        here = [one for one in shown if one["id"] in {match["id"] for match in of_mode(page, "match")}]
        assert {one["id"] for one in of_mode(page, "include")} == reached(world, here, includes), told
    counted = reader.pages_of(search.resource_type, [*search.pairs(), ("_summary", "count")])
    assert counted[0]["total"] == len(expected), told
    restricted = {one["id"] for one in shown if LABEL in one["meta"].get("security", [])}
    return Counter(
        {
            "searches": 1,
            "fewer than there are": len(World(BASE, made).answer(search)) > len(expected),
            "restricted ones among them": bool(restricted & set(expected)),
            "some": 0 < len(expected) < len(world.of_type(search.resource_type)),
        }
    )


def stored(registry: Registry, made: list[Resource]) -> list[Resource]:
    """As the server keeps them, in the order of their writing."""
    registry.send("POST", "", bundle(*(entry("PUT", f"{one['resourceType']}/{one['id']}", one) for one in made)))
    return [registry.get(f"{one['resourceType']}/{one['id']}") for one in made]


def run(registry: Registry, seen: Counter[str], data: st.DataObject) -> None:
    made = stored(registry, data.draw(restricted_worlds(next(names))))
    for _ in range(SEARCHES):
        search = data.draw(searches(made, BASE))
        if data.draw(st.booleans()):
            # Most criteria find little or nothing: all of the world, sorted and paged, is asked for too.
            search = replace(search, criteria=search.criteria[:1])
        for caller in CALLERS:
            seen.update(compare(registry, caller, made, search, data))


BOUNDS: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
    "phases": [Phase.generate],
}


@settings(max_examples=25, derandomize=True, **BOUNDS)
@given(st.data())
def test_a_search_finds_what_its_caller_may_see_and_counts_nothing_else(
    registry: Registry, seen: Counter[str], data: st.DataObject
) -> None:
    run(registry, seen, data)


@pytest.mark.long
@settings(max_examples=500, **BOUNDS)
@given(st.data())
def test_so_do_many_others_in_each_run(registry: Registry, seen: Counter[str], data: st.DataObject) -> None:
    run(registry, seen, data)
