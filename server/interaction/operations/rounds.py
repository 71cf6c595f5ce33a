"""$open-round and $close-round of Task, $document of Composition: the reporting round from its opening to its edition.

Domain model 5.6, 8 and 9, decisions 13 and 23. The secretariat alone opens and closes; what these operations write goes
through the same `write` as any request, in one unit each, so that a round is opened or closed whole or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from server.access import Caller
from server.bundle import collection
from server.interaction.engine import Engine
from server.interaction.intents import Intent
from server.interaction.operations.closing import Figures, Standing, made, now_of, words_of
from server.interaction.operations.parameters import Asked
from server.interaction.read import read
from server.interaction.rehearse import rehearse
from server.interaction.unit_faults import joined
from server.interaction.write import write
from server.operations import Answer, Call, Operation, Operations, of_ours, of_r4
from server.outcome import FhirError, Issue
from server.portfolio.edition import Edition, Material, composition, numbered
from server.portfolio.gather import resources, view
from server.portfolio.rounds import Round, differs, editions, reopened, report_task, round_task, state_of
from server.portfolio.seal import Seal
from server.portfolio.vocabulary import Vocabulary
from server.resource import Resource, encode, restored
from server.search.urls import pairs_of
from server.store.store import Version

_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,30}")
_ATTEMPTS = 5
_ACTIVE = "status=active"


@dataclass(frozen=True)
class Rounds:
    """The operations of one installation: `seal` signs its editions, `figures` counts for them."""

    seal: Seal
    figures: Figures

    def operations(self) -> Operations:
        """Their rows in the table of operations."""
        task, report = frozenset({"Task"}), frozenset({"Composition"})
        changing = partial(Operation, types=task, affects_state=True, expensive=True, writes=True)
        return {
            ("type", "$open-round"): changing(open_round, of_ours("open-round")),
            ("instance", "$close-round"): changing(self.close_round, of_ours("close-round")),
            ("instance", "$document"): Operation(self.document, of_r4("document"), report, expensive=True),
        }

    async def close_round(self, engine: Engine, call: Call) -> Answer:
        """Task/<RUN>/$close-round: a preview, unless `final`; the edition that there is, when the round is closed
        already. With `amends` it opens reports of a closed round again. FhirError business-rule (422) that names the
        reports that are missing, unless `force`."""
        engine.access.check_secretariat(call.caller)
        asked = Asked(call)
        if asked.object("amends") is not None:
            return await _amend(engine, call, asked)
        if not asked.given("final"):
            raise FhirError("required", "Si om den er endelig / Say whether it is final.", expression="final")
        final = asked.flag("final", False)
        write_it, force = final and not asked.flag("dryRun", False), asked.flag("force", False)
        reason = ""
        for _ in range(_ATTEMPTS):
            standing = await Standing.of(engine, call.caller, call.id)
            if edition := standing.published():
                return await _stored(engine, call.caller, edition)
            if final and not force:
                standing.check_reported()
            try:
                return await self._closed(standing, call.caller, asked.text("title"), final=write_it)
            except FhirError as error:
                # What it was made of has changed, or another closed it first: made anew of what stands now.
                if error.status != 412:
                    raise
                reason = error.issues[0].text
        raise FhirError("conflict", f"Runden ble ikke lukket / The round was not closed. {reason}")

    async def publish_closed(self, engine: Engine, caller: Caller) -> list[str]:
        """Makes the edition of every round that is closed and has none, as rounds of the past are when they are loaded;
        those with the earliest deadline first. Returns references to them."""
        words = words_of(engine)
        asked = [("code", f"{words.canonical}/CodeSystem/nep-task-type|rapporteringsrunde"), ("status", "completed")]
        waiting = [
            one for one in resources(await (await view(engine, caller)).versions("Task", asked)) if not editions(one)
        ]
        found = []
        for task in sorted(waiting, key=lambda one: str(one["restriction"]["period"]["end"])):
            standing = await Standing.of(engine, caller, task["id"])
            if standing.earlier:
                continue
            await self._closed(standing, caller, None, final=True)
            found.append(f"Bundle/{standing.next_edition(None, status='final').id}")
        return found

    async def _closed(self, standing: Standing, caller: Caller, title: str | None, *, final: bool) -> Answer:
        edition = standing.next_edition(title, status="final" if final else "preliminary")
        whole = await made(standing, caller, edition, self.figures, self.seal)
        if not final:
            return Answer(whole.document)
        await write(standing.engine, caller, whole.intents, relied_on=standing.relied_on())
        return await _stored(standing.engine, caller, f"Bundle/{edition.id}")

    async def document(self, engine: Engine, call: Call) -> Answer:
        """Composition/<id>/$document: the edition as it was published, or what it would be now."""
        report = restored((await read(engine, call.caller, "Composition", call.id)).body or b"{}")
        if Asked(call).flag("persist", False):
            text = "Utgaven lagres av $close-round / An edition is stored by $close-round; nothing is kept here."
            raise FhirError("not-supported", text, expression="persist")
        if report.get("status") != "preliminary":
            return await _stored(engine, call.caller, f"Bundle/{call.id}")
        engine.access.check_secretariat(call.caller)
        words = words_of(engine)
        number = words.named(report, "rapport").partition(".")[0]
        round = await _round(engine, call.caller, words, number)
        if round is None:
            raise FhirError(
                "not-found", f"Ingen runde / There is no round {number}.", expression="Composition.identifier"
            )
        standing = await Standing.of(engine, call.caller, round.id)
        return await self._closed(standing, call.caller, report.get("title"), final=False)


async def _stored(engine: Engine, caller: Caller, reference: str) -> Answer:
    kind, _, id = reference.partition("/")
    return Answer((await read(engine, caller, kind, id)).body or b"{}")


# ---- opening


async def open_round(engine: Engine, call: Call) -> Answer:
    """Task/$open-round: the round and a report for each initiative that the search finds; those that there are stay.

    FhirError conflict (409) when the round exists otherwise, business-rule (422) when no initiative is found, or one
    that is not active."""
    engine.access.check_secretariat(call.caller)
    asked = Asked(call)
    words = words_of(engine)
    round = _asked_round(words, asked)
    stood = await _round(engine, call.caller, words, round.number)
    if stood is not None:
        _check_same(words, restored(stood.body or b"{}"), round)
    plans = await _initiatives(engine, call.caller, asked.text("initiatives") or _ACTIVE)
    intents = _opening(words, round, plans, new=stood is None, now=now_of(engine))
    if asked.flag("dryRun", False):
        return Answer(await _outlook(engine, call.caller, intents))
    written = await write(engine, call.caller, intents)
    versions = [one.version for one in written if one.version is not None and one.version.resource_type == "Task"]
    return Answer(_collected(versions, engine), 201 if stood is None else 200)


def _asked_round(words: Vocabulary, asked: Asked) -> Round:
    identifier = asked.object("round") or {}
    number, system = str(identifier.get("value", "")), f"{words.canonical}/sid/runde"
    if identifier.get("system") != system or not _NUMBER.fullmatch(number):
        text = f"Expected an Identifier of {system}, its value of letters, digits and hyphens, e.g. 2026-11."
        raise FhirError("value" if identifier else "required", f"round: {text}", expression="round")
    period = asked.object("period") or {}
    start, end = str(period.get("start", "")), str(period.get("end", ""))
    if not start or not end or end < start:
        text = "period: expected a Period with start and end (the deadline / fristen), start first."
        raise FhirError("value" if period else "required", text, expression="period")
    return Round(number, asked.needed("title"), {"start": start, "end": end}, asked.needed("questionnaire"))


def _check_same(words: Vocabulary, task: Resource, round: Round) -> None:
    if task.get("status") not in ("draft", "in-progress"):
        text = f"Runden {round.number} er «{task.get('status')}» / The round is {task.get('status')} already."
        raise FhirError("conflict", text, expression="round")
    if places := differs(words, task, round):
        text = f"Runden {round.number} finnes med annet innhold / The round exists with other content"
        issues = [Issue("conflict", f"{text}: {place}.", place) for place in places]
        raise FhirError("conflict", issues[0].text, issues=issues)


async def _initiatives(engine: Engine, caller: Caller, search: str) -> list[Resource]:
    condition = search.removeprefix("PlanDefinition").removeprefix("?")
    try:
        plans = resources(
            await (await view(engine, caller)).versions("PlanDefinition", [*pairs_of(condition), ("_sort", "_id")])
        )
    except FhirError as error:
        raise FhirError(
            error.issues[0].code, f"initiatives: {error.issues[0].text}", expression="initiatives"
        ) from None
    if not plans:
        text = f"Søket finner ingen tiltak / The search finds no initiative: {search}."
        raise FhirError("business-rule", text, expression="initiatives")
    idle = [str(plan.get("title", plan["id"])) for plan in plans if plan.get("status") != "active"]
    if idle:
        text = f"Ikke aktive / Not active, so nothing is reported on them: {', '.join(idle[:10])}."
        raise FhirError("business-rule", text, expression="initiatives")
    return plans


def _opening(words: Vocabulary, round: Round, plans: Sequence[Resource], *, new: bool, now: str) -> list[Intent]:
    task = round_task(words, round)
    intents = [Intent("POST", "Task", condition=_identified(task), resource=task, place="round")]
    for plan in plans:
        report = report_task(words, round, plan)
        place = f"PlanDefinition/{plan['id']}"
        intents.append(Intent("POST", "Task", condition=_identified(report), resource=report, place=place))
    if new:
        report = _preliminary(
            words, Edition(round.number, "preliminary", f"Porteføljerapport {round.title}", now), task
        )
        intents.append(Intent("PUT", "Composition", report["id"], resource=report, place="Composition"))
    return intents


def _preliminary(words: Vocabulary, edition: Edition, round: Resource) -> Resource:
    """The Composition as a round in progress has it: its parts are empty until it is asked for as a document."""
    return composition(words, edition, Material(round, (), (), (), {}))


def _identified(task: Resource) -> str:
    identifier = task["identifier"][0]
    return f"identifier={identifier['system']}|{identifier['value']}"


async def _outlook(engine: Engine, caller: Caller, intents: Sequence[Intent]) -> bytes:
    """The collection as it would be, of resources that have no id yet."""
    outlooks = await rehearse(engine, caller, intents)
    faults = [one.fault for one in outlooks if one.fault is not None]
    if faults:
        raise joined(faults)
    entries = [{"resource": one.after} for one in outlooks if one.after and one.after["resourceType"] == "Task"]
    return encode({"resourceType": "Bundle", "type": "collection", "entry": entries})


def _collected(versions: Sequence[Version], engine: Engine) -> bytes:
    """As they stand now that they are written, or stood already."""
    return collection(versions, engine.base, max(version.last_updated for version in versions))


# ---- correcting


async def _amend(engine: Engine, call: Call, asked: Asked) -> Answer:
    """Opens the named reports of a closed round again, and begins the edition that will replace `amends`."""
    standing = await Standing.of(engine, call.caller, call.id)
    words, task = standing.words, standing.task
    number = str((asked.object("amends") or {}).get("value", ""))
    newest = words.named(restored(standing.earlier[-1].body or b"{}"), "rapport") if standing.earlier else ""
    if task["status"] != "completed" or standing.draft is not None or not newest:
        text = "Bare en lukket runde rettes / Only a closed round with an edition is corrected."
        raise FhirError("business-rule", text, expression="amends")
    if number != newest:
        text = f"Siste utgave er {newest} / The newest edition is {newest}, not «{number}»; that one is amended."
        raise FhirError("value", text, expression="amends")
    reason = asked.needed("reason")
    named = _named(standing, asked.objects("report"))
    now = now_of(engine)
    edition = Edition(
        numbered(standing.number, len(standing.earlier)),
        "preliminary",
        asked.text("title") or f"Porteføljerapport {task['code'].get('text', standing.number)}, rettet",
        now,
        number,
        reason,
    )
    report = _preliminary(words, edition, task)
    opened = {**task, "status": "in-progress", "lastModified": now}
    intents = [
        Intent("PUT", "Task", call.id, resource=opened, if_match=str(standing.round.version_id), place="round"),
        *(
            Intent(
                "PUT", "Task", one.id, resource=reopened(words, restored(one.body or b"{}"), reason, now),
                if_match=str(one.version_id), place=f"Task/{one.id}",
            )
            for one in named
        ),
        Intent("PUT", "Composition", edition.id, resource=report, create_only=True, place="Composition"),
    ]  # fmt: skip
    if asked.flag("dryRun", False):
        return Answer(await _outlook(engine, call.caller, intents))
    written = await write(engine, call.caller, intents)
    return Answer(_collected([one.version for one in written if one.version is not None], engine))


def _named(standing: Standing, references: Sequence[Any]) -> list[Version]:
    """The reports that are to be corrected, each of this round and locked. FhirError required, value."""
    known = {f"Task/{one.id}": one for one in standing.reports}
    if not references:
        text = "Hvilke rapporter? / Name the reports to correct: report, a Reference each."
        raise FhirError("required", text, expression="report")
    found = []
    for reference in references:
        name = str(reference.get("reference", "")) if isinstance(reference, dict) else ""
        report = known.get(name)
        if report is None or state_of(restored(report.body or b"{}")) != "last":
            text = f"«{name}» er ingen låst rapport i runden / is no locked report of the round."
            raise FhirError("value", text, expression="report")
        found.append(report)
    return found


async def _round(engine: Engine, caller: Caller, words: Vocabulary, number: str) -> Version | None:
    asked = [
        ("identifier", f"{words.canonical}/sid/runde|{number}"),
        ("code", f"{words.canonical}/CodeSystem/nep-task-type|rapporteringsrunde"),
        ("status:not", "entered-in-error"),
    ]
    return next(iter(await (await view(engine, caller)).versions("Task", asked)), None)
