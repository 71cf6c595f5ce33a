"""Full texts come through to the character; contact persons come as PractitionerRoles labelled R. Decision 5."""

from __future__ import annotations

from typing import Any

import pytest

import mappings
from mappings.html_text import markdown
from tests.mappings.conftest import CANONICAL, value

Resource = dict[str, Any]


@pytest.fixture(scope="module")
def imported(full: mappings.Report) -> dict[str, Resource]:
    """URL of the conditional update -> resource."""
    result = mappings.bundle(full, canonical=CANONICAL)
    assert result.refused == ()
    return {entry["request"]["url"]: entry["resource"] for entry in result.bundle["entry"]}


def url(type: str, sid: str, number: str) -> str:
    return f"{type}?identifier={CANONICAL}/sid/{sid}%7C{number}"


def test_texts_are_intact_to_the_character(full: mappings.Report, imported: dict[str, Resource]) -> None:
    for row in full.initiatives:
        number, cells = row.known.tiltaksnummer, row.row.cells
        plan = imported[url("PlanDefinition", "tiltaksnummer", number)]
        report = imported[url("Task", "statusrapport", f"2021-11:{number}")]
        assert plan.get("description", "") == cells["description"]
        assert (value(report, "output", "kommentar") or "") == cells["status_comment"]
        assert (value(report, "output", "risikobeskrivelse") or "") == cells["risk_description"]
    assert any("\n" in row.row.cells["description"] for row in full.initiatives)


def test_row_texts_are_intact_to_the_character(full: mappings.Report, imported: dict[str, Resource]) -> None:
    numbers = {row.known.initiative_id: row.known.tiltaksnummer for row in full.initiatives}
    for row in full.deliveries:
        task = imported[url("Task", "import", f"001:{numbers[row.initiative_id]}:LEV:{row.seq}")]
        assert (task["code"]["text"], task.get("description", "")) == (
            row.row.cells["name"],
            row.row.cells["description"],
        )
    for asked in full.dependencies:
        task = imported[url("Task", "import", f"001:{numbers[asked.initiative_id]}:AVH:{asked.seq}")]
        texts = (task["owner"]["display"], task.get("description", ""), task.get("reasonCode", {}).get("text", ""))
        assert texts == tuple(asked.row.cells[column] for column in ("actor", "need", "purpose"))


def test_a_contact_person_is_a_labelled_role_and_nowhere_else(
    full: mappings.Report, imported: dict[str, Resource]
) -> None:
    roles = [one for one in imported.values() if one["resourceType"] == "PractitionerRole"]
    assert len(roles) == 39
    assert {one["meta"]["security"][0]["code"] for one in roles} == {"R"}
    names = {row.contact for row in full.initiatives if row.contact}
    assert {one["practitioner"]["display"] for one in roles} == names
    rest = str([one for one in imported.values() if one["resourceType"] != "PractitionerRole"])
    texts = "".join(str(row.row.cells | {"contact": ""}) for row in full.initiatives)
    assert not [name for name in names if name in rest and name not in texts]
    assert all("name" not in contact for one in imported.values() for contact in one.get("contact", ()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("uten merker, 3 < 4 og a > b", "uten merker, 3 < 4 og a > b"),
        ("- punkt\n- punkt  \n", "- punkt\n- punkt  \n"),
        ("<p>Én</p><p>To</p>", "Én\n\nTo"),
        ("Linje<br>skift", "Linje\nskift"),
        ('Se <a href="https://example.no/a?b=1">siden</a>.', "Se [siden](https://example.no/a?b=1)."),
        ("<ul><li>a</li><li><b>b</b></li></ul>", "- a\n- **b**"),
        ("<ol><li>a</li><li>b</li></ol>", "1. a\n2. b"),
        ("<i>A &amp; B</i>", "*A & B*"),
    ],
)
def test_html_becomes_markdown_and_other_text_stays(text: str, expected: str) -> None:
    assert markdown(text) == expected
