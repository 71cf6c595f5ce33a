"""Rules that see more than one resource: who may make a move of states.json, what the move needs, and the server
rules of domain model 11 (nep-d3, a3, a4, o2, s2, its last paragraph).

Told of a change once the whole request is decided, so that a Bundle's entries see each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from server.access import SECRETARIAT, Access, Caller, is_restricted, owner_of
from server.outcome import Issue
from server.portfolio.complete import ENH
from server.portfolio.states import (
    INITIATIVE,
    WORDS,
    Machine,
    Move,
    Need,
    Who,
    context_code,
    contexts,
    judge,
    kind_of,
    standard,
)
from server.resource import Resource
from server.search.parse import escaped

Mode = Literal["enforce", "warn", "off"]
_WEIGHTS = (3, 2, 7, 6, 5, 4, 3, 2)
_MOST_VISITED = 200
_OPEN = frozenset({"draft", "requested", "received", "accepted", "ready", "in-progress", "on-hold"})


class Neighbourhood(Protocol):
    """What stands once the request is done; what is asked for here is relied upon until the commit."""

    async def look(self, reference: str) -> Resource | None:
        """What a local reference points to, or None."""
        ...

    async def find(
        self, resource_type: str, pairs: Iterable[tuple[str, str]], *, firm: bool = False
    ) -> dict[str, Resource]:
        """What a search finds, by reference. `firm`: the commit sees to it that it finds the same."""
        ...

    async def since(self, reference: str, status: str) -> int | None:
        """The sequence since which the stored resource has had this status; None when it has not."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """One resource of a request, as it stood (None: it is new) and as it shall stand."""

    reference: str
    before: Resource | None
    after: Resource


@dataclass(frozen=True)
class Rules:
    """`canonical` is the base of our code systems and identifiers. Under `warn` all but a want of rights comes
    as a warning; under `off` nothing is checked."""

    canonical: str
    access: Access
    mode: Mode = "enforce"

    def is_frozen(self, resource: Resource) -> bool:
        """Whether it is a published edition, or its Composition, of which nothing ever changes (5.6)."""
        if resource["resourceType"] == "Bundle":
            published = resource.get("type") == "document"
        else:
            published = resource["resourceType"] == "Composition" and resource.get("status") in ("final", "amended")
        return published and resource.get("identifier", {}).get("system") == f"{self.canonical}/sid/rapport"

    async def __call__(self, change: Change, caller: Caller, around: Neighbourhood) -> list[Issue]:
        """Errors and warnings of this change; raises nothing."""
        if self.mode == "off":
            return []
        check = _Check(self, change, caller, around, kind_of(change.after, self.canonical))
        return self._weighed(await check.all())

    async def of_standing(self, reference: str, resource: Resource, around: Neighbourhood) -> list[Issue]:
        """What is to be said of a resource as it stands: the rules between resources, without those of moves."""
        if self.mode == "off":
            return []
        change = Change(reference, resource, resource)
        return self._weighed(
            await _Check(self, change, SECRETARIAT, around, kind_of(resource, self.canonical)).between()
        )

    def _weighed(self, issues: list[Issue]) -> list[Issue]:
        if self.mode == "enforce":
            return issues
        return [issue if issue.code == "forbidden" else replace(issue, severity="warning") for issue in issues]


@dataclass(frozen=True)
class _Check:
    """The rules upon one change."""

    rules: Rules
    change: Change
    caller: Caller
    around: Neighbourhood
    kind: str

    async def all(self) -> list[Issue]:
        return [*await self._state(), *await self.between()]

    async def between(self) -> list[Issue]:
        """The rules between resources."""
        issues: list[Issue] = []
        if self.kind and self.change.after["resourceType"] == "Task":
            issues += await self._issued_taken()
        match self.kind:
            case "leveranse":
                issues += [*await self._standing_initiative(), *await self._delivery()]
            case "avhengighet":
                issues += [*await self._standing_initiative(), *await self._dependency()]
            case "statusrapport":
                issues += await self._report()
            case _ if self.kind == INITIATIVE:
                issues += _finance_years(self.change.after, self.canonical)
                issues += [*await self._left_open(), *await self._number_taken()]
            case _ if self.change.after["resourceType"] == "Organization":
                issues += _numbers(self.change.after)
        return issues

    @property
    def canonical(self) -> str:
        return self.rules.canonical

    @property
    def secretariat(self) -> bool:
        return self.caller.role == "secretariat"

    # The state machine

    async def _state(self) -> list[Issue]:
        before, after = self.change.before, self.change.after
        if before is not None and (stood := kind_of(before, self.canonical)) and stood != self.kind:
            text = f"Typen endres ikke / It stays what it is: {stood}, not {self.kind or 'nothing of the portfolio'}."
            place = "Task.code" if after["resourceType"] == "Task" else "PlanDefinition.useContext"
            return [Issue("business-rule", text, place)]
        machine = standard().get(self.kind)
        if machine is None:
            return []
        verdict = judge(machine, before, after, secretariat=self.secretariat, canonical=self.canonical)
        if verdict.issue is not None:
            return [verdict.issue]
        if not verdict.moves:
            stays = before is not None and self.kind == "statusrapport" and not self.secretariat
            return await self._open_round() if stays else []
        return await self._moved(machine, verdict.moves)

    async def _moved(self, machine: Machine, moves: tuple[Move, ...]) -> list[Issue]:
        """The faults of the line that is nearest to being open to the caller; none when one of them is."""
        hands = await self._hands()
        mine = [move for move in moves if self.secretariat or move.who & hands]
        if not mine:
            who = ", ".join(sorted({WORDS[who] for move in moves for who in move.who}))
            state = machine.state(self.change.after, self.canonical)
            text = f"«{state}» settes bare av / is set only by: {who}."
            return [Issue("forbidden", text, self._place("status"), rule=self._rule(moves))]
        faults = [[issue for need in move.needs for issue in await self._need(need)] for move in mine]
        return min(faults, key=len)

    def _rule(self, moves: tuple[Move, ...]) -> str:
        """nep-a4: only the counterpart answers a dependency."""
        answered = self.kind == "avhengighet" and all(move.who == {"part"} for move in moves)
        return "nep-a4" if answered else ""

    async def _hands(self) -> frozenset[Who]:
        """What the caller is to this resource."""
        stands = self.change.before or self.change.after
        if self.kind == INITIATIVE:
            return frozenset(("owner",)) if await self._is_own(owner_of(stands)) else frozenset()
        plan = await self._initiative(stands)
        found: set[Who] = set()
        if plan is not None and await self._is_own(owner_of(plan)):
            found.add("owner")
        for reference in (_reference(stands.get("owner")), *self._counterparts(stands)):
            if await self._is_own(reference):
                found |= {"part", "assessor"}
        return frozenset(found)

    async def _is_own(self, reference: str) -> bool:
        async def look(kind: str, id: str) -> Resource | None:
            return await self.around.look(f"{kind}/{id}")

        return self.caller.role == "reporter" and await self.rules.access.is_own(self.caller, reference, look)

    def _counterparts(self, task: Resource) -> Iterator[str]:
        for slot in task.get("input", []):
            if any(coding.get("code") == "motpart" for coding in slot.get("type", {}).get("coding", [])):
                yield _reference(slot.get("valueReference"))

    # What a move needs

    async def _need(self, need: Need) -> list[Issue]:
        if need.startswith("nomination"):
            return await self._nomination(need.partition(":")[2])
        match need:
            case "segment" | "fase":
                return self._context(need)
            case "reason":
                return self._reason()
            case "open-round":
                return await self._open_round()
            case "amended-round":
                return await self._amended_round()
            case "same-round":
                return await self._same_round()
            case _:
                return await self._silent_counterpart()

    def _context(self, code: str) -> list[Issue]:
        if context_code(self.change.after, code, self.canonical):
            return []
        text = f"Mangler {code} / The initiative needs its {code} first."
        return [Issue("business-rule", text, "PlanDefinition.useContext", rule="nep-i3")]

    async def _nomination(self, status: str) -> list[Issue]:
        """A nomination in this state, or any when none is named. Initiatives that were imported have none."""
        asked = [("based-on", self.change.reference), ("code", self._type("nominasjon"))]
        stand = [task.get("status") for task in (await self.around.find("Task", asked)).values()]
        if status in stand or bool(stand) is not bool(status):
            return []
        if status:
            now = ", ".join(map(str, stand))
            text = f"Innmeldingen må være / Its nomination must be «{status}» in the same request; is {now}."
        else:
            text = "Et nytt tiltak sendes med sin innmelding / A new initiative comes with its nomination (nominasjon)."
        return [Issue("business-rule", text, "PlanDefinition.useContext")]

    def _reason(self) -> list[Issue]:
        if self.change.after.get("statusReason"):
            return []
        return [Issue("business-rule", "Begrunnelse mangler / Say why in statusReason.", "Task.statusReason")]

    async def _open_round(self) -> list[Issue]:
        number = self.change.after.get("groupIdentifier", {})
        named = f"{number.get('system', '')}|{number.get('value', '')}"
        asked = [("identifier", named), ("code", self._type("rapporteringsrunde"))]
        rounds = await self.around.find("Task", asked) if number.get("value") else {}
        for reference in rounds:
            # Asked for by name, so that the round's closing and this report cannot pass each other.
            stood = await self.around.look(reference)
            if stood is not None and stood.get("status") == "in-progress":
                return []
        closed = any(one.get("status") in ("completed", "cancelled") for one in rounds.values())
        if closed:
            text = f"Runden er lukket / The round {number.get('value')} is closed."
            return [Issue("conflict", text, "Task.groupIdentifier")]
        text = f"Ingen åpen runde / There is no open round {number.get('value', '')}; reports belong to one."
        return [Issue("business-rule", text, "Task.groupIdentifier")]

    async def _amended_round(self) -> list[Issue]:
        """A correction of what was published belongs to an edition that is begun ($close-round with amends)."""
        after = self.change.after
        system = f"{self.canonical}/sid/runde"
        named = [after.get("groupIdentifier", {}), *after.get("identifier", [])]
        number = next((one.get("value", "") for one in named if one.get("system") == system), "")
        begun = await self.around.find("Composition", [("status", "preliminary")])
        if any(one.get("identifier", {}).get("value", "").startswith(f"{number}.") for one in begun.values()):
            return []
        text = "En publisert runde rettes med / A published round is corrected by $close-round with amends."
        return [Issue("business-rule", text, "Task.status")]

    async def _same_round(self) -> list[Issue]:
        """Only what was completed since the round that is open was opened may be taken back."""
        completed = await self.around.since(self.change.reference, "completed")
        for reference, round in (await self.around.find("Task", [("code", self._type("rapporteringsrunde"))])).items():
            opened = await self.around.since(reference, "in-progress") if round.get("status") == "in-progress" else None
            if opened is not None and completed is not None and opened <= completed:
                return []
        text = (
            "Levert i en tidligere runde / Delivered in an earlier round; only a mistake of the open round is undone."
        )
        return [Issue("business-rule", text, "Task.status")]

    async def _silent_counterpart(self) -> list[Issue]:
        """The owner confirms alone when its counterpart cannot sign in: a name only, or a group of actors."""
        owner = _reference((self.change.before or self.change.after).get("owner"))
        organization = await self.around.look(owner)
        kinds = [
            coding.get("code") for kind in (organization or {}).get("type", []) for coding in kind.get("coding", [])
        ]
        if not owner or "aktorgruppe" in kinds:
            return []
        text = "Motparten kan svare selv / The counterpart can answer: it is received, accepted and in progress first."
        return [Issue("business-rule", text, "Task.status")]

    # The rules between resources

    async def _standing_initiative(self) -> list[Issue]:
        plan = await self._initiative(self.change.after)
        if plan is None or plan.get("status") != "retired":
            return []
        severity = "error" if self.change.before is None else "warning"
        text = "Tiltaket er avsluttet / The initiative is retired and takes nothing new."
        return [Issue("business-rule", text, "Task.basedOn", severity)]

    async def _number_taken(self) -> list[Issue]:
        """A number is one initiative's: asked of one that is new, or is given another."""
        number, stood = (self._tiltaksnummer(one) for one in (self.change.after, self.change.before or {}))
        if not number or number == stood:
            return []
        asked = [("identifier", f"{self.canonical}/sid/tiltaksnummer|{number}")]
        others = await self.around.find("PlanDefinition", asked, firm=True)
        if not [reference for reference in others if reference != self.change.reference]:
            return []
        text = f"Nummeret er i bruk / {number} is another initiative's; leave it out, and the server issues one."
        return [Issue("duplicate", text, "PlanDefinition.identifier")]

    async def _issued_taken(self) -> list[Issue]:
        """An identifier of our own systems is one Task's: else whoever uses it once more breaks the other's push."""
        issued = f"{self.canonical}/sid/"
        stood = (self.change.before or {}).get("identifier", [])
        issues = []
        for index, one in enumerate(self.change.after.get("identifier", [])):
            if not str(one.get("system", "")).startswith(issued) or not one.get("value") or one in stood:
                continue
            asked = [("identifier", f"{one['system']}|{one['value']}")]
            others = await self.around.find("Task", asked, firm=True)
            if [reference for reference in others if reference != self.change.reference]:
                text = f"Identifikatoren er i bruk / {one['value']} is another Task's; leave it out, or use your own."
                issues.append(Issue("duplicate", text, f"Task.identifier[{index}]"))
        return issues

    def _tiltaksnummer(self, plan: Resource) -> str:
        system = f"{self.canonical}/sid/tiltaksnummer"
        found = (one.get("value", "") for one in plan.get("identifier", []) if one.get("system") == system)
        return str(next(found, ""))

    async def _delivery(self) -> list[Issue]:
        return [*await self._undated(), *await self._namesake()]

    async def _undated(self) -> list[Issue]:
        after = self.change.after
        due = _last_day(after.get("restriction", {}).get("period", {}).get("end"))
        if after.get("status") != "completed" or not due or after.get("executionPeriod", {}).get("end"):
            return []
        rounds = (await self.around.find("Task", [("code", self._type("rapporteringsrunde"))])).values()
        running = [round for round in rounds if round.get("status") == "in-progress"] or list(rounds)
        ends = [_last_day(round.get("restriction", {}).get("period", {}).get("end")) for round in running]
        if not ends or due <= max(ends):
            return []
        text = f"Levert før fristen {due}, men når? / Delivered ahead of {due}; say when in executionPeriod.end."
        return [Issue("business-rule", text, "Task.executionPeriod", "warning", "nep-d3")]

    async def _namesake(self) -> list[Issue]:
        name, initiative = self.change.after.get("code", {}).get("text"), _based_on(self.change.after)
        if not name or not initiative:
            return []
        # The name first, for it alone is nearly always enough to know that there is no other.
        asked = [("description:exact", escaped(name)), ("based-on", initiative), ("code", self._type("leveranse"))]
        others = await self.around.find("Task", asked)
        twins = [ref for ref, one in others.items() if one.get("code", {}).get("text") == name]
        if not [ref for ref in twins if ref != self.change.reference]:
            return []
        text = f"Navnet «{name}» finnes flere ganger i tiltaket / The initiative has several deliveries of this name."
        return [Issue("business-rule", text, "Task.code.text", "warning", "nep-d3")]

    async def _dependency(self) -> list[Issue]:
        after = self.change.after
        issues = []
        owner = _reference(after.get("owner"))
        if owner and owner == _reference(after.get("requester")):
            text = "Motparten er tiltakets egen eier / The counterpart is the requester itself."
            issues.append(Issue("business-rule", text, "Task.owner", "warning", "nep-a3"))
        plan = await self._initiative(after)
        due = _last_day(after.get("restriction", {}).get("period", {}).get("end"))
        end = _last_day((plan or {}).get("effectivePeriod", {}).get("end"))
        if due and end and due > end:
            text = f"Fristen {due} er etter tiltakets sluttdato {end} / Due after the end of the initiative."
            issues.append(Issue("business-rule", text, "Task.restriction.period.end", "warning", "nep-a3"))
        if await self._circular():
            text = "Avhengighetene går i ring / The initiatives depend on each other in a circle."
            issues.append(Issue("business-rule", text, "Task.focus", "warning", "nep-a3"))
        return issues

    async def _circular(self) -> bool:
        start = _based_on(self.change.after)
        ahead = [await self._depended_on(self.change.after)]
        seen: set[str] = set()
        while ahead and len(seen) < _MOST_VISITED:
            plan = ahead.pop()
            if plan == start and plan:
                return True
            if plan and plan not in seen:
                seen.add(plan)
                asked = [("based-on", plan), ("code", self._type("avhengighet"))]
                found = (await self.around.find("Task", asked)).values()
                ahead += [await self._depended_on(task) for task in found if task.get("status") in _OPEN]
        return False

    async def _depended_on(self, dependency: Resource) -> str:
        """The initiative that a dependency's focus names, or whose delivery it names."""
        focus = _reference(dependency.get("focus"))
        if not focus.startswith("Task/"):
            return focus
        return _based_on(await self.around.look(focus) or {})

    async def _report(self) -> list[Issue]:
        return [*await self._only_one(), *await self._risk()]

    async def _only_one(self) -> list[Issue]:
        after, before = self.change.after, self.change.before
        number, initiative = after.get("groupIdentifier", {}), _based_on(after)
        moved = before is None or before.get("groupIdentifier") != number or _based_on(before) != initiative
        if not moved or not number.get("value") or not initiative:
            return []
        named = f"{number.get('system', '')}|{number['value']}"
        asked = [("based-on", initiative), ("group-identifier", named), ("code", self._type("statusrapport"))]
        found = await self.around.find("Task", asked, firm=True)
        others = [
            ref
            for ref, one in found.items()
            if ref != self.change.reference and one.get("status") != "entered-in-error"
        ]
        if not others:
            return []
        text = f"Tiltaket har alt en rapport i runden / The round has a report of the initiative: {others[0]}."
        return [Issue("duplicate", text, "Task.groupIdentifier")]

    async def _risk(self) -> list[Issue]:
        after = self.change.after
        if after.get("status") != "completed" or _has_output(after, "risiko"):
            return []
        plan = await self._initiative(after)
        segment = context_code(plan, "segment", self.canonical) if plan else ""
        if segment in ("", "observere"):
            return []
        text = f"Risiko mangler / Initiatives of {segment} report their risk (output risiko)."
        return [Issue("business-rule", text, "Task.output", rule="nep-s2")]

    async def _left_open(self) -> list[Issue]:
        """What an initiative that ends leaves open: the secretariat sees to it."""
        before, after = self.change.before, self.change.after
        if before is None or after.get("status") != "retired" or before.get("status") == "retired":
            return []
        own = await self.around.find("Task", [("based-on", self.change.reference)])
        upon = await self.around.find("Task", [("focus", self.change.reference)])
        shown = {ref: one for ref, one in {**own, **upon}.items() if self.secretariat or not is_restricted(one)}
        open_ones = sorted(ref for ref, task in shown.items() if task.get("status") in _OPEN)
        if not open_ones:
            return []
        text = f"Fortsatt åpne / Still open on it: {', '.join(open_ones)}."
        return [Issue("business-rule", text, "PlanDefinition.status", "warning")]

    async def _initiative(self, task: Resource) -> Resource | None:
        reference = _based_on(task)
        return await self.around.look(reference) if reference.startswith("PlanDefinition/") else None

    def _type(self, code: str) -> str:
        return f"{self.canonical}/CodeSystem/nep-task-type|{code}"

    def _place(self, element: str) -> str:
        if self.kind == INITIATIVE:
            index = next((index for index, _ in contexts(self.change.after, "livslop", self.canonical)), 0)
            return f"PlanDefinition.useContext[{index}].valueCodeableConcept"
        return f"{self.change.after['resourceType']}.{element}"


