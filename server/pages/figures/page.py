"""The pages of key figures: all measures, and one with all its tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from zoneinfo import ZoneInfo

from server.outcome import FhirError
from server.pages.asked import Asked, Pairs
from server.pages.contexts import Option, Round
from server.pages.figures.charts import WIDTHS, Chart, Width
from server.pages.figures.contexts import Figure, FiguresPage, Narrowing, Picture, Section, Source, Then, View
from server.pages.figures.gathering import EARLIER, ROUNDS, Gatherer, Groups, earlier, of_round, population, seen_from
from server.pages.figures.reading import counted
from server.pages.figures.sections import NAMES, OF_ROUNDS, Teller
from server.pages.filters import CONTROLS, chips, owners, rounds_of, select_of
from server.pages.render import Words
from server.pages.standpoint import Place
from server.portfolio.viewpoint import Viewpoint
from server.search.urls import query_of

PATH = "/nokkeltall"
_OFFERED = ("segment", "phase", "solution")
"""Of the front page's selects, those that narrow whatever is counted."""


@dataclass(frozen=True)
class _Asking:
    """One page being made."""

    place: Place
    asked: Asked
    gatherer: Gatherer
    at: Viewpoint
    population: Pairs
    teller: Teller


async def figures(place: Place, asked: Asked, gatherer: Gatherer, name: str = "") -> FiguresPage:
    """The measures, or the one of this name. FhirError not-found for one that there is not."""
    if name and name not in NAMES:
        raise FhirError("not-found", f"{name}: ukjent nøkkeltall / unknown figure; kjent / known: {', '.join(NAMES)}.")
    house = place.reader.house
    zone = house.engine.parser.zone
    assert isinstance(zone, ZoneInfo)
    teller = Teller(house.engine.base, house.codes, Words(asked.lang, zone))
    before, narrowed = earlier(place, asked), population(asked)
    asking = _Asking(place, asked, gatherer, await seen_from(place, asked), narrowed, teller)
    sections = await _sections(asking, (name,) if name else NAMES, before, details=bool(name))
    shown = place.standpoint.round
    return FiguresPage(
        frame=asked.frame(f"{house.engine.base}/metadata", asking.at.instant, shown.value if shown else "none"),
        standpoint=place.standpoint,
        closed=bool(shown and shown.closed and not asked.one("_asOf")),
        everything=place.reader.caller.role == "secretariat",
        narrowing=await _narrowing(place, asked),
        sections=sections,
        details=bool(name),
        overview_url=asked.url(PATH),
        earlier=before.title if before else "",
    )


async def _sections(
    asking: _Asking, names: tuple[str, ...], before: Round | None, *, details: bool
) -> tuple[Section, ...]:
    every: dict[str, Groups] = {}
    for name in names:
        groups = await asking.gatherer.groups(asking.at, name, asking.population, details=details)
        if groups is not None:
            every[name] = groups
    then = await of_round(asking.place, before, asking.asked.one("_asOf")) if before else None
    return tuple([await _section(asking, name, every, then, details=details) for name in names])


async def _section(
    asking: _Asking, name: str, every: Mapping[str, Groups], then: Viewpoint | None, *, details: bool
) -> Section:
    asked, teller = asking.asked, asking.teller
    urls = (_api_url(asking, name), "" if details else asked.url(f"{PATH}/{name}"))
    if name not in every:
        return Section(name, (), (), (), False, *urls, missing="figures.no-round")
    if name in OF_ROUNDS and not any(counted(group, "").value for group in every[name]):
        return Section(name, (), (), (), False, *urls, missing="figures.no-reports")
    views = list(teller.views(name, every[name], details=details))
    if name == "status":
        over = teller.rounds([one async for one in _rounds(asking, every[name])])
        views += [over] if over else []
    return Section(
        name,
        teller.statements(name, every),
        tuple(_pictured(asked, view) for view in views),
        await _then(asking, name, every[name], then),
        name == "finance",
        *urls,
    )


