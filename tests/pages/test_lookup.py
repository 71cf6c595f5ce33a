"""The API's answers for people: a browser with a session is led to a page; the API itself takes no cookie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages.rounds import HELSE_VEST, People, autumn
from tests.portfolio.office import C

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
REPORTS = f"Task?code=statusrapport&group-identifier={C}/sid/runde%7C2023-09&_count=20"


@pytest.fixture(scope="module")
def people(portfolio: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    """The round of autumn 2023 is open: its reports are for the secretariat and their owners."""
    with People(autumn(portfolio, tmp_path_factory.mktemp("lookup"))) as people:
        yield people


def test_a_browser_with_a_session_is_led_to_the_page_and_sees_what_its_person_may_see(people: People) -> None:
    own = len(people.fhir("GET", REPORTS, actor=HELSE_VEST)["entry"])
    for user, seen in (("secretariat", 20), (f"reporter:{HELSE_VEST}", own), ("reader", 0)):
        person = people.of(user)
        answer = person.get(f"/fhir/{REPORTS}", headers=HTML)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/innsyn/{REPORTS}")
        shown = person.of(user).page(f"/innsyn/{REPORTS}")
        rows = shown.every("tbody")[0].every("tr") if shown.every("tbody") else []
        assert len(rows) == seen
    assert 0 < own < 20


def test_without_a_session_and_for_programs_the_api_answers_itself(people: People) -> None:
    assert people.of("").get("/fhir/Organization?_count=1", headers=HTML).json()["resourceType"] == "Bundle"
    person = people.of("secretariat")
    for sent in ({"Accept": "application/fhir+json"}, {"Accept": "*/*"}):
        assert person.get(f"/fhir/{REPORTS}&_summary=count", headers=sent).json()["total"] == 0
    assert person.get(f"/fhir/{REPORTS}&_format=json", headers=HTML).json()["resourceType"] == "Bundle"
    assert person.get("/fhir/.well-known/smart-configuration", headers=HTML).status_code == 200


def test_pages_of_an_answer_and_what_it_points_to_are_pages_too_in_the_language_that_was_chosen(people: People) -> None:
    person = people.of("secretariat")
    first = person.page(f"/innsyn/{REPORTS}&lang=en")
    assert first.one("html")["lang"] == "en"
    (following,) = [a["href"] for a in first.every("a") if a.text == "Next page"]
    assert following.startswith("/innsyn/Task?")
    second = person.page(following)
    assert second.one("html")["lang"] == "en"
    (link,) = second.one("tbody").every("tr")[0].every("a")
    task = link["href"]
    assert link.text not in task, "a report is known by its initiative's name, not by its id"
    one = person.page(task)
    plan = next(a["href"] for a in one.one("pre").every("a") if a.text.startswith("PlanDefinition/"))
    assert person.page(plan).one("pre").text.startswith('{ "resourceType": "PlanDefinition"')


def test_history_operations_and_versions_are_shown(people: People) -> None:
    person = people.of("secretariat")
    (plan,) = person.found(f"PlanDefinition?identifier={C}/sid/tiltaksnummer|NEP-0012")
    person.of("secretariat")
    assert person.page(f"/innsyn/PlanDefinition/{plan['id']}/_history").one("tbody").every("tr")
    assert "nep-m-status" in person.page("/innsyn/Measure/nep-m-status/$evaluate-measure?round=2021-11").one("pre").text
    assert "CapabilityStatement" in person.page("/innsyn/metadata").one("pre").text


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("Task?status:foo=x", 400),
        ("Task/finnes-ikke", 404),
        ("Tull/1", 404),
        ("Task/$open-round", 405),
        ("auth/token", 404),
        ("../../etc/passwd", 404),
        ("", 405),
    ],
)
def test_what_the_api_refuses_is_refused_on_a_page(people: People, url: str, status: int) -> None:
    assert people.of("secretariat").page(f"/innsyn/{url}", status).one("h1").text


def test_what_is_restricted_and_read_so_is_on_record(people: People) -> None:
    person = people.of("secretariat")
    report = person.report("2023-09", "NEP-0025")
    name = {"X-Request-Id": "looked-up-1"}
    assert person.of("secretariat").get(f"/innsyn/Task/{report['id']}", headers=name).status_code == 200
    (event,) = person.found("AuditEvent?entity:identifier=looked-up-1")
    assert event["subtype"][0]["code"] == "read"


def test_texts_in_an_answer_are_shown_and_never_obeyed(people: People) -> None:
    people.fhir("PUT", "Organization/onde-navn", {
        "resourceType": "Organization", "id": "onde-navn", "name": '<script>alert("x")</script>', "active": True,
        "meta": {"profile": [f"{C}/StructureDefinition/nep-organization"]},
        "identifier": [{"system": f"{C}/sid/aktor", "value": "onde-navn"}],
        "type": [{"coding": [{"system": f"{C}/CodeSystem/nep-actor-type", "code": "aktorgruppe"}]}],
    })  # fmt: skip
    person = people.of("secretariat")
    page = person.page("/innsyn/Organization/onde-navn")
    assert not page.every("script")
    assert "<script>" in page.one("pre").text
