"""What is read out of the portfolio's resources."""

from __future__ import annotations

from typing import Any

import pytest

from server.portfolio import elements
from tests.portfolio.sheets import S

TYPE = {"system": f"{S}/nep-task-type", "code": "avhengighet"}
CATEGORY = {"system": f"{S}/nep-dependency-category", "code": "grunnmur"}


@pytest.mark.parametrize(
    ("codings", "kind"),
    [([TYPE], "avhengighet"), ([TYPE, CATEGORY], "avhengighet"), ([CATEGORY, TYPE], "avhengighet"),
     ([{"code": "leveranse"}], "leveranse"), ([], "")],
)  # fmt: skip
def test_a_tasks_kind_is_its_type_wherever_it_stands_among_the_codings(codings: list[Any], kind: str) -> None:
    assert elements.kind({"code": {"coding": codings}}) == kind
    assert elements.kind({}) == ""
