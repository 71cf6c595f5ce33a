"""CapabilityStatement, computed from the routes and the definitions in force. R4 capabilitystatement.html.

What a registry of the portfolio must do is profiles/CapabilityStatement-nep-server.json, which this one instantiates.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from server.definitions.conformance import PROFILED, Mode
from server.definitions.registry import Registry
from server.operations import Level, Operations
from server.search.parameters import Parameters

_INTERACTIONS = (
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
)

_REST = """\
Hver lesing er av ett øyeblikk; `_asOf` (tidspunkt med sone) på read, search og history svarer slik det sto da. Lenker \
til neste side bærer den første sidens øyeblikk. Overskriften `X-Dry-Run: true` på transaction og batch sier post for \
post hva som ville skje, og skriver ingenting. Søk tar :missing, :not, :text, :exact, :contains, :identifier, :[type], \
:above, :below, :in og :not-in, kjeder, _has, _include, _revinclude og :iterate; ukjente parametre avvises under \
`Prefer: handling=strict` og meldes ellers. / Every read is of one instant; `_asOf` (an instant with its zone) on \
read, search and history answers as it stood then. Page links carry the instant of the first page. The header \
`X-Dry-Run: true` on transaction and batch says entry by entry what would happen, and writes nothing. Searches take \
:missing, :not, :text, :exact, :contains, :identifier, :[type], :above, :below, :in and :not-in, chains, _has, \
_include, _revinclude and :iterate; unknown parameters are refused under `Prefer: handling=strict` and told of else."""

_MODES: dict[Mode, str] = {
    "enforce": "Må følge en av profilene / Must conform to one of the profiles.",
    "warn": "Brudd på profilene gir advarsler / What breaks the profiles is warned of.",
    "off": "Bare R4 selv kreves; profilene prøves med $validate / R4 alone is asked for; $validate tries the profiles.",
}

_MERGED = """\
En eier eller motpart sender det den rår over: utelatt beholdes, likt godtas, ulikt avvises med 403 og elementets \
sti; så valideres det hele. Et PUT som ikke endrer noe, gir 200 og den gamle versjonen. / An owner or counterpart \
sends what it controls: absent is kept, equal is accepted, different is refused with 403 and the element's path; then \
the whole is validated. A PUT that changes nothing answers 200 with the old version."""

_DOCUMENTED = {
    "PlanDefinition": """\
Tiltaksnummeret utstedes av tjeneren når et nytt tiltak kommer uten / The server issues the tiltaksnummer when a new \
initiative comes without one.\n\n"""
    + _MERGED,
    "Task": """\
Hvilken profil som gjelder, følger av Task.code / Task.code decides which profile holds.\n\n"""
    + _MERGED,
    "SearchParameter": """\
Tas i bruk straks og indekseres i bakgrunnen; til det er ferdig, advarer et søk om andelen, og et strengt avvises / In \
force at once and indexed in the background; until that is done a search warns of the share, and a strict one is \
refused.""",
    "ConceptMap": """\
Et kart som er registrert for en aktør med useContext, oversetter aktørens egne koder i det den sender / A map that is \
registered for an actor by its useContext translates the actor's own codes in what it sends.""",
}


