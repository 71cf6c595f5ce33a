"""A Measure's groups over what its searches found: the MeasureReport, each number with the search that lists it.

The Measure is the rule. Criteria of a population are a search; those of a stratifier are one condition with FHIRPath in
it, `Task?criticality={{…}}`: evaluated on what was counted it gives the stratum, and filled in it narrows the search to
that stratum. Variables: %round (the round's identifier), %day (that "late" is counted from), %initiative (that a Task
is based on, or whose line it is). Domain model 5.5, decisions 21 and 24.

What is counted: resources. A population that asks by `finance` counts the initiatives of the finance lines that meet
it, and as measure-observation the lines themselves, which the score sums: a line is in a sum once, one without an
amount in none.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property, reduce
from itertools import product
from typing import Any
from urllib.parse import quote

from server.definitions.fhirpath import Expression, compile
from server.definitions.fhirpath_parser import FhirPathError
from server.definitions.registry import Schema
from server.outcome import FhirError
from server.portfolio import elements
from server.search.urls import pairs_of

Resource = Mapping[str, Any]
Pair = tuple[str, str]
Values = tuple[str, ...]
Strata = Mapping[tuple[str | None, ...], list["Unit"]]
TypeOf = Callable[[str, str], str]
"""(resource type, parameter with its chain) -> "token", "reference" …, "" for one that is not known"""

LANGUAGE = "application/x-fhir-query"
_ESCAPED = re.compile(r"[\\,|$]")
_HOLE = re.compile(r"\{\{(.*?)\}\}")
_FINANCE = "finance"
_STATED = 5
"""The place of `stated` among the parts of `finance`."""
_CHIEF = ("numerator", "measure-population", "initial-population")
"""The population that a score or a stratum speaks of: the first of these that there is."""
_INITIATIVE = "%initiative."
_CURRENCY = "urn:iso:std:iso:4217"


@dataclass(frozen=True, slots=True)
class Asked:
    """A search: its type and its decoded parameters."""

    resource_type: str
    pairs: tuple[Pair, ...]

    @property
    def finance(self) -> str | None:
        """The value of `finance`, whose lines are then what is counted."""
        return next((text for name, text in self.pairs if name == _FINANCE), None)

    def narrowed(self, pair: Pair) -> Asked:
        """With one more condition. Two of `finance` become one: they are of the same line."""
        name, text = pair
        if name == _FINANCE and self.finance is not None:
            merged = (name, _merged(self.finance, text))
            return Asked(self.resource_type, tuple(merged if one[0] == name else one for one in self.pairs))
        return Asked(self.resource_type, (*self.pairs, pair))


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing counted: a Task, an initiative, or a finance line (`focus`) of the resource `of`."""

    of: str
    focus: Resource
    initiative: Resource | None


@dataclass(frozen=True)
class Rule:
    """One stratifier, or one component of it: a condition with holes."""

    code: Resource
    resource_type: str
    name: str
    template: str
    token: bool
    schema: Schema

    @classmethod
    def of(cls, element: Resource, place: str, schema: Schema, type_of: TypeOf) -> Rule:
        """FhirError processing (422) for criteria that are not one condition with FHIRPath in it."""
        criteria = element.get("criteria", {})
        kind, mark, condition = criteria.get("expression", "").partition("?")
        name, equals, template = condition.partition("=")
        if criteria.get("language") != LANGUAGE or not (mark and equals and _HOLE.search(template)):
            text = f"{place}.criteria: ventet / expected {LANGUAGE} «Type?parameter={{{{FHIRPath}}}}»."
            raise FhirError("processing", text, expression=f"{place}.criteria")
        return cls(element.get("code", {}), kind, name, template, type_of(kind, name) == "token", schema)

    @property
    def of_lines(self) -> bool:
        """Whether it parts finance lines."""
        return self.name == _FINANCE

    @cached_property
    def _hole(self) -> str:
        return str(_HOLE.findall(self.template)[0]).strip()

    @cached_property
    def _run(self) -> Expression:
        expression = self._hole.removeprefix(_INITIATIVE)
        focus = "PlanDefinition" if self.of_initiative else "Extension" if self.of_lines else self.resource_type
        try:
            return compile(expression, focus, self.schema)
        except FhirPathError as error:
            raise FhirError("processing", f"Measure: {error}", expression="Measure.group.stratifier") from None

    @property
    def of_initiative(self) -> bool:
        """Whether it asks the initiative and not what is counted."""
        return self._hole.startswith(_INITIATIVE)

    def values(self, units: Iterable[Unit], known: dict[int, Values]) -> Iterator[Values]:
        """The strata that each unit is in: one, none, or of a repeating element several. `known` keeps what this rule
        found, by the resource's own identity: populations share most of theirs, and a thousand Tasks a few
        initiatives."""
        of_initiative = self.of_initiative
        for unit in units:
            subject = unit.initiative if of_initiative else unit.focus
            if subject is None:
                yield ()
                continue
            found = known.get(id(subject))
            if found is None:
                found = known[id(subject)] = self._values(subject)
            yield found

    def _values(self, subject: Resource) -> Values:
        try:
            found = self._run(dict(subject))
        except FhirPathError as error:
            raise FhirError("processing", f"Measure: {error}", expression="Measure.group.stratifier") from None
        return tuple(dict.fromkeys(_text(value) for _, value, _ in found if value is not None))

    def pair(self, value: str | None, values: Sequence[str]) -> Pair | None:
        """The condition of a stratum. That of the units without a value (None) is for a token what has none of
        `values`; there is none for a part of a composite, which cannot ask for what is missing."""
        if value is not None:
            return self.name, _HOLE.sub(lambda _: value, self.template)
        if self.of_lines:
            return None
        if self.token and values:
            return f"{self.name}:not", ",".join(values)
        return f"{self.name}:missing", "true"


