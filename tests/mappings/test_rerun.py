"""The same report twice changes nothing: the second transaction meets every resource and makes no version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import httpx
import orjson

import mappings

Client = Callable[..., httpx.AsyncClient]


async def test_a_second_import_makes_no_new_version(client_of: Client, portfolio: mappings.ImportResult) -> None:
    bundle = orjson.dumps(portfolio.bundle)
    answers = []
    async with client_of("secretariat") as client:
        for _ in range(2):
            answer = await client.post("/", content=bundle, headers={"Content-Type": "application/fhir+json"})
            assert answer.status_code == 200, answer.text
            answers.append([entry["response"] for entry in answer.json()["entry"]])
    first, second = answers
    assert Counter(response["status"] for response in first) == {"201": len(first)}
    assert Counter(response["status"] for response in second) == {"200": len(first)}
    assert [response["etag"] for response in second] == [response["etag"] for response in first]
