"""The label: meta.security of HL7's v3-Confidentiality, U for all, R for the parties. Domain model 0.

Which of them a resource gets is for server/portfolio/labels.py; this reads and writes it.
"""

from __future__ import annotations

from typing import Any

from server.resource import Resource

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"


def is_label(coding: Any) -> bool:
    """Whether a meta.security is the label; other security codes are the sender's own."""
    return isinstance(coding, dict) and coding.get("system") == CONFIDENTIALITY


def label_of(resource: Resource | None) -> str:
    """Its label, R before any other; "" without one."""
    codes = [str(one.get("code", "")) for one in _security(resource) if is_label(one)]
    return "R" if "R" in codes else next(iter(codes), "")


def is_restricted(resource: Resource) -> bool:
    """Whether it is for its parties alone."""
    return label_of(resource) == "R"


def with_label(resource: Resource, code: str) -> Resource:
    """The resource with this one label, in a fixed form and before its other security codes."""
    others = [one for one in _security(resource) if not is_label(one)]
    security = [{"system": CONFIDENTIALITY, "code": code}, *others]
    return {**resource, "meta": {**resource.get("meta", {}), "security": security}}


def _security(resource: Resource | None) -> list[Any]:
    meta = (resource or {}).get("meta")
    found = meta.get("security") if isinstance(meta, dict) else None
    return found if isinstance(found, list) else []
