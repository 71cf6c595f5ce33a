"""What the forms of the pages have in common: what was typed, and the places of what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from server.outcome import FhirError, Issue
from server.pages.contexts import Fault
from server.portfolio.codes import Lang

Fields = Mapping[str, str]


def typed(fields: Fields, name: str) -> str:
    """What stands in a control, without the space around it."""
    return fields.get(name, "").strip()


def refuse(issues: Iterable[Issue]) -> None:
    """FhirError with all of them, of the first one's code; nothing when there is none."""
    if found := list(issues):
        raise FhirError(found[0].code, found[0].text, issues=found)


def missing(name: str, text: str) -> Issue:
    """A control that was left empty."""
    return Issue("required", text, name)


def faults(error: FhirError, places: Mapping[str, str], lang: Lang) -> tuple[Fault, ...]:
    """What a refusal says, each at the control that `places` has for its expression or for what that is an element
    of; a text that several issues share once for each control."""
    return tuple(
        dict.fromkeys(Fault(_control(issue.expression, places), said(issue.text, lang)) for issue in error.issues)
    )


def said(text: str, lang: Lang) -> str:
    """The half in this language of a text that is a sentence in Norwegian and then one in English; else the whole."""
    halves = text.split(". / ")
    if len(halves) != 2:
        return text
    return f"{halves[0]}." if lang == "nb" else halves[1]


def _control(expression: str, places: Mapping[str, str]) -> str:
    for place, control in places.items():
        if expression == place or expression.startswith((f"{place}.", f"{place}[")):
            return control
    return ""
