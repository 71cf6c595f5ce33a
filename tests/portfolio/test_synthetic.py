"""The synthetic portfolio: of the size and composition of the real one, the same for the same seed, and valid."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from scripts.benchmarks.synthetic import SHAPES, files, main, portfolio
from server.resource import decode
from tests.portfolio.registry import loaded, registry_in

KINDS = {"leveranse": 243, "avhengighet": 91, "nytteforutsetning": 55, "statusrapport": 40, "rapporteringsrunde": 1}


def kinds(resources: list[dict[str, object]]) -> Counter[str]:
    return Counter(one["code"]["coding"][0]["code"] for one in resources if one["resourceType"] == "Task")  # type: ignore[index]


def test_forty_are_composed_as_those_of_november_2021_and_eighty_are_twice_forty() -> None:
    assert len(SHAPES) == 40
    assert kinds(portfolio(40)) == KINDS
    many = {kind: 2 * count for kind, count in KINDS.items()} | {"rapporteringsrunde": 1}
    assert kinds(portfolio(80)) == many


def test_the_same_seed_gives_the_same_and_another_one_another() -> None:
    assert portfolio(3) == portfolio(3)
    assert portfolio(3) != portfolio(3, seed=1)


def test_every_round_has_a_report_of_every_initiative_and_of_the_open_one_none_is_begun() -> None:
    made = portfolio(2, rounds=["2021-06", "2021-11"], open_round="2022-03")
    reports = [(one["groupIdentifier"]["value"], one["status"]) for one in made if "groupIdentifier" in one]
    assert (
        reports
        == [(round, "completed") for round in ("2021-06", "2021-06", "2021-11", "2021-11")]
        + [("2022-03", "requested")] * 2
    )


def test_the_files_are_loaded_with_profiles_and_rules_enforced(tmp_path: Path) -> None:
    made = portfolio(12, rounds=["2021-11"], open_round="2022-03")
    for unit in loaded(tmp_path / "store", *files(tmp_path / "files", made)):
        assert not unit.refused
    with registry_in(tmp_path / "store") as registry:
        assert registry.total("PlanDefinition?status=active") == 12
        assert registry.total("Task?group-identifier=2022-03&status=requested") == 12


def test_the_command_writes_files_of_at_most_a_thousand_resources(tmp_path: Path) -> None:
    main(["150", str(tmp_path), "--round", "2021-11"])
    read = [[decode(line) for line in file.read_bytes().splitlines()] for file in sorted(tmp_path.iterdir())]
    assert [len(one) for one in read][:-1] == [1000] * (len(read) - 1)
    assert [resource for file in read for resource in file] == portfolio(150)
