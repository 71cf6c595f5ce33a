"""Who may do what: the one place that decides. Domain model sections 10 and 13, in their first form.

Everyone reads what is not labelled `R`; a reporter (one organisation) writes what belongs to its organisation, but
not what makes it another's or the secretariat's; the secretariat does everything. The labels themselves, what a
reporter may see of `R`, the rights of each element and of counterparts are an issue of their own and go here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from server.auth.scopes import Scopes
from server.outcome import FhirError
from server.resource import Resource, restored
from server.search.query import Clause, Criterion, Token
from server.store.store import Version

Role = Literal["anonymous", "reader", "reporter", "secretariat"]
Look = Callable[[str, str], Awaitable[Resource | None]]
"""(type, id) -> the resource as it will be once the request is done, or None"""

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
CONTACT_REFERENCE = "http://hl7.org/fhir/StructureDefinition/cqf-contactReference"
_LABEL = CONFIDENTIALITY.encode()

# nep-task-type codes that an owner may create; a status report is created by its round alone.
_OWN_KINDS = frozenset({"leveranse", "avhengighet", "nytteforutsetning", "nominasjon"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `organization` is the value of an identifier (organisation number or slug) for reporters; `client`
    the client's id, `supplier` the number of a vendor that acts for the organisation, `address` where from; `scopes`
    narrow what the role may do, None not at all."""

    role: Role
    organization: str = ""
    name: str = ""
    client: str = ""
    supplier: str = ""
    address: str = ""
    scopes: Scopes | None = None


ANONYMOUS = Caller("anonymous")
SECRETARIAT = Caller("secretariat", name="portefoljekontoret")


