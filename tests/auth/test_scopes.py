"""SMART v2 scopes: what they say, and how they narrow. SMART App Launch 2.2.0, scopes and launch context."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.auth.scopes import MOST, Scope, constraints, insufficient, narrowed, scope, scopes

CODE = "code=http://eportefolje.example/fhir/CodeSystem/nep-task-type|leveranse"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("system/Task.cruds", Scope("Task", "cruds")),
        ("system/*.rs", Scope("*", "rs")),
        ("user/Task.r", Scope("Task", "r")),
        (f"system/Task.rs?{CODE}", Scope("Task", "rs", CODE)),
        ("system/Task.s?code:in=http://x.example/v&status=ready", Scope("Task", "s", "code:in=http://x.example/v&status=ready")),
        ("system/Task.sr", None),  # the letters have an order
        ("system/Task.", None),
        ("system/Task.read", None),  # version 1
        ("system/Task.*", None),
        ("system/Task", None),
        ("system/task.r", None),
        ("system/Task.rr", None),
        ("system/Task.r?", None),
        ("patient/Task.r", None),
        ("openid", None),
        ("system/Task.rs?based-on.title=x", None),  # leads to other resources
        ("system/Task.rs?owner:Organization.name=x", None),
        ("system/Task.rs?_has:Task:based-on:code=x", None),
        ("system/Task.rs?_include=Task:owner", None),
        ("system/Task.rs?_count=1", None),
        ("xsystem/Task.r", None),
        ("system/Task.r ", None),
    ],
)  # fmt: skip
def test_a_scope_is_read_or_left_aside(text, read):
    assert scope(text) == read


HELD = scopes(f"system/Task.rus?{CODE} system/Task.s?status=ready system/Organization.r system/*.d openid".split())


@pytest.mark.parametrize(
    ("letter", "resource_type", "found"),
    [
        ("r", "Task", (CODE,)),
        ("s", "Task", (CODE, "status=ready")),
        ("u", "Task", (CODE,)),
        ("c", "Task", None),
        ("d", "Task", ()),
        ("r", "Organization", ()),
        ("s", "Organization", None),
        ("r", "PlanDefinition", None),
        ("d", "PlanDefinition", ()),
    ],
)
def test_what_a_letter_of_a_type_asks_for(letter, resource_type, found):
    assert constraints(HELD, letter, resource_type) == found


def test_no_scopes_narrow_nothing_and_none_of_them_give_nothing():
    assert constraints(None, "d", "Task") == ()
    assert constraints((), "r", "Task") is None


def test_one_scope_without_a_search_gives_all_of_the_type():
    held = scopes([f"system/Task.r?{CODE}", "system/*.rs"])
    assert constraints(held, "r", "Task") == ()


@pytest.mark.parametrize(
    ("asked", "allowed", "given"),
    [
        ("system/Task.cruds", "system/Task.crus", "system/Task.crus"),
        ("system/*.rs", "system/Task.crus system/Organization.r", "system/Task.rs system/Organization.r"),
        ("system/Task.r", "system/*.cruds", "system/Task.r"),
        ("system/Task.r", "system/Organization.r", ""),
        ("system/Task.r", "system/Task.s", ""),
        ("system/Task.rs?status=ready", "system/Task.rs", "system/Task.rs?status=ready"),
        ("system/Task.rs", "system/Task.rs?status=ready", "system/Task.rs?status=ready"),
        ("system/Task.rs?a=b", "system/Task.rs?status=ready", "system/Task.rs?a=b&status=ready"),
    ],
)
def test_what_is_asked_is_narrowed_to_what_is_allowed(asked, allowed, given):
    assert " ".join(map(str, narrowed(scopes(asked.split()), scopes(allowed.split())))) == given


A_SCOPE = st.builds(
    lambda kind, letters: f"system/{kind}.{''.join(sorted(letters, key='cruds'.index))}",
    st.sampled_from(["*", "Task", "Organization", "PlanDefinition"]),
    st.sets(st.sampled_from("cruds"), min_size=1),
)


@given(asked=st.lists(A_SCOPE), allowed=st.lists(A_SCOPE), letter=st.sampled_from("cruds"),
       kind=st.sampled_from(["Task", "Organization", "PlanDefinition"]))  # fmt: skip
def test_what_is_given_is_what_both_give(asked, allowed, letter, kind):
    given = narrowed(scopes(asked), scopes(allowed))
    both = [constraints(scopes(one), letter, kind) for one in (asked, allowed)]
    assert (constraints(given, letter, kind) is not None) is (None not in both)
    assert scopes(map(str, given)) == given[:MOST]


def test_the_refusal_names_the_scope_that_is_missing():
    refusal = insufficient("c", "Task")
    assert refusal.status == 403
    assert 'error="insufficient_scope", scope="system/Task.c"' in refusal.headers["WWW-Authenticate"]


def test_no_more_scopes_are_taken_than_a_search_can_bear():
    assert len(scopes(f"system/Task.s?status=x{count}" for count in range(200))) == MOST
