"""The page of one initiative: everything reported of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from server.access import owner_of
from server.interaction.search import Found
from server.outcome import FhirError
from server.pages.asked import Asked
from server.pages.contexts import Benefit, InitiativePage, Link
from server.pages.directory import url_of
from server.pages.finance import finance
from server.pages.house import House, by_type
from server.pages.responsibilities import Responsibilities, by_due
from server.pages.standpoint import Place
from server.portfolio import elements
from server.portfolio.codes import Coded, Codes
from server.search.urls import query_of

Resource = Mapping[str, Any]

_NUMBER = re.compile(r"[A-Za-z0-9.-]{1,64}\Z")


async def initiative(place: Place, asked: Asked, number: str) -> InitiativePage:
    """FhirError not-found (404) for a number that no initiative has which this caller may see."""
    found = await _found(place, number)
    plan = elements.resource_of(found.page.versions[0])
    depending = await place.reader.search(
        "Task", place.reader.house.task_code("avhengighet"), ("focus", f"PlanDefinition/{plan['id']}"),
        ("_sort", "due"), ("_count", "500"), ("_include", "Task:based-on"),
    )  # fmt: skip
    return _page(place, asked, plan, found, depending)


async def _found(place: Place, number: str) -> Found:
    house = place.reader.house
    if _NUMBER.match(number):
        found = await place.reader.search(
            "PlanDefinition",
            ("identifier", f"{house.sid('tiltaksnummer')}|{number}"),
            ("_revinclude", "Task:based-on"),
            ("_include", "PlanDefinition:owner"),
            ("_include:iterate", "Task:focus:PlanDefinition"),
        )
        if found.page.versions:
            return found
    raise FhirError("not-found", f"Tiltaket {number} finnes ikke her / There is no initiative {number} here.")


def _page(place: Place, asked: Asked, plan: Resource, found: Found, depending: Found) -> InitiativePage:
    house, lang = place.reader.house, asked.lang
    codes = house.codes
    included = by_type(found)
    own = f"PlanDefinition/{plan['id']}"
    tasks = _by_kind(included["Task"].values(), own)
    plans = {**included["PlanDefinition"], **by_type(depending)["PlanDefinition"]}
    read = Responsibilities(place, asked, plans)
    reports = sorted(tasks.pop("statusrapport", []), key=place.report_key, reverse=True)
    deliveries = sorted(tasks.pop("leveranse", []), key=by_due)
    dependencies = sorted(tasks.pop("avhengighet", []), key=by_due)
    prerequisites = sorted(tasks.pop("nytteforutsetning", []), key=by_due)
    current = place.current(reports)
    owner = owner_of(dict(plan))
    round = place.standpoint.round.value if place.standpoint.round else "none"
    period = plan.get("effectivePeriod", {})
    number = elements.number(plan, house.sid("tiltaksnummer"))

    def context(code: str) -> Coded | None:
        return codes.coded(elements.context(plan, code), lang)

    return InitiativePage(
        frame=asked.frame(f"{house.engine.base}/metadata", found.moment.instant, round),
        standpoint=place.standpoint,
        number=number,
        title=plan.get("title") or number,
        subtitle=plan.get("subtitle", ""),
        content_lang=plan.get("language", "nb"),
        owner=included["Organization"].get(owner, {}).get("name") or plan.get("publisher", ""),
        owner_url=url_of(included["Organization"].get(owner, {}), house, asked),
        publication=plan.get("status", ""),
        kind=codes.coded(plan.get("type"), lang),
        portfolios=_contexts(plan, "program", codes, asked),
        segment=context("segment"),
        phase=context("fase"),
        lifecycle=context("livslop"),
        rollout=context("innforingsstrategi"),
        start=period.get("start"),
        end=period.get("end"),
        approved=plan.get("approvalDate"),
        reviewed=plan.get("lastReviewDate"),
        contact=_contact(plan),
        identifiers=tuple(i["value"] for i in plan.get("identifier", ()) if i.get("value") not in (None, number)),
        description=plan.get("description"),
        focus_areas=_topics(plan, codes.system("focus-area-2017"), codes, asked),
        goals=_topics(plan, codes.system("strategic-goal-2023"), codes, asked),
        solutions=_topics(plan, codes.system("national-solution"), codes, asked),
        users=_contexts(plan, "user", codes, asked),
        artifacts=_artifacts(plan),
        progress=place.progress(deliveries),
        reports=tuple(read.report(task) for task in reports),
        current=read.report(current) if current else None,
        deliveries=tuple(read.delivery(task, owner) for task in deliveries),
        dependencies=tuple(read.dependency(task) for task in dependencies),
        dependents=tuple(read.dependent(elements.resource_of(version)) for version in depending.page.versions),
        costs=finance(plan, "investering", "source", codes, lang),
        operations=finance(plan, "drift", "solution", codes, lang),
        benefits=tuple(_benefit(goal, codes, asked) for goal in plan.get("goal", ())),
        prerequisites=tuple(read.prerequisite(task) for task in prerequisites),
        others=tuple(read.other(task) for kind in sorted(tasks) for task in sorted(tasks[kind], key=by_due)),
        versions=str(plan["meta"].get("versionId", "")),
        last_updated=plan["meta"].get("lastUpdated", ""),
        api=_api(house, asked, plan, number, owner),
        remarks=tuple(issue.text for issue in (*found.remarks, *depending.remarks)),
    )


def _by_kind(tasks: Any, own: str) -> dict[str, list[Resource]]:
    """Only the initiative's own: what is included may follow further references."""
    kinds: dict[str, list[Resource]] = {}
    for task in tasks:
        if any(link.get("reference") == own for link in task.get("basedOn", ())):
            kinds.setdefault(elements.kind(task), []).append(task)
    return kinds