@dataclass(frozen=True)
class _Stating:
    """What the statement is computed from; `types` in their order."""

    types: list[str]
    parameters: Parameters
    operations: Operations
    registry: Registry
    canonical: str
    profiles: Mode

    def rest(self) -> dict[str, Any]:
        return {
            "mode": "server",
            "documentation": _REST,
            "resource": [self._resource(kind) for kind in self.types],
            "interaction": [{"code": code} for code in ("transaction", "batch", "history-system")],
            "operation": self._operations(("system",), ""),
        }

    def _resource(self, kind: str) -> dict[str, Any]:
        known = self.parameters.of(kind)
        statement: dict[str, Any] = {
            "type": kind,
            "supportedProfile": self._profiles(kind),
            "documentation": self._documentation(kind),
            "interaction": [{"code": code} for code in _INTERACTIONS],
            "versioning": "versioned",
            "readHistory": True,
            "updateCreate": True,
            "conditionalCreate": True,
            "conditionalRead": "full-support",
            "conditionalUpdate": True,
            "conditionalDelete": "single",
            "referencePolicy": ["literal", "logical", "resolves", "enforced", "local"],
            "searchInclude": [f"{kind}:{parameter.code}" for parameter in known if parameter.type == "reference"],
            "searchRevInclude": [
                f"{source}:{parameter.code}"
                for source in self.types
                for parameter in self.parameters.of(source)
                if parameter.type == "reference" and (not parameter.targets or kind in parameter.targets)
            ],
            "searchParam": [
                {"name": parameter.code, "definition": parameter.url, "type": parameter.type}
                for parameter in sorted(known, key=lambda parameter: parameter.code)
                if parameter.type != "special"
            ],
            "operation": self._operations(("type", "instance"), kind),
        }
        return {name: value for name, value in statement.items() if value not in ([], "")}

    def _profiles(self, kind: str) -> list[str]:
        """The canonicals of our concrete profiles of this type."""
        return sorted(
            one["url"]
            for one in self.registry.of_type("StructureDefinition")
            if one["type"] == kind and not one["abstract"] and one["url"].startswith(f"{self.canonical}/")
        )

    def _documentation(self, kind: str) -> str:
        held = [_MODES[self.profiles]] if kind in PROFILED else []
        return "\n\n".join([*held, *([_DOCUMENTED[kind]] if kind in _DOCUMENTED else [])])

    def _operations(self, levels: tuple[Level, ...], kind: str) -> list[dict[str, str]]:
        """Each once, though it may be called on the type and on its instances."""
        found = {
            name: {"name": name.removeprefix("$"), "definition": operation.canonical(self.canonical, kind)}
            for (level, name), operation in self.operations.items()
            if level in levels and (not operation.types or kind in operation.types)
        }
        return [found[name] for name in sorted(found)]


def capabilities(
    resource_types: Iterable[str],
    parameters: Parameters,
    operations: Operations,
    registry: Registry,
    *,
    base: str,
    canonical: str,
    profiles: Mode,
    started: str,
    auth: str,
) -> dict[str, Any]:
    """The statement of this very server. `started` is its date: what it can was fixed then."""
    rest = _Stating(sorted(resource_types), parameters, operations, registry, canonical, profiles).rest()
    if auth != "off":
        rest["security"] = _security(f"{base}/auth/token" if auth == "dev" else "")
    return {
        "resourceType": "CapabilityStatement",
        "name": "PortfolioRegistry",
        "title": "Nasjonal e-helseportefølje: register / National e-health portfolio registry",
        "status": "active",
        "date": started,
        "kind": "instance",
        "instantiates": [f"{canonical}/CapabilityStatement/nep-server"],
        "software": {"name": "portfolio-registry"},
        "implementation": {"description": "FHIR R4 registry of the national e-health portfolio", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["json", "application/fhir+json"],
        "patchFormat": ["application/json-patch+json"],
        "implementationGuide": [f"{canonical}/ImplementationGuide/no.eportefolje.nep"],
        "rest": [rest],
    }


def _security(token_endpoint: str) -> dict[str, Any]:
    """`token_endpoint` "" where it is another's: /.well-known/smart-configuration says whose."""
    system = "http://terminology.hl7.org/CodeSystem/restful-security-service"
    services = (("SMART-on-FHIR", "SMART-on-FHIR"), ("OAuth", "OAuth"))
    security: dict[str, Any] = {
        "cors": True,
        "service": [{"coding": [{"system": system, "code": code, "display": name}]} for code, name in services],
        "description": "Reading is open; writing needs a bearer token (JWT) of a reporter or the secretariat. "
        "How to get one is said by /.well-known/smart-configuration.",
    }
    if token_endpoint:
        uris = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
        security["extension"] = [{"url": uris, "extension": [{"url": "token", "valueUri": token_endpoint}]}]
    return security
