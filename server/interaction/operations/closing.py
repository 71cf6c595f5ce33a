"""The closing of a round: what stands, the edition made of it, and all that is written with it in one unit.

An edition is of the moment at which it was made, with the round and its reports as the closing leaves them; should
one of these or their initiatives change before the commit, it is made anew. Of the rest it holds what anyone may read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC

from server.access import ANONYMOUS, Caller
from server.interaction.engine import Engine
from server.interaction.intents import Intent
from server.interaction.read import read
from server.interaction.rehearse import rehearse
from server.interaction.unit_faults import joined
from server.outcome import FhirError, Issue
from server.portfolio import elements
from server.portfolio.difference import Planned, planned
from server.portfolio.edition import Edition, Material, composition, document, labelled, numbered
from server.portfolio.gather import View, histories, resources
from server.portfolio.rounds import closed, editions, is_missing, settled
from server.portfolio.seal import Seal, digest
from server.portfolio.vocabulary import Vocabulary
from server.resource import Resource, references, restored
from server.store.store import Ref, Version

Figures = Callable[["Standing", Caller, Edition], Awaitable[list[Resource]]]
"""The computed MeasureReports of an edition, with their ids."""

_PER_SEARCH = 40


def words_of(engine: Engine) -> Vocabulary:
    """Our codes, of the definitions in force."""
    return Vocabulary.of(engine.access.canonical, engine.registry.of_type("CodeSystem"))


def now_of(engine: Engine) -> str:
    """This instant as resources state it: UTC, milliseconds."""
    return engine.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


@dataclass(frozen=True)
class Standing:
    """A round and its reports at one instant; `earlier` are its published Compositions, oldest first, `draft` the
    preliminary one if there is any."""

    engine: Engine
    words: Vocabulary
    number: str
    instant: str
    round: Version
    reports: Sequence[Version]
    initiatives: Sequence[Version]
    draft: Version | None
    earlier: Sequence[Version]

    @classmethod
    async def of(cls, engine: Engine, caller: Caller, id: str) -> Standing:
        """FhirError not-found for no Task, business-rule (422) for one that is no round, or never was open."""
        words = words_of(engine)
        instant = (await engine.store.moment()).instant
        round = await read(engine, caller, "Task", id, instant)
        number = _number_of(words, round)
        asked = [
            ("group-identifier", f"{words.canonical}/sid/runde|{number}"),
            ("code", f"{words.canonical}/CodeSystem/nep-task-type|statusrapport"),
            ("status:not", "entered-in-error"),
        ]
        reports = await View(engine, caller, instant).versions("Task", asked)
        initiatives = [
            await read(engine, caller, "PlanDefinition", _initiative_of(report), instant)
            for report in resources(reports)
        ]
        ours = await _compositions(engine, caller, words, number, instant)
        drafts = [one for one in ours if _status(one) == "preliminary"]
        earlier = sorted((one for one in ours if one not in drafts), key=lambda one: one.ordinal)
        return cls(engine, words, number, instant, round, reports, initiatives, next(iter(drafts), None), earlier)

    @property
    def task(self) -> Resource:
        """The round."""
        return restored(self.round.body or b"{}")

    def published(self) -> str:
        """The reference of the newest edition when the round is closed and has one, "" while one is to be made."""
        if self.task["status"] != "completed" or self.draft is not None:
            return ""
        return next(iter(reversed(editions(self.task))), "")

    def check_reported(self) -> None:
        """FhirError business-rule (422) that names every report that was not submitted."""
        issues = [
            Issue("business-rule", f"Ikke rapportert / Not reported: {report['for'].get('display', '')}.", _name(one))
            for one in self.reports
            if is_missing(report := restored(one.body or b"{}"))
        ]
        if issues:
            raise FhirError("business-rule", issues[0].text, issues=issues)

    def relied_on(self) -> dict[Ref, int]:
        """What the edition is made of and the closing does not write itself."""
        return {(one.resource_type, one.id): one.version_id for one in self.initiatives}

    def next_edition(self, title: str | None, *, status: str) -> Edition:
        """The edition that is being made: of the preliminary Composition, if there is one."""
        draft = restored(self.draft.body) if self.draft is not None and self.draft.body is not None else {}
        number = self.words.named(draft, "rapport") or numbered(self.number, len(self.earlier))
        replaces = [one["targetIdentifier"]["value"] for one in draft.get("relatesTo", [])]
        reasons = [code["text"] for event in draft.get("event", []) for code in event.get("code", [])]
        return Edition(
            number,
            "amended" if status == "final" and replaces else status,
            title or draft.get("title") or f"Porteføljerapport {self.task['code'].get('text', self.number)}",
            now_of(self.engine),
            next(iter(replaces), ""),
            next(iter(reasons), ""),
        )


@dataclass(frozen=True)
class Made:
    """A document, and the intents that store it with all that it closes, in the order of their writing."""

    document: Resource
    intents: list[Intent] = field(default_factory=list)


async def made(standing: Standing, caller: Caller, edition: Edition, figures: Figures, seal: Seal) -> Made:
    """The edition of what stands. FhirError when one of the reports could not be settled."""
    engine, words = standing.engine, standing.words
    settling = [
        Intent("PUT", "Task", one.id, resource=settled(words, report, edition.date), if_match=str(one.version_id))
        for one, report in zip(standing.reports, resources(standing.reports), strict=True)
    ]
    reports = await _settled(engine, caller, settling, standing.reports)
    after = closed(words, standing.task, f"Bundle/{edition.id}", edition.date)
    round = _versioned(after, standing.round.version_id + 1)
    computed = [labelled(one) for one in await figures(standing, caller, edition)]
    material = await _material(standing, round, reports, computed)
    report = labelled(composition(words, edition, material), public=edition.status != "preliminary")
    shown = _versioned(report, standing.draft.version_id + 1 if standing.draft is not None else 1)
    whole = labelled(document(words, edition, shown, material, engine.base), public=edition.status != "preliminary")
    if edition.status == "preliminary":
        return Made({**whole, "id": f"{edition.id}-preview"})
    whole = _sealed(whole, standing, seal, edition.date)
    closing = Intent("PUT", "Task", standing.round.id, resource=after, if_match=str(standing.round.version_id))
    kept = [
        *(Intent("PUT", "MeasureReport", one["id"], resource=one) for one in computed),
        Intent("PUT", "Composition", edition.id, resource=report),
        Intent("PUT", "Bundle", edition.id, resource=whole, create_only=True),
    ]
    return Made(whole, [*settling, closing, *kept])


async def _settled(
    engine: Engine, caller: Caller, settling: Sequence[Intent], stood: Sequence[Version]
) -> list[Resource]:
    """The reports as they will be stored, with the numbers of the versions that they will be."""
    outlooks = await rehearse(engine, caller, settling) if settling else []
    faults = [one.fault for one in outlooks if one.fault is not None]
    if faults:
        raise joined(faults)
    return [
        _versioned(one.after or {}, before.version_id + one.changed)
        for one, before in zip(outlooks, stood, strict=True)
    ]


async def _material(
    standing: Standing, round: Resource, reports: Sequence[Resource], computed: Sequence[Resource]
) -> Material:
    engine, instant = standing.engine, standing.instant
    initiatives = resources(standing.initiatives)
    tasks = resources(await _tasks_of(standing, initiatives))
    period = round["restriction"]["period"]
    uptake = resources(await _uptake(engine, instant, period))
    seeds = [round, *reports, *initiatives, *tasks, *computed, *uptake]
    others = await _reached(engine, instant, seeds)
    planned = await _planned(View(engine, ANONYMOUS, instant), tasks)
    return Material(round, reports, initiatives, tasks, others, computed, uptake, planned)


async def _planned(seen: View, tasks: Sequence[Resource]) -> dict[str, Planned]:
    """The dates that were planned for the deliveries, as far as anyone may read them, by reference."""
    deliveries = [task for task in tasks if elements.kind(task) == "leveranse"]
    return {name: planned(story) for name, story in (await histories(seen, deliveries)).items()}


async def _tasks_of(standing: Standing, initiatives: Sequence[Resource]) -> list[Version]:
    """What is based on them and anyone may read, but reports, of which the round's own are at hand."""
    found: list[Version] = []
    kinds = "leveranse,avhengighet,nytteforutsetning,veikartaktivitet"
    for start in range(0, len(initiatives), _PER_SEARCH):
        names = ",".join(f"PlanDefinition/{plan['id']}" for plan in initiatives[start : start + _PER_SEARCH])
        asked = [("based-on", names), ("code", kinds), ("status:not", "entered-in-error")]
        found += await View(standing.engine, ANONYMOUS, standing.instant).versions("Task", asked)
    return found


