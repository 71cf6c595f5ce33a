"""GET /utgaver/{number}/vedlegg: by Accept and by ending; who gets it, and for how long it is kept."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from server.annex.formats import FORMATS, accepted
from server.annex.kept import Kept
from server.outcome import FhirError
from tests.conftest import BASE
from tests.portfolio.office import Office, text

pytestmark = pytest.mark.xdist_group("annex")

SITE = BASE.removesuffix("/fhir")
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def get(office: Office, path: str, by: httpx.AsyncClient | None = None, **headers: str) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return office.run((by or office.anonymous).get(f"{SITE}/utgaver/{path}", headers=sent))


@pytest.mark.parametrize(
    ("extension", "media", "begins"),
    [
        ("html", "text/html; charset=utf-8", b"<!doctype html>"),
        ("pdf", "application/pdf", b"%PDF-1."),
        ("xlsx", XLSX, b"PK"),
        ("zip", "application/zip", b"PK"),
        ("ndjson", "application/fhir+ndjson", b'{"resourceType":"Composition"'),
    ],
)
def test_anyone_gets_a_published_edition_in_each_format(
    office: Office, extension: str, media: str, begins: bytes
) -> None:
    answer = get(office, f"2021-11/vedlegg.{extension}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == media
    assert answer.content.lstrip().startswith(begins)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    name = f'filename="nasjonal-e-helseportefolje-2021-11-vedlegg.{extension}"'
    assert name in answer.headers["content-disposition"]
    again = get(office, f"2021-11/vedlegg.{extension}", if_none_match=answer.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")


def test_formats_have_etags_of_their_own(office: Office) -> None:
    tags = {get(office, f"2021-11/vedlegg.{extension}").headers["etag"] for extension in FORMATS}
    assert len(tags) == len(FORMATS)


@pytest.mark.parametrize(
    ("accept", "extension"),
    [
        ("", "html"),
        ("*/*", "html"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "html"),
        ("application/pdf", "pdf"),
        (XLSX, "xlsx"),
        ("text/csv", "zip"),
        ("application/zip, text/html;q=0.5", "zip"),
        ("application/fhir+ndjson", "ndjson"),
        ("application/*", "pdf"),
        ("text/html;q=0, */*", "pdf"),
        ("Application/PDF; version=1", "pdf"),
        ("text/html;q=x, application/pdf;q=0.1", "pdf"),
    ],
)
def test_accept_chooses(accept: str, extension: str) -> None:
    assert accepted(accept).extension == extension


@pytest.mark.parametrize("accept", ["image/png", "application/fhir+json", "text/html;q=0", "x", "*/*;q=0"])
def test_what_is_not_offered_is_406_naming_what_is(accept: str) -> None:
    with pytest.raises(FhirError) as refused:
        accepted(accept)
    assert refused.value.status == 406
    assert "application/pdf" in refused.value.issues[0].text


def test_one_url_answers_by_accept_and_says_so(office: Office) -> None:
    answer = get(office, "2021-11/vedlegg", accept="application/fhir+ndjson")
    assert answer.headers["content-type"] == "application/fhir+ndjson"
    assert answer.headers["vary"].startswith("Accept, Authorization")
    refused = get(office, "2021-11/vedlegg", accept="image/png")
    assert refused.status_code == 406
    assert "application/zip" in refused.text


def test_the_page_lets_in_its_own_style_and_nothing_else(office: Office) -> None:
    # Of two policies both hold, and the style would be let in by neither.
    [policy] = get(office, "2021-11/vedlegg.html").headers.get_list("content-security-policy")
    assert policy.startswith("default-src 'none'")
    assert "style-src 'sha256-" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "path", ["2031-11/vedlegg.pdf", "x%2F..%2Fy/vedlegg.pdf", "2021-11/vedlegg.docx", "$x/vedlegg"]
)
def test_what_there_is_not_is_404(office: Office, path: str) -> None:
    assert get(office, path).status_code == 404


def test_an_edition_that_there_is_not_is_named(office: Office) -> None:
    assert "Ingen utgave 2031-11 / There is no such edition." in get(office, "2031-11/vedlegg.pdf").text


def test_a_preliminary_edition_is_the_secretariats_and_is_not_kept(office: Office) -> None:
    one = text("initiatives", "identifier=http://eportefolje.example/fhir/sid/tiltaksnummer|NEP-0025")
    assert office.open("2026-11", one).status_code in (200, 201)
    shown = get(office, "2026-11/vedlegg.html", by=office.secretariat)
    assert shown.status_code == 200
    assert "Dette er ingen publisert utgave" in shown.text
    assert shown.headers["cache-control"] == "no-store"
    assert "etag" not in shown.headers
    refused = get(office, "2026-11/vedlegg.html")
    assert refused.status_code in (401, 404)
    assert get(office, "2026-11/vedlegg.html", by=office.client("reporter", "983658725")).status_code in (403, 404)


class Press:
    """Counts how often it was asked to make something."""

    def __init__(self, size: int = 1) -> None:
        self.made = 0
        self.size = size

    def __call__(self) -> bytes:
        self.made += 1
        return b"x" * self.size


async def test_four_at_once_make_it_once() -> None:
    kept, press = Kept(), Press()
    assert await asyncio.gather(*(kept.get("a", press) for _ in range(4))) == [b"x"] * 4
    assert await kept.get("a", press) == b"x"
    assert press.made == 1


async def test_the_one_asked_for_longest_ago_goes_first() -> None:
    kept, presses = Kept(limit=2), {name: Press() for name in "abc"}
    for name in "abac":
        await kept.get(name, presses[name])
    for name in "acb":
        await kept.get(name, presses[name])
    assert {name: press.made for name, press in presses.items()} == {"a": 1, "b": 2, "c": 1}


async def test_what_is_larger_than_the_whole_is_given_and_not_kept() -> None:
    kept, press = Kept(limit=2), Press(size=3)
    assert await kept.get("a", press) == b"xxx"
    await kept.get("a", press)
    assert press.made == 2


async def test_a_failure_is_raised_and_not_kept() -> None:
    kept, press = Kept(), Press()

    def broken() -> bytes:
        raise ValueError("no ink")

    with pytest.raises(ValueError, match="no ink"):
        await kept.get("a", broken)
    assert await kept.get("a", press) == b"x"


async def test_who_leaves_early_does_not_take_it_from_the_others() -> None:
    kept, press = Kept(), Press()
    first = asyncio.create_task(kept.get("a", press))
    await asyncio.sleep(0)
    second = asyncio.create_task(kept.get("a", press))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == b"x"
    assert press.made == 1
