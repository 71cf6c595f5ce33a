"""An uploaded workbook tried out, or sent in: by the same interaction as any transaction, as the one who sends it."""

from __future__ import annotations

import asyncio

from server.access import Caller
from server.interaction.engine import Engine
from server.interaction.rehearse import rehearse
from server.interaction.transaction import Entry, intent_of, transaction
from server.outcome import FhirError
from server.workbook.changes import Fault, Outcome, refusal
from server.workbook.gathering import Actor, Reporting
from server.workbook.matching import needed
from server.workbook.merging import Merging
from server.workbook.reading import Book


async def merged(reporting: Reporting, actor: Actor, book: Book, *, overwrite: bool) -> Outcome:
    """What the workbook changes of what stands now."""
    material, slots = await reporting.material(actor), await reporting.slots()
    given = await reporting.given(needed(book, material))
    return await asyncio.to_thread(Merging(book, material, given, slots, overwrite).outcome)


async def checked(engine: Engine, caller: Caller, outcome: Outcome) -> list[Fault]:
    """All that is wrong, or should be looked at: what was found in reading, and what the registry says of the rest."""
    intents = [intent_of(engine, entry, f"Bundle.entry[{index}]") for index, entry in enumerate(outcome.entries)]
    outlooks = await rehearse(engine, caller, intents) if intents else []
    found = list(outcome.faults)
    for index, outlook in enumerate(outlooks):
        said = outlook.fault.issues if outlook.fault is not None else outlook.warnings
        found += outcome.named(said, index)
    return found


async def sent(engine: Engine, caller: Caller, outcome: Outcome) -> list[Entry]:
    """The transaction, done. FhirError with every fault by its cell, and then nothing is written."""
    if outcome.faults:
        raise refusal(await checked(engine, caller, outcome))
    try:
        return await transaction(engine, caller, outcome.bundle) if outcome.entries else []
    except FhirError as error:
        issues = [fault.issue for fault in outcome.named(error.issues)]
        named = FhirError(
            error.issues[0].code, issues[0].text, issues=issues, status=error.status, headers=error.headers
        )
        named.recorded = error.recorded
        raise named from None


def errors(faults: list[Fault]) -> list[Fault]:
    """Those that stand in the way."""
    return [fault for fault in faults if fault.severity == "error"]
