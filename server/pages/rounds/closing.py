"""Closing a round and correcting a closed one: the forms, and the operation Task/<round>/$close-round behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from server.interaction.operations.parameters import parameters
from server.outcome import FhirError, Issue
from server.pages.asked import Asked
from server.pages.contexts import Fault
from server.pages.forms import Fields, faults, missing, refuse, typed
from server.pages.house import Reader
from server.pages.rounds.contexts import AmendingForm, Choice, ClosingForm, ReportRow
from server.pages.rounds.reports import MISSING, WAITED_FOR, is_missing, of_round
from server.portfolio.codes import Lang
from server.portfolio.rounds import editions

Task = Mapping[str, Any]

REPORT = "report-"
"""What the names of the reports' checkboxes begin with; behind it stands the initiative's number."""

_PLACES = {
    "lukk": {"force": "force", "Task": "force", "seen": "force", "confirm": "confirm", "title": "title"},
    "rett": {"report": "reports-choice", "reason": "reason", "title": "title", "amends": "amends"},
}


@dataclass(frozen=True)
class Sent:
    """A form that comes back: which of the two ("lukk", "rett"), as it was filled in, and what is wrong with it."""

    form: str
    fields: Fields
    error: FhirError
    lang: Lang

    @property
    def faults(self) -> tuple[Fault, ...]:
        return faults(self.error, _PLACES[self.form], self.lang)


@dataclass(frozen=True)
class Draft:
    """The edition that a round is being closed as: its number, title, and the one that it corrects ("" for none)."""

    number: str
    title: str
    replaces: str


async def draft(reader: Reader, number: str) -> Draft | None:
    """The preliminary Composition of a round, which the secretariat alone sees; None without one."""
    house = reader.house
    kind = ("type", f"{house.codes.system('document-type')}|portefoljerapport")
    for one in await reader.all("Composition", kind, ("status", "preliminary")):
        named = str(one.get("identifier", {}).get("value", ""))
        if named.partition(".")[0] == number:
            replaced = [str(link.get("targetIdentifier", {}).get("value", "")) for link in one.get("relatesTo", ())]
            return Draft(named, str(one.get("title", "")), next(iter(replaced), ""))
    return None


def closing_form(
    asked: Asked, number: str, standing: Draft | None, title: str, rows: Sequence[ReportRow], instant: str
) -> ClosingForm:
    """The form before anything is ticked. `title` is the round's, for one that has no draft."""
    edition = standing.number if standing else number
    return ClosingForm(
        action=asked.plain(f"/runder/{number}/lukk"),
        number=edition,
        edition_url=asked.plain(f"/utgaver/{edition}"),
        annex_url=asked.plain(f"/utgaver/{edition}/vedlegg.html"),
        title=standing.title if standing else f"Porteføljerapport {title}",
        missing=tuple(row for row in rows if row.state in WAITED_FOR),
        seen=instant,
        force=False,
    )


def closing_again(form: ClosingForm, sent: Sent) -> ClosingForm:
    """The form as it was sent, with what is wrong; who is missing is as of now."""
    ticked = bool(typed(sent.fields, "force"))
    return replace(form, title=typed(sent.fields, "title"), force=ticked, faults=sent.faults)


async def close(reader: Reader, task: Task, number: str, fields: Fields) -> str:
    """The number of the edition. Published already, it is the edition that there is. FhirError when it is not
    confirmed, when some are missing without `force`, or others than those that were seen."""
    if task.get("status") == "in-progress" or not editions(dict(task)):
        refuse(await _faults(reader, number, fields))
    title = typed(fields, "title")
    body = parameters(
        {"name": "final", "valueBoolean": True},
        {"name": "force", "valueBoolean": True} if typed(fields, "force") else None,
        {"name": "title", "valueString": title} if title else None,
    )
    made = await reader.house.operate(reader.caller, "$close-round", f"Task/{task['id']}", body=body)
    return str(made.get("identifier", {}).get("value", ""))