def _contexts(plan: Resource, code: str, codes: Codes, asked: Asked) -> tuple[Coded, ...]:
    uses = (use for use in plan.get("useContext", ()) if use.get("code", {}).get("code") == code)
    return tuple(one for use in uses if (one := codes.coded(use.get("valueCodeableConcept"), asked.lang)) is not None)


def _topics(plan: Resource, system: str, codes: Codes, asked: Asked) -> tuple[Coded, ...]:
    name = system.rpartition("/nep-")[2]
    return tuple(one for topic in plan.get("topic", ()) if (one := codes.coded(topic, asked.lang, name)) is not None)


def _contact(plan: Resource) -> tuple[str, ...]:
    """Units and their mailboxes; persons are no part of an initiative (decision 5)."""
    said = []
    for contact in plan.get("contact", ()):
        parts = [contact.get("name", ""), *(point.get("value", "") for point in contact.get("telecom", ()))]
        said.append(", ".join(part for part in parts if part))
    return tuple(one for one in said if one)


def _artifacts(plan: Resource) -> tuple[Link, ...]:
    """Related artefacts; only web addresses become links."""
    found = []
    for one in plan.get("relatedArtifact", ()):
        url = one.get("url") or one.get("resource", "")
        label = one.get("display") or one.get("citation") or one.get("label") or url or one.get("type", "")
        found.append(Link(label, url if url.startswith(("http://", "https://")) else ""))
    return tuple(found)


def _benefit(goal: Resource, codes: Codes, asked: Asked) -> Benefit:
    target: Resource = next(iter(goal.get("target", ())), {})
    documentation: Resource = next(iter(goal.get("documentation", ())), {})
    return Benefit(
        category=codes.coded(goal.get("category"), asked.lang),
        description=goal.get("description", {}).get("text", ""),
        value=elements.millions(target.get("detailQuantity")),
        years=target.get("due", {}).get("value"),
        assessment=documentation.get("citation"),
    )


def _api(house: House, asked: Asked, plan: Resource, number: str, owner: str) -> tuple[tuple[str, str], ...]:
    """(key of its name, URL) of the resources behind the page."""
    own = f"PlanDefinition/{plan['id']}"
    whole = (
        ("identifier", f"{house.sid('tiltaksnummer')}|{number}"),
        ("_revinclude", "Task:based-on"),
        ("_include", "PlanDefinition:owner"),
    )
    tasks = (("based-on", own), ("_sort", "due"), ("_count", "500"))
    links = [
        ("api.all", house.api(f"PlanDefinition?{query_of((*whole, *asked.as_of))}")),
        ("api.initiative", house.api(own, asked.as_of)),
        ("api.history", house.api(f"{own}/_history")),
        ("api.tasks", house.api(f"Task?{query_of((*tasks, *asked.as_of))}")),
    ]
    if owner.startswith("Organization/"):
        links.append(("api.owner", house.api(owner, asked.as_of)))
    return tuple(links)
