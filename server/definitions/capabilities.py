"""CapabilityStatement, computed from the routes and the definitions in force. R4 capabilitystatement.html."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

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


def capabilities(
    resource_types: Iterable[str], parameters: Parameters, *, base: str, canonical: str, started: str, auth: str
) -> dict[str, Any]:
    """The statement of this very server. `started` is its date: what it can was fixed then."""
    types = sorted(resource_types)
    rest: dict[str, Any] = {
        "mode": "server",
        "resource": [_resource(kind, types, parameters) for kind in types],
        "interaction": [{"code": code} for code in ("transaction", "batch", "history-system")],
    }
    if auth != "off":
        rest["security"] = _security(f"{base}/auth/token" if auth == "dev" else "")
    return {
        "resourceType": "CapabilityStatement",
        "url": f"{canonical}/CapabilityStatement/nep-server",
        "name": "PortfolioRegistry",
        "title": "Nasjonal e-helseportefølje: register / National e-health portfolio registry",
        "status": "active",
        "date": started,
        "kind": "instance",
        "software": {"name": "portfolio-registry"},
        "implementation": {"description": "FHIR R4 registry of the national e-health portfolio", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "patchFormat": ["application/json-patch+json"],
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


def _resource(kind: str, types: list[str], parameters: Parameters) -> dict[str, Any]:
    known = parameters.of(kind)
    references = [parameter for parameter in known if parameter.type == "reference"]
    statement: dict[str, Any] = {
        "type": kind,
        "interaction": [{"code": code} for code in _INTERACTIONS],
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "single",
        "referencePolicy": ["literal", "logical", "resolves", "enforced", "local"],
        "searchInclude": [f"{kind}:{parameter.code}" for parameter in references],
        "searchRevInclude": [
            f"{source}:{parameter.code}"
            for source in types
            for parameter in parameters.of(source)
            if parameter.type == "reference" and (not parameter.targets or kind in parameter.targets)
        ],
        "searchParam": [
            {"name": parameter.code, "definition": parameter.url, "type": parameter.type}
            for parameter in sorted(known, key=lambda parameter: parameter.code)
            if parameter.type != "special"
        ],
    }
    return {name: value for name, value in statement.items() if value != []}