@dataclass(frozen=True)
class Evaluation:
    """One Measure at one moment. `variables` are filled into criteria, `population` narrows every search, `url` gives
    a search as its relative URL."""

    measure: Resource
    variables: Mapping[str, str]
    population: tuple[Pair, ...]
    canonical: str
    schema: Schema
    type_of: TypeOf
    url: Callable[[Asked], str]

    def asked(self, population: Resource) -> Asked:
        """The search of a population. FhirError processing (422) for criteria that are no search."""
        criteria = population.get("criteria", {})
        kind, mark, query = criteria.get("expression", "").partition("?")
        if criteria.get("language") != LANGUAGE or not mark or kind not in ("Task", "PlanDefinition"):
            text = f"Measure: ventet / expected {LANGUAGE} «Task?…» or «PlanDefinition?…»."
            raise FhirError("processing", text, expression="Measure.group.population.criteria")
        prefix = "based-on:PlanDefinition." if kind == "Task" else ""
        narrowing = tuple((f"{prefix}{name}", text) for name, text in self.population)
        return Asked(kind, (*pairs_of(_HOLE.sub(self._variable, query)), *narrowing))

    def _variable(self, hole: re.Match[str]) -> str:
        name = hole[1].strip().removeprefix("%")
        if name not in self.variables:
            raise FhirError("processing", f"Measure: ukjent variabel / unknown variable %{name}.")
        return quote(_ESCAPED.sub(r"\\\g<0>", self.variables[name]), safe="")

    @property
    def needs_round(self) -> bool:
        """Whether the criteria speak of a round."""
        return any("{{%round}}" in one["criteria"]["expression"] for one in self._populations())

    def searches(self) -> tuple[Asked, ...]:
        """Every search that is to be made, each once."""
        return tuple(dict.fromkeys(self.asked(one) for one in self._populations()))

    def _populations(self) -> Iterator[Resource]:
        for group in self.measure.get("group", ()):
            yield from group.get("population", ())

    def rules_of(self, stratifier: Resource) -> tuple[Rule, ...]:
        """Those of one stratifier: one, or one for each of its components."""
        place = "Measure.group.stratifier"
        parts = stratifier.get("component") or [stratifier]
        return tuple(Rule.of(part, place, self.schema, self.type_of) for part in parts)

    def groups(
        self,
        found: Mapping[Asked, Sequence[Resource]],
        known: Mapping[str, Resource],
        named: Callable[[str], Resource],
        evaluated: dict[str, dict[int, Values]],
    ) -> list[dict[str, Any]]:
        """MeasureReport.group. `found` holds what each of `searches` found, `known` the initiatives by reference;
        `named` gives a stratum's value as a concept. `evaluated` keeps the values of each rule by its template and the
        identity of the resource, for other measures over the same ones: these must live as long as it does."""
        counting = _Counting(self, found, known, named, evaluated)
        return [counting.group(group) for group in self.measure.get("group", ())]

    def counted(self, counts: Mapping[Asked, int]) -> list[dict[str, Any]]:
        """The same groups of what was only counted: their populations, without strata and score."""
        return [
            {
                "extension": [self.counted_by(self.asked(group["population"][0]))],
                **({"code": group["code"]} if "code" in group else {}),
                "population": [
                    {"extension": [self.counted_by(asked)], "code": one["code"], "count": counts[asked]}
                    for one in group["population"]
                    for asked in [self.asked(one)]
                ],
            }
            for group in self.measure.get("group", ())
        ]

    def counted_by(self, asked: Asked) -> dict[str, str]:
        """The extension with the search behind a number."""
        return {"url": f"{self.canonical}/StructureDefinition/nep-counted-by", "valueUrl": self.url(asked)}