async def _uptake(engine: Engine, instant: str, period: Resource) -> list[Version]:
    """The manual measures whose period overlaps the round's."""
    asked = [("period", f"ge{period['start']}"), ("period", f"le{period['end']}")]
    found = await View(engine, ANONYMOUS, instant).versions("MeasureReport", asked)
    return [one for one in found if not one.id.startswith("rapport-")]


async def _reached(engine: Engine, instant: str, seeds: Sequence[Resource]) -> dict[str, Resource]:
    """What these point to and anyone may read, and what that points to, by reference."""
    known = {f"{one['resourceType']}/{one['id']}" for one in seeds}
    found: dict[str, Resource] = {}
    waiting = list(seeds)
    while waiting:
        names = {reference["reference"] for one in waiting for _, reference in references(one, "")}
        waiting = []
        for name in sorted(names - known):
            known.add(name)
            kind, _, id = name.partition("/")
            if kind in engine.resource_types and (resource := await _public(engine, kind, id, instant)) is not None:
                found[name] = resource
                waiting.append(resource)
    return found


async def _public(engine: Engine, kind: str, id: str, instant: str) -> Resource | None:
    try:
        return restored((await read(engine, ANONYMOUS, kind, id, instant)).body or b"{}")
    except FhirError as error:
        if error.status in (404, 410):
            return None
        raise


