"""The filter form of the front page: which search parameters it offers, with the values in force."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from server.pages.asked import Asked, Pairs
from server.pages.contexts import Chip, Form, Option, Select
from server.pages.standpoint import NO_ROUND, Place

TITLE = "title:contains"
DEFAULT_SORT = "url"
"""By tiltaksnummer: an initiative's canonical URL ends in its number, and it has no other."""

SORTS = (("url", "sort.number"), ("title", "sort.title"), ("publisher", "sort.owner"), ("end", "sort.end"))


@dataclass(frozen=True)
class Control:
    """A select over one of our code systems. Two of them share the parameter `context`: both must be met."""

    parameter: str
    id: str
    key: str
    system: str


CONTROLS = (
    Control("context", "segment", "segment", "segment"),
    Control("context", "phase", "phase", "phase"),
    Control("_has:Task:based-on:status-color", "status", "filter.status", "traffic-light"),
    Control("_has:Task:based-on:risk-color", "risk", "filter.risk", "traffic-light"),
    Control("topic", "solution", "solution", "national-solution"),
)


def sort_of(asked: Asked) -> str:
    """The `_sort` in force."""
    return asked.one("_sort") or DEFAULT_SORT


async def form_of(place: Place, asked: Asked) -> Form:
    """The form with the values of this URL chosen; what no control shows goes along hidden."""
    house = place.reader.house
    free = list(asked.filters)
    shown: list[tuple[str, str, str, str]] = []
    selects = []
    for control in CONTROLS:
        codes = house.codes.options(control.system, asked.lang)
        choices = [(f"{code.system}|{code.code}", code.display, code.lang) for code in codes]
        selects.append(select_of(control.parameter, control.id, control.key, choices, free, shown))
    owning = [(f"Organization/{id}", name, "nb") for id, name in await owners(place)]
    selects.insert(2, select_of("owner", "owner", "owner", owning, free, shown))
    title = _taken(free, TITLE)
    shown += [(TITLE, title, "filter.title", title)] if title else []
    sort = _taken(free, "_sort")
    rest = [(name, text, "", text) for name, text in free if name not in ("_count", "_page")]
    return Form(
        action=asked.url(pairs=()),
        selects=tuple(selects),
        rounds=rounds_of(place),
        sorts=_sorts(sort or DEFAULT_SORT),
        title=title,
        overdue=asked.one("overdue") == "true",
        hidden=_hidden(asked, free),
        chips=tuple(chips(asked, [*shown, *rest])),
        clear_url=asked.other("/"),
    )


def select_of(
    parameter: str,
    id: str,
    key: str,
    choices: Iterable[tuple[str, str, str]],
    free: list[tuple[str, str]],
    shown: list[tuple[str, str, str, str]],
) -> Select:
    """Takes the first pair that is one of the choices out of `free`; a value may leave its system out."""
    options: list[Option] = []
    chosen: tuple[str, str] | None = None
    for value, label, lang in choices:
        short = value.rpartition("|")[2].rpartition("/")[2]
        pair = next((one for one in free if one in ((parameter, value), (parameter, short))), None)
        selected = chosen is None and pair is not None
        if selected and pair is not None:
            chosen = pair
            shown.append((*pair, key, label))
        options.append(Option(value, label, selected, "en" if lang == "en" else "nb"))
    if chosen is not None:
        free.remove(chosen)
    return Select(parameter, id, key, tuple(options))


def _taken(free: list[tuple[str, str]], name: str) -> str:
    pair = next((one for one in free if one[0] == name), None)
    if pair is None:
        return ""
    free.remove(pair)
    return pair[1]


def _hidden(asked: Asked, free: Iterable[tuple[str, str]]) -> Pairs:
    return (*(pair for pair in asked.pairs if pair[0] in ("lang", "_asOf")), *(p for p in free if p[0] != "_page"))


def _sorts(sort: str) -> tuple[Option, ...]:
    """The orders offered, by the keys of their names, and one that the URL alone asks for, by itself."""
    known = SORTS if sort in dict(SORTS) else (*SORTS, (sort, sort))
    return tuple(Option(value, key, value == sort, "nb") for value, key in known)


def chips(asked: Asked, shown: Iterable[tuple[str, str, str, str]]) -> Iterable[Chip]:
    """The filters in force: (parameter, its text, key of its name, word of its value)."""
    for name, text, key, label in shown:
        rest = list(asked.pairs)
        rest.remove((name, text))
        yield Chip(key, name, label, asked.url(pairs=[pair for pair in rest if pair[0] != "_page"]))
    if asked.one("overdue") == "true":
        yield Chip("filter.overdue", "overdue", "", asked.changed(overdue=None, _page=None))


def rounds_of(place: Place) -> tuple[Option, ...]:
    """The rounds to choose from, and none."""
    shown = place.standpoint.round
    options = [Option(one.value, one.title, one == shown, "nb") for one in place.rounds]
    return (*options, Option(NO_ROUND, "", shown is None, "nb"))


async def owners(place: Place) -> list[tuple[str, str]]:
    """Every organisation that owns an initiative which the caller may see, by name."""
    owning = ("_has:PlanDefinition:owner:status", "draft,active,retired")
    found = await place.reader.all("Organization", owning, ("_sort", "name"))
    return [(one["id"], one.get("name", one["id"])) for one in found]
