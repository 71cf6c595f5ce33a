"""Parts of DPoP that a request over the network does not show: URLs written otherwise, proxies, the bounded memory."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from server.auth import dpop
from server.auth.callers import External
from server.auth.dpop import Proofs
from server.auth.issuer import Issuer
from server.auth.jose import NotAccepted
from server.auth.replays import Replays
from tests.auth.issuers import AUDIENCE, SmallIssuer, key, proof

HOLDER = key("holder")
URL = "https://registry.example/fhir/Task/a%2Fb~c"


@pytest.mark.parametrize(
    ("written", "same"),
    [
        (URL, True),
        (f"{URL}?code=x#y", True),
        ("HTTPS://Registry.Example:443/fhir/Task/a%2fb%7Ec", True),
        ("https://registry.example/fhir/Task/a/b~c", False),
        ("http://registry.example/fhir/Task/a%2Fb~c", False),
        ("https://registry.example:8443/fhir/Task/a%2Fb~c", False),
        ("https://registry.example/fhir/Task/a%2Fb~c/", False),
        ("https://registry.example/FHIR/Task/a%2Fb~c", False),
        ("https://registry.example:x/fhir", False),
        ("", False),
        (7, False),
        (["https://registry.example"], False),
    ],
)
def test_the_same_url_may_be_written_otherwise(written, same):
    made = proof(HOLDER, "GET", written, "token")
    check = Proofs(time.time).check
    asked = {"token": "token", "thumbprint": HOLDER.thumbprint(), "method": "GET", "url": URL}
    if same:
        check(made, **asked)
    else:
        with pytest.raises(NotAccepted, match="htu"):
            check(made, **asked)


@pytest.mark.parametrize("issued", ["now", True, [1], 1e400, -1e400])
def test_a_time_that_is_none_is_refused(issued):
    made = proof(HOLDER, "GET", URL, "token", iat=issued)
    with pytest.raises(NotAccepted, match="iat"):
        Proofs(time.time).check(made, token="token", thumbprint=HOLDER.thumbprint(), method="GET", url=URL)


def test_the_id_is_remembered_as_long_as_the_proof_holds():
    now = time.time()
    proofs = Proofs(lambda: now)
    made = proof(HOLDER, "GET", URL, "token", iat=int(now) + dpop.WINDOW)
    asked = {"token": "token", "thumbprint": HOLDER.thumbprint(), "method": "GET", "url": URL}
    proofs.check(made, **asked)
    for seconds in range(3 * dpop.WINDOW):
        proofs_later = Proofs(lambda seconds=seconds: now + seconds, proofs.used)
        with pytest.raises(NotAccepted):
            proofs_later.check(made, **asked)


@pytest.mark.parametrize(
    ("base", "public"),
    [
        ("https://registry.example/fhir", "https://registry.example/fhir/Task/1"),
        ("https://registry.example:8443/portefolje/fhir", "https://registry.example:8443/portefolje/fhir/Task/1"),
        ("http://127.0.0.1:8000/fhir", "http://127.0.0.1:8000/fhir/Task/1"),
    ],
)
async def test_behind_a_proxy_the_public_url_is_proven(base, public):
    """The Host header is not asked: whoever sends the request writes it."""
    issuer = SmallIssuer("http://127.0.0.1:1")
    token = issuer.token(scope="nhn:eportefolje/les", cnf={"jkt": HOLDER.thumbprint()})

    class Known(Issuer):
        async def claims(self, *given, **named):
            return {"scope": "nhn:eportefolje/les", "cnf": {"jkt": HOLDER.thumbprint()}, "sub": "c"}

    external = External(Known(issuer.url), AUDIENCE, base, Proofs(time.time))

    def request(made: str) -> Request:
        headers = [(b"host", b"inner:9000"), (b"authorization", f"DPoP {token}".encode()), (b"dpop", made.encode())]
        return Request({"type": "http", "method": "GET", "path": "/fhir/Task/1", "raw_path": b"/fhir/Task/1",
                        "query_string": b"", "headers": headers, "client": ("10.0.0.1", 1)})  # fmt: skip

    caller = await external.caller(request(proof(HOLDER, "GET", public, token)))
    assert (caller.role, caller.address) == ("reader", "10.0.0.1")
    with pytest.raises(Exception, match="htu"):
        await external.caller(request(proof(HOLDER, "GET", "http://inner:9000/fhir/Task/1", token)))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5), st.integers(0, 20)), max_size=40))
def test_nothing_is_used_twice_while_it_holds(uses):
    """Against a plain table, in the order of time. One that is over may be remembered for longer, a new one is taken."""
    replays, held = Replays(), {}
    for now, (owner, id, seconds) in enumerate(uses):
        until = held.get((owner, id))
        first = replays.first(owner, str(id), now + seconds, now)
        assert first or until is not None
        assert not first or until is None or until <= now
        if first:
            held[owner, id] = now + seconds


def test_a_memory_that_is_full_takes_nothing_new_until_something_is_over():
    replays = Replays(most=2)
    assert [replays.first("a", str(id), 10, 0) for id in range(3)] == [True, True, False]
    assert not replays.first("a", "0", 10, 9)
    assert replays.first("a", "3", 20, 10)