@dataclass(frozen=True)
class _Counting:
    """Groups share their populations, and strata their resources: each is gone through once."""

    evaluation: Evaluation
    found: Mapping[Asked, Sequence[Resource]]
    known: Mapping[str, Resource]
    named: Callable[[str], Resource]
    evaluated: dict[str, dict[int, Values]]
    units: dict[int, Unit] = field(default_factory=dict)
    counted: dict[Asked, list[Unit]] = field(default_factory=dict)
    parted: dict[tuple[Asked, tuple[str, ...]], Strata] = field(default_factory=dict)

    def group(self, group: Resource) -> dict[str, Any]:
        counted = [(one, asked := self.evaluation.asked(one), self._units(asked)) for one in group["population"]]
        made: dict[str, Any] = {"extension": [self.evaluation.counted_by(_chief(counted)[1])]}
        if "code" in group:
            made["code"] = group["code"]
        made["population"] = [self._population(*one) for one in counted]
        made |= self._score(counted)
        strata = [one for stratifier in group.get("stratifier", ()) if (one := self._stratifier(stratifier, counted))]
        return made | ({"stratifier": strata} if strata else {})

    def _units(self, asked: Asked) -> list[Unit]:
        if asked not in self.counted:
            self.counted[asked] = list(self._read(asked))
        return self.counted[asked]

    def _read(self, asked: Asked) -> Iterator[Unit]:
        for match in self.found[asked]:
            if asked.finance is None:
                yield self._unit(match)
            else:
                name, lines = elements.reference_of(match), elements.finance_lines(match, self.evaluation.canonical)
                yield from (Unit(name, line, match) for line in lines if _meets(line, asked.finance))

    def _unit(self, match: Resource) -> Unit:
        unit = self.units.get(id(match))
        if unit is None:
            initiative = self.known.get(elements.based_on(match)) if match["resourceType"] == "Task" else match
            unit = self.units[id(match)] = Unit(elements.reference_of(match), match, initiative)
        return unit

    def _population(self, population: Resource, asked: Asked, units: Sequence[Unit]) -> dict[str, Any]:
        lines = _code(population) == "measure-observation"
        return {
            "extension": [self.evaluation.counted_by(asked)],
            "code": population["code"],
            "count": len(units) if lines or asked.finance is None else len({unit.of for unit in units}),
        }

    def _score(self, counted: Sequence[tuple[Resource, Asked, Sequence[Unit]]]) -> dict[str, Any]:
        kind = elements.code(self.evaluation.measure.get("scoring"))
        units = {_code(population): units for population, _, units in counted}
        if kind == "proportion" and units.get("denominator"):
            share = Decimal(len(units.get("numerator", ()))) / len(units["denominator"])
            return {"measureScore": {"value": _rounded(share)}}
        if kind == "continuous-variable" and (lines := units.get("measure-observation")):
            total = sum((Decimal(elements.part(one.focus, "amount")["value"]) for one in lines), Decimal(0))
            return {"measureScore": {"value": total, "unit": "NOK", "system": _CURRENCY, "code": "NOK"}}
        return {}

    def _stratifier(self, stratifier: Resource, counted: Sequence[tuple[Resource, Asked, Sequence[Unit]]]) -> Any:
        rules = self.evaluation.rules_of(stratifier)
        apt = [one for one in counted if one[1].finance is not None or not any(rule.of_lines for rule in rules)]
        parted = [self._parted(rules, asked) for _, asked, _ in apt]
        keys = sorted({key for strata in parted for key in strata}, key=lambda key: [(v is None, v or "") for v in key])
        seen = [sorted({key[place] or "" for key in keys} - {""}) for place in range(len(rules))]
        strata = []
        for key in keys:
            pairs = [rule.pair(value, seen[place]) for place, (rule, value) in enumerate(zip(rules, key, strict=True))]
            if None not in pairs:
                strata.append(self._stratum(rules, key, [pair for pair in pairs if pair], apt, parted))
        # One by components has no code in the Measure (R4 mea-1), and so none here: its strata name their components.
        made = {"code": [stratifier["code"]]} if "code" in stratifier else {}
        return made | ({"stratum": strata} if strata else {})

    def _parted(self, rules: Sequence[Rule], asked: Asked) -> Strata:
        name = (asked, tuple(rule.template for rule in rules))
        if name not in self.parted:
            units, strata = self._units(asked), defaultdict(list)
            found = [rule.values(units, self.evaluated.setdefault(rule.template, {})) for rule in rules]
            for unit, *values in zip(units, *found, strict=True):
                for key in product(*(one or (None,) for one in values)):
                    strata[key].append(unit)
            self.parted[name] = strata
        return self.parted[name]

    def _stratum(
        self,
        rules: Sequence[Rule],
        key: tuple[str | None, ...],
        pairs: Sequence[Pair],
        counted: Sequence[tuple[Resource, Asked, Sequence[Unit]]],
        parted: Sequence[Strata],
    ) -> dict[str, Any]:
        narrowed = []
        for (population, asked, _), strata in zip(counted, parted, strict=True):
            narrowed.append((population, reduce(Asked.narrowed, pairs, asked), strata.get(key, [])))
        values = [self._value(value) for value in key]
        made: dict[str, Any] = {"extension": [self.evaluation.counted_by(_chief(narrowed)[1])]}
        if len(rules) == 1:
            made["value"] = values[0]
        else:
            made["component"] = [{"code": rule.code, "value": value} for rule, value in zip(rules, values, strict=True)]
        made["population"] = [self._population(*one) for one in narrowed]
        return made | self._score(narrowed)

    def _value(self, value: str | None) -> Resource:
        return {"text": "Ikke oppgitt / Not stated"} if value is None else self.named(value)


