"""Index rows computed anew, beside readers and writers."""

from __future__ import annotations

import asyncio

from server.search.query import Clause, Token
from server.store.store import Indexed, Store

from .build import ids, index, put, status, tasks, tokens, unit, write


async def test_reindex_beside_writers_of_two_stores(stores: tuple[Store, Store]) -> None:
    def renamed(resource: dict[str, object]) -> Indexed:
        old = index(resource)
        return Indexed(token=tuple(("Task.state", code, system, n) for _, code, system, n in old.token))

    await stores[0].commit(unit(*(write("Task", str(n), 1, tokens(f"code{n % 3}")) for n in range(450))))
    past = await stores[0].moment()
    seen: list[int] = []
    writes = (put(stores[n % 2], f"Task/{n}", tokens("code9")) for n in range(0, 60))
    done, _ = await asyncio.gather(stores[1].reindex(renamed, progress=seen.append), asyncio.gather(*writes))
    assert done >= 450
    assert seen == sorted(seen)
    assert seen[-1] == done
    await stores[1].reindex(renamed, progress=seen.append)
    assert (await stores[0].check(renamed))[1] == []
    assert await ids(stores[0], tasks(status("code9"))) == []
    async with stores[0].snapshot(past) as snapshot:
        page = await snapshot.search(tasks(Clause("Task.state", "token", "match", (Token(None, "code1"),)), count=0))
        assert page.total == 150
