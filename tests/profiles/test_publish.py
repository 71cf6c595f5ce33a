"""The registry publishes the guide: every artefact of ours is stored, and what it refers to with it."""

from __future__ import annotations

from server.app import engine_of, store_of
from server.load import publish
from server.settings import Settings
from tests.profiles.guide import PROFILES


async def test_every_artefact_of_ours_is_published_and_no_stand_in(settings: Settings) -> None:
    store = store_of(settings)
    await store.open()
    try:
        engine = engine_of(settings, store)
        published = await publish(engine)
        assert published.refused == []
        assert published.counts.total() == len(list(PROFILES.glob("*.json")))
        assert await store.current("StructureDefinition", "nep-delivery") is not None
        assert await store.current("StructureDefinition", "cqf-contactReference") is None
    finally:
        await store.close()