def _chief(counted: Sequence[tuple[Resource, Asked, Sequence[Unit]]]) -> tuple[Resource, Asked, Sequence[Unit]]:
    by_code = {_code(one[0]): one for one in counted}
    return next((by_code[code] for code in _CHIEF if code in by_code), counted[0])


def _code(population: Resource) -> str:
    return elements.code(population.get("code"))


def _merged(one: str, other: str) -> str:
    parts = [one.split("$"), other.split("$")]
    longest = max(map(len, parts))
    first, second = (part + [""] * (longest - len(part)) for part in parts)
    return "$".join(b or a for a, b in zip(first, second, strict=True))


def _meets(line: Resource, finance: str) -> bool:
    """Whether a line is of the type, and states an amount as the composite asks; its other parts are left to strata."""
    parts = finance.split("$")
    stated = parts[_STATED] if len(parts) > _STATED else ""
    states = "true" if elements.part(line, "amount") else "false"
    return parts[0] in ("", elements.part(line, "type")) and stated in ("", states)


def _rounded(share: Decimal) -> Decimal:
    return share.quantize(Decimal("0.0001")).normalize() + Decimal(0)


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def coverage(measure: Resource, groups: Sequence[Resource]) -> list[str]:
    """How much of the whole the numbers speak of, a line in both languages each."""
    kind = elements.code(measure.get("scoring"))
    if kind == "cohort":
        total = sum(_count(group, "initial-population") for group in groups)
        stated = sum(_count(group, "initial-population") for group in groups if not _unstated(group))
        return [f"{stated} av {total} har oppgitt det / {stated} of {total} state it."]
    if kind == "proportion":
        return [
            f"{_label(group)}: {_count(group, 'numerator')} av / of {_count(group, 'denominator')}." for group in groups
        ]
    return [_of_money(group) for group in groups]


def _unstated(group: Resource) -> bool:
    """Whether it counts those that did not say."""
    return elements.code(group.get("code")) == "ikke-oppgitt"


def _of_money(group: Resource) -> str:
    stated, whole = _count(group, "measure-population"), _count(group, "initial-population")
    lines, blank = _count(group, "measure-observation"), _count(group, "measure-population-exclusion")
    return (
        f"{_label(group)}: {stated} av {whole} tiltak oppgir beløp, i {lines} linjer; {blank} har linjer uten beløp, "
        f"som ikke teller som 0 / {stated} of {whole} initiatives state an amount, in {lines} lines; {blank} have "
        "lines without an amount, which do not count as 0."
    )


def _count(group: Resource, code: str) -> int:
    return next((int(one["count"]) for one in group["population"] if _code(one) == code), 0)


def _label(group: Resource) -> str:
    return str(group.get("code", {}).get("text", ""))