@dataclass(frozen=True)
class Access:
    """`canonical` is the base of our own code systems and identifiers."""

    canonical: str

    def may_read(self, caller: Caller, version: Version) -> bool:
        """Whether this caller may see this version."""
        if caller.role == "secretariat" or version.body is None or _LABEL not in version.body:
            return True
        labels = restored(version.body).get("meta", {}).get("security", [])
        return not any(label.get("system") == CONFIDENTIALITY and label.get("code") == "R" for label in labels)

    def readable(self, caller: Caller, versions: tuple[Version, ...]) -> tuple[Version, ...]:
        """Those of them that this caller may see, in their order."""
        if caller.role == "secretariat":
            return versions
        # Most bodies carry no label at all; the look for it is done here, for a call costs more than the look.
        return tuple(v for v in versions if v.body is None or _LABEL not in v.body or self.may_read(caller, v))

    def visible(self, caller: Caller, resource_type: str) -> tuple[Criterion, ...]:
        """What every search of this caller is narrowed by."""
        if caller.role == "secretariat":
            return ()
        label = Token(CONFIDENTIALITY, "R")
        return (Clause(f"{resource_type}._security", "token", "match", (label,), negated=True),)

    def check_writer(self, caller: Caller) -> None:
        """FhirError login (401) or forbidden (403) for those who write nothing at all, before anything is looked at."""
        if caller.role == "anonymous":
            raise FhirError(
                "login",
                "Logg inn for å skrive / Writing needs a bearer token.",
                headers={"WWW-Authenticate": 'Bearer realm="fhir"'},
            )
        if caller.role not in ("reporter", "secretariat"):
            raise FhirError("forbidden", "Tilgangen gjelder lesing / This token is for reading.")

    def check_shown(self, caller: Caller, version: Version | None) -> None:
        """FhirError forbidden (403) when a condition finds what the caller may not see."""
        if version is not None and not self.may_read(caller, version):
            raise FhirError("forbidden", "Finnes, men vises ikke for deg / It exists, but is not shown to you.")

    async def check_writable(self, caller: Caller, method: str, before: Resource, look: Look) -> None:
        """FhirError forbidden (403) unless the caller may change this resource in some way."""
        if caller.role != "secretariat":
            await self.check_write(caller, method, before, None if method == "DELETE" else before, look)

    async def check_write(
        self, caller: Caller, method: str, before: Resource | None, after: Resource | None, look: Look
    ) -> None:
        """FhirError forbidden (403) unless the caller may turn `before` into `after` (None: nothing)."""
        if caller.role == "secretariat":
            return
        if caller.role != "reporter" or method == "DELETE" or after is None:
            raise FhirError("forbidden", "Dette kan bare sekretariatet / Only the secretariat may do this.")
        if _labels(after) != _labels(before or {}):
            raise FhirError(
                "forbidden", "Merkingen settes av tjeneren / Security labels are set by the server.",
                expression=f"{after['resourceType']}.meta.security",
            )  # fmt: skip
        match after["resourceType"]:
            case "PlanDefinition":
                await self._check_initiative(caller, before, after, look)
            case "Task":
                await self._check_task(caller, before, after, look)
            case "MeasureReport":
                await self._check_made(caller, before, after, "reporter", look)
            case "QuestionnaireResponse":
                await self._check_made(caller, before, after, "author", look)
            case kind:
                raise FhirError("forbidden", f"{kind} skrives av sekretariatet / is written by the secretariat.")

    async def _check_made(
        self, caller: Caller, before: Resource | None, after: Resource, maker: str, look: Look
    ) -> None:
        for resource in (before, after):
            if resource and not await self.is_own(caller, resource.get(maker, {}).get("reference", ""), look):
                raise _foreign(f"{resource['resourceType']}.{maker}")

    async def _check_initiative(self, caller: Caller, before: Resource | None, after: Resource, look: Look) -> None:
        if not await self.is_own(caller, owner_of(before or after), look):
            raise _foreign("PlanDefinition.author")
        if before is None:
            if after.get("status") != "draft":
                raise _secretariats(
                    "PlanDefinition.status", "Et nytt tiltak er et utkast / A new initiative is a draft"
                )
            if self._number(after):
                raise _secretariats("PlanDefinition.identifier", "Nummeret utstedes / The number is issued")
            return
        for place, fact in (("author", owner_of), ("status", _status), ("identifier", self._number)):
            if fact(after) != fact(before):
                raise _secretariats(f"PlanDefinition.{place}", f"{place} endres ikke av eieren / is not the owner's")

    async def _check_task(self, caller: Caller, before: Resource | None, after: Resource, look: Look) -> None:
        kinds = self._kinds(after)
        initiatives = [reference.get("reference", "") for reference in (before or after).get("basedOn", [])]
        if before is None:
            if len(kinds) != 1 or kinds[0] not in _OWN_KINDS:
                allowed = ", ".join(sorted(_OWN_KINDS))
                raise _secretariats("Task.code", f"Du kan opprette / You may create one of {allowed}")
        else:
            for place, fact in (("basedOn", _based_on), ("code", self._kinds), ("requester", _requester),
                                ("groupIdentifier", _group)):  # fmt: skip
                if fact(after) != fact(before):
                    raise _secretariats(f"Task.{place}", f"{place} endres ikke av eieren / is not the owner's")
        owned = bool(initiatives) and all([await self._owns(caller, initiative, look) for initiative in initiatives])
        assigned = before is not None and await self.is_own(caller, before.get("owner", {}).get("reference", ""), look)
        if not owned and not assigned:
            raise _foreign("Task.basedOn")

    async def _owns(self, caller: Caller, initiative: str, look: Look) -> bool:
        kind, _, id = initiative.partition("/")
        plan = await look(kind, id) if kind == "PlanDefinition" else None
        return plan is not None and await self.is_own(caller, owner_of(plan), look)

    def _kinds(self, task: Resource) -> list[str]:
        """The codes of Task.code that say what kind of Task it is."""
        system = f"{self.canonical}/CodeSystem/nep-task-type"
        codings = task.get("code", {}).get("coding", [])
        return [coding.get("code", "") for coding in codings if coding.get("system") == system]

    def _number(self, initiative: Resource) -> list[str]:
        """Its tiltaksnummer."""
        system = f"{self.canonical}/sid/tiltaksnummer"
        identifiers = initiative.get("identifier", [])
        return [identifier.get("value", "") for identifier in identifiers if identifier.get("system") == system]

    async def is_own(self, caller: Caller, reference: str, look: Look) -> bool:
        """Whether the reference is the caller's organisation or one below it by partOf."""
        for _ in range(8):
            kind, _, id = reference.partition("/")
            organization = await look(kind, id) if kind == "Organization" else None
            if organization is None:
                return False
            if any(self._names(identifier, caller.organization) for identifier in organization.get("identifier", [])):
                return True
            reference = organization.get("partOf", {}).get("reference", "")
        return False

    def _names(self, identifier: Resource, value: str) -> bool:
        ours = ("urn:oid:2.16.578.1.12.4.1.4.101", f"{self.canonical}/sid/aktor")
        return identifier.get("system") in ours and identifier.get("value") == value


def owner_of(initiative: Resource) -> str:
    """The reference of the organisation that owns the initiative (Aktør/Eier), or ""."""
    for author in initiative.get("author", []):
        for extension in author.get("extension", []):
            if extension.get("url") == CONTACT_REFERENCE:
                return str(extension.get("valueReference", {}).get("reference", ""))
    return ""


def _status(resource: Resource) -> Any:
    return resource.get("status")


def _based_on(task: Resource) -> list[Any]:
    return [reference.get("reference") for reference in task.get("basedOn", [])]


def _requester(task: Resource) -> Any:
    return task.get("requester", {}).get("reference")


def _group(task: Resource) -> Any:
    return task.get("groupIdentifier")


def _labels(resource: Resource) -> Any:
    return resource.get("meta", {}).get("security", [])


def _secretariats(expression: str, text: str) -> FhirError:
    return FhirError("forbidden", f"{text}; det gjør sekretariatet / the secretariat does that.", expression=expression)


def _foreign(expression: str) -> FhirError:
    return FhirError(
        "forbidden", "Tilhører en annen aktør / This belongs to another organisation.", expression=expression
    )
