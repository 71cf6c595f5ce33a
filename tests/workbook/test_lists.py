"""Lines of cost, operation and benefit: they are what they say, and the same file comes again at any time."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.portfolio import elements
from tests.workbook.conftest import Office
from tests.workbook.test_changes import told

YEARS = [("Kostnader", f"E{row}", year) for row, year in ((2, 2021), (3, 2022), (4, 2023))]


def lines(plan):
    """(source, year, amount) of each cost, in order."""
    costs = [one for one in plan.get("extension", ()) if elements.part(one, "type") == "investering"]
    return [
        (elements.code(elements.part(one, "source")), elements.part(one, "year"), elements.part(one, "amount"))
        for one in costs
    ]


@pytest.fixture(scope="module")
def moving(ehelse):
    """Three costs that differ only by their years, as a workbook gives them out."""
    material = copy.deepcopy(ehelse.material)
    plan = material.initiatives[0].plan
    costs = [one for one in plan.get("extension", ()) if elements.part(one, "type") == "investering"][:1]
    plan["extension"] = [copy.deepcopy(costs[0]) for _ in range(3)]
    for year, line in zip(("2020", "2021", "2022"), plan["extension"], strict=True):
        next(part for part in line["extension"] if part["url"] == "year")["valueDate"] = year
    return Office(replace(material, initiatives=material.initiatives[:1]), ehelse.slots)


class TestTheSameFileAgain:
    def test_years_that_were_moved_on_are_moved_on_once(self, moving):
        first = moving.after(*YEARS)
        now = moving.done(first)
        assert [year for _, year, _ in lines(now.initiatives[0].plan)] == ["2021", "2022", "2023"]
        again = moving.taken(moving.written(*YEARS), now)
        assert (told(again), again.entries) == ([], ())

    def test_so_they_are_when_somebody_has_added_a_line_since(self, moving):
        now = moving.done(moving.after(*YEARS))
        more = copy.deepcopy(now.initiatives[0].plan["extension"][0])
        now.initiatives[0].plan["extension"].append(more)
        again = moving.taken(moving.written(*YEARS), now)
        assert (told(again), again.entries) == ([], ())

    def test_a_cleared_line_that_another_became_the_like_of_is_not_cleared_again(self, moving):
        written = [*(("Kostnader", f"{letter}3", None) for letter in "BCDEF"), ("Kostnader", "E4", 2021)]
        now = moving.done(moving.after(*written))
        assert [year for _, year, _ in lines(now.initiatives[0].plan)] == ["2020", "2021"]
        again = moving.taken(moving.written(*written), now)
        assert (told(again), again.entries) == ([], ())

    def test_lines_that_were_swapped_are_the_same_lines(self, moving):
        written = [("Kostnader", "E2", 2021), ("Kostnader", "E3", 2020)]
        now = moving.done(moving.after(*written))
        again = moving.taken(moving.written(*written), now)
        assert (told(again), again.entries) == ([], ())


class TestMeanwhile:
    def test_two_of_the_same_are_two(self, ehelse, moving):
        """Both said the same; somebody has changed the first. Each row is of one of them."""
        material = copy.deepcopy(moving.material)
        plan = material.initiatives[0].plan
        plan["extension"] = [copy.deepcopy(plan["extension"][0]) for _ in range(2)]
        office = Office(material, ehelse.slots)

        def theirs(plan):
            next(part for part in plan["extension"][0]["extension"] if part["url"] == "year")["valueDate"] = "2030"

        now = office.changed("PlanDefinition", theirs)
        outcome = office.taken(office.written(("Kostnader", "F2", 1), ("Kostnader", "F3", 2)), now)
        assert [one.partition(":")[0] for one in told(outcome)] == ["Kostnader!F2"]

    def test_a_cleared_line_that_somebody_has_changed_is_told(self, moving):
        def theirs(plan):
            next(part for part in plan["extension"][1]["extension"] if part["url"] == "year")["valueDate"] = "2030"

        now = moving.changed("PlanDefinition", theirs)
        cleared = moving.written(*(("Kostnader", f"{letter}3", None) for letter in "CDEF"))
        assert any("nå står «2030», her «–»" in one for one in told(moving.taken(cleared, now)))
        (entry,) = moving.taken(cleared, now, overwrite=True).entries
        assert [year for _, year, _ in lines(entry["resource"])] == ["2020", "2022"]

    def test_no_line_is_overwritten_that_has_only_taken_the_place_of_another(self, moving):
        """Theirs: the first line is gone and the second, now first, is changed. Ours: the first one's amount."""

        def theirs(plan):
            del plan["extension"][0]
            next(part for part in plan["extension"][0]["extension"] if part["url"] == "year")["valueDate"] = "2030"

        now = moving.changed("PlanDefinition", theirs)
        (entry,) = moving.taken(moving.written(("Kostnader", "F2", 7)), now, overwrite=True).entries
        found = [(year, amount["value"]) for _, year, amount in lines(entry["resource"])]
        assert found == [("2030", 28_300_000), ("2022", 28_300_000), ("2020", 7_000_000)]

    def test_a_benefit_that_says_nothing_is_left_as_it_is(self, ehelse):
        material = copy.deepcopy(ehelse.material)
        goals = material.initiatives[0].plan["goal"]
        goals.insert(0, {"category": ehelse.slots.concept("nep-goal-category", "nytte"),
                         "description": {"text": "Netto nytteverdi"}})  # fmt: skip
        office = Office(material, ehelse.slots)
        (entry,) = office.after(("Nytte", "C3", 12)).entries
        assert entry["resource"]["goal"][0] == goals[0]
        assert len(entry["resource"]["goal"]) == len(goals)

    def test_what_the_cells_do_not_say_of_a_benefit_stays(self, ehelse):
        material = copy.deepcopy(ehelse.material)
        goal = material.initiatives[0].plan["goal"][0]
        goal.setdefault("target", []).append({"due": {"value": 3, "unit": "år"}})
        goal.setdefault("documentation", []).append({"type": "documentation", "url": "https://eksempel.no/"})
        goal["description"]["coding"] = [{"code": "x"}]
        row = ("Nytte", "C2", 12), ("Nytte", "E2", "Mer ro"), ("Nytte", "F2", "Usikkert")
        (entry,) = Office(material, ehelse.slots).after(*row).entries
        after = entry["resource"]["goal"][0]
        assert after["target"][-1] == {"due": {"value": 3, "unit": "år"}}
        assert {"type": "documentation", "url": "https://eksempel.no/"} in after["documentation"]
        assert after["description"] == {"coding": [{"code": "x"}], "text": "Mer ro"}


