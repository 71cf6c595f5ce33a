"""The table of the analyses: what is computed of the portfolio and changes nothing."""

from __future__ import annotations

from server.interaction.operations.dependencies import dependencies, impact
from server.interaction.operations.difference import portfolio_diff
from server.interaction.operations.evidence import evidence_of
from server.interaction.operations.measures import evaluate_measure
from server.interaction.operations.portfolio import portfolio
from server.operations import Operation, Operations

_PLANS = frozenset({"PlanDefinition"})

ANALYSES: Operations = {
    ("type", "$evaluate-measure"): Operation(evaluate_measure, frozenset({"Measure"})),
    ("instance", "$evaluate-measure"): Operation(evaluate_measure, frozenset({"Measure"})),
    ("type", "$dependencies"): Operation(dependencies, _PLANS),
    ("instance", "$impact"): Operation(impact, frozenset({"Task"})),
    ("type", "$evidence"): Operation(evidence_of, _PLANS),
    ("instance", "$evidence"): Operation(evidence_of, _PLANS),
    ("type", "$portfolio"): Operation(portfolio, _PLANS),
    ("type", "$portfolio-diff"): Operation(portfolio_diff, _PLANS),
    ("instance", "$portfolio-diff"): Operation(portfolio_diff, _PLANS),
}
