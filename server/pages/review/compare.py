"""A report now and then, fact by fact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from server.pages.review.contexts import Compared, Mark
from server.pages.review.reports import colour_mark, value_mark
from server.portfolio import elements
from server.portfolio.codes import Coded, Codes, Lang

Resource = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Side:
    """A report, and the initiative as it stood then: what the report does not hold is the initiative's. Both may be
    empty."""

    report: Resource
    plan: Resource

    def value(self, code: str) -> Any:
        """What the report says."""
        return elements.value(self.report.get("output"), code)

    @property
    def phase(self) -> Resource | None:
        found: Resource | None = self.value("fase") or elements.context(self.plan, "fase")
        return found

    @property
    def end(self) -> str | None:
        found: str | None = self.value("sluttdato") or self.plan.get("effectivePeriod", {}).get("end")
        return found


def compared(before: Side, after: Side, codes: Codes, lang: Lang) -> tuple[Compared, ...]:
    """What the secretariat reads, in the order of the report."""

    def coded(concept: Any) -> Coded | None:
        return codes.coded(concept, lang)

    def light(key: str, code: str) -> Compared:
        one, other = coded(before.value(code)), coded(after.value(code))
        return Compared(key, "light", one, other, colour_mark(one, other))

    def prose(key: str, code: str) -> Compared:
        one, other = before.value(code), after.value(code)
        return Compared(key, "prose", one, other, value_mark(_words(one), _words(other)))

    phases = coded(before.phase), coded(after.phase)
    return (
        light("review.status", "status"),
        prose("review.comment", "kommentar"),
        light("review.risk", "risiko"),
        prose("review.risk-text", "risikobeskrivelse"),
        Compared("review.phase", "coded", *phases, _code_mark(*phases)),
        Compared("review.end", "date", before.end, after.end, value_mark(before.end, after.end)),
    )


def _words(text: str | None) -> list[str]:
    """A text by its words: how its lines are broken is no change."""
    return (text or "").split()


def _code_mark(before: Coded | None, after: Coded | None) -> Mark:
    return value_mark(before.code if before else None, after.code if after else None)