async def _rounds(asking: _Asking, groups: Groups) -> AsyncIterator[tuple[Round, Groups]]:
    """The shown round, and before it the closed ones as each was left."""
    shown = asking.place.standpoint.round
    known = [one for one in asking.place.rounds if one.end and shown and shown.end and one.end < shown.end]
    for one in reversed([one for one in known if one.closed][: ROUNDS - 1]):
        at = await of_round(asking.place, one, asking.asked.one("_asOf"))
        yield one, await asking.gatherer.counts(at, "status", asking.population)
    if shown:
        yield shown, groups


async def _then(asking: _Asking, name: str, groups: Groups, at: Viewpoint | None) -> tuple[Then, ...]:
    if at is None:
        return ()
    before = await asking.gatherer.counts(at, name, asking.population)
    facts = zip(asking.teller.facts(name, groups), asking.teller.facts(name, before), strict=True)
    return tuple(Then(word, now, then, _change(now, then)) for (word, now), (_, then) in facts)


def _change(now: Figure, then: Figure) -> int | Decimal | None:
    return None if now.value is None or then.value is None else now.value - then.value


def _pictured(asked: Asked, view: View) -> View:
    """With the addresses of its pictures, which carry what the page was asked for and what they are drawn of."""
    chart = view.chart
    if chart is None or not chart.drawable:
        return replace(view, chart=None)

    def source(width: Width) -> Source:
        light, dark = (_picture_url(asked, chart, w=width, t=theme) for theme in ("light", "dark"))
        return Source(light, dark, WIDTHS[width], chart.height(width))

    return replace(view, picture=Picture(chart.alt, source("wide"), source("narrow")))


def _picture_url(asked: Asked, chart: Chart, **more: str) -> str:
    pairs = [*asked.pairs, *more.items(), ("v", chart.digest)]
    pairs += [] if asked.one("lang") else [("lang", asked.lang)]
    return asked.url(f"{PATH}/bilde/{chart.name}.svg", pairs)


def _api_url(asking: _Asking, name: str) -> str:
    pairs = [*((("round", asking.at.round_value),) if asking.at.round else ())]
    if as_of := asking.asked.one("_asOf"):
        pairs.append(("asOf", as_of))
    if asking.population:
        pairs.append(("population", f"PlanDefinition?{query_of(asking.population)}"))
    query = query_of(pairs)
    return f"{asking.teller.base}/Measure/nep-m-{name}/$evaluate-measure" + (f"?{query}" if query else "")


async def _narrowing(place: Place, asked: Asked) -> Narrowing:
    """The form with the values of this URL chosen; what no control shows goes along hidden."""
    house = place.reader.house
    free = [pair for pair in asked.filters if pair[0] != EARLIER]
    shown: list[tuple[str, str, str, str]] = []
    selects = []
    for control in CONTROLS:
        if control.id in _OFFERED:
            codes = house.codes.options(control.system, asked.lang)
            choices = [(f"{one.system}|{one.code}", one.display, one.lang) for one in codes]
            selects.append(select_of(control.parameter, control.id, control.key, choices, free, shown))
    owning = [(f"Organization/{id}", name, "nb") for id, name in await owners(place)]
    selects.append(select_of("owner", "owner", "owner", owning, free, shown))
    rest = [(name, text, "", text) for name, text in free]
    return Narrowing(
        action=asked.url(pairs=()),
        selects=tuple(selects),
        rounds=rounds_of(place),
        earlier=tuple(_earlier(place, asked)),
        hidden=(*(pair for pair in asked.pairs if pair[0] in ("lang", "_asOf")), *free),
        chips=tuple(chips(asked, [*shown, *rest])),
        clear_url=asked.other(asked.path),
    )


def _earlier(place: Place, asked: Asked) -> Iterator[Option]:
    """The rounds before the shown one, and the one that is compared with, whichever it is."""
    shown, chosen = place.standpoint.round, asked.one(EARLIER)
    for one in place.rounds:
        before = shown is None or (one.end is not None and shown.end is not None and one.end < shown.end)
        if before or one.value == chosen:
            yield Option(one.value, one.title, one.value == chosen, "nb")


def chart_of(page: FiguresPage, name: str) -> Chart | None:
    """The chart of this name on the page."""
    charts = (view.chart for section in page.sections for view in section.views)
    return next((one for one in charts if one is not None and one.name == name), None)
