"""Our own codes as the portfolio's modules write them: codings with Norwegian displays, identifiers, references."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from server.resource import Resource

SDC = "http://hl7.org/fhir/uv/sdc/CodeSystem/temp"
SECRETARIAT = "portefoljekontoret"


@dataclass(frozen=True)
class Vocabulary:
    """`canonical` is the base of our systems; `displays` has (code system's id, code) -> Norwegian display."""

    canonical: str
    displays: Mapping[tuple[str, str], str]

    @classmethod
    def of(cls, canonical: str, code_systems: Iterable[Mapping[str, Any]]) -> Vocabulary:
        """From the CodeSystems in force, ours among them."""
        ours = [one for one in code_systems if str(one.get("url", "")).startswith(f"{canonical}/CodeSystem/")]
        return cls(
            canonical,
            {
                (str(one["url"]).rpartition("/")[2], concept["code"]): concept.get("display", concept["code"])
                for one in ours
                for concept in one.get("concept", [])
            },
        )

    def coding(self, code_system: str, code: str) -> Resource:
        """{system, code, display}; without display for a code that the system has not."""
        coding = {"system": f"{self.canonical}/CodeSystem/{code_system}", "code": code}
        display = self.displays.get((code_system, code))
        return coding | {"display": display} if display else coding

    def concept(self, code_system: str, code: str, text: str | None = None) -> Resource:
        """A CodeableConcept of one coding, with the text when there is one."""
        concept: Resource = {"coding": [self.coding(code_system, code)]}
        return concept | {"text": text} if text else concept

    def identifier(self, sid: str, value: str) -> Resource:
        """An Identifier of {C}/sid/…"""
        return {"system": f"{self.canonical}/sid/{sid}", "value": value}

    def by_identifier(self, resource_type: str, sid: str, value: str) -> str:
        """A conditional reference by that identifier."""
        token = quote(f"{self.canonical}/sid/{sid}|{value}", safe="/:")
        return f"{resource_type}?identifier={token}"

    def named(self, resource: Resource, sid: str) -> str:
        """The value of its identifier of {C}/sid/…, "" without one."""
        system = f"{self.canonical}/sid/{sid}"
        found = resource.get("identifier", [])
        found = found if isinstance(found, list) else [found]
        return next((str(one.get("value", "")) for one in found if one.get("system") == system), "")

    def secretariat(self) -> Resource:
        """A reference to the secretariat (porteføljekontoret)."""
        return {"reference": self.by_identifier("Organization", "aktor", SECRETARIAT), "display": "Porteføljekontoret"}

    def profile(self, id: str) -> Resource:
        """Meta that declares one of our profiles."""
        return {"profile": [f"{self.canonical}/StructureDefinition/{id}"]}
