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
from roadmap.saying import Saying
from roadmap.sayings import say
from web.pieces import Tone

# A forecast this near to the budget is named in the sentence.
NEAR = Decimal("0.95")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found, in words of the language in force, and how bad it is. `sayings`: its sentences."""

    tone: Tone
    text: str
    sayings: Sequence[Saying] = ()

    def is_about(self, subject: str) -> bool:
        """Whether a sentence's code begins with the subject: 'kpis', 'gate', 'budget'."""
        return any(saying.code.startswith(subject) for saying in self.sayings)


def finding(tone: Tone, *sayings: Saying) -> Finding:
    """What was found, from its sentences."""
    return Finding(tone, " ".join(sayings), sayings)


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
        return finding("off", say("nothing_spent"))
    spent = {"spent": money.spent, "currency": money.currency}
    if money.budget is None or money.budget <= 0:
        return finding("none", say("spent_without_budget", **spent))
    amounts = {**spent, "budget": money.budget}
    if money.spent > money.budget:
        if money.passed_on:
            return finding("red", say("budget_passed_on", on=money.passed_on, **amounts))
        return finding("red", say("budget_passed", **amounts))
    if schedule.state != "active":
        return finding("green", say("budget_was_spent", **amounts))
    plan = money.forecast
    if plan is None or plan.total is None:
        return finding("none", say("too_little_for_forecast", **amounts))
    if plan.passes_on is not None:
        return finding("amber", _ends(plan.passes_on, schedule))
    code = "budget_just_lasts_until" if plan.total > NEAR * money.budget else "budget_lasts_until"
    said = say(code, total=plan.total, budget=money.budget, currency=money.currency, on=plan.end_on)
    return finding("green", said)


def _ends(on: date, schedule: Schedule) -> Saying:
    """When the budget ends, and how long before the gate."""
    if schedule.gate_due_on is None or on >= schedule.gate_due_on:
        return say("budget_ends", on=on)
    days = (schedule.gate_due_on - on).days
    if days < 14:
        return say("budget_ends_days_before_gate", on=on, days=days)
    if days < 60:
        return say("budget_ends_weeks_before_gate", on=on, weeks=days // 7)
    return say("budget_ends_months_before_gate", on=on, months=days // 30)


def schedule_finding(schedule: Schedule) -> Finding | None:
    """What is late; None where nothing is."""
    parts: list[Saying] = []
    tone: Tone = "amber"
    if schedule.state == "active" and schedule.gate_due_on is not None and schedule.gate_due_on < schedule.today:
        parts.append(say("gate_overdue", days=(schedule.today - schedule.gate_due_on).days))
        tone = "red"
    if len(schedule.late) == 1:
        parts.append(say("milestone_late", milestone=schedule.late[0]))
    elif schedule.late:
        parts.append(say("milestones_late", count=len(schedule.late)))
    return finding(tone, *parts) if parts else None


def kpi_finding(kpis: Sequence[tuple[str, KpiStatus]]) -> Finding | None:
    """How the KPIs with a target stand; None without any."""
    judged = [(name, status) for name, status in kpis if status != KpiStatus.NO_TARGET]
    if not judged:
        return None
    off = [name for name, status in judged if status == KpiStatus.OFF_TARGET]
    risky = [name for name, status in judged if status == KpiStatus.AT_RISK]
    good = [name for name, status in judged if status == KpiStatus.ON_TARGET]
    if off:
        return finding("red", say("kpis_off_target", count=len(off), of=len(judged), kpis=off))
    if risky:
        return finding("amber", say("kpis_at_risk", count=len(risky), of=len(judged), kpis=risky))
    if not good:
        return finding("off", say("kpis_without_data"))
    if len(good) == len(judged):
        return finding("green", say("kpis_all_on_target", count=len(good)))
    return finding("green", say("kpis_on_target", count=len(good), of=len(judged)))


def lede(money: Money, schedule: Schedule, kpis: Sequence[tuple[str, KpiStatus]]) -> tuple[Finding, str]:
    """The sentence that opens the page, and what follows it in the second ink."""
    if schedule.state == "planned":
        planned = say("planned_for", start_on=schedule.start_on, end_on=schedule.end_on)
        return finding("none", planned), ""
    first = budget_finding(money, schedule)
    others = [found for found in (schedule_finding(schedule), kpi_finding(kpis)) if found is not None]
    if first.tone not in ("red", "amber"):
        # What is late or off target comes before a budget that lasts.
        worst = next((found for found in others if found.tone == "red"), None)
        if worst is not None:
            others = [first, *(found for found in others if found is not worst)]
            first = worst
    if schedule.state == "closed":
        others = [found for found in others if found.tone != "amber" or found.is_about("kpis")]
    return first, " ".join(found.text for found in others)
