"""The pieces resources are made of: codings, identifiers, references, entries of a transaction Bundle."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fhir.resources.R4B import get_fhir_model_class

from mappings.tables import SECRETARIAT, Initiative, Organization, Round
from mappings.terminology import Coded, display

Resource = dict[str, Any]

ENH = "urn:oid:2.16.578.1.12.4.1.4.101"
CONTACT_REFERENCE = "http://hl7.org/fhir/StructureDefinition/cqf-contactReference"
SDC = "http://hl7.org/fhir/uv/sdc/CodeSystem/temp"
Key = tuple[str, str, str]
"""(resource type, last part of the identifier system {C}/sid/…, or a whole system, value)"""


@dataclass(frozen=True, slots=True)
class Context:
    """What every resource of one import shares. `present` are the keys of what the Bundle itself holds;
    `zone` names the time zone of the round's instants, "" when the server is to set them."""

    canonical: str
    round: Round
    zone: str
    present: frozenset[Key] = frozenset()

    def system(self, sid: str) -> str:
        """{C}/sid/…; a whole URL stays as it is."""
        return sid if ":" in sid else f"{self.canonical}/sid/{sid}"

    def identifier(self, sid: str, value: str) -> Resource:
        return {"system": self.system(sid), "value": value}

    def search(self, key: Key) -> str:
        """The conditional reference, or the URL of a conditional update: "Task?identifier=…%7C…"."""
        resource_type, sid, value = key
        return f"{resource_type}?identifier={quote(f'{self.system(sid)}|{value}', safe='/:')}"

    def full_url(self, key: Key) -> str:
        """The same urn:uuid for the same identifier, in every run."""
        return uuid.uuid5(uuid.NAMESPACE_URL, self.search(key)).urn

    def reference(self, key: Key) -> str:
        """Into the Bundle when it holds the resource, else by its identifier."""
        return self.full_url(key) if key in self.present else self.search(key)

    def concept(self, code_system: str, code: str, text: str | None = None) -> Resource:
        """A CodeableConcept of one of our codes, the printed word beside it when there is one."""
        concept: Resource = {"coding": [self.coding(code_system, code)]}
        return concept | {"text": text} if text else concept

    def coding(self, code_system: str, code: str) -> Resource:
        system = f"{self.canonical}/CodeSystem/{code_system}"
        return {"system": system, "code": code, "display": display(code_system, code)}

    def coded(self, word: Coded) -> Resource:
        """The CodeableConcept of a printed word."""
        return self.concept(word.system, word.code, word.text)

    def organization(self, organization: Organization, text: str | None = None) -> Resource:
        """A Reference to it: its number when it has one, its name or the printed `text` as display."""
        reference: Resource = {"reference": self.reference(("Organization", "aktor", organization.slug))}
        if organization.number:
            reference["identifier"] = {"system": ENH, "value": organization.number}
        return reference | {"display": text or organization.name}

    def secretariat(self) -> Resource:
        return self.organization(SECRETARIAT)

    def initiative(self, initiative: Initiative) -> Resource:
        key = ("PlanDefinition", "tiltaksnummer", initiative.tiltaksnummer)
        return {"reference": self.reference(key), "display": initiative.title}

    def profile(self, id: str) -> Resource:
        return {"profile": [f"{self.canonical}/StructureDefinition/{id}"]}

    def instants(self) -> Resource:
        """authoredOn and lastModified: the round's first midnight and its last noon."""
        if not self.zone:
            return {}
        return {"authoredOn": self.round.opened(self.zone), "lastModified": self.round.settled(self.zone)}

    def entry(self, key: Key, resource: Resource) -> Resource:
        """A conditional update on `key`, which is one of the resource's own identifiers."""
        request = {"method": "PUT", "url": self.search(key)}
        return {"fullUrl": self.full_url(key), "resource": resource, "request": request}


def given(**elements: Any) -> Resource:
    """The elements that have a value: None, empty texts, lists and objects are left out; 0 and False stay."""
    return {name: value for name, value in elements.items() if value not in (None, "", [], {}, ())}


def period(start: str | None, end: str | None) -> Resource:
    return given(start=start, end=end)


def typed(resource: Mapping[str, Any]) -> Resource:
    """The resource through fhir.resources' R4B model: it refuses (pydantic's ValidationError, a bug of ours)
    what R4 does not know, and orders the elements as R4 does. A value that comes back otherwise than it
    was given, as a decimal 1.50 would, is refused too."""
    model = get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    made: Resource = json.loads(model.model_dump_json())
    if made != resource:
        raise ValueError(f"fhir.resources changes this {resource['resourceType']}: {resource.get('identifier')}")
    return made


def transaction(entries: Iterable[Resource]) -> Resource:
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}