async def _compositions(engine: Engine, caller: Caller, words: Vocabulary, number: str, instant: str) -> list[Version]:
    """Those of the round's editions: their number is the round's, or begins with it and a dot."""
    code = f"{words.canonical}/CodeSystem/nep-document-type|portefoljerapport"
    found = await View(engine, caller, instant).versions("Composition", [("type", code)])
    return [one for one in found if words.named(restored(one.body or b"{}"), "rapport").partition(".")[0] == number]


def _sealed(whole: Resource, standing: Standing, seal: Seal, now: str) -> Resource:
    """With its digest as a tag, and its signature."""
    tag = {"system": f"{standing.words.canonical}/sid/digest", "code": f"sha-256:{digest(whole)}"}
    signature = seal.signature(whole, standing.task["requester"], now)
    return {**whole, "meta": {**whole["meta"], "tag": [tag]}, "signature": signature}


def _versioned(resource: Resource, version_id: int) -> Resource:
    return {**resource, "meta": {**resource.get("meta", {}), "versionId": str(version_id)}}


def _number_of(words: Vocabulary, round: Version) -> str:
    task = restored(round.body or b"{}")
    number = words.named(task, "runde")
    if not number:
        raise FhirError("business-rule", "Ikke en runde / This Task is no reporting round.", expression="Task.code")
    if task.get("status") not in ("in-progress", "completed"):
        text = f"Runden er «{task.get('status')}» / The round is {task.get('status')}: only an open one is closed."
        raise FhirError("business-rule", text, expression="Task.status")
    return number


def _initiative_of(report: Resource) -> str:
    return str(report["basedOn"][0]["reference"]).partition("/")[2]


def _status(version: Version) -> str:
    return str(restored(version.body or b"{}").get("status", ""))


def _name(version: Version) -> str:
    return f"{version.resource_type}/{version.id}"
