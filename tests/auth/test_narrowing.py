"""What scopes leave of a type and of one resource: a search finds exactly what could be read one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.app import RESOURCE_TYPES, engine_of, store_of
from server.auth.narrowing import Narrowing
from server.auth.scopes import scopes
from server.outcome import FhirError
from server.search.match import matches
from server.settings import read_settings


@pytest.fixture(scope="module")
def narrowing(tmp_path_factory: pytest.TempPathFactory) -> Narrowing:
    settings = read_settings(store=f"sqlite:///{tmp_path_factory.mktemp('n')}/x.db", profiles="off", _env_file=None)
    engine = engine_of(settings, store_of(settings))
    return Narrowing(engine.parser, engine.indexer.indexed)


def a_task(id: str = "a", code: str = "leveranse", status: str = "ready", **more):
    return {"resourceType": "Task", "id": id, "status": status, "intent": "plan",
            "code": {"coding": [{"system": "http://x.example/kinds", "code": code}]}, **more}  # fmt: skip


@pytest.mark.parametrize(
    ("held", "letter", "resource", "left"),
    [
        ("system/Task.rs", "r", a_task(), True),
        ("system/*.rs", "r", a_task(), True),
        ("system/Task.s", "r", a_task(), False),
        ("system/Task.rs?code=leveranse", "r", a_task(), True),
        ("system/Task.rs?code=leveranse", "r", a_task(code="avhengighet"), False),
        ("system/Task.rs?code=http://x.example/kinds|leveranse", "r", a_task(), True),
        ("system/Task.rs?code=http://y.example/kinds|leveranse", "r", a_task(), False),
        ("system/Task.rs?code=leveranse,avhengighet", "r", a_task(code="avhengighet"), True),
        ("system/Task.rs?code=leveranse&status=ready", "r", a_task(), True),
        ("system/Task.rs?code=leveranse&status=ready", "r", a_task(status="draft"), False),
        ("system/Task.r?code=leveranse system/Task.r?status=draft", "r", a_task(status="draft", code="x"), True),
        ("system/Task.r?code=leveranse system/Task.s?status=draft", "r", a_task(status="draft", code="x"), False),
        ("system/Task.r?_id=a", "r", a_task("a"), True),
        ("system/Task.r?_id=a", "r", a_task("b"), False),
        ("system/Task.r?status:not=draft", "r", a_task(), True),
        ("system/Task.r?unknown=x", "r", a_task(), False),  # not understood: nothing
        ("system/*.r?title=x", "r", a_task(), False),  # no parameter of a Task
        ("system/Task.r?due=x", "r", a_task(), False),
        ("", "r", a_task(), False),
    ],
)
def test_what_scopes_leave_of_one_resource(narrowing, held, letter, resource, left):
    assert narrowing.leaves(scopes(held.split()), letter, resource) is left


def test_without_scopes_nothing_is_narrowed(narrowing):
    assert narrowing.leaves(None, "d", a_task())
    assert narrowing.criteria(None, "s", "Task") == ()
    narrowing.check(None, "c", "Task")


def test_a_letter_that_is_not_held_is_insufficient_scope(narrowing):
    held = scopes(["system/Task.r?code=leveranse"])
    narrowing.check(held, "r", "Task")
    for letter, kind in (("s", "Task"), ("c", "Task"), ("r", "PlanDefinition")):
        with pytest.raises(FhirError) as caught:
            narrowing.check(held, letter, kind)
        assert (caught.value.status, "insufficient_scope" in caught.value.headers["WWW-Authenticate"]) == (403, True)


CODES, STATUSES = st.sampled_from(["leveranse", "avhengighet", "x"]), st.sampled_from(["ready", "draft"])
QUERY = st.one_of(
    st.builds("code={}".format, CODES),
    st.builds("status={}".format, STATUSES),
    st.builds("code={}&status={}".format, CODES, STATUSES),
    st.just(""),
)


@given(queries=st.lists(QUERY, min_size=1, max_size=4), code=CODES, status=STATUSES)
def test_any_of_the_scopes_is_enough(narrowing, queries, code, status):
    def asked(query: str) -> bool:
        wanted = dict(part.split("=") for part in query.split("&") if part)
        return wanted.get("code", code) == code and wanted.get("status", status) == status

    held = scopes(f"system/Task.r{'?' if query else ''}{query}" for query in queries)
    resource = a_task(code=code, status=status)
    assert narrowing.leaves(held, "r", resource) is any(map(asked, queries))


@pytest.mark.parametrize("kind", sorted(RESOURCE_TYPES))
def test_no_type_is_left_by_scopes_of_another(narrowing, kind):
    (nothing,) = narrowing.criteria(scopes(["system/Basic.cruds"]), "r", kind)
    assert not matches(nothing, kind, "a", narrowing.indexed({"resourceType": kind, "id": "a"}))
