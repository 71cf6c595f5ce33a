"""R4's rules of search, a type a table, over HTTP: which of a few concrete resources each search finds.

search.html: #date, #prefix, #string, #token, #number, #quantity, #uri, #reference, #composite, #chaining, #has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import BASE
from tests.http.build import bundle, entry
from tests.portfolio.registry import Registry, registry_in
from tests.search.parameters import LINE, OWNER, S
from tests.store.kinds import REAL, named, over

Resource = dict[str, Any]
UCUM = "http://unitsofmeasure.org"


def plan(id: str, **more: Any) -> Resource:
    return {"resourceType": "PlanDefinition", "id": id, "status": "active", **more}


def task(id: str, **more: Any) -> Resource:
    return {"resourceType": "Task", "id": id, "status": "ready", "intent": "plan", **more}


def organization(id: str, **more: Any) -> Resource:
    return {"resourceType": "Organization", "id": id, "name": id, **more}


def concept(*codings: tuple[str, str], text: str = "", display: str = "") -> Resource:
    made = [{"system": system, "code": code} if system else {"code": code} for system, code in codings]
    shown = [{**one, "display": display} for one in made] if display else made
    return {**({"coding": shown} if made else {}), **({"text": text} if text else {})}


def context(code: str, **value: Any) -> Resource:
    return {"code": {"system": "urn:k", "code": code}, **value}


def amount(value: float, code: str = "a", unit: str = "år", system: str = UCUM) -> Resource:
    return {"value": value, "unit": unit, "system": system, "code": code}


def score(value: float) -> Resource:
    kind = {"coding": [{"system": f"{S}/nep-assessment-criterion", "code": "score"}]}
    return {"output": [{"type": kind, "valueDecimal": value}]}


def line(type: str, year: str, source: str) -> Resource:
    parts = [
        {"url": "type", "valueCode": type},
        {"url": "year", "valueDate": year},
        {"url": "source", "valueCodeableConcept": concept(("urn:s", source))},
    ]
    return {"url": LINE, "extension": parts}


def owned(reference: Resource) -> Resource:
    return {"author": [{"name": "a", "extension": [{"url": OWNER, "valueReference": reference}]}]}


DATES = {
    "year": "2024",
    "month": "2024-01",
    "day": "2024-01-15",
    "noon": "2024-01-15T12:00:00+01:00",
    "eve": "2023-12-31T23:30:00Z",  # in Oslo it is 2024 already
    "before": "2023-12-31",
    "after": "2024-02-01",
}
PERIODS = {
    "spring": {"start": "2024-03-01", "end": "2024-05-31"},
    "from": {"start": "2024-04-01"},
    "until": {"end": "2024-04-30"},
    "none": {},
}

RESOURCES: list[Resource] = [
    *(plan(f"d-{name}", date=date) for name, date in DATES.items()),
    *(plan(f"e-{name}", effectivePeriod=period) if period else plan(f"e-{name}") for name, period in PERIODS.items()),
    *(organization(f"s-{n}", name=name) for n, name in enumerate(["Ås kommune", "as", "Asker", "Helse Ås", "AS, to"])),
    organization("s-alias", name="Fjord", alias=["Åsnes"]),
    organization("s-address", name="Vik", address=[{"city": "Bodø", "line": ["Storgata 1"], "country": "NO"}]),
    task("t-a", code=concept(("urn:s", "x"), display="Første")),
    task("t-b", code=concept(("urn:t", "x"), text="Andre ting")),
    task("t-bare", code=concept(("", "x"))),
    task("t-upper", code=concept(("urn:s", "X"))),
    task("t-two", code=concept(("urn:s", "y"), ("urn:t", "z|1"))),
    task("t-text", code=concept(text="x")),
    task("t-none"),
    *(task(f"n-{str(value).replace('.', '-')}", **score(value)) for value in (5, 5.2, 5.25, 5.5, 100, 99.5, 100.5)),
    plan("q-5", useContext=[context("q", valueQuantity=amount(5))]),
    plan("q-5-mo", useContext=[context("q", valueQuantity=amount(5, "mo", "mnd"))]),
    plan("q-kr", useContext=[context("q", valueQuantity={"value": 5, "unit": "kr"})]),
    plan("q-over", useContext=[context("q", valueQuantity={**amount(7), "comparator": ">"})]),
    plan("q-range", useContext=[context("q", valueRange={"low": amount(4), "high": amount(6)})]),
    plan("u-a", url="http://u.example/a"),
    plan("u-a-b", url="http://u.example/a/b"),
    plan("u-ab", url="http://u.example/ab", version="2"),
    plan("u-urn", url="urn:oid:1.2.3"),
    organization("r-top", name="Øverst", identifier=[{"system": "urn:n", "value": "1"}]),
    organization("r-sub", name="Under", partOf={"reference": "Organization/r-top"}),
    plan("r-plan", title="Plan", **owned({"reference": "Organization/r-sub"})),
    task("r-a", basedOn=[{"reference": "PlanDefinition/r-plan"}], owner={"reference": "Organization/r-sub"}),
    task("r-b", basedOn=[{"reference": "Task/r-a"}], owner={"reference": f"{BASE}/Organization/r-top"}),
    task("r-away", owner={"reference": "http://other.example/fhir/Organization/r-top"}),
    task("r-known", owner={"identifier": {"system": "urn:n", "value": "1"}}),
    task("r-named", owner={"display": "Øverst"}),
    plan("c-whole", relatedArtifact=[{"type": "composed-of", "resource": "http://u.example/ab|2"}]),
    plan("c-old", relatedArtifact=[{"type": "composed-of", "resource": "http://u.example/ab|1"}]),
    plan("c-any", relatedArtifact=[{"type": "composed-of", "resource": "http://u.example/ab"}]),
    plan("m-one", extension=[line("drift", "2023", "x"), line("investering", "2024", "y")]),
    plan("m-two", extension=[line("drift", "2024", "x")]),
    plan("v-gul", useContext=[context("a", valueCodeableConcept=concept(("urn:s", "gul")))]),
    plan("v-kryss", useContext=[context("a", valueCodeableConcept=concept(("urn:s", "rod"))),
                                context("b", valueCodeableConcept=concept(("urn:s", "gul")))]),
    plan("v-komma", useContext=[context("c,d", valueCodeableConcept=concept(("urn:s", "e$f")))]),
    plan("g-2", topic=[concept((f"{S}/nep-strategic-goal-2023", "2"))]),
    plan("g-2B", topic=[concept((f"{S}/nep-strategic-goal-2023", "2B"))]),
    plan("g-3C", topic=[concept((f"{S}/nep-strategic-goal-2023", "3C"))]),
]  # fmt: skip


@pytest.fixture(scope="module", params=over(REAL))
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry_in(tmp_path_factory.mktemp("rules"), **named(request.param, "rules")) as registry:
        registry.send(
            "POST", "", bundle(*(entry("PUT", f"{one['resourceType']}/{one['id']}", one) for one in RESOURCES))
        )
        yield registry


def answer(registry: Registry, kind: str, query: str, family: str) -> set[str]:
    """The names of those found whose id begins with the family's letter: "d-year" is year."""
    pairs = [tuple(part.split("=", 1)) for part in query.split("&")]
    found = registry.matches(f"{kind}?{httpx.QueryParams(pairs)}", 500)
    return {one["id"].partition("-")[2] for one in found if one["id"].startswith(f"{family}-")}


