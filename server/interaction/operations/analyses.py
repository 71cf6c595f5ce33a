"""The table of the analyses: what is computed of the portfolio and changes nothing."""

from __future__ import annotations

from server.interaction.operations.dependencies import dependencies, impact
from server.interaction.operations.difference import portfolio_diff
from server.interaction.operations.evidence import evidence_of
from server.interaction.operations.measures import evaluate_measure
from server.interaction.operations.portfolio import portfolio
from server.operations import Level, Operation, Operations, Run, of_ours

_PLANS = frozenset({"PlanDefinition"})

_ROWS: tuple[tuple[Level, str, Run, frozenset[str]], ...] = (
    ("type", "$evaluate-measure", evaluate_measure, frozenset({"Measure"})),
    ("instance", "$evaluate-measure", evaluate_measure, frozenset({"Measure"})),
    ("type", "$dependencies", dependencies, _PLANS),
    ("instance", "$impact", impact, frozenset({"Task"})),
    ("type", "$evidence", evidence_of, _PLANS),
    ("instance", "$evidence", evidence_of, _PLANS),
    ("type", "$portfolio", portfolio, _PLANS),
    ("type", "$portfolio-diff", portfolio_diff, _PLANS),
    ("instance", "$portfolio-diff", portfolio_diff, _PLANS),
)

ANALYSES: Operations = {
    (level, name): Operation(run, of_ours(name.removeprefix("$")), types, expensive=True)
    for level, name, run, types in _ROWS
}
