"""The answer of PlanDefinition/$evidence as pages show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.pages.answers import Part, parts, reference, value
from server.pages.contexts import Link
from server.pages.evidence.contexts import Judged, Reason
from server.pages.house import House
from server.portfolio.codes import Coded, Lang
from server.search.urls import query_of


def judged(house: House, answer: Mapping[str, Any], lang: Lang) -> dict[str, Judged]:
    """Each initiative of the answer by its reference, in the answer's order. What the reasons link to is as it stood at
    the moment that the answer is of."""
    return {reference(one): judged_one(house, answer, one, lang) for one in parts(answer, "initiative")}


def judged_one(house: House, answer: Mapping[str, Any], said: Part, lang: Lang) -> Judged:
    """One of its initiatives."""
    as_of = (("_asOf", value(answer, "asOf")),)
    return Judged(
        reference=reference(said),
        title=(value(said, "resource") or {}).get("display", ""),
        stated=light(house, value(said, "stated"), lang),
        computed=light(house, value(said, "evidence"), lang),
        gap=value(said, "gap") or 0,
        reasons=tuple(_reason(house, one, lang, as_of) for one in parts(said, "reason")),
    )


def _reason(house: House, said: Part, lang: Lang, as_of: tuple[tuple[str, str], ...]) -> Reason:
    found = [one["valueReference"] for one in parts(said, "resource")]
    links = [Link(one.get("display", ""), house.api(one["reference"], as_of)) for one in found]
    kind = found[0]["reference"].partition("/")[0]
    ids = ",".join(one["reference"].partition("/")[2] for one in found)
    several = house.api(f"{kind}?{query_of((('_id', ids), *as_of))}")
    url = links[0].url if len(links) == 1 else several
    return Reason(light(house, value(said, "level"), lang), value(said, lang), url, tuple(links))


def light(house: House, code: str | None, lang: Lang) -> Coded | None:
    """A colour of nep-traffic-light with its word."""
    if not code:
        return None
    return house.codes.coded({"coding": [{"system": house.codes.system("traffic-light"), "code": code}]}, lang)