async def _faults(reader: Reader, number: str, fields: Fields) -> list[Issue]:
    found = []
    now = await _missing(reader, number)
    if now and not typed(fields, "force"):
        text = "Kryss av for å lukke uten dem som mangler. / Tick the box to close without those that are missing."
        found.append(Issue("business-rule", text, "force"))
    elif now - await _missing(Reader(reader.house, reader.caller, typed(fields, "seen") or reader.instant), number):
        text = "Flere mangler enn da siden ble vist; se over listen. / More are missing than when the page was shown."
        found.append(Issue("conflict", text, "seen"))
    if not typed(fields, "confirm"):
        text = "Bekreft at utgaven skal publiseres. / Confirm that the edition is to be published."
        found.append(missing("confirm", text))
    return found


async def _missing(reader: Reader, number: str) -> set[str]:
    """The ids of the reports that are waited for, at the reader's moment."""
    return {str(one["id"]) for one in await reader.all("Task", *of_round(reader.house, number), *MISSING)}


# ---- correcting


def amending_form(asked: Asked, number: str, task: Task, reports: Sequence[ReportRow]) -> AmendingForm | None:
    """The form that opens reports of a closed round again; None for a round without an edition."""
    published = editions(dict(task))
    if not published:
        return None
    choices = tuple(
        Choice(f"{REPORT}{row.number}", f"Task/{_id(row)}", row.number, row.title, False)
        for row in reports
        if row.state == "last"
    )
    newest = published[-1].partition("/rapport-")[2]
    return AmendingForm(asked.plain(f"/runder/{number}/rett"), newest, "", "", choices)


def amending_again(form: AmendingForm, sent: Sent) -> AmendingForm:
    """The form as it was sent, with what is wrong."""
    fields = sent.fields
    chosen = tuple(replace(one, chosen=fields.get(one.name) == one.value) for one in form.choices)
    reason, title = typed(fields, "reason"), typed(fields, "title")
    return replace(form, reason=reason, title=title, choices=chosen, faults=sent.faults)


async def amend(reader: Reader, task: Task, number: str, fields: Fields) -> None:
    """Opens the chosen reports again. Sent twice, the second finds it done. FhirError as the operation has it."""
    chosen = sorted(text for name, text in fields.items() if name.startswith(REPORT))
    amends, reason, title = (typed(fields, name) for name in ("amends", "reason", "title"))
    refuse(_amending_faults(chosen, reason))
    if await _is_done(reader, task, number, amends, chosen):
        return
    body = parameters(
        {"name": "amends", "valueIdentifier": {"system": reader.house.sid("rapport"), "value": amends}},
        {"name": "reason", "valueString": reason},
        {"name": "title", "valueString": title} if title else None,
        *({"name": "report", "valueReference": {"reference": one}} for one in chosen),
    )
    await reader.house.operate(reader.caller, "$close-round", f"Task/{task['id']}", body=body)


def _amending_faults(chosen: Sequence[str], reason: str) -> list[Issue]:
    found = []
    if not chosen:
        found.append(missing("report", "Velg rapportene som skal rettes. / Choose the reports to correct."))
    if not reason:
        found.append(missing("reason", "Skriv hvorfor utgaven rettes. / Say why the edition is corrected."))
    return found


async def _is_done(reader: Reader, task: Task, number: str, amends: str, chosen: Sequence[str]) -> bool:
    """Whether this very correction is under way: of that edition, with all these reports open."""
    standing = await draft(reader, number) if task.get("status") == "in-progress" else None
    if standing is None or standing.replaces != amends:
        return False
    ids = ",".join(one.partition("/")[2] for one in chosen)
    reports = await reader.all("Task", *of_round(reader.house, number), ("_id", ids))
    return len(reports) == len(chosen) and all(is_missing(one) for one in reports)


def _id(row: ReportRow) -> str:
    return row.resource_url.rpartition("/Task/")[2].partition("?")[0]
