"""The page of disagreements: PlanDefinition/$evidence of a round, an instant or today, with its rule in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from server.outcome import FhirError
from server.pages.answers import parts, value
from server.pages.asked import Asked, Pairs
from server.pages.contexts import Tally
from server.pages.evidence.contexts import EvidencePage, Judged, Row
from server.pages.evidence.judged import judged_one, light
from server.pages.filters import rounds_of
from server.pages.house import Reader
from server.pages.standpoint import NO_ROUND, Place
from server.portfolio import elements
from server.portfolio.evidence import LEVELS
from server.portfolio.gather import Resource
from server.search.urls import query_of

AT_ONCE = 100
"""Initiatives on one page."""
EVERY = "all"


async def evidence(place: Place, asked: Asked) -> EvidencePage:
    """FhirError value (400) for a wrong `all` or `page`."""
    house, every, number = place.reader.house, _flag(asked), page_number(asked)
    criteria = _criteria(place, asked)
    answer = await house.operate(place.reader.caller, "$evidence", "PlanDefinition", *criteria)
    found = [(one, value(one, "gap") or 0) for one in parts(answer, "initiative")]
    listed = [one for one, gap in found if every or gap > 0]
    shown = listed[(number - 1) * AT_ONCE : number * AT_ONCE]
    rows = await _rows(place, asked, [judged_one(house, answer, one, asked.lang) for one in shown])
    colours = [(value(one, "stated"), value(one, "evidence")) for one, _ in found]
    same = f"PlanDefinition/$evidence?{query_of((*criteria, *(() if every else (('disagreements', 'true'),))))}"
    rule = parts(answer, "rule")[0]
    return EvidencePage(
        frame=asked.frame(f"{house.engine.base}/metadata", place.reader.instant, _round(place)),
        standpoint=place.standpoint,
        rounds=rounds_of(place),
        action=asked.url(pairs=()),
        hidden=tuple(pair for pair in asked.pairs if pair[0] in ("lang", "_asOf", EVERY)),
        every=every,
        rows=rows,
        total=len(found),
        judged=sum(all(both) for both in colours),
        disagreeing=sum(gap > 0 for _, gap in found),
        widely=sum(gap > 1 for _, gap in found),
        better=sum(gap < 0 for _, gap in found),
        stated=_tallies(place, asked, [stated for stated, _ in colours]),
        computed=_tallies(place, asked, [computed for _, computed in colours]),
        rule=value(rule, asked.lang),
        version=value(rule, "version"),
        other_url=asked.changed(**{EVERY: None if every else "true", "page": None}),
        previous_url=asked.changed(page=str(number - 1)) if number > 1 else "",
        next_url=asked.changed(page=str(number + 1)) if number * AT_ONCE < len(listed) else "",
        same=same,
        same_url=f"{house.engine.base}/{same}",
    )


def page_number(asked: Asked) -> int:
    """The `page` of the URL, from 1. FhirError value (400) for one that is none."""
    return asked.whole("page", 1, 9_999)


def _flag(asked: Asked) -> bool:
    text = asked.one(EVERY) or "false"
    if text not in ("true", "false"):
        raise FhirError("value", f"{EVERY}={text}: ventet / expected true / false.", expression=EVERY)
    return text == "true"


def _criteria(place: Place, asked: Asked) -> Pairs:
    """The parameters of $evidence that stand where the page stands: a closed round stands for its close, so that a
    lasting link shows what was shown."""
    shown = place.standpoint.round
    if shown is not None and shown.closed:
        return (("round", shown.value),)
    round = (("round", shown.value),) if shown else ()
    return (*round, *(("asOf", text) for _, text in asked.as_of[-1:]))


def _round(place: Place) -> str:
    return place.standpoint.round.value if place.standpoint.round else NO_ROUND


async def _rows(place: Place, asked: Asked, shown: Sequence[Judged]) -> tuple[Row, ...]:
    plans = await plans_of(place.reader, [one.reference for one in shown])
    return tuple(_row(place, asked, one, plans.get(one.reference, {})) for one in shown)


async def plans_of(reader: Reader, references: Sequence[str]) -> dict[str, Resource]:
    """Initiatives by reference; those that cannot be read are left out."""
    if not references:
        return {}
    ids = ",".join(reference.partition("/")[2] for reference in references)
    return {elements.reference_of(one): one for one in await reader.all("PlanDefinition", ("_id", ids))}


def _row(place: Place, asked: Asked, one: Judged, plan: Resource) -> Row:
    number = elements.number(plan, place.reader.house.sid("tiltaksnummer"))
    shown = place.standpoint.round
    review = f"/runder/{shown.value}/gjennomgang/{number}" if shown and number else ""
    return Row(
        number=number,
        url=asked.other(f"/tiltak/{number}") if number else "",
        review_url=asked.other(review) if review else "",
        lang=plan.get("language", "nb"),
        owner=str(elements.owner(plan).get("display") or plan.get("publisher", "")),
        judged=one,
    )


def _tallies(place: Place, asked: Asked, codes: Sequence[str | None]) -> tuple[Tally, ...]:
    """From good to bad, those without a colour last."""
    counts = Counter(code or "" for code in codes)
    house = place.reader.house
    return tuple(Tally(light(house, code, asked.lang), counts[code]) for code in (*LEVELS, "") if code in counts)
