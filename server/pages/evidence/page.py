"""The page of disagreements: PlanDefinition/$evidence of a round, an instant or today, with its rule in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from server.outcome import FhirError
from server.pages.answers import parts, value
from server.pages.asked import Asked, Pairs
from server.pages.contexts import Tally
from server.pages.evidence.contexts import EvidencePage, Judged, Row
from server.pages.evidence.judged import judged
from server.pages.filters import round_options
from server.pages.house import Reader
from server.pages.standpoint import NO_ROUND, Place
from server.portfolio import elements
from server.portfolio.codes import Coded
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
    found = list(judged(house, answer, asked.lang).values())
    listed = found if every else [one for one in found if one.gap > 0]
    rows = await _rows(place, asked, listed[(number - 1) * AT_ONCE : number * AT_ONCE])
    same = f"PlanDefinition/$evidence?{query_of((*criteria, *(() if every else (('disagreements', 'true'),))))}"
    rule = parts(answer, "rule")[0]
    return EvidencePage(
        frame=asked.frame(f"{house.engine.base}/metadata", place.reader.instant, _round(place)),
        standpoint=place.standpoint,
        rounds=round_options(place),
        action=asked.url(pairs=()),
        hidden=tuple(pair for pair in asked.pairs if pair[0] in ("lang", "_asOf", EVERY)),
        every=every,
        rows=rows,
        total=len(found),
        judged=sum(one.stated is not None and one.computed is not None for one in found),
        disagreeing=sum(one.gap > 0 for one in found),
        widely=sum(one.gap > 1 for one in found),
        better=sum(one.gap < 0 for one in found),
        stated=_tallies(one.stated for one in found),
        computed=_tallies(one.computed for one in found),
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
    text = asked.one("page") or "1"
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 10_000):
        raise FhirError("value", f"page={text}: ventet et helt tall fra 1 / expected a whole number from 1.",
                        expression="page")  # fmt: skip
    return int(text[:6])


def _flag(asked: Asked) -> bool:
    text = asked.one(EVERY) or "false"
    if text not in ("true", "false"):
        raise FhirError("value", f"{EVERY}={text}: ventet / expected true / false.", expression=EVERY)
    return text == "true"


def _criteria(place: Place, asked: Asked) -> Pairs:
    """The parameters of $evidence that stand where the page stands."""
    shown = place.standpoint.round
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


def _tallies(colours: Iterable[Coded | None]) -> tuple[Tally, ...]:
    """From good to bad, those without a colour last."""
    found = list(colours)
    words = {one.code if one else "": one for one in found}
    counted = Counter(one.code if one else "" for one in found)
    return tuple(Tally(words[code], counted[code]) for code in ("gronn", "gul", "rod", "") if code in counted)
