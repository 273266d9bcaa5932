"""What needs a decision, over the whole portfolio: gates, budgets, criteria, and what the read door noticed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from django.urls import NoReverseMatch, reverse

from accounts.access import Asker, can_change_backends, can_see_backends
from metrics import series
from metrics.source_facts import Attention, UndecidedSignal, UsageStates
from roadmap.models import Phase, Roadmap
from roadmap.queries.phase_money import PhaseMoney
from roadmap.queries.portfolio_standing import PortfolioRow, Standing
from web import wording
from web.pieces import Decision

DAY = timedelta(days=1)
# Criteria that are not met matter when the gate is near.
GATE_NEAR_DAYS = 45


def decisions_of(
    asker: Asker,
    of_roadmaps: Iterable[Decision],
    workload_ids: Sequence[int],
    *,
    usage: UsageStates,
    sees_all: bool,
) -> list[Decision]:
    """What somebody has to decide, the urgent first: what the roadmaps shown need, and what was noticed of usage."""
    found = list(of_roadmaps)
    if can_see_backends(asker):
        ids = None if sees_all else workload_ids
        noticed = series.attention(ids, state=usage.of_all(ids))
        found += [_usage_decision(item, can_act=can_change_backends(asker)) for item in noticed]
    shown = set(workload_ids)
    for waiting in series.undecided_signals(asker):
        if waiting.workload_id is None or waiting.workload_id in shown:
            found.append(_signal_decision(waiting))
    ordered = sorted(found, key=lambda item: item.urgency != "now")
    if ordered and ordered[0].urgency == "now" and ordered[0].url:
        first = ordered[0]
        ordered[0] = Decision(first.urgency, first.what, first.why, first.action, first.url, first.fields, "main")
    return ordered


def roadmap_decisions(standing: Standing, row: PortfolioRow, today: date) -> list[Decision]:
    """What one roadmap needs decided: its gate, its budget, its criteria."""
    phase, gate, money = standing.rows.present, standing.rows.gate, standing.money
    if phase is None or phase.state != Phase.State.ACTIVE or row.state != Roadmap.State.ACTIVE:
        return []
    found = []
    criteria = f"{row.criteria_met} of {wording.plural(row.criteria_total, 'criterion', 'criteria')} met"
    if gate is not None and gate.due_on < today:
        late = wording.plural((today - gate.due_on).days, "day")
        keeper = f" Gatekeeper {gate.gatekeeper.display_name}." if gate.gatekeeper else " No gatekeeper is named."
        found.append(
            Decision(
                "now", f"{row.name}: the gate is {late} overdue", f"{criteria}.{keeper}", "Open the gate", row.gate_url
            )
        )
    if money is not None:
        found += _budget_decisions(money, row, gate.due_on if gate else None, criteria, today)
    if gate is not None and today <= gate.due_on <= today + GATE_NEAR_DAYS * DAY:
        risky = [item.name for item in standing.criteria if item.is_must and item.tone != "green"]
        if risky:
            names = ", ".join(risky[:2]) + (f" and {len(risky) - 2} more" if len(risky) > 2 else "")
            what = wording.plural(len(risky), "criterion", "criteria")
            days = wording.plural((gate.due_on - today).days, "day")
            found.append(
                Decision(
                    "soon",
                    f"{row.name}: {what} open, {days} to the gate",
                    f"{names}. {criteria}.",
                    "See the criteria",
                    row.gate_url,
                )
            )
    return found


def _budget_decisions(
    money: PhaseMoney, row: PortfolioRow, gate_on: date | None, criteria: str, today: date
) -> list[Decision]:
    if money.budget is None or money.spent is None or money.budget <= 0:
        return []
    amount = f"{wording.money(money.spent, money.currency)} of {wording.money(money.budget, money.currency)}"
    if money.spent > money.budget:
        when = f" on {wording.day_short(money.passed_on)}" if money.passed_on else ""
        to_gate = (
            f"; {wording.plural((gate_on - today).days, 'day')} to the gate" if gate_on and gate_on > today else ""
        )
        return [
            Decision(
                "now",
                f"{row.name}: budget passed{when}",
                f"{amount}{to_gate}, {criteria}.",
                "See the spend",
                row.phase_url,
            )
        ]
    plan = money.forecast
    if plan is None or plan.passes_on is None or plan.total is None:
        return []
    why = f"Forecast {wording.money(plan.total, money.currency)} of {wording.money(money.budget, money.currency)}"
    if plan.low is not None and plan.high is not None:
        why += f"; band {wording.short(plan.low)} to {wording.short(plan.high)}"
    return [
        Decision(
            "soon",
            f"{row.name}: budget ends {wording.day(plan.passes_on)}",
            f"{why}.",
            "See the forecast",
            row.phase_url,
        )
    ]


def _signal_decision(waiting: UndecidedSignal) -> Decision:
    return Decision(
        "soon",
        f"{waiting.token_name} sends {waiting.arrives} only",
        f"This token counts {waiting.counts}, so nothing of it is in any figure. Counted from the moment you say so.",
        "Count them",
        reverse("count_signal", args=[waiting.token_id]),
        {"signal": waiting.arrives},
    )


def _usage_decision(item: Attention, *, can_act: bool) -> Decision:
    words = {
        "backend_stopped": (
            "now",
            f"{item.subject} does not answer",
            "Test connection" if can_act else "See the backend",
        ),
        "backend_late": ("soon", f"{item.subject} is late", "See the backend"),
        "not_priced": ("soon", f"{item.subject} is not priced", "Enter a price" if can_act else "See the backend"),
        "unallocated": (
            "soon",
            f"Usage of {item.subject} has no roadmap",
            "Allocate it" if can_act else "See the backend",
        ),
        "bill": (
            "soon",
            f"Does the bill {item.subject} pay for what counts already?",
            "Say what it pays for" if can_act else "See the bill",
        ),
        "look_alike": (
            "soon",
            f"{item.subject} look like the same traffic",
            "Link them" if can_act else "See the backend",
        ),
    }
    urgency, what, action = words.get(item.code, ("soon", item.subject, "See it"))
    try:
        url = reverse(item.url_name, args=item.url_args)
    except NoReverseMatch:
        url = ""
    return Decision(urgency, what, item.detail, action, url)  # type: ignore[arg-type]