ALL = set(DATES)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        # eq: the searched range contains the stored one. Oslo's 2024 begins at 23:00 UTC the day before.
        ("2024", ALL - {"before"}),
        ("eq2024", ALL - {"before"}),
        ("2024-01", {"month", "day", "noon", "eve"}),
        ("2024-01-15", {"day", "noon"}),
        ("2024-01-15T12:00+01:00", {"noon"}),
        ("2024-01-15T11:00:00Z", {"noon"}),
        ("2024-01-15T12:00:00+01:00", {"noon"}),
        ("2023-12-31T23:30:00Z", {"eve"}),
        ("2024-01-01", {"eve"}),
        # ne: it does not.
        ("ne2024", {"before"}),
        ("ne2024-01", {"year", "before", "after"}),
        ("ne2024-01-15", ALL - {"day", "noon"}),
        # gt, lt: some of the stored range is above, below the searched.
        ("gt2024-01-15", {"year", "month", "after"}),
        ("gt2024-01-31", {"year", "after"}),
        ("gt2024", set()),
        ("gt2023", ALL - {"before"}),
        ("lt2024", {"before"}),
        ("lt2024-01-15", {"year", "month", "eve", "before"}),
        ("lt2024-01-15T12:00:00+01:00", {"year", "month", "day", "eve", "before"}),
        # ge, le: that, or contained.
        ("ge2024-01-15", {"year", "month", "day", "noon", "after"}),
        ("ge2024", ALL - {"before"}),
        ("le2024-01-15", ALL - {"after"}),
        ("le2023", {"before"}),
        # sa, eb: all of the stored range is after, before the searched.
        ("sa2023", ALL - {"before"}),
        ("sa2024-01-15", {"after"}),
        ("sa2023-12-31", ALL - {"before"}),
        ("eb2024", {"before"}),
        ("eb2024-02", {"month", "day", "noon", "eve", "before"}),
        ("eb2024-01-15", {"eve", "before"}),
        # several: any of them; several parameters: all.
        ("2023,2024-02", {"before", "after"}),
        ("ge2024-01-15&date=le2024-01-15", {"year", "month", "day", "noon"}),
    ],
)
def test_date_prefixes(registry: Registry, asked: str, found: set[str]) -> None:
    assert answer(registry, "PlanDefinition", f"date={asked}", "d") == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("2024", {"spring"}),
        ("2024-04", set()),
        ("ne2024", {"from", "until"}),
        ("ge2024-05", {"from"}),  # spring is neither within May nor partly after it
        ("gt2024-05-31", {"from"}),
        ("lt2024-03", {"until"}),
        ("le2024-03-01", {"until"}),
        ("sa2024-02", {"spring", "from"}),
        ("sa2024-03", {"from"}),
        ("eb2024-05", {"until"}),
        ("eb2024-06", {"spring", "until"}),
        ("gt2024-03&effective=lt2024-04", {"spring", "until"}),
    ],
)
def test_dates_against_periods(registry: Registry, asked: str, found: set[str]) -> None:
    """A period open on one side goes on for ever; one that is not there has nothing to compare."""
    assert answer(registry, "PlanDefinition", f"effective={asked}", "e") == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("name=as", {"0", "1", "2", "4", "alias"}),
        ("name=ÅS", {"0", "1", "2", "4", "alias"}),
        ("name=ås kommune", {"0"}),
        ("name=kommune", set()),
        ("name:contains=ås", {"0", "1", "2", "3", "4", "alias"}),
        ("name:contains=KOMM", {"0"}),
        ("name:exact=as", {"1"}),
        ("name:exact=Ås", set()),
        ("name:exact=Ås kommune", {"0"}),
        ("name=as\\,", {"4"}),
        ("name:exact=AS\\, to", {"4"}),
        ("name=fj,asker", {"2", "alias"}),
        ("address=bodø", {"address"}),
        ("address=storg", {"address"}),
        ("address-city=Bodo", set()),  # ø is a letter of its own, no o with an accent
        ("address:missing=false", {"address"}),
    ],
)
def test_strings(registry: Registry, asked: str, found: set[str]) -> None:
    assert answer(registry, "Organization", asked, "s") == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("code=x", {"a", "b", "bare"}),
        ("code=urn:s|x", {"a"}),
        ("code=|x", {"bare"}),
        ("code=urn:t|", {"b", "two"}),
        ("code=X", {"upper"}),
        ("code=urn:t|z\\|1", {"two"}),
        ("code=urn:s|x,urn:s|y", {"a", "two"}),
        ("code=urn:s|y&code=urn:t|z\\|1", {"two"}),
        ("code:not=urn:s|x", {"b", "bare", "upper", "two", "text", "none"}),
        ("code:not=x,X", {"two", "text", "none"}),
        ("code:text=første", {"a"}),
        ("code:text=andre", {"b"}),
        ("code:text=X", {"text"}),
        ("code:missing=true", {"text", "none"}),
        ("code:missing=false", {"a", "b", "bare", "upper", "two"}),
        ("status=http://hl7.org/fhir/task-status|ready&code=urn:s|x", {"a"}),
    ],
)
def test_tokens(registry: Registry, asked: str, found: set[str]) -> None:
    assert answer(registry, "Task", asked, "t") == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (f"topic={S}/nep-strategic-goal-2023|2", {"2"}),
        (f"topic:below={S}/nep-strategic-goal-2023|2", {"2", "2B"}),
        (f"topic:above={S}/nep-strategic-goal-2023|2B", {"2", "2B"}),
        (f"topic:below={S}/nep-strategic-goal-2023|2B", {"2B"}),
    ],
)
def test_tokens_of_a_hierarchy(registry: Registry, asked: str, found: set[str]) -> None:
    assert answer(registry, "PlanDefinition", asked, "g") == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("5.2", {"5-2"}),  # [5.15, 5.25)
        ("5.25", {"5-25"}),
        ("5", {"5", "5-2", "5-25"}),  # [4.5, 5.5)
        ("100", {"100", "99-5"}),  # [99.5, 100.5)
        ("100.00", {"100"}),
        ("1e2", {"100", "99-5", "100-5"}),  # [95, 105)
        ("ne100", {"5", "5-2", "5-25", "5-5", "100-5"}),
        ("gt5.2", {"5-25", "5-5", "100", "99-5", "100-5"}),
        ("ge5.2", {"5-2", "5-25", "5-5", "100", "99-5", "100-5"}),
        ("lt5.25", {"5", "5-2"}),
        ("le5.25", {"5", "5-2", "5-25"}),
        ("sa100", {"100-5"}),
        ("eb5.2", {"5"}),
        ("ap95", {"100", "99-5", "100-5"}),  # a tenth more or less
        ("5.2,5.25", {"5-2", "5-25"}),
    ],
)
def test_numbers(registry: Registry, asked: str, found: set[str]) -> None:
    assert answer(registry, "Task", f"score={asked}", "n") == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("5", {"5", "5-mo", "kr"}),
        (f"5|{UCUM}|a", {"5"}),
        (f"5|{UCUM}|mo", {"5-mo"}),
        ("5||a", {"5"}),
        ("5||mnd", {"5-mo"}),
        ("5||kr", {"kr"}),
        ("5||NOK", set()),
        (f"gt5|{UCUM}|a", {"over", "range"}),
        (f"ge7|{UCUM}|a", {"over"}),
        (f"lt5|{UCUM}|a", {"range"}),
        (f"sa3|{UCUM}|a", {"5", "over", "range"}),
        (f"eb7|{UCUM}|a", {"5", "range"}),
        (f"ne5|{UCUM}|a", {"over", "range"}),
    ],
)
def test_quantities(registry: Registry, asked: str, found: set[str]) -> None:
    assert answer(registry, "PlanDefinition", f"context-quantity={asked}", "q") == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("url=http://u.example/a", {"a"}),
        ("url=http://u.example/A", set()),
        ("url=http://u.example/", set()),
        ("url:below=http://u.example/a", {"a", "a-b"}),
        ("url:below=http://u.example/", {"a", "a-b", "ab"}),
        ("url:above=http://u.example/a/b/c", {"a", "a-b"}),
        ("url=urn:oid:1.2.3,http://u.example/ab", {"urn", "ab"}),
        ("url:missing=false", {"a", "a-b", "ab", "urn"}),
    ],
)
def test_uris(registry: Registry, asked: str, found: set[str]) -> None:
    assert answer(registry, "PlanDefinition", asked, "u") == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("owner=r-top", {"b"}),
        ("owner=Organization/r-top", {"b"}),
        (f"owner={BASE}/Organization/r-top", {"b"}),
        ("owner:Organization=r-sub", {"a"}),
        ("owner=http://other.example/fhir/Organization/r-top", {"away"}),
        ("owner=r-top,r-sub", {"a", "b"}),
        ("owner:identifier=urn:n|1", {"known"}),
        ("owner=Organization/R-TOP", set()),
        ("based-on=r-plan", {"a"}),
        ("based-on=PlanDefinition/r-a", set()),
        # chains
        ("owner.name=under", {"a"}),
        ("owner:Organization.partof=r-top", {"a"}),
        ("owner:Organization.partof.identifier=urn:n|1", {"a"}),
        ("based-on:PlanDefinition.owner.name=under", {"a"}),
        ("based-on.owner:Organization.name=under", {"a", "b"}),
        ("based-on.based-on:PlanDefinition.title=plan", {"b"}),
        ("based-on:Task.owner.name=under", {"b"}),
        ("owner:Organization.name=over", set()),
        # what points here
        ("_has:Task:based-on:owner=r-top", {"a"}),
        ("_has:Task:based-on:owner.name=øverst", {"a"}),
    ],
)
def test_references(registry: Registry, asked: str, found: set[str]) -> None:
    assert answer(registry, "Task", asked, "r") == found


