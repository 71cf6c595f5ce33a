"""What is indexed of each element, and what a searched text means. R4 search.html."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.definitions.registry import Registry, Schema
from server.search.parameters import INDEXED, Parameters
from server.search.query import EARLIEST, LATEST, Quantity, Span
from server.search.values import HIGHEST, LOWEST, READERS, Indexer, fold, interval, quantity, span_date, span_number
from server.store.store import Indexed

SCHEMA = Schema()
OSLO = ZoneInfo("Europe/Oslo")
BASE = "http://registry.example/fhir"
DAY = 86_400_000_000


def own(code: str, type: str, expression: str, base: str = "Basic", **more: Any) -> dict[str, Any]:
    url = f"http://example.org/SearchParameter/{code}"
    return {"url": url, "code": code, "base": [base], "type": type, "expression": expression, **more} | {
        "resourceType": "SearchParameter"
    }


LINE = "PlanDefinition.extension('urn:line')"
COMPONENTS = {
    "year": "extension('year').value.ofType(date)",
    "source": "extension('source').value.ofType(CodeableConcept)",
}
# Basic carries one extension of any type, so that each search type meets each FHIR type.
VALUES = {
    "text": ("string", "string | HumanName | Address"),
    "coded": ("token", "Coding | CodeableConcept | Identifier | ContactPoint | boolean | string | code | uri"),
    "dated": ("date", "date | dateTime | instant | Period | Timing"),
    "counted": ("number", "integer | decimal | positiveInt"),
    "measured": ("quantity", "Quantity | Money | Range"),
    "named": ("uri", "uri | canonical | url"),
    "linked": ("reference", "Reference | canonical"),
}
OWN = [
    own(code, type, " | ".join(f"Basic.extension.value.ofType({one})" for one in types.split(" | ")))
    for code, (type, types) in VALUES.items()
] + [
    own("year", "date", f"{LINE}.{COMPONENTS['year']}", "PlanDefinition"),
    own("source", "token", f"{LINE}.{COMPONENTS['source']}", "PlanDefinition"),
    own(
        "finance",
        "composite",
        LINE,
        "PlanDefinition",
        component=[
            {"definition": f"http://example.org/SearchParameter/{code}", "expression": expression}
            for code, expression in COMPONENTS.items()
        ],
    ),
]
INDEXER = Indexer(Parameters(Registry(SCHEMA, OWN)), SCHEMA, BASE, "Europe/Oslo")


def rows(kind: str, resource: dict[str, Any], key: str) -> list[tuple[Any, ...]]:
    """The rows of one key, without the key."""
    return [row[1:] for row in getattr(INDEXER.indexed(resource), kind) if row[0] == key]


def test_what_parameters_allow_is_what_is_read() -> None:
    assert {type: frozenset(readers) for type, readers in READERS.items()} == INDEXED


def basic(**value: Any) -> dict[str, Any]:
    return {"resourceType": "Basic", "extension": [{"url": "urn:x", **value}]}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"valueString": "Møte  i ÅS"}, [("møte i as", "Møte  i ÅS", 0)]),
        ({"valueHumanName": {"family": "Dahl", "given": ["Eva", "Lí"]}},
         [("dahl", "Dahl", 0), ("eva", "Eva", 0), ("li", "Lí", 0)]),
        ({"valueAddress": {"line": ["Gate 1"], "city": "Bodø", "postalCode": "8006", "use": "work"}},
         [("gate 1", "Gate 1", 0), ("bodø", "Bodø", 0), ("8006", "8006", 0)]),
        ({"valueString": "x" * 5000}, [("x" * 5000, "x" * 5000, 0)]),
    ],
)  # fmt: skip
def test_strings(value: dict[str, Any], found: list[tuple[Any, ...]]) -> None:
    assert rows("string", basic(**value), "Basic.text") == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"valueCoding": {"system": "urn:s", "code": "a"}}, [("a", "urn:s", 0)]),
        ({"valueCoding": {"code": "a"}}, [("a", "", 0)]),
        ({"valueCoding": {"display": "only"}}, []),
        ({"valueCodeableConcept": {"coding": [{"system": "urn:s", "code": "a"}, {"code": "b"}]}},
         [("a", "urn:s", 0), ("b", "", 0)]),
        ({"valueIdentifier": {"system": "urn:s", "value": "1"}}, [("1", "urn:s", 0)]),
        ({"valueIdentifier": {"system": "urn:s"}}, [("", "urn:s", 0)]),
        ({"valueContactPoint": {"system": "email", "value": "a@b.no"}}, [("a@b.no", "", 0)]),
        ({"valueBoolean": False}, [("false", "http://hl7.org/fhir/special-values", 0)]),
        ({"valueString": "a"}, [("a", "", 0)]),
        ({"valueUri": "urn:u"}, [("urn:u", "", 0)]),
        ({"valueCode": "a"}, [("a", "", 0)]),
    ],
)  # fmt: skip
def test_tokens(value: dict[str, Any], found: list[tuple[Any, ...]]) -> None:
    assert rows("token", basic(**value), "Basic.coded") == found


def test_a_code_has_the_system_that_its_element_is_bound_to() -> None:
    task = {"resourceType": "Task", "status": "draft", "intent": "plan"}
    assert rows("token", task, "Task.status") == [("draft", "http://hl7.org/fhir/task-status", 0)]
    assert rows("token", task, "Task.intent") == [("plan", "http://hl7.org/fhir/request-intent", 0)]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"valueCoding": {"code": "a", "display": "Én"}}, [("en", "Én", 0)]),
        ({"valueCodeableConcept": {"text": "Middels", "coding": [{"display": "Medium"}]}},
         [("medium", "Medium", 0), ("middels", "Middels", 0)]),
        ({"valueIdentifier": {"value": "1", "type": {"text": "Nr"}}}, [("nr", "Nr", 0)]),
        ({"valueString": "a"}, []),
    ],
)  # fmt: skip
def test_the_text_of_a_token(value: dict[str, Any], found: list[tuple[Any, ...]]) -> None:
    assert rows("string", basic(**value), "Basic.coded:text") == found


def oslo(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=OSLO).timestamp()) * 1_000_000  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        ({"valueDate": "2021"}, oslo(2021, 1, 1), oslo(2022, 1, 1)),
        ({"valueDateTime": "2021-11-12T08:00:00Z"}, oslo(2021, 11, 12, 9), oslo(2021, 11, 12, 9) + 1_000_000),
        ({"valuePeriod": {"start": "2021-11", "end": "2021-12-24"}}, oslo(2021, 11, 1), oslo(2021, 12, 25)),
        ({"valuePeriod": {"start": "2021-11"}}, oslo(2021, 11, 1), LATEST),
        ({"valuePeriod": {"end": "2021"}}, EARLIEST, oslo(2022, 1, 1)),
        ({"valueTiming": {"event": ["2021-05", "2021-02-01"]}}, oslo(2021, 2, 1), oslo(2021, 6, 1)),
        ({"valueTiming": {"repeat": {"boundsPeriod": {"start": "2021", "end": "2021"}}}},
         oslo(2021, 1, 1), oslo(2022, 1, 1)),
    ],
)  # fmt: skip
def test_dates(value: dict[str, Any], low: int, high: int) -> None:
    assert rows("date", basic(**value), "Basic.dated") == [(low, high, 0)]


def test_an_empty_period_is_no_date() -> None:
    assert rows("date", basic(valuePeriod={"id": "x"}), "Basic.dated") == []


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"valueDecimal": Decimal("1.50")}, [(1.5, 1.5, 0)]),
        ({"valueInteger": -3}, [(-3.0, -3.0, 0)]),
        ({"valueDecimal": Decimal("1e999")}, [(HIGHEST, HIGHEST, 0)]),
    ],
)
def test_numbers(value: dict[str, Any], found: list[tuple[Any, ...]]) -> None:
    assert rows("number", basic(**value), "Basic.counted") == found


UCUM = "http://unitsofmeasure.org"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"valueQuantity": {"value": 5, "system": UCUM, "code": "mg", "unit": "milligram"}},
         [(5.0, 5.0, "mg", UCUM, "milligram", 0)]),
        ({"valueQuantity": {"value": 5, "comparator": ">="}}, [(5.0, HIGHEST, "", "", "", 0)]),
        ({"valueQuantity": {"value": 5, "comparator": "<"}}, [(LOWEST, 5.0, "", "", "", 0)]),
        ({"valueQuantity": {"unit": "mg"}}, []),
        ({"valueMoney": {"value": 7, "currency": "NOK"}}, [(7.0, 7.0, "NOK", "urn:iso:std:iso:4217", "", 0)]),
        ({"valueRange": {"low": {"value": 1, "unit": "a"}, "high": {"value": 2, "unit": "a"}}},
         [(1.0, 2.0, "", "", "a", 0)]),
        ({"valueRange": {"high": {"value": 2}}}, [(LOWEST, 2.0, "", "", "", 0)]),
    ],
)  # fmt: skip
def test_quantities(value: dict[str, Any], found: list[tuple[Any, ...]]) -> None:
    assert rows("quantity", basic(**value), "Basic.measured") == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"valueUri": "urn:u"}, [("urn:u", 0)]),
        ({"valueCanonical": "http://x/y|1"}, [("http://x/y|1", 0), ("http://x/y", 0)]),
    ],
)
def test_uris(value: dict[str, Any], found: list[tuple[Any, ...]]) -> None:
    assert rows("uri", basic(**value), "Basic.named") == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"valueReference": {"reference": "Task/1"}}, [("Task/1", "", 0)]),
        ({"valueReference": {"reference": "Task/1/_history/3"}}, [("Task/1", "", 0)]),
        ({"valueReference": {"reference": f"{BASE}/Task/1"}}, [("Task/1", "", 0)]),
        ({"valueReference": {"reference": "http://other.example/fhir/Task/1"}},
         [("http://other.example/fhir/Task/1", "", 0)]),
        ({"valueReference": {"reference": "urn:uuid:9d0b"}}, [("urn:uuid:9d0b", "", 0)]),
        ({"valueReference": {"reference": "#within"}}, []),
        ({"valueReference": {"display": "Somebody"}}, []),
        ({"valueCanonical": "http://x/y|1"}, [("http://x/y", "1", 0)]),
        ({"valueCanonical": "http://x/y"}, [("http://x/y", "", 0)]),
        ({"valueCanonical": "#within"}, []),
    ],
)  # fmt: skip
def test_references(value: dict[str, Any], found: list[tuple[Any, ...]]) -> None:
    assert rows("reference", basic(**value), "Basic.linked") == found


def test_a_reference_is_also_found_by_its_identifier() -> None:
    reference = {"identifier": {"system": "urn:s", "value": "1"}}
    assert rows("token", basic(valueReference=reference), "Basic.linked:identifier") == [("1", "urn:s", 0)]


@pytest.mark.parametrize(
    ("resource", "links"),
    [
        # Task.owner is covered by a parameter, the note's author by none.
        ({"owner": {"reference": "Organization/1"}, "note": [{"authorReference": {"reference": "Practitioner/2"}}]},
         ["Practitioner/2"]),
        ({"extension": [{"url": "u", "valueReference": {"reference": "Library/3/_history/1"}}]}, ["Library/3"]),
        ({"contained": [{"resourceType": "Task", "owner": {"reference": "Organization/4"}}]}, ["Organization/4"]),
        ({"extension": [{"url": "u", "valueReference": {"reference": "http://other.example/Task/1"}}]}, []),
        ({"extension": [{"url": "u", "valueReference": {"reference": "Nonsense/1"}}]}, []),
        ({"extension": [{"url": "u", "valueExpression": {"language": "l", "reference": "Library/1"}}]}, []),
        ({"reasonReference": {"reference": "#c"}}, []),
        ({"reasonReference": {"display": "text", "identifier": {"value": "1"}}}, []),
    ],
)  # fmt: skip
def test_local_references_outside_all_parameters_are_links(resource: dict[str, Any], links: list[str]) -> None:
    found = rows("reference", {"resourceType": "Task", **resource}, "")
    assert [target for target, _, _ in found] == links


def test_what_a_bundle_carries_is_no_link_of_it_but_a_document_is_found_by_its_composition() -> None:
    entry = {"resource": {"resourceType": "Composition", "id": "c", "subject": {"reference": "Organization/1"}}}
    found = INDEXER.indexed({"resourceType": "Bundle", "type": "document", "entry": [entry]}).reference
    assert found == (("Bundle.composition", "Composition/c", "", 0),)


def test_the_parts_of_a_composite_share_the_ordinal_of_their_element() -> None:
    def line(year: str, source: str) -> dict[str, Any]:
        parts = [
            {"url": "year", "valueDate": year},
            {"url": "source", "valueCodeableConcept": {"coding": [{"code": source}]}},
        ]
        return {"url": "urn:line", "extension": parts}

    plan = {"resourceType": "PlanDefinition", "extension": [line("2021", "a"), line("2022", "b"), line("2021", "a")]}
    year, next_year = interval("2021", OSLO), interval("2022", OSLO)
    assert rows("date", plan, "PlanDefinition.finance$0") == [(*year, 0), (*next_year, 1), (*year, 2)]
    assert rows("token", plan, "PlanDefinition.finance$1") == [("a", "", 0), ("b", "", 1), ("a", "", 2)]
    assert rows("token", plan, "PlanDefinition.source") == [("a", "", 0), ("b", "", 0)]  # each once


def test_the_shared_parameters_are_rows_of_the_type_itself() -> None:
    meta = {"versionId": "3", "lastUpdated": "2021-01-01T00:00:00Z", "profile": ["urn:p"], "source": "urn:src"}
    found = INDEXER.indexed({"resourceType": "Group", "id": "g", "meta": {**meta, "tag": [{"code": "t"}]}})
    tag = ("Group._tag", "t", "", 0)
    assert found == Indexed(token=(tag,), uri=(("Group._profile", "urn:p", 0), ("Group._source", "urn:src", 0)))


# Text asked for


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Ærlig TALT", "ærlig talt"),
        ("ØSTFOLD", "østfold"),
        ("  Møte\t i\nÅs ", "møte i as"),
        ("Caf\u00e9", "cafe"),
        ("Cafe\u0301", "cafe"),
        ("Straße", "strasse"),
        ("ﬁn", "fin"),
        ("", ""),
    ],
)
def test_fold(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(st.text())
def test_fold_is_settled_after_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2024", oslo(2024, 1, 1), oslo(2025, 1, 1)),
        ("2024-02", oslo(2024, 2, 1), oslo(2024, 3, 1)),
        ("2024-12", oslo(2024, 12, 1), oslo(2025, 1, 1)),
        ("2024-02-29", oslo(2024, 2, 29), oslo(2024, 3, 1)),
        ("2024-03-31", oslo(2024, 3, 31), oslo(2024, 3, 31) + 23 * DAY // 24),  # summer time begins
        ("2024-06-01T12:30", oslo(2024, 6, 1, 12, 30), oslo(2024, 6, 1, 12, 31)),
        ("2024-06-01T12:30:05", oslo(2024, 6, 1, 12, 30, 5), oslo(2024, 6, 1, 12, 30, 6)),
        ("2024-06-01T12:30:05.5+02:00", oslo(2024, 6, 1, 12, 30, 5) + 500_000, oslo(2024, 6, 1, 12, 30, 5) + 600_000),
        ("1970-01-01T00:00:00.1234567Z", 123_456, 123_457),
        ("1970-01-01T00:00:00-01:30", 5_400_000_000, 5_401_000_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000_000, 1_483_228_801_000_000),  # a leap second
    ],
)
def test_interval(text: str, low: int, high: int) -> None:
    assert interval(text, OSLO) == (low, high)


@pytest.mark.parametrize("text", ["0001", "9999", "9999-12-31", "0001-01-01T00:00:00+14:00"])
def test_interval_at_the_ends_of_time(text: str) -> None:
    low, high = interval(text, OSLO)
    assert EARLIEST < low < high < LATEST


@pytest.mark.parametrize(
    "text",
    ["", "0000", "21", "2021-13", "2021-02-29", "2021-1-1", "2021-01-01T", "2021-01-01T24:00:00Z", "12.11.2021",
     "2021-01-01T10", "2021-01-01T10:00:00+99:00", "2021-01-01 10:00:00", "2021\n", "２０２１"],
)  # fmt: skip
def test_what_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match="is no date"):
        interval(text, OSLO)


@given(st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29), timezones=st.just(UTC)))
def test_an_instant_is_where_datetime_has_it(moment: datetime) -> None:
    low, high = interval(moment.strftime("%Y").zfill(4) + moment.strftime("-%m-%dT%H:%M:%S.%fZ"), OSLO)
    assert (low, high) == ((moment - datetime(1970, 1, 1, tzinfo=UTC)) // (moment.resolution), low + 1)


NOW = datetime(2024, 1, 11, tzinfo=UTC)


@pytest.mark.parametrize("prefix", ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"])
def test_a_date_keeps_its_interval_under_every_prefix(prefix: Any) -> None:
    assert span_date(f"{prefix}2024-01-01", OSLO, NOW) == Span(prefix, *interval("2024-01-01", OSLO))


def test_a_date_without_prefix_is_eq() -> None:
    assert span_date("2024", OSLO, NOW) == Span("eq", *interval("2024", OSLO))


def test_about_a_date_is_wider_by_a_tenth_of_its_distance_from_now() -> None:
    low, high = interval("2024-01-01T00:00:00Z", OSLO)
    assert span_date("ap2024-01-01T00:00:00Z", OSLO, NOW) == Span("ap", low - DAY, high + DAY)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("100", Span("eq", 99.5, 100.5)),
        ("100.00", Span("eq", 99.995, 100.005)),
        ("1e2", Span("eq", 95, 105)),
        ("-5.4", Span("eq", -5.45, -5.35)),
        ("0", Span("eq", -0.5, 0.5)),
        ("ne100", Span("ne", 99.5, 100.5)),
        ("gt5.40", Span("gt", 5.4, 5.4)),
        ("le-2", Span("le", -2, -2)),
        ("ap100", Span("ap", 89.5, 110.5)),
    ],
)
def test_numbers_asked_for(text: str, span: Span) -> None:
    assert span_number(text) == span


@pytest.mark.parametrize("text", ["", "gt", "xx5", "5,4", "NaN", "Infinity", "1e9999", "0x10", "٣", "5 "])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        span_number(text)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("5", Quantity(Span("eq", 4.5, 5.5), None, None)),
        ("gt5|urn:s|mg", Quantity(Span("gt", 5, 5), "urn:s", "mg")),
        ("5||mg", Quantity(Span("eq", 4.5, 5.5), None, "mg")),
        ("lt5|urn:s|", Quantity(Span("lt", 5, 5), "urn:s", None)),
        ("5||a\\|b", Quantity(Span("eq", 4.5, 5.5), None, "a|b")),
    ],
)
def test_quantities_asked_for(text: str, asked: Quantity) -> None:
    assert quantity(text) == asked


@pytest.mark.parametrize("text", ["", "mg", "5|mg", "5|a|b|c", "|urn:s|mg"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        quantity(text)
