"""Measure/$evaluate-measure: a MeasureReport of the portfolio as it stood. R4 measure-operation-evaluate-measure.html,
as our OperationDefinition nep-evaluate-measure has it."""

from __future__ import annotations

from datetime import date, timedelta
from html import escape

from server.interaction.engine import Engine
from server.interaction.operations.parameters import Asked, asked_of
from server.interaction.operations.portfolio import viewpoint_of
from server.interaction.read import read
from server.operations import Answer, Call
from server.outcome import FhirError
from server.portfolio import elements, measures
from server.portfolio.evaluation import evaluation_of, groups_of, shipped
from server.portfolio.gather import population_of
from server.portfolio.viewpoint import DAYS, Viewpoint, rounds, viewpoint
from server.resource import Resource

_KINDS = ("population", "summary")


async def evaluate_measure(engine: Engine, call: Call) -> Answer:
    """The figures, each with the search that lists what it counts. FhirError processing (422) for an indicator that
    is reported by hand, or one of a round where none is named."""
    asked = asked_of(engine, call, "nep-evaluate-measure")
    if (kind := asked.text("reportType")) not in (None, *_KINDS):
        raise FhirError(
            "value", f"reportType={kind}: ventet / expected {' or '.join(_KINDS)}.", expression="reportType"
        )
    measure = await _measure(engine, call, asked)
    at = await viewpoint_of(engine, call, asked)
    start, end = _period(asked, at)
    evaluation = evaluation_of(measure, at, population_of(asked.text("population")))
    if evaluation.needs_round and at.round is None:
        at = await _of_period(engine, call, at, start, end)
        evaluation = evaluation_of(measure, at, evaluation.population)
    groups = await groups_of(evaluation, at.view)
    return Answer(_report(engine, call, measure, at, (start, end), groups))


async def _measure(engine: Engine, call: Call, asked: Asked) -> Resource:
    """The Measure of the instance, or that with the canonical `measure`: what is stored, else what is in profiles/."""
    if call.id:
        try:
            found = elements.resource_of(await read(engine, call.caller, "Measure", call.id))
        except FhirError:
            known = shipped(engine.registry, call.id)
            if known is None:
                raise
            found = known
    else:
        url, _, version = asked.needed("measure").partition("|")
        stored = await (await viewpoint(engine, call.caller)).view.all("Measure", [("url", url)])
        every = [*stored, *(dict(one) for one in engine.registry.of_type("Measure") if one.get("url") == url)]
        found = next((one for one in every if version in ("", one.get("version"))), {})
        if not found:
            text = f"measure={url}: ukjent indikator / the measure is not known here."
            raise FhirError("not-found", text, expression="measure", status=422)
    if not found.get("group"):
        text = f"{found.get('id')}: meldes inn for hånd / is reported by hand and not computed; it has no group."
        raise FhirError("processing", text, expression="measure")
    return found


def _period(asked: Asked, at: Viewpoint) -> tuple[date, date]:
    """The period of the report: as said, else the round's, else the year up to the day that is counted from."""
    of_round = (at.round or {}).get("restriction", {}).get("period", {})
    start = asked.day("periodStart") or elements.last_day(of_round.get("start"))
    end = asked.day("periodEnd") or elements.last_day(of_round.get("end")) or at.day
    start = start or (end - timedelta(days=365) if end.year > 1 else end)
    if end < start:
        text = f"periodEnd {end} er før / is before periodStart {start}."
        raise FhirError("value", text, expression="periodEnd")
    return start, end


async def _of_period(engine: Engine, call: Call, at: Viewpoint, start: date, end: date) -> Viewpoint:
    """As seen from the latest round whose deadline is in the period, at the moment that was asked for."""
    for task in await rounds(at.view):
        deadline = elements.last_day(elements.due(task))
        if deadline is not None and start <= deadline <= end:
            value = elements.number(task, f"{engine.access.canonical}/sid/runde")
            return await viewpoint(engine, call.caller, as_of=at.instant, round=value)
    text = f"round: ingen runde med frist / no round has its deadline from {start} to {end}; name one."
    raise FhirError("required", text, expression="round")


def _report(
    engine: Engine, call: Call, measure: Resource, at: Viewpoint, period: tuple[date, date], groups: list[Resource]
) -> Resource:
    canonical = engine.access.canonical
    version = f"|{measure['version']}" if measure.get("version") else ""
    secretariat = {"system": f"{canonical}/sid/aktor", "value": "portefoljekontoret"}
    report = {
        "resourceType": "MeasureReport",
        "meta": {"profile": [f"{canonical}/StructureDefinition/nep-uptake"]},
        "language": "nb",
        "text": {"status": "generated", "div": _narrative(call, measure, at, groups)},
        "status": "complete",
        "type": "summary",
        "measure": f"{measure.get('url', '')}{version}",
        "date": engine.now().astimezone(engine.parser.zone).isoformat(timespec="seconds"),
        "reporter": {"identifier": secretariat, "display": "Porteføljekontoret"},
        "period": {"start": period[0].isoformat(), "end": period[1].isoformat()},
        "improvementNotation": measure.get("improvementNotation"),
        "group": groups,
    }
    return {name: value for name, value in report.items() if value is not None}


def _narrative(call: Call, measure: Resource, at: Viewpoint, groups: list[Resource]) -> str:
    nb, en = DAYS[at.basis]
    lines = [
        str(measure.get("title", "")),
        f"Slik porteføljen sto / the portfolio as it stood: {at.instant}.",
        f"Forsinket regnes fra / late is counted from {at.day} ({nb} / {en}).",
        *measures.coverage(measure, groups),
    ]
    if call.caller.role != "secretariat":
        lines.append("Bare det du har innsyn i, er talt / only what you may see is counted.")
    paragraphs = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return f'<div xmlns="http://www.w3.org/1999/xhtml" lang="nb" xml:lang="nb">{paragraphs}</div>'
