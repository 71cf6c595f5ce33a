"""Who may do what: the one place that decides. Domain model sections 10 and 13, in their first form.

Anonymous callers read what is not labelled `R`; a reporter (one organisation) reads that too and writes what
belongs to its organisation; the secretariat does everything. The labels themselves, element-wise rights and
the rights of counterparts are an issue of their own and go here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from server.outcome import FhirError
from server.resource import Resource, decode
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
    """Who asks. `organization` is the value of an identifier (organisation number or slug) for reporters."""

    role: Role
    organization: str = ""
    name: str = ""


ANONYMOUS = Caller("anonymous")
SECRETARIAT = Caller("secretariat", name="portefoljekontoret")


@dataclass(frozen=True)
class Access:
    """`canonical` is the base of our own code systems and identifiers."""

    canonical: str

    def may_read(self, caller: Caller, version: Version) -> bool:
        """Whether this caller may see this version."""
        if caller.role in ("secretariat", "reporter") or version.body is None:
            return True
        if _LABEL not in version.body:
            return True
        labels = decode(version.body).get("meta", {}).get("security", [])
        return not any(label.get("system") == CONFIDENTIALITY and label.get("code") == "R" for label in labels)

    def readable(self, caller: Caller, versions: tuple[Version, ...]) -> tuple[Version, ...]:
        """Those of them that this caller may see, in their order."""
        if caller.role in ("secretariat", "reporter"):
            return versions
        # Most bodies carry no label at all; the look for it is done here, for a call costs more than the look.
        return tuple(v for v in versions if v.body is None or _LABEL not in v.body or self.may_read(caller, v))

    def visible(self, caller: Caller, resource_type: str) -> tuple[Criterion, ...]:
        """What every search of this caller is narrowed by."""
        if caller.role in ("secretariat", "reporter"):
            return ()
        label = Token(CONFIDENTIALITY, "R")
        return (Clause(f"{resource_type}._security", "token", "match", (label,), negated=True),)

    async def check_write(
        self, caller: Caller, method: str, before: Resource | None, after: Resource | None, look: Look
    ) -> None:
        """FhirError login (401) or forbidden (403) unless the caller may turn `before` into `after`."""
        if caller.role == "secretariat":
            return
        if caller.role == "anonymous":
            raise FhirError(
                "login",
                "Logg inn for å skrive / Writing needs a bearer token.",
                headers={"WWW-Authenticate": 'Bearer realm="fhir"'},
            )
        if caller.role != "reporter" or method == "DELETE" or after is None:
            raise FhirError("forbidden", "Dette kan bare sekretariatet / Only the secretariat may do this.")
        await self._check_reporter(caller, before, after, look)

    async def _check_reporter(self, caller: Caller, before: Resource | None, after: Resource, look: Look) -> None:
        kind = after["resourceType"]
        if kind == "PlanDefinition":
            await self._check_initiative(caller, before, after, look)
        elif kind == "Task":
            await self._check_task(caller, before, after, look)
        elif kind in ("MeasureReport", "QuestionnaireResponse"):
            maker = after.get("reporter") or after.get("author") or {}
            if not await self._is_own(caller, maker.get("reference", ""), look):
                raise _foreign(f"{kind}.reporter" if "reporter" in after else f"{kind}.author")
        else:
            raise FhirError("forbidden", f"{kind} skrives av sekretariatet / is written by the secretariat.")

    async def _check_initiative(self, caller: Caller, before: Resource | None, after: Resource, look: Look) -> None:
        if not await self._is_own(caller, owner_of(before or after), look):
            raise _foreign("PlanDefinition.author")
        if owner_of(after) != owner_of(before or after):
            raise FhirError(
                "forbidden", "Eier endres av sekretariatet / The owner is changed by the secretariat.",
                expression="PlanDefinition.author",
            )  # fmt: skip
        if before is None and after.get("status") != "draft":
            raise FhirError(
                "forbidden", "Et nytt tiltak er et utkast / A new initiative starts as status draft.",
                expression="PlanDefinition.status",
            )  # fmt: skip

    async def _check_task(self, caller: Caller, before: Resource | None, after: Resource, look: Look) -> None:
        stands = before or after
        initiative = _first(stands.get("basedOn", []))
        if before is not None and _first(after.get("basedOn", [])) != initiative:
            raise FhirError(
                "forbidden", "Et ansvar flyttes ikke / A Task stays with its initiative.", expression="Task.basedOn"
            )
        kinds = {coding.get("code") for coding in after.get("code", {}).get("coding", [])}
        if before is None and not kinds & _OWN_KINDS:
            raise FhirError(
                "forbidden",
                "Opprettes av sekretariatet / Tasks of this code are created by the secretariat; "
                f"you may create {', '.join(sorted(_OWN_KINDS))}.",
                expression="Task.code",
            )
        plan = await look(*initiative.split("/", 1)) if initiative.startswith("PlanDefinition/") else None
        owned = plan is not None and await self._is_own(caller, owner_of(plan), look)
        assigned = before is not None and await self._is_own(caller, before.get("owner", {}).get("reference", ""), look)
        if not owned and not assigned:
            raise _foreign("Task.basedOn")

    async def _is_own(self, caller: Caller, reference: str, look: Look) -> bool:
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


def _first(references: list[Resource]) -> str:
    return str(references[0].get("reference", "")) if references else ""


def _foreign(expression: str) -> FhirError:
    return FhirError(
        "forbidden", "Tilhører en annen aktør / This belongs to another organisation.", expression=expression
    )
