"""November 2021 as resources: the figures that were counted in the printed report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

import mappings
from mappings.terminology import actors
from tests.mappings.conftest import CANONICAL, DATA, code, context, identifier, value, values

Resource = dict[str, Any]
Tasks = Callable[[str], list[Resource]]


def test_nothing_is_refused(portfolio: mappings.ImportResult) -> None:
    assert portfolio.refused == ()


def test_entries_come_in_the_order_of_their_references(resources: list[Resource]) -> None:
    kinds = [code(one["code"]) if one["resourceType"] == "Task" else one["resourceType"] for one in resources]
    assert list(dict.fromkeys(kinds)) == [
        "Organization",
        "PlanDefinition",
        "rapporteringsrunde",
        "leveranse",
        "avhengighet",
        "nytteforutsetning",
        "statusrapport",
    ]


def test_every_entry_is_a_conditional_update_on_an_identifier_it_bears(portfolio: mappings.ImportResult) -> None:
    urls = set()
    for entry in portfolio.bundle["entry"]:
        kind, _, search = entry["request"]["url"].partition("?identifier=")
        system, _, number = search.partition("%7C")
        assert entry["request"]["method"] == "PUT"
        assert kind == entry["resource"]["resourceType"]
        assert (system, number) in {(one["system"], one["value"]) for one in entry["resource"]["identifier"]}
        urls.add(entry["request"]["url"])
    assert len(urls) == len(portfolio.bundle["entry"])


def test_every_reference_stays_within_the_bundle(portfolio: mappings.ImportResult) -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["reference"]] if "reference" in node else []
            return own + [found for item in node.values() for found in references(item)]
        return [found for item in node for found in references(item)] if isinstance(node, list) else []

    known = {entry["fullUrl"] for entry in portfolio.bundle["entry"]}
    assert len(known) == len(portfolio.bundle["entry"])
    assert set(references(portfolio.bundle["entry"])) <= known


def test_two_runs_are_equal(portfolio: mappings.ImportResult) -> None:
    again = mappings.bundle(mappings.read_report(DATA / "portfolio-2021-11"), canonical=CANONICAL)
    assert again == portfolio


def test_the_canonical_base_is_the_one_asked_for() -> None:
    own = mappings.bundle(mappings.read_report(DATA / "portfolio-2021-11"), canonical="http://other.example/fhir")
    text = str(own.bundle)
    assert "http://other.example/fhir/CodeSystem/nep-segment" in text
    assert CANONICAL not in text


# ---- initiatives


def test_forty_initiatives_in_three_segments(initiatives: list[Resource]) -> None:
    assert [identifier(one, "tiltaksnummer") for one in initiatives] == [f"NEP-{n:04}" for n in range(1, 41)]
    segments = Counter(code(context(one, "segment")[0]) for one in initiatives)
    assert segments == {"samstyre": 11, "koordinere": 15, "observere": 14}


def test_heliks_has_the_number_that_the_model_gives_it(initiatives: list[Resource]) -> None:
    heliks = next(one for one in initiatives if one["title"] == "HELIKS")
    assert heliks["url"] == f"{CANONICAL}/PlanDefinition/NEP-0025"
    assert heliks["name"] == "HELIKS"
    assert heliks["publisher"] == "Helse Vest RHF"
    assert heliks["author"][0]["name"] == "Helse Vest"
    assert heliks["author"][0]["extension"][0]["valueReference"]["identifier"]["value"] == "983658725"
    assert heliks["effectivePeriod"] == {"end": "2023-12-31"}
    topics = [code(topic) for topic in heliks["topic"]]
    assert topics == ["1.1", "kjernejournal", "e-resept", "grunndata", "helseid"]


@pytest.mark.parametrize(
    ("column", "counts"),
    [
        ("fase", {"gjennomfore": 30, "planlegge": 6, "konsept": 2, "avslutte": 1, "realisere": 1}),
        ("innforingsstrategi", {"full-utbredelse": 11, "viss-utbredelse": 8, "frivillig": 2, "utproving-en-aktor": 1}),
        ("livslop", {"aktiv": 40}),
    ],
)
def test_initiatives_by_context(initiatives: list[Resource], column: str, counts: dict[str, int]) -> None:
    assert Counter(code(found) for one in initiatives for found in context(one, column)) == counts


def test_initiatives_by_owner(initiatives: list[Resource]) -> None:
    assert Counter(one["author"][0]["name"] for one in initiatives) == {
        "Helsedirektoratet": 11,
        "Helse Sør-Øst": 8,
        "Direktoratet for e-helse": 6,
        "Folkehelseinstituttet": 3,
        "Helse Vest": 3,
        "Helse Midt-Norge": 2,
        "Helse Nord": 2,
        "KS": 2,
        "Oslo kommune": 2,
        "Norsk Helsenett": 1,
    }


def test_topics_are_those_printed(initiatives: list[Resource]) -> None:
    topics = Counter(
        (topic["coding"][0]["system"].rpartition("/")[2], code(topic)) for one in initiatives for topic in one["topic"]
    )
    solutions = {key[1]: count for key, count in topics.items() if key[0] == "nep-national-solution"}
    assert solutions == {"helsenorge": 21, "kjernejournal": 12, "helseid": 12, "grunndata": 11, "e-resept": 6}
    areas = {key[1]: count for key, count in topics.items() if key[0] == "nep-focus-area-2017"}
    assert areas == {
        "1.1": 12, "3.2": 6, "4.3": 5, "2.2": 4, "4.1": 4, "2.1": 3, "5.1": 2, "5.2": 1, "3.1": 1, "6.3": 1,
    }  # fmt: skip


def test_four_initiatives_have_no_end_date(initiatives: list[Resource]) -> None:
    assert sum("effectivePeriod" not in one for one in initiatives) == 4


def test_the_printed_word_stays_beside_its_code(initiatives: list[Resource]) -> None:
    last = context(initiatives[39], "fase")[0]
    assert (code(last), last["text"]) == ("realisere", "Realisering")


def test_shipped_data_and_bundle_name_no_person(portfolio: mappings.ImportResult, initiatives: list[Resource]) -> None:
    assert not any("contact" in one for one in initiatives)
    assert "PractitionerRole" not in {entry["resource"]["resourceType"] for entry in portfolio.bundle["entry"]}


# ---- money and benefit


def lines(initiatives: list[Resource], type: str) -> list[tuple[str, Resource]]:
    """(initiative, {type, year, source, solution, funder, amount}) of each finance line."""
    found = []
    for one in initiatives:
        for line in one.get("extension", ()):
            parts = {part["url"]: next(v for k, v in part.items() if k != "url") for part in line["extension"]}
            if parts["type"] == type:
                found.append((one["title"], parts))
    return found


def mnok(parts: list[Resource]) -> Decimal:
    return Decimal(sum(part["amount"]["value"] for part in parts if "amount" in part)) / 1_000_000


def test_costs_per_year(initiatives: list[Resource]) -> None:
    rows = [parts for _, parts in lines(initiatives, "investering")]
    assert len(rows) == 87
    assert mnok(rows) == Decimal("3298.9")
    by_year = {year: mnok([row for row in rows if row["year"] == str(year)]) for year in range(2017, 2028)}
    assert by_year == {
        2017: Decimal(33), 2018: Decimal(106), 2019: Decimal("463.8"), 2020: Decimal("655.3"),
        2021: Decimal("931.9"), 2022: Decimal("550.9"), 2023: Decimal(248), 2024: Decimal(90),
        2025: Decimal(80), 2026: Decimal(70), 2027: Decimal(70),
    }  # fmt: skip


def test_costs_per_funder(initiatives: list[Resource]) -> None:
    rows = [parts for _, parts in lines(initiatives, "investering")]
    sums = {
        text: mnok([row for row in rows if row["source"]["text"] == text])
        for text in {r["source"]["text"] for r in rows}
    }
    assert sums == {
        "Øremerkede midler Statsbudsjettet": Decimal("1676.4"),
        "Ukjent finansieringskilde": Decimal("363.7"),
        "Direktoratet for e-helse": Decimal("360.3"),
        "Helsedirektoratet": Decimal("347.3"),
        "Forskningsrådet": Decimal("200.1"),
        "Samfinansiering fra Regionale Helseforetak": Decimal("140.6"),
        "Statens legemiddelverk": Decimal("103.8"),
        "Digdir - Medfinansieringsordningen": Decimal("89.2"),
        "Andre": Decimal("17.5"),
    }
    own = [row for row in rows if code(row["source"]) == "virksomhet"]
    assert len(own) == 31
    assert all(row["funder"]["display"] == row["source"]["text"] for row in own)
    assert not any("funder" in row for row in rows if row not in own)


def test_zero_is_an_amount_and_a_blank_is_none(initiatives: list[Resource]) -> None:
    amounts = {
        parts["year"]: parts.get("amount", {}).get("value")
        for title, parts in lines(initiatives, "investering")
        if title == "Program digital samhandling" and int(parts["year"]) > 2022
    }
    assert amounts == {"2023": None, "2024": None, "2025": 0, "2026": 0}
    assert [title for title, parts in lines(initiatives, "investering") if "amount" not in parts] == [
        "Program digital samhandling"
    ] * 2


def test_operations(initiatives: list[Resource]) -> None:
    rows = lines(initiatives, "drift")
    assert len(rows) == 21
    assert mnok([parts for _, parts in rows]) == Decimal("213.6")
    twice = [parts for title, parts in rows if "Legemiddelliste" in title and parts["year"] == "2024"]
    assert [parts["amount"]["value"] for parts in twice] == [18_000_000, 4_000_000]


def test_amounts_are_whole_kroner_without_a_float(initiatives: list[Resource]) -> None:
    amounts = [
        parts["amount"]
        for kind in ("investering", "drift")
        for _, parts in lines(initiatives, kind)
        if "amount" in parts
    ]
    assert len(amounts) == 106
    assert all(type(amount["value"]) is int and amount["currency"] == "NOK" for amount in amounts)


def test_ten_benefits_with_what_each_states(initiatives: list[Resource]) -> None:
    goals = {identifier(one, "tiltaksnummer"): goal for one in initiatives for goal in one.get("goal", ())}
    assert len(goals) == 10
    stated = {
        number: (target.get("due", {}).get("value"), target.get("detailQuantity", {}).get("value"))
        for number, goal in goals.items()
        for target in goal.get("target", [{}])
    }
    assert stated["NEP-0003"] == (15, 6_800_000_000)
    assert stated["NEP-0001"] == (None, 191_000_000)
    assert stated["NEP-0004"] == (17, None)
    assert [number for number, pair in stated.items() if pair == (None, None)] == ["NEP-0005", "NEP-0007", "NEP-0009"]
    assert sum(len(context(one, "user")) for one in initiatives) == 9


# ---- tasks


def test_deliveries_by_state(tasks: Tasks) -> None:
    states = Counter((one["status"], code(one["businessStatus"])) for one in tasks("leveranse"))
    assert states == {
        ("completed", "levert"): 80,
        ("in-progress", "ikke-levert"): 91,
        ("cancelled", "omdefinert"): 6,
        ("ready", "ikke-oppgitt"): 66,
    }


def test_api_managements_double_deliveries_are_both_kept(tasks: Tasks) -> None:
    numbers = [identifier(one, "import") for one in tasks("leveranse")]
    assert [n for n in numbers if ":NEP-0011:" in n] == [f"001:NEP-0011:LEV:{seq}" for seq in (1, 2, 3, 4)]


def test_dependencies_by_category_status_and_plan(tasks: Tasks) -> None:
    found = tasks("avhengighet")
    assert Counter(one["code"]["coding"][1]["code"] for one in found) == {
        "nasjonale-losninger": 40,
        "grunnmur": 19,
        "standarder": 14,
        "annet": 14,
        "regelverk": 4,
    }
    assert Counter(code(value(one, "input", "kritikalitet")) for one in found) == {"hoy": 66, "middels": 18, "lav": 7}
    assert Counter(value(one, "input", "avklart-plan") for one in found) == {None: 55, True: 27, False: 9}
    colours = Counter(code(one["businessStatus"]) if "businessStatus" in one else None for one in found)
    assert colours == {None: 42, "gul": 34, "gronn": 8, "rod": 4, "oppfylt": 3}
    assert Counter(one["status"] for one in found) == {"requested": 88, "completed": 3}


def test_counterparts(tasks: Tasks) -> None:
    found = tasks("avhengighet")
    assert len({one["owner"]["display"] for one in found}) == 75
    several = [one for one in found if len(values(one, "input", "motpart")) > 1]
    assert not any("reference" in one["owner"] for one in several)
    sole = [one for one in found if "reference" in one["owner"]]
    assert (len(sole), len(several)) == (44, 7)
    assert all(one["owner"]["reference"] == value(one, "input", "motpart")["reference"] for one in sole)
    assert sum(not values(one, "input", "motpart") for one in found) == 34


@pytest.mark.parametrize(
    ("cell", "slugs", "sole", "initiative", "solutions"),
    [
        ("Norsk helsenet - MFHelse", ["norsk-helsenett"], True, "NEP-0002", []),
        ("Norsk Helsenettt/Kjernejournal", ["norsk-helsenett"], True, "", ["kjernejournal"]),
        ("HOD, Finansdepartementet, Direktoratet for e-helse,",
         ["helse-og-omsorgsdepartementet", "direktoratet-for-e-helse"], False, "", []),
        ("Partnere som NAV og NHH", ["norsk-helsenett"], False, "", []),
        ("Helseplattformen", [], False, "NEP-0015", []),
        ("SAFEST", [], False, "NEP-0006", ["safest"]),
        ("HelseID løsningen", [], False, "", ["helseid"]),
        ("Juridiske avklaringer", [], False, "", []),
        ("Norsk  Helsenett", ["norsk-helsenett"], True, "", []),  # an alias that the 2021 table does not have
    ],
)  # fmt: skip
def test_what_an_actor_cell_names(
    cell: str, slugs: list[str], sole: bool, initiative: str, solutions: list[str]
) -> None:
    named = actors(cell)
    assert named is not None
    assert ([actor.slug for actor in named.organizations], named.sole) == (slugs, sole)
    assert (named.initiative, list(named.solutions)) == (initiative, solutions)


def test_an_unknown_actor_is_not_guessed() -> None:
    assert actors("Helse Venn") is None


def test_an_initiative_named_as_actor_is_the_focus(tasks: Tasks, portfolio: mappings.ImportResult) -> None:
    urls = {entry["fullUrl"]: entry["resource"] for entry in portfolio.bundle["entry"]}
    named = Counter(urls[one["focus"]["reference"]]["title"] for one in tasks("avhengighet") if "focus" in one)
    assert named == {
        "Helseplattformen": 5,
        "SAFEST": 3,
        "Program digital samhandling": 2,
        "Program for kodeverk og terminologi": 1,
        "Program Pasientens Legemiddelliste": 1,
        "FRESK": 1,
        "MF Helse": 1,
    }
    assert not any(
        one["focus"]["reference"] == one["basedOn"][0]["reference"] for one in tasks("avhengighet") if "focus" in one
    )


def test_prerequisites(tasks: Tasks) -> None:
    found = tasks("nytteforutsetning")
    assert len(found) == 55
    assert identifier(found[0], "import") == "001:NEP-0001:NFO:andre-prosjekter"
    levels = [value(one, "input", "kritikalitet") for one in found]
    assert Counter(code(level) if level else None for level in levels) == {"lav": 24, "hoy": 18, "middels": 9, None: 4}
    assert {level["text"] for level in levels if level and code(level) == "middels"} == {"Medium"}
    assert sum("end" not in one.get("restriction", {}).get("period", {}) for one in found) == 14


def test_status_reports_are_locked_in_the_closed_round(tasks: Tasks) -> None:
    found = tasks("statusrapport")
    assert len(found) == 40
    assert {(one["status"], code(one["businessStatus"])) for one in found} == {("completed", "last")}
    assert Counter(code(value(one, "output", "status")) for one in found) == {"gul": 20, "gronn": 19, "rod": 1}
    risks = [value(one, "output", "risiko") for one in found]
    assert Counter(code(risk) if risk else None for risk in risks) == {"gul": 18, None: 14, "gronn": 6, "rod": 2}
    assert sum(value(one, "output", "kommentar") is None for one in found) == 13
    assert all(one["for"] == one["basedOn"][0] for one in found)
    assert identifier(found[24], "statusrapport") == "2021-11:NEP-0025"


def test_the_round_is_completed_within_its_month(tasks: Tasks) -> None:
    [found] = tasks("rapporteringsrunde")
    assert (found["status"], found["code"]["text"]) == ("completed", "November 2021")
    assert found["restriction"]["period"] == {"start": "2021-11-01", "end": "2021-11-30"}
    assert found["authoredOn"] == "2021-11-01T00:00:00+01:00"
    assert found["lastModified"] == "2021-11-30T12:00:00+01:00"
