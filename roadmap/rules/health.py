"""How a phase stands, in words: its budget, its schedule, its KPIs, and the one sentence that opens its page. Pure.

Definitions: a phase is judged by what is measured; the manager's own status stands beside it and is never replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from roadmap.kpi import KpiStatus
from roadmap.rules.forecast import Forecast
from web import wording
from web.pieces import Tone

# A forecast this near to the budget is named in the sentence.
NEAR = Decimal("0.95")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found, as a sentence, and how bad it is."""

    tone: Tone
    text: str


@dataclass(frozen=True, slots=True)
class Money:
    """Spend against the budget. Amounts in one currency; unknown is None."""

    currency: str
    spent: Decimal | None
    budget: Decimal | None
    forecast: Forecast | None
    passed_on: date | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Dates of a phase. `late`: names of open milestones that are due before today."""

    today: date
    state: str
    start_on: date
    end_on: date
    gate_due_on: date | None
    late: Sequence[str] = ()


def budget_finding(money: Money, schedule: Schedule) -> Finding:
    """Whether the budget will last."""
    if money.spent is None:
        return Finding("off", "Nothing was spent or measured yet.")
    spent = wording.money(money.spent, money.currency)
    if money.budget is None or money.budget <= 0:
        return Finding("none", f"{spent} spent; no budget is set.")
    of_budget = f"{spent} of {wording.money(money.budget, money.currency)}"
    if money.spent > money.budget:
        when = f" on {wording.day(money.passed_on)}" if money.passed_on else ""
        return Finding("red", f"The budget was passed{when}: {of_budget} are spent.")
    if schedule.state != "active":
        return Finding("green", f"{of_budget} were spent.")
    plan = money.forecast
    if plan is None or plan.total is None:
        return Finding("none", f"{of_budget} spent; too little data for a forecast.")
    if plan.passes_on is not None:
        text = f"At the present rate the budget ends on {wording.day(plan.passes_on)}"
        return Finding("amber", text + _before_gate(plan.passes_on, schedule) + ".")
    word = "just lasts" if plan.total > NEAR * money.budget else "lasts"
    total = wording.money(plan.total, money.currency)
    return Finding(
        "green",
        f"The budget {word}: {total} of {wording.money(money.budget, money.currency)} are forecast"
        f" for {wording.day(plan.end_on)}.",
    )


def _before_gate(on: date, schedule: Schedule) -> str:
    """', two weeks before the gate'."""
    if schedule.gate_due_on is None or on >= schedule.gate_due_on:
        return ""
    days = (schedule.gate_due_on - on).days
    if days < 14:
        return f", {wording.plural(days, 'day')} before the gate"
    if days < 60:
        return f", {wording.plural(days // 7, 'week')} before the gate"
    return f", {wording.plural(days // 30, 'month')} before the gate"


def schedule_finding(schedule: Schedule) -> Finding | None:
    """What is late; None where nothing is."""
    parts = []
    tone: Tone = "amber"
    if schedule.state == "active" and schedule.gate_due_on is not None and schedule.gate_due_on < schedule.today:
        days = (schedule.today - schedule.gate_due_on).days
        parts.append(f"The gate is {wording.plural(days, 'day')} overdue.")
        tone = "red"
    if len(schedule.late) == 1:
        parts.append(f"1 milestone is late: {schedule.late[0]}.")
    elif schedule.late:
        parts.append(f"{len(schedule.late)} milestones are late.")
    return Finding(tone, " ".join(parts)) if parts else None


def kpi_finding(kpis: Sequence[tuple[str, KpiStatus]]) -> Finding | None:
    """How the KPIs with a target stand; None without any."""
    judged = [(name, status) for name, status in kpis if status != KpiStatus.NO_TARGET]
    if not judged:
        return None
    off = [name for name, status in judged if status == KpiStatus.OFF_TARGET]
    risky = [name for name, status in judged if status == KpiStatus.AT_RISK]
    good = [name for name, status in judged if status == KpiStatus.ON_TARGET]
    if off:
        verb = "is" if len(off) == 1 else "are"
        return Finding("red", f"{len(off)} of {len(judged)} KPIs {verb} off target: {_names(off)}.")
    if risky:
        verb = "is" if len(risky) == 1 else "are"
        return Finding("amber", f"{len(risky)} of {len(judged)} KPIs {verb} at risk: {_names(risky)}.")
    if not good:
        return Finding("off", "No KPI has data yet.")
    if len(good) == len(judged):
        return Finding("green", "The KPI is on target." if len(good) == 1 else f"All {len(good)} KPIs are on target.")
    return Finding("green", f"{len(good)} of {len(judged)} KPIs are on target, the others have no data.")


def _names(names: Sequence[str]) -> str:
    if len(names) <= 2:
        return " and ".join(names)
    return f"{names[0]}, {names[1]} and {len(names) - 2} more"


def lede(money: Money, schedule: Schedule, kpis: Sequence[tuple[str, KpiStatus]]) -> tuple[Finding, str]:
    """The sentence that opens the page, and what follows it in the second ink."""
    if schedule.state == "planned":
        return Finding("none", f"Not started; planned for {wording.days(schedule.start_on, schedule.end_on)}."), ""
    first = budget_finding(money, schedule)
    others = [found for found in (schedule_finding(schedule), kpi_finding(kpis)) if found is not None]
    if first.tone not in ("red", "amber"):
        # What is late or off target comes before a budget that lasts.
        worst = next((found for found in others if found.tone == "red"), None)
        if worst is not None:
            others = [first, *(found for found in others if found is not worst)]
            first = worst
    if schedule.state == "closed":
        others = [found for found in others if found.tone != "amber" or "KPI" in found.text]
    return first, " ".join(found.text for found in others)