@pytest.mark.parametrize(
    ("kind", "asked", "found"),
    [
        ("PlanDefinition", "_has:Task:based-on:_has:Task:based-on:owner=r-top", {"plan"}),
        ("Organization", "_has:PlanDefinition:owner:title=plan", {"sub"}),
        ("Organization", "_has:Organization:partof:_has:Task:owner:based-on=r-plan", {"top"}),
        ("Organization", "_has:Task:owner:based-on=r-plan&_has:Task:owner:based-on=r-a", set()),
    ],
)
def test_reverse_chains(registry: Registry, kind: str, asked: str, found: set[str]) -> None:
    assert answer(registry, kind, asked, "r") == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("composed-of=http://u.example/ab", {"whole", "old", "any"}),
        ("composed-of=http://u.example/ab|2", {"whole"}),
        ("composed-of.version=2", {"whole", "any"}),
        ("composed-of:PlanDefinition.url=http://u.example/ab", {"whole", "any"}),
    ],
)
def test_canonicals(registry: Registry, asked: str, found: set[str]) -> None:
    """A canonical without a version is of any; with one, it leads only to that."""
    assert answer(registry, "PlanDefinition", asked, "c") == found


@pytest.mark.parametrize(
    ("asked", "family", "found"),
    [
        ("finance=drift$2024", "m", {"two"}),
        ("finance=drift$2023", "m", {"one"}),
        ("finance-type=drift&finance-year=2024", "m", {"one", "two"}),
        ("finance=drift$ge2023$urn:s|x", "m", {"one", "two"}),
        ("finance=investering$$urn:s|y", "m", {"one"}),
        ("finance=drift$2023,drift$2024", "m", {"one", "two"}),
        ("context-type-value=a$gul", "v", {"gul"}),
        ("context-type-value=urn:k|b$urn:s|gul", "v", {"kryss"}),
        ("context-type-value=c\\,d$e\\$f", "v", {"komma"}),
        ("context-type=a&context=gul", "v", {"gul", "kryss"}),
        (f"context-type-quantity=q$5|{UCUM}|a", "q", {"5"}),
        ("context-type-quantity=x$5", "q", set()),
    ],
)
def test_composites_are_met_by_one_element(registry: Registry, asked: str, family: str, found: set[str]) -> None:
    assert answer(registry, "PlanDefinition", asked, family) == found


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("date,_id", ["before", "month", "year", "eve", "day", "noon", "after"]),
        ("-date,_id", ["year", "after", "month", "day", "noon", "eve", "before"]),
        ("-_id", sorted(DATES, reverse=True)),
    ],
)
def test_dates_are_sorted_by_where_they_begin_or_downwards_by_where_they_end(
    registry: Registry, sort: str, order: list[str]
) -> None:
    found = registry.matches(f"PlanDefinition?_id={','.join(f'd-{name}' for name in DATES)}&_sort={sort}", 3)
    assert [one["id"][2:] for one in found] == order


def test_approximately_widens_a_date_by_a_tenth_of_its_distance_from_now(registry: Registry) -> None:
    assert answer(registry, "PlanDefinition", "date=ap2024", "d") == ALL
    assert "before" not in answer(registry, "PlanDefinition", "date=ap2300", "d")
