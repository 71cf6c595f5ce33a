"""A round stands for the moment at which it was closed, whatever is written afterwards. Decision 13."""

from __future__ import annotations

from typing import Any

import pytest

from tests.portfolio.registry import Registry
from tests.portfolio.sheets import C

Resource = dict[str, Any]


def round_of(registry: Registry) -> Resource:
    (found,) = registry.matches(f"Task?identifier={C}/sid/runde|2021-11")
    return found


def moment(registry: Registry) -> str:
    """The moment that the round stands for."""
    found: str = registry.get("PlanDefinition/$portfolio?round=2021-11&population=title%3DHELIKS")["timestamp"]
    return found


def written(registry: Registry, **changes: Any) -> str:
    """The round with these elements, and when it was written."""
    round = round_of(registry)
    return registry.send("PUT", f"Task/{round['id']}", {**round, **changes})["meta"]["lastUpdated"]


def test_a_closed_round_is_when_it_was_closed(changed: Registry) -> None:
    closed = round_of(changed)["meta"]["lastUpdated"]
    later = written(changed, description="Rapporten er lagt ved.")
    assert later > closed
    assert moment(changed) == closed


def test_an_open_round_is_now_and_one_closed_anew_is_its_last_close(changed: Registry) -> None:
    opened = written(changed, status="in-progress")
    assert moment(changed) == opened
    closed = written(changed, status="completed")
    assert moment(changed) == closed > opened
    written(changed, description="Rapporten er lagt ved.")
    assert moment(changed) == closed


@pytest.mark.parametrize("name", ["2021-11", "http://eportefolje.example/fhir/sid/runde|2021-11"])
def test_a_round_is_named_with_or_without_its_system(portfolio: Registry, name: str) -> None:
    found = portfolio.get(f"PlanDefinition/$portfolio?round={name}&population=title%3DHELIKS")
    assert found["timestamp"] == moment(portfolio)


def test_an_instant_beside_a_round_is_the_moment_and_the_round_the_day(portfolio: Registry) -> None:
    instant = moment(portfolio)
    found = portfolio.get(f"PlanDefinition/$evidence?round=2021-11&asOf={instant}")
    said = {one["name"]: one for one in found["parameter"]}
    assert (said["asOf"]["valueInstant"], said["day"]["valueDate"]) == (instant, "2021-11-30")


def test_a_round_that_was_not_yet_there_is_unknown(portfolio: Registry) -> None:
    answer = portfolio.answer("GET", "PlanDefinition/$portfolio?round=2021-11&asOf=2001-01-01T00:00:00Z")
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["round"]
