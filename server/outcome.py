"""FhirError, OperationOutcome, and the one table from issue code to HTTP status. R4 operationoutcome.html."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

# R4 valueset-issue-type, with the status that http.html and the domain model give each. A code that is not
# here is not written: the table is also the list of the codes that clients may meet.
STATUS: dict[str, int] = {
    "structure": 400,
    "value": 400,
    "invalid": 400,
    "required": 422,
    "invariant": 422,
    "code-invalid": 422,
    "extension": 422,
    "business-rule": 422,
    "processing": 422,
    "not-supported": 400,
    "login": 401,
    "expired": 401,
    "forbidden": 403,
    "not-found": 404,
    "deleted": 410,
    "conflict": 409,
    "duplicate": 409,
    "multiple-matches": 412,
    "too-long": 413,
    "too-costly": 400,
    "throttled": 429,
    "exception": 500,
    "timeout": 503,
    "transient": 503,
    "no-store": 503,
    "informational": 200,
}


@dataclass(frozen=True, slots=True)
class Issue:
    """One fault: what, where, and what would be right.

    `code` is of R4's IssueType; `expression` a FHIRPath with indices ("Task.input[2].valueBoolean"), or
    "" where no element is meant; `rule` the key of the rule that speaks ("per-1"); `text` in Norwegian
    with English beside it, or English where the text is technical.
    """

    code: str
    text: str
    expression: str = ""
    severity: str = "error"
    rule: str = ""

    def as_json(self) -> dict[str, Any]:
        """The element of OperationOutcome.issue."""
        issue: dict[str, Any] = {"severity": self.severity, "code": self.code}
        if self.rule:
            issue["details"] = {"coding": [{"code": self.rule}], "text": self.text}
        issue["diagnostics"] = self.text
        if self.expression:
            issue["expression"] = [self.expression]
        return issue

    def within(self, prefix: str) -> Issue:
        """The same issue seen from outside: "Task.status" within "Bundle.entry[3].resource" is
        "Bundle.entry[3].resource.status"."""
        inner = self.expression.partition(".")[2] if self.expression else ""
        return replace(self, expression=f"{prefix}.{inner}" if inner else prefix)


class FhirError(Exception):
    """Raised where the fact is known; one handler makes it an HTTP answer.

    `status` overrides the table for the few codes that HTTP splits further (406, 412, 415).
    `headers` are sent along (WWW-Authenticate, Retry-After). `recorded`: as a refusal, it is on record already.
    """

    def __init__(
        self,
        code: str,
        text: str,
        *,
        expression: str = "",
        status: int | None = None,
        issues: Iterable[Issue] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(text)
        self.issues: tuple[Issue, ...] = tuple(issues) or (Issue(code, text, expression),)
        self.status = status or STATUS[code]
        self.headers = headers or {}
        self.recorded = False

    def within(self, prefix: str) -> FhirError:
        """The same error of an entry: every issue's place begins with `prefix`."""
        first = self.issues[0]
        return FhirError(
            first.code,
            first.text,
            status=self.status,
            issues=[issue.within(prefix) for issue in self.issues],
            headers=self.headers,
        )


def invalid(issues: Iterable[Issue]) -> FhirError:
    """A resource's faults as one error: 400 when one of them is about form, else 422, as for all that a rule says.
    Warnings among them are sent along."""
    found = tuple(issues)

    def status(issue: Issue) -> int:
        return 422 if issue.rule else STATUS[issue.code]

    worst = min((issue for issue in found if issue.severity == "error"), key=status)
    return FhirError(worst.code, worst.text, issues=found, status=status(worst))


def outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """The OperationOutcome of these issues: of the first thousand, and how many more there are. Half a megabyte
    of nonsense has 60 000, which told one by one are 28 MB."""
    told = list(issues)
    more = len(told) - _MOST
    if more > 0:
        told[_MOST:] = [Issue("informational", f"Og {more} til / And {more} more issues.", severity="information")]
    return {"resourceType": "OperationOutcome", "issue": [issue.as_json() for issue in told]}


_MOST = 1000
