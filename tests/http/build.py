"""Small resources for the tests over HTTP."""

from __future__ import annotations

from typing import Any

FHIR = {"Content-Type": "application/fhir+json"}
SID = "https://actor.example/sid"


def organization(name: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Organization",
        "identifier": [{"system": f"{SID}/org", "value": name}],
        "name": name,
        **more,
    }


def plan(name: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "PlanDefinition",
        "identifier": [{"system": f"{SID}/plan", "value": name}],
        "name": name,
        "title": name,
        "status": "active",
        **more,
    }


def task(name: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Task",
        "identifier": [{"system": f"{SID}/task", "value": name}],
        "status": "in-progress",
        "intent": "plan",
        "code": {"text": name},
        **more,
    }


def entry(method: str, url: str, resource: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A Bundle entry; ifNoneExist, ifMatch go to its request, fullUrl beside it."""
    full_url = more.pop("fullUrl", None)
    made: dict[str, Any] = {"request": {"method": method, "url": url, **more}}
    if resource is not None:
        made["resource"] = resource
    return {"fullUrl": full_url, **made} if full_url else made


def bundle(*entries: dict[str, Any], type: str = "transaction") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": type, "entry": list(entries)}


def names(answer: dict[str, Any]) -> list[str]:
    """The names of the matches of a searchset, in order: title, name or code.text."""
    return [
        resource.get("title") or resource.get("name") or resource["code"]["text"]
        for entry in answer.get("entry", [])
        if entry["search"]["mode"] == "match" and (resource := entry["resource"])
    ]


def link(answer: dict[str, Any], relation: str) -> str | None:
    return next((link["url"] for link in answer["link"] if link["relation"] == relation), None)