MILLION = 1_000_000
EDITS = st.dictionaries(
    st.sampled_from([f"{letter}{row}" for letter in "EF" for row in (2, 3, 4)] + ["clear2", "clear3", "clear4"]),
    st.integers(2018, 2024), max_size=5,
)  # fmt: skip
NEW_LINES = st.lists(st.tuples(st.integers(2019, 2023), st.integers(1, 3)), max_size=2)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS, new=NEW_LINES)
def test_whatever_becomes_of_the_lines_they_are_what_the_sheet_says_and_stay_so(moving, edits, new):
    cleared = {name[-1] for name in edits if name.startswith("clear")}
    kept = {name: value for name, value in edits.items() if name[-1] not in cleared}
    written = [
        *(("Kostnader", f"{letter}{row}", None) for row in cleared for letter in "CDEF"),
        *(("Kostnader", name, value) for name, value in kept.items()),
    ]
    for at, (year, amount) in enumerate(new):
        row = first_new(moving) + at
        written += [("Kostnader", f"B{row}", "NEP-0001"), ("Kostnader", f"C{row}", "Egen virksomhet"),
                    ("Kostnader", f"E{row}", year), ("Kostnader", f"F{row}", amount)]  # fmt: skip
    outcome = moving.after(*written)
    assert told(outcome) == []
    now = moving.done(outcome)
    expected = [
        (str(kept.get(f"E{row}", 2018 + row)), kept[f"F{row}"] * MILLION if f"F{row}" in kept else 28_300_000)
        for row in (2, 3, 4)
        if str(row) not in cleared
    ] + [(str(year), amount * MILLION) for year, amount in new]
    found = [(year, amount["value"]) for _, year, amount in lines(now.initiatives[0].plan)]
    assert sorted(found) == sorted(expected)
    again = moving.taken(moving.written(*written), now)
    assert (told(again), again.entries) == ([], ())


def first_new(office):
    return next(line.number for line in office.read.pages["Kostnader"].lines if line.key.startswith("new/"))