def _reference(value: Resource | None) -> str:
    return str((value or {}).get("reference", ""))


def _based_on(task: Resource) -> str:
    return _reference(next(iter(task.get("basedOn", [])), None))


def _has_output(task: Resource, code: str) -> bool:
    slots = task.get("output", [])
    return any(coding.get("code") == code for slot in slots for coding in slot.get("type", {}).get("coding", []))


def _last_day(date: str | None) -> str:
    """The last day that a FHIR date may mean, for comparing: 2023 is 2023-12-31, 2023-09 is 2023-09-31; "" for none."""
    return (date or "")[:10] + {4: "-12-31", 7: "-31"}.get(len(date or ""), "")


def _finance_years(plan: Resource, canonical: str) -> Iterator[Issue]:
    """A year of budget lies between 2000 and 2050."""
    for index, line in enumerate(plan.get("extension", [])):
        if line.get("url") != f"{canonical}/StructureDefinition/nep-finance-line":
            continue
        for inner, part in enumerate(line.get("extension", [])):
            year = str(part.get("valueDate", "2000"))[:4]
            if part.get("url") == "year" and not "2000" <= year <= "2050":
                place = f"PlanDefinition.extension[{index}].extension[{inner}].valueDate"
                yield Issue("business-rule", f"{year}: året må være / the year must be 2000 to 2050.", place)


def _numbers(organization: Resource) -> Iterator[Issue]:
    for index, identifier in enumerate(organization.get("identifier", [])):
        value = str(identifier.get("value", ""))
        if identifier.get("system") == ENH and not is_organization_number(value):
            text = f"«{value}» er ikke et organisasjonsnummer / is no organisation number: 9 digits, the last by MOD11."
            yield Issue("business-rule", text, f"Organization.identifier[{index}].value", rule="nep-o2")


def is_organization_number(text: str) -> bool:
    """Nine digits of which the last is the control digit, weights 3 2 7 6 5 4 3 2 modulo 11 (Brønnøysund)."""
    if len(text) != 9 or not (text.isascii() and text.isdigit()):
        return False
    rest = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, text, strict=False)) % 11
    return rest != 1 and (11 - rest) % 11 == int(text[8])
