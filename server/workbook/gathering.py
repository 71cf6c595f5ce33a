"""What a workbook is made of, read as the one who asks for it: an actor's initiatives in a round, as they stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from server.access import Caller
from server.interaction.engine import Engine
from server.interaction.read import read, vread
from server.outcome import FhirError
from server.portfolio import elements
from server.portfolio.gather import View, resources, view
from server.portfolio.rounds import editions
from server.resource import Resource, restored
from server.search.parse import escaped
from server.workbook.material import Material, Ref, initiatives
from server.workbook.slots import Slots
from server.workbook.table import TASKS
from server.workbook.words import Words, squeezed


@dataclass(frozen=True)
class Actor:
    """An organisation that reports: `slug` is its identifier, by which it is asked for."""

    id: str
    slug: str
    name: str

    @property
    def reference(self) -> str:
        return f"Organization/{self.id}"


@dataclass(frozen=True)
class Reporting:
    """One caller's view of the portfolio at one moment, for one round."""

    seen: View
    round: Resource
    number: str

    @classmethod
    async def of(cls, engine: Engine, caller: Caller, number: str) -> Reporting:
        """FhirError not-found for a round that there is not."""
        seen = await view(engine, caller)
        asked = [seen.kinds(["rapporteringsrunde"]), ("identifier", f"{_sid(engine)}/runde|{escaped(number)}")]
        found = [one for one in await seen.all("Task", asked) if one.get("status") != "entered-in-error"]
        if not found:
            raise FhirError("not-found", f"Ingen runde {number[:40]} / There is no such round.")
        return cls(seen, found[0], number)

    @property
    def engine(self) -> Engine:
        return self.seen.engine

    @property
    def is_open(self) -> bool:
        """Whether reports are taken."""
        return bool(self.round.get("status") == "in-progress")

    @property
    def title(self) -> str:
        return str(self.round.get("code", {}).get("text") or self.number)

    @property
    def deadline(self) -> str:
        return elements.due(self.round) or ""

    async def actors(self) -> list[Actor]:
        """Those whose workbook the caller may have: all that own something, for the secretariat; else its own."""
        caller = self.seen.caller
        organizations = [one for one in await self.seen.all("Organization") if self._slug(one)]
        if caller.role == "secretariat":
            plans = await self.seen.all("PlanDefinition", [("status", "active")])
            owners = {str(elements.owner(plan).get("reference", "")) for plan in plans}
            mine = [one for one in organizations if f"Organization/{one['id']}" in owners]
        else:
            mine = [one for one in organizations if await self._is_own(f"Organization/{one['id']}")]
        found = [Actor(str(one["id"]), self._slug(one), str(one.get("name", ""))) for one in mine]
        return sorted(found, key=lambda one: one.name.casefold())

    async def actor(self, slug: str) -> Actor:
        """FhirError login (401) or forbidden (403) for whom the actor's workbook is not, not-found for no actor."""
        caller = self.seen.caller
        if caller.role == "anonymous":
            text = "Logg inn for å hente arbeidsboken / Sign in to have the workbook."
            raise FhirError("login", text, headers={"WWW-Authenticate": 'Bearer realm="fhir"'})
        found = await self.seen.all("Organization", [("identifier", f"{_sid(self.engine)}/aktor|{escaped(slug)}")])
        if caller.role == "secretariat" and not found:
            raise FhirError("not-found", f"Ingen aktør {slug[:40]} / There is no such actor.")
        if caller.role != "secretariat" and not (found and await self._is_own(f"Organization/{found[0]['id']}")):
            text = "Arbeidsboken er for aktørens egne folk og sekretariatet / It is for that actor and the secretariat."
            raise FhirError("forbidden", text)
        return Actor(str(found[0]["id"]), slug, str(found[0].get("name", slug)))

    async def material(self, actor: Actor) -> Material:
        """The initiatives that are asked to report in the round, with all that belongs to them."""
        kinds = self.seen.kinds(["statusrapport", *sorted(TASKS)])
        asked = [kinds, ("based-on:PlanDefinition.owner", actor.reference), ("_include", "Task:based-on")]
        found = resources(await self.seen.versions("Task", asked))
        return Material(
            self.number,
            self.title,
            self.deadline,
            actor.slug,
            actor.name,
            tuple(initiatives(found, actor.reference, self.number, _sid(self.engine))),
            await self._rounds(),
            bool(editions(self.round)),
        )

    async def _rounds(self) -> dict[str, str]:
        system = f"{_sid(self.engine)}/runde"
        rounds = await self.seen.all("Task", [self.seen.kinds(["rapporteringsrunde"])])
        return {elements.number(one, system): str(one.get("code", {}).get("text", "")) for one in rounds}

    async def slots(self) -> Slots:
        """The codes in force, and the organisations by their names."""
        canonical = self.engine.access.canonical
        words = Words.of(canonical, self.engine.registry.of_type("CodeSystem"))
        return Slots(words, by_name(await self.seen.all("Organization")))

    async def given(self, refs: Iterable[Ref]) -> dict[Ref, Resource]:
        """Versions that no longer stand, as far as the caller may see them."""
        found: dict[Ref, Resource] = {}
        for ref in dict.fromkeys(refs):
            try:
                version = await vread(self.engine, self.seen.caller, *ref)
            except FhirError:
                continue
            found[ref] = restored(version.body or b"{}")
        return found

    async def _is_own(self, reference: str) -> bool:
        caller = self.seen.caller
        if caller.role != "reporter":
            return False

        async def look(kind: str, id: str) -> Resource | None:
            try:
                return restored((await read(self.engine, caller, kind, id)).body or b"{}")
            except FhirError:
                return None

        return await self.engine.access.is_own(caller, reference, look)

    def _slug(self, organization: Mapping[str, Any]) -> str:
        return elements.number(organization, f"{_sid(self.engine)}/aktor")


def _sid(engine: Engine) -> str:
    return f"{engine.access.canonical}/sid"


def by_name(organizations: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """A spelling -> the organisation; a spelling of several names none of them."""
    found: dict[str, dict[str, str]] = {}
    several: set[str] = set()
    for one in organizations:
        for text in {squeezed(str(name)) for name in (one.get("name", ""), *one.get("alias", ())) if name}:
            several |= {text} & found.keys()
            found[text] = {"reference": f"Organization/{one['id']}", "display": str(one.get("name", ""))}
    return {text: known for text, known in found.items() if text not in several}


def offered(slots: Slots) -> list[str]:
    """The names of the organisations, for a drop-down."""
    return sorted({str(one["display"]) for one in slots.organizations.values()}, key=str.casefold)
