"""Random resources, random searches: the registry and a plain matcher of R4's rules give the same ids in the same
order, page by page."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import BASE
from tests.http.build import bundle, entry
from tests.portfolio.registry import Registry, registry_in
from tests.search.asked import Search
from tests.search.generated import searches, worlds
from tests.search.matcher import World
from tests.store.kinds import REAL, named, over

SEARCHES = 12
"""For each world."""


@pytest.fixture(scope="module", params=over(REAL))
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry_in(tmp_path_factory.mktemp("generated"), **named(request.param, "generated")) as registry:
        yield registry


@pytest.fixture(scope="module")
def seen() -> Iterator[Counter[str]]:
    """How many searches were empty, full or in between: were all of them empty, nothing would be shown."""
    counted: Counter[str] = Counter()
    yield counted
    assert counted["some"] > counted.total() / 10, counted


names = (f"w{number}-" for number in itertools.count())


def found(registry: Registry, search: Search) -> tuple[list[list[str]], set[Any]]:
    """The ids of each page, and the totals that the pages state."""
    pages = registry.pages_of(search.resource_type, search.pairs())
    ids = [[entry["resource"]["id"] for entry in page.get("entry", [])] for page in pages]
    return ids, {page["total"] for page in pages}


def told(search: Search, made: list[dict[str, Any]]) -> str:
    """What it takes to see a difference by hand. It is not shrunk: that takes minutes, for each try is written."""
    lines = [json.dumps(one, ensure_ascii=False) for one in made]
    return "\n".join([f"{search.resource_type}?{search.pairs()}", *lines])


def compare(registry: Registry, seen: Counter[str], data: st.DataObject) -> None:
    made = data.draw(worlds(next(names)))
    registry.send("POST", "", bundle(*(entry("PUT", f"{one['resourceType']}/{one['id']}", one) for one in made)))
    world = World(BASE, made)
    for _ in range(SEARCHES):
        search = data.draw(searches(made, BASE))
        pages, totals = found(registry, search)
        expected = world.answer(search)
        assert [id for page in pages for id in page] == expected, told(search, made)
        assert totals == {len(expected)}
        assert [len(page) for page in pages[:-1]] == [search.count] * (len(pages) - 1)
        seen["some" if 0 < len(expected) < len(world.of_type(search.resource_type)) else "all or none"] += 1


BOUNDS: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
    "phases": [Phase.generate],
}


EXAMPLES = {"sqlite": 80, "motor": 8, "pymongo": 8}


def held(registry: Registry, seen: Counter[str], examples: int, **more: Any) -> None:
    @settings(max_examples=examples, **more, **BOUNDS)
    @given(st.data())
    def hold(data: st.DataObject) -> None:
        compare(registry, seen, data)

    hold()


def test_every_search_is_answered_as_the_plain_matcher_does(
    registry: Registry, seen: Counter[str], request: pytest.FixtureRequest
) -> None:
    held(registry, seen, EXAMPLES[request.node.callspec.params["registry"]], derandomize=True)


@pytest.mark.long
def test_so_are_many_others_in_each_run(registry: Registry, seen: Counter[str], request: pytest.FixtureRequest) -> None:
    held(registry, seen, 25 * EXAMPLES[request.node.callspec.params["registry"]])
