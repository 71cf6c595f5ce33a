"""What changed in an initiative between two moments, as facts and in words. What is compared and how it is said stands
in difference.json.

A Task is the same one as long as it has its id; of status reports the newest with a colour is compared with the newest
one before. An amount that is not stated is not 0: a change between them is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
from babel.dates import format_date
from babel.numbers import format_decimal

from server.portfolio import elements
from server.portfolio.codes import Codes, Lang

Resource = Mapping[str, Any]
Said = Mapping[Lang, str]
LANGUAGES: tuple[Lang, Lang] = ("nb", "en")
_LOCALES: Mapping[Lang, str] = {"nb": "nb", "en": "en_GB"}
_GONE = frozenset({"cancelled", "entered-in-error"})
_PREFIX = {"leveranse": "delivery", "avhengighet": "dependency", "nytteforutsetning": "prerequisite"}
KINDS = ("leveranse", "avhengighet", "nytteforutsetning", "statusrapport")
"""The Tasks that are compared."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An initiative at one moment, with its Tasks of KINDS."""

    plan: Resource
    tasks: tuple[Resource, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `element` is FHIRPath below `resource` in short ("output.risiko"); `before` and `after` are values
    as written, "" for none or for a long text; `days` how far a date was moved; `said` the change in words."""

    kind: str
    element: str
    resource: Resource
    before: str
    after: str
    days: int | None
    said: Said


@dataclass(frozen=True, slots=True)
class Planned:
    """The dates of a delivery over its versions: the first that was planned, the one that is now, how often it was
    moved to another date, and the days between the two. A date that is not stated is no move."""

    first: str | None
    present: str | None
    moves: int
    days: int | None


@cache
def table() -> Mapping[str, Any]:
    """difference.json."""
    found: Mapping[str, Any] = msgspec.json.decode(Path(__file__).with_name("difference.json").read_bytes())
    return found


def planned(versions: Iterable[Resource]) -> Planned:
    """Of the versions of a delivery, oldest first."""
    dues = [elements.due(version) for version in versions]
    stated = [due for due in dues if due is not None]
    moves = sum(one != other for one, other in pairwise(stated))
    present = dues[-1] if dues else None
    return Planned(stated[0] if stated else None, present, moves, _days(stated[0], present) if stated else None)


def changes(before: Standing | None, after: Standing | None, left: Resource | None, words: Words) -> list[Change]:
    """What changed in one initiative; `before` (`after`) is None where it is not in the portfolio. `left`: what
    became of one that is no longer in it, None when it cannot be read any more."""
    if before is None and after is not None:
        return [_Changes(words, after, after).change("added", "", after.plan)]
    if before is not None and after is None:
        lifecycle = elements.context(left or {}, "livslop")
        said = words.coded(lifecycle) if left else table()["gone"]
        return [_Changes(words, before, before).change("left", "useContext.livslop", before.plan, after=said)]
    if before is None or after is None:
        return []
    return list(_Changes(words, before, after).all())


@dataclass(frozen=True)
class Words:
    """The words of codes, dates and amounts in both languages. `canonical` is the base of our own definitions."""

    codes: Codes

    @property
    def canonical(self) -> str:
        return self.codes.base

    def coded(self, concept: Resource | None) -> Said:
        """A concept's word."""
        found = {lang: self.codes.coded(concept, lang) for lang in LANGUAGES}
        none: Said = table()["none"]
        return {lang: one.display if (one := found[lang]) else none[lang] for lang in LANGUAGES}

    def dated(self, text: str | None) -> Said:
        """A date in full; a year or month as it is written."""
        if text is None or len(text) < 10:
            return _same(text) if text else table()["none"]
        day = date.fromisoformat(text[:10])
        return {lang: _long(day, lang) for lang in LANGUAGES}

    def amount(self, amounts: Sequence[Decimal | None]) -> Said:
        """The sum of what is stated; none of it is not 0."""
        stated = [amount for amount in amounts if amount is not None]
        if not stated:
            return table()["none"]  # type: ignore[no-any-return]
        millions = sum(stated, Decimal(0)) / 1_000_000
        return {
            "nb": f"{format_decimal(millions, locale='nb')} mill. kr",
            "en": f"NOK {format_decimal(millions, locale='en_GB')} million",
        }

    def element(self, name: str) -> Said:
        """What an element is called."""
        found: Said = table()["elements"].get(name) or _same(name)
        return found

    def what(self, resource: Resource) -> Said:
        """What a resource is called in a sentence."""
        kind = "initiative" if resource["resourceType"] == "PlanDefinition" else elements.kind(resource)
        name = _short(_name(resource), int(table()["short"]))
        said: Said = table()["what"].get(kind) or _same(kind)
        return {lang: said[lang].format(name=name) for lang in LANGUAGES}


@dataclass(frozen=True)
class _Changes:
    words: Words
    before: Standing
    after: Standing

    def change(
        self,
        kind: str,
        element: str,
        resource: Resource,
        *,
        before: Said | None = None,
        after: Said | None = None,
        values: tuple[str, str] = ("", ""),
        days: int | None = None,
        label: Said | None = None,
        template: str = "",
    ) -> Change:
        """One change, said by the template of its kind."""
        none, what = table()["none"], self.words.what(resource)
        name = label or self.words.element(element)
        sentence: Said = table()["kinds"][template or kind]
        said: dict[Lang, str] = {}
        for lang in LANGUAGES:
            parts = {"what": what[lang], "element": name[lang], "days": _moved(days)[lang] if days else ""}
            parts |= {"before": (before or none)[lang], "after": (after or none)[lang]}
            said[lang] = sentence[lang].format(**parts)
        return Change(kind, element, resource, *values, days, said)

    def all(self) -> Iterator[Change]:
        """Every change, what readers ask for first at the top."""
        before, after = self.before.plan, self.after.plan
        if before.get("title") != after.get("title"):
            yield self._plain("title", "title", after, before.get("title", ""), after.get("title", ""))
        yield from self._report()
        yield from self._date("effectivePeriod.end", after, _end(before), _end(after))
        for kind in _PREFIX:
            yield from self._tasks(kind)
        yield from self._money()
        yield from self._benefit()
        yield from self._contexts()
        yield from self._owner()
        yield from self._topics()
        yield from self._texts("initiative", before, after)

    def _plain(
        self, kind: str, element: str, resource: Resource, before: str, after: str, template: str = ""
    ) -> Change:
        said = (_same(before), _same(after))
        return self.change(
            kind, element, resource, before=said[0], after=said[1], values=(before, after), template=template
        )

    def _report(self) -> Iterator[Change]:
        before, after = newest_report(self.before.tasks), newest_report(self.after.tasks)
        if after is None:
            return
        for code in ("status", "risiko"):
            one, other = (elements.value((report or {}).get("output"), code) for report in (before, after))
            yield from self._colour(f"output.{code}", after, one, other)
        if before is not None:
            yield from self._texts("statusrapport", before, after)

    def _colour(
        self, element: str, report: Resource, before: Resource | None, after: Resource | None
    ) -> Iterator[Change]:
        codes = (elements.code(before), elements.code(after))
        said = (self.words.coded(before), self.words.coded(after))
        if codes[0] != codes[1]:
            yield self.change("colour", element, report, before=said[0], after=said[1], values=codes)
            return
        printed = tuple(self._printed(concept) for concept in (before, after))
        if printed[0] != printed[1]:
            yield self._plain("scale", element, report, printed[0], printed[1])

    def _printed(self, concept: Resource | None) -> str:
        """The word that was reported (decision 16)."""
        return (concept or {}).get("text") or self.words.coded(concept)["nb"]

    def _date(self, element: str, resource: Resource, before: str | None, after: str | None) -> Iterator[Change]:
        if before == after:
            return
        said = (self.words.dated(before), self.words.dated(after))
        kind = "date-set" if before is None else "date-vanished" if after is None else "date-moved"
        days = _days(before, after)
        template = "date-set" if kind == "date-moved" and not days else kind
        values = (before or "", after or "")
        yield self.change(
            kind, element, resource, before=said[0], after=said[1], values=values, days=days, template=template
        )

    def _tasks(self, kind: str) -> Iterator[Change]:
        before, after = _by_id(self.before.tasks, kind), _by_id(self.after.tasks, kind)
        prefix = _PREFIX[kind]
        for id, task in after.items():
            stood = before.get(id)
            if stood is None:
                if task.get("status") not in _GONE:
                    yield self._new(prefix, task)
                continue
            yield from self._task(prefix, stood, task)
        for id, stood in before.items():
            if id not in after and stood.get("status") not in _GONE:
                yield self.change(f"{prefix}-dropped", "", stood, after=table()["gone"])

    def _new(self, prefix: str, task: Resource) -> Change:
        due = elements.due(task)
        said = self.words.dated(due)
        return self.change(
            f"{prefix}-new", "", task, after=said, values=("", due or ""), template="new-due" if due else "new"
        )

    def _task(self, prefix: str, before: Resource, after: Resource) -> Iterator[Change]:
        if prefix == "delivery" and _name(before) != _name(after):
            yield self._plain("delivery-renamed", "code.text", after, _name(before), _name(after))
        status = (_state(before), _state(after))
        if after.get("status") in _GONE and before.get("status") not in _GONE:
            said = self.words.coded(after.get("businessStatus") or {"text": after.get("status", "")})
            yield self.change(f"{prefix}-dropped", "status", after, after=said, values=status)
        elif status[0] != status[1]:
            said, now = (self.words.coded(_state_concept(one)) for one in (before, after))
            yield self.change(f"{prefix}-status", "businessStatus", after, before=said, after=now, values=status)
        yield from self._date("restriction.period.end", after, elements.due(before), elements.due(after))
        yield from self._texts(elements.kind(after), before, after)

    def _money(self) -> Iterator[Change]:
        before, after = (_amounts(one.plan, self.words.canonical) for one in (self.before, self.after))
        for key in sorted({*before, *after}):
            one, other = before.get(key, ()), after.get(key, ())
            if sorted(map(str, one)) == sorted(map(str, other)):
                continue
            lines = (_line(standing.plan, self.words.canonical, key) for standing in (self.after, self.before))
            yield self.change(
                "money",
                "extension(nep-finance-line)",
                self.after.plan,
                before=self.words.amount(one),
                after=self.words.amount(other),
                values=(_sum(one), _sum(other)),
                label=self._line_label(next(filter(None, lines), {})),
            )

    def _line_label(self, line: Resource) -> Said:
        kind = elements.part(line, "type")
        concept = {"coding": [{"system": f"{self.words.canonical}/CodeSystem/nep-finance-type", "code": kind}]}
        of = elements.part(line, "funder") or elements.part(line, "source") or elements.part(line, "solution") or {}
        named = _same(of["display"]) if of.get("display") else self.words.coded(of) if of else _same("")
        year = elements.part(line, "year") or ""
        return {lang: f"{self.words.coded(concept)[lang]} {year}, {named[lang]}".rstrip(", ") for lang in LANGUAGES}

    def _benefit(self) -> Iterator[Change]:
        before, after = (_benefits(one.plan) for one in (self.before, self.after))
        if before != after:
            said = (self.words.amount(before), self.words.amount(after))
            values = (_sum(before), _sum(after))
            yield self.change("benefit", "goal.target", self.after.plan, before=said[0], after=said[1], values=values)

    def _contexts(self) -> Iterator[Change]:
        for code in ("livslop", "segment", "fase", "innforingsstrategi"):
            one, other = (elements.context(standing.plan, code) for standing in (self.before, self.after))
            values = (elements.code(one), elements.code(other))
            if values[0] != values[1]:
                said = (self.words.coded(one), self.words.coded(other))
                yield self.change(
                    "context", f"useContext.{code}", self.after.plan, before=said[0], after=said[1], values=values
                )

    def _owner(self) -> Iterator[Change]:
        one, other = (elements.owner(standing.plan) for standing in (self.before, self.after))
        if one.get("reference") != other.get("reference"):
            names = [str(reference.get("display") or reference.get("reference", "")) for reference in (one, other)]
            yield self._plain("owner", "author", self.after.plan, *names)

    def _topics(self) -> Iterator[Change]:
        one, other = ([topic for topic in standing.plan.get("topic", ())] for standing in (self.before, self.after))
        if {elements.code(topic) for topic in one} == {elements.code(topic) for topic in other}:
            return
        said = [self._list(topics) for topics in (one, other)]
        values = tuple(" ".join(sorted(elements.code(topic) for topic in topics)) for topics in (one, other))
        yield self.change(
            "topics", "topic", self.after.plan, before=said[0], after=said[1], values=(values[0], values[1])
        )

    def _list(self, concepts: Sequence[Resource]) -> Said:
        if not concepts:
            return table()["none"]  # type: ignore[no-any-return]
        return {lang: ", ".join(self.words.coded(one)[lang] for one in concepts) for lang in LANGUAGES}

    def _texts(self, kind: str, before: Resource, after: Resource) -> Iterator[Change]:
        for element in table()["texts"].get(kind, ()):
            one, other = (_text(resource, element) for resource in (before, after))
            if one != other:
                short = max(len(one), len(other)) <= table()["short"]
                values = (one, other) if short else ("", "")
                template = "text-set" if not one else "text-gone" if not other else "text-short" if short else "text"
                yield self._plain("text", element, after, *values, template=template)


def newest_report(tasks: Iterable[Resource]) -> Resource | None:
    """The newest status report that states a colour."""
    reports = [
        task
        for task in tasks
        if elements.kind(task) == "statusrapport" and elements.value(task.get("output"), "status") is not None
    ]
    return max(reports, key=elements.report_key, default=None)


def _by_id(tasks: Iterable[Resource], kind: str) -> dict[str, Resource]:
    """By id, in the order of their deadlines and names."""
    found = sorted(
        (task for task in tasks if elements.kind(task) == kind),
        key=lambda task: (elements.due(task) or "9999", _name(task)),
    )
    return {task["id"]: task for task in found}


def _amounts(plan: Resource, canonical: str) -> dict[tuple[str, ...], tuple[Decimal | None, ...]]:
    """The amounts of the lines with the same type, year, source, funder and solution; None for one not stated."""
    found: dict[tuple[str, ...], tuple[Decimal | None, ...]] = {}
    for line in elements.finance_lines(plan, canonical):
        amount = elements.part(line, "amount")
        stated = None if amount is None else Decimal(amount["value"])
        found[_key(line)] = (*found.get(_key(line), ()), stated)
    return found


def _key(line: Resource) -> tuple[str, ...]:
    type, year, source, funder, solution = (
        elements.part(line, name) for name in ("type", "year", "source", "funder", "solution")
    )
    of = (elements.code(solution) or (solution or {}).get("text", "")) if solution else ""
    return (str(type), str(year), elements.code(source), (funder or {}).get("reference", ""), of)


def _line(plan: Resource, canonical: str, key: tuple[str, ...]) -> Resource | None:
    return next((line for line in elements.finance_lines(plan, canonical) if _key(line) == key), None)


def _benefits(plan: Resource) -> list[Decimal | None]:
    quantities = [target.get("detailQuantity") for goal in plan.get("goal", ()) for target in goal.get("target", ())]
    return [None if one is None else Decimal(one["value"]) for one in quantities]


def _sum(amounts: Sequence[Decimal | None]) -> str:
    stated = [amount for amount in amounts if amount is not None]
    return f"{sum(stated, Decimal(0)):f}" if stated else ""


def _end(plan: Resource) -> str | None:
    found: str | None = plan.get("effectivePeriod", {}).get("end")
    return found


def _state_concept(task: Resource) -> Resource | None:
    found: Resource | None = task.get("businessStatus")
    return found or ({"text": task["status"]} if elements.kind(task) == "nytteforutsetning" else None)


def _state(task: Resource) -> str:
    concept = _state_concept(task)
    return elements.code(concept) or (concept or {}).get("text", "")


def _name(resource: Resource) -> str:
    if resource["resourceType"] == "PlanDefinition":
        return str(resource.get("title", ""))
    found = resource.get("code", {}).get("text") or resource.get("description")
    return str(found or resource.get("owner", {}).get("display", ""))


def _text(resource: Resource, element: str) -> str:
    head, _, rest = element.partition(".")
    if head == "output":
        return elements.value(resource.get("output"), rest) or ""
    if head == "reasonCode":
        return str(resource.get("reasonCode", {}).get("text", ""))
    return str(resource.get(element, ""))


def _days(before: str | None, after: str | None) -> int | None:
    one, other = elements.last_day(before), elements.last_day(after)
    return None if one is None or other is None else (other - one).days


def _moved(days: int) -> Said:
    said: Said = table()["later" if days > 0 else "earlier"]
    return {lang: said[lang].format(days=abs(days)) for lang in LANGUAGES}


@lru_cache(maxsize=4096)
def _long(day: date, lang: Lang) -> str:
    # A portfolio has few dates, and each is said often: formatting one takes longer than the sentence around it.
    return format_date(day, "long", _LOCALES[lang])


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _same(text: str) -> Said:
    return {"nb": text, "en": text}


def told(named: Sequence[tuple[str, Sequence[Change]]], lang: Lang) -> str:
    """All of it as markdown: each initiative by its name, a change a line."""
    if not named:
        return str(table()["nothing"][lang])
    blocks = ["\n".join([f"**{name}**", "", *(f"- {change.said[lang]}." for change in found)]) for name, found in named]
    return "\n\n".join(blocks)
