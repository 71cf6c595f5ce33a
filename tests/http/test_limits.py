"""How much one address and one client may ask, how slowly, and from where: what is over it is refused with advice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.access import ANONYMOUS, Caller
from server.app import create_app, store_of
from server.auth.tokens import Tokens
from server.limits import Limits, Pace, network
from server.settings import Rate, Settings, WrongSetting, read_settings
from tests.conftest import BASE
from tests.http.build import FHIR, bundle, entry, task

AWAY = "192.0.2.7"
PAGE = f"{BASE.removesuffix('fhir')}"
Ask = Callable[..., Any]


@asynccontextmanager
async def registry(settings: Settings) -> AsyncIterator[Ask]:
    """A registry asked over ASGI from an address: await ask("GET", "Task", at=AWAY, role="reader")."""
    app = create_app(settings, store_of(settings))
    tokens = Tokens.of(settings.keys, settings.base) if settings.auth == "dev" else None

    async def ask(method: str, url: str, *, at: str = AWAY, role: Any = None, org: str = "", **more: Any):
        transport = httpx.ASGITransport(app, client=(at, 1), raise_app_exceptions=False)
        sent = more.pop("headers", {})
        if role and tokens:
            sent = {"Authorization": f"Bearer {tokens.issue(role, org, timedelta(hours=1))}", **sent}
        base = more.pop("base", f"{settings.base}/")
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            return await client.request(method, url, headers=sent, **more)

    async with app.router.lifespan_context(app):
        yield ask


@pytest.fixture
def settings_with(settings: Settings) -> Callable[..., Settings]:
    def made(**changes: object) -> Settings:
        return read_settings(**{**settings.model_dump(exclude_unset=True), **changes}, _env_file=None)

    return made


def throttled(answer: httpx.Response) -> str:
    assert answer.status_code == 429, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    issue = answer.json()["issue"][0]
    assert issue["code"] == "throttled"
    return str(issue["diagnostics"])


class TestPace:
    class Clock:
        now = 1000.0

        def __call__(self) -> float:
            return self.now

    def test_a_key_may_ask_as_often_as_the_rate_says_then_waits_for_its_share(self):
        clock = self.Clock()
        pace = Pace(Rate(3, 60), clock)
        assert [pace.wait("a") for _ in range(3)] == [0.0, 0.0, 0.0]
        assert pace.wait("a") == pytest.approx(20)
        assert pace.wait("b") == 0.0
        clock.now += 20
        assert pace.wait("a") == 0.0
        assert pace.wait("a") == pytest.approx(20)
        clock.now += 3600
        assert [pace.wait("a") for _ in range(4)][:3] == [0.0, 0.0, 0.0]

    def test_who_is_refused_is_not_pushed_further_back(self):
        clock = self.Clock()
        pace = Pace(Rate(1, 60), clock)
        pace.wait("a")
        assert [pace.wait("a") for _ in range(50)] == [pytest.approx(60)] * 50

    @given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 5))
    def test_no_period_sees_more_than_twice_the_count(self, pauses, count):
        clock = self.Clock()
        pace = Pace(Rate(count, 60), clock)
        taken = []
        for pause in pauses:
            clock.now += pause
            if pace.wait("a") == 0.0:
                taken.append(clock.now)
        assert all(sum(one <= other < one + 60 for other in taken) <= 2 * count for one in taken)

    def test_addresses_that_ask_no_more_are_forgotten(self):
        clock = self.Clock()
        pace = Pace(Rate(10, 60), clock)
        for number in range(50_000):
            clock.now += 0.01
            pace.wait(str(number))
        assert len(pace._done) <= 10_001


class TestRates:
    async def test_an_address_over_its_rate_is_told_when_to_come_back(self, settings_with):
        async with registry(settings_with(rate_address="5/minute")) as ask:
            assert [(await ask("GET", "metadata")).status_code for _ in range(5)] == [200] * 5
            assert "5 requests in 60 s from one address" in throttled(await ask("GET", "metadata"))
            assert (await ask("GET", "metadata", at="192.0.2.8")).status_code == 200

    async def test_it_counts_what_no_route_takes_and_what_no_token_opens_too(self, settings_with):
        async with registry(settings_with(rate_address="4/minute")) as ask:
            await ask("GET", f"{PAGE}nowhere")
            await ask("POST", "Task", json=task("a"))
            await ask("GET", "Task", headers={"Authorization": "Bearer guessed"})
            await ask("OPTIONS", "Task")
            throttled(await ask("GET", "Task"))

    async def test_all_hosts_of_one_ipv6_network_are_one_address(self, settings_with):
        async with registry(settings_with(rate_address="2/minute")) as ask:
            assert (await ask("GET", "metadata", at="2001:db8::1")).status_code == 200
            assert (await ask("GET", "metadata", at="2001:db8::2")).status_code == 200
            throttled(await ask("GET", "metadata", at="2001:db8::ffff:3"))
            assert (await ask("GET", "metadata", at="2001:db8:0:1::1")).status_code == 200

    async def test_a_client_over_its_rate_is_told_so_wherever_it_asks_from(self, settings_with):
        async with registry(settings_with(rate_client="3/minute")) as ask:
            for last in range(3):
                answer = await ask("GET", "Task", at=f"192.0.2.{last}", role="reporter", org="983658725")
                assert answer.status_code == 200
            said = throttled(await ask("GET", "Task", at="192.0.2.9", role="reporter", org="983658725"))
            assert "one client" in said
            assert (await ask("GET", "Task", role="reporter", org="994598759")).status_code == 200
            assert (await ask("GET", "Task")).status_code == 200

    async def test_it_holds_for_pages_which_say_so_as_a_page(self, settings_with):
        async with registry(settings_with(rate_address="1/minute")) as ask:
            await ask("GET", PAGE)
            answer = await ask("GET", f"{PAGE}?lang=en")
            assert answer.status_code == 429
            assert "retry-after" in answer.headers
            assert "<h1>Too many requests right now</h1>" in answer.text

    async def test_off_is_off(self, settings_with):
        async with registry(settings_with(rate_address="off", rate_client="off")) as ask:
            answers = [await ask("GET", "metadata", role="reader") for _ in range(30)]
            assert {answer.status_code for answer in answers} == {200}

    @pytest.mark.parametrize("name", ["rate_address", "rate_client"])
    @pytest.mark.parametrize("text", ["0/minute", "10", "ten/minute", "10/day", ""])
    def test_a_rate_that_is_none_stops_the_start(self, settings_with, name, text):
        with pytest.raises(WrongSetting, match=f"PORTFOLIO_{name.upper()}={text}: expected a count and a period"):
            settings_with(**{name: text})


class TestWhoIsSpared:
    @pytest.mark.parametrize(
        ("changes", "at", "sent", "spared"),
        [
            ({}, "127.0.0.1", {}, True),
            ({}, "::1", {}, True),
            ({}, "::ffff:127.0.0.1", {}, True),
            ({}, AWAY, {}, False),
            ({}, "10.0.0.1", {}, False),
            # A proxy on this machine speaks for others.
            ({}, "127.0.0.1", {"X-Forwarded-For": AWAY}, False),
            ({}, "127.0.0.1", {"Forwarded": f"for={AWAY}"}, False),
            ({"base_url": "https://registry.example/fhir"}, "127.0.0.1", {}, False),
            ({"trusted_proxies": "127.0.0.1"}, "127.0.0.1", {}, False),
        ],
    )
    async def test_only_the_machines_own_user(self, settings_with, changes, at, sent, spared):
        async with registry(settings_with(rate_address="1/minute", **changes)) as ask:
            await ask("GET", "metadata", at=at, headers=sent)
            again = await ask("GET", "metadata", at=at, headers=sent)
            assert again.status_code == (200 if spared else 429)


class TestForwardedFor:
    @pytest.mark.parametrize(
        ("proxies", "at", "said", "counted"),
        [
            ("", "10.0.0.5", "192.0.2.1", "10.0.0.5"),
            ("10.0.0.5", "10.0.0.5", "192.0.2.1", "192.0.2.1"),
            ("10.0.0.0/24", "10.0.0.9", "192.0.2.1", "192.0.2.1"),
            ("10.0.0.5", "10.0.0.6", "192.0.2.1", "10.0.0.6"),
            # What stands left of the last untrusted address is the client's own claim.
            ("10.0.0.5", "10.0.0.5", "198.51.100.1, 192.0.2.1", "192.0.2.1"),
            ("10.0.0.5,10.0.0.6", "10.0.0.5", "198.51.100.1, 192.0.2.1, 10.0.0.6", "192.0.2.1"),
        ],
    )
    async def test_is_believed_of_trusted_proxies_alone(self, settings_with, proxies, at, said, counted):
        async with registry(settings_with(rate_address="1/minute", trusted_proxies=proxies)) as ask:
            await ask("GET", "metadata", at=at, headers={"X-Forwarded-For": said})
            assert (await ask("GET", "metadata", at=counted)).status_code == 429

    def test_what_is_no_address_is_no_proxy(self, settings_with):
        with pytest.raises(WrongSetting, match=r"PORTFOLIO_TRUSTED_PROXIES=proxy\.example: expected addresses"):
            settings_with(trusted_proxies="proxy.example")


class TestExpensive:
    """$check tries a whole Bundle out: a client may have a few of them running, and no more."""

    async def test_a_client_has_few_at_once_and_they_come_free_again(self, settings_with):
        limits = Limits(settings_with(max_expensive=2))
        scope = {"client": (AWAY, 1), "headers": []}
        one, other = Caller("reporter", "983658725"), Caller("reporter", "994598759")
        async with limits.slot(scope, one), limits.slot(scope, other):
            async with limits.slot(scope, one):
                with pytest.raises(Exception, match="2 such requests of one client at once") as refused:
                    async with limits.slot(scope, one):
                        pass
                assert refused.value.status == 429
            async with limits.slot(scope, one):
                pass
        assert not limits._running

    async def test_anonymous_ones_are_told_apart_by_address(self, settings_with):
        limits = Limits(settings_with(max_expensive=1))
        scope = {"client": (AWAY, 1), "headers": []}
        here, there = (Caller("anonymous", address=address) for address in ("192.0.2.1", "192.0.2.2"))
        async with limits.slot(scope, here), limits.slot(scope, there):
            with pytest.raises(Exception, match="at once"):
                async with limits.slot(scope, here):
                    pass

    async def test_the_one_too_many_is_refused_over_http(self, settings_with, monkeypatch):
        async with registry(settings_with(max_expensive=1)) as ask:
            sent = bundle(entry("POST", "Task", task("a")))
            both = await asyncio.gather(
                *(ask("POST", "$check", role="secretariat", json=sent, headers=FHIR) for _ in range(2))
            )
            assert sorted(answer.status_code for answer in both) == [200, 429]
            assert (await ask("POST", "$check", role="secretariat", json=sent, headers=FHIR)).status_code == 200


class TestSlowBodies:
    @pytest.mark.parametrize("url", ["/fhir/Task", "/fhir", "/fhir/Task/_search"])
    async def test_a_body_that_does_not_come_is_refused_in_time(self, settings_with, url):
        settings = settings_with(request_timeout=1)
        app = create_app(settings, store_of(settings))
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0.4)
            return {"type": "http.request", "body": b" ", "more_body": True}

        async def send(message: Any) -> None:
            sent.append(message)

        bearer = Tokens.of(settings.keys, settings.base).issue("secretariat", "", timedelta(hours=1))
        kind = b"application/x-www-form-urlencoded" if url.endswith("_search") else b"application/fhir+json"
        scope = {
            "type": "http", "method": "POST", "path": url, "query_string": b"", "client": (AWAY, 1),
            "headers": [(b"authorization", b"Bearer " + bearer.encode()), (b"content-type", kind)],
        }  # fmt: skip
        async with app.router.lifespan_context(app):
            await asyncio.wait_for(app(scope, receive, send), 20)
        assert sent[0]["status"] == 408
        assert dict(sent[0]["headers"])[b"connection"] == b"close"
        assert b'"code":"timeout"' in sent[1]["body"]


class TestSizes:
    async def test_a_body_over_the_limit(self, settings_with):
        async with registry(settings_with(max_body="1 KiB")) as ask:
            answer = await ask("POST", "Task", role="secretariat", content=b" " * 1025, headers=FHIR)
            assert (answer.status_code, answer.json()["issue"][0]["code"]) == (413, "too-long")

    @pytest.mark.parametrize(("levels", "code"), [(90, "structure"), (5_000, "structure"), (1_000_000, "structure")])
    async def test_json_nested_too_deeply(self, settings_with, levels, code):
        async with registry(settings_with()) as ask:
            body = b'{"resourceType":"Task","x":' + b"[" * levels + b"]" * levels + b"}"
            answer = await ask("POST", "Task", role="secretariat", content=body, headers=FHIR)
            assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, code)

    async def test_a_bundle_with_too_many_entries(self, settings_with):
        async with registry(settings_with()) as ask:
            body = bundle(*[{"request": {"method": "GET", "url": "Task"}}] * 5_001)
            answer = await ask("POST", "", role="secretariat", json=body, headers=FHIR)
            assert (answer.status_code, answer.json()["issue"][0]["code"]) == (413, "too-costly")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("unix:", "", False),
    ],
)
def test_what_counts_as_one_address(one, other, same):
    assert (network(one) == network(other)) is same


def test_nobody_is_a_client_of_one_key():
    """The strangers of the world do not share one client's rate."""
    limits = Limits(read_settings(rate_client="1/minute", _env_file=None))
    for _ in range(5):
        limits.check_client({"client": (AWAY, 1), "headers": []}, ANONYMOUS)
