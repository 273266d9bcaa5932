"""What needs a decision, over the whole portfolio: gates, budgets, criteria, and what the read door noticed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext

from accounts.access import Asker, can_change_backends, can_see_backends
from metrics import series
from metrics.source_facts import Attention, UndecidedSignal, UsageStates
from roadmap.models import Phase, Roadmap
from roadmap.queries.phase_money import PhaseMoney
from roadmap.queries.portfolio_standing import PortfolioRow, Standing
from roadmap.saying import listed
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
    criteria = gettext("%(criteria_met)s of %(criteria_total)s met") % {
        "criteria_met": row.criteria_met,
        "criteria_total": wording.plural(row.criteria_total, "criterion", "criteria"),
    }
    if gate is not None and gate.due_on < today:
        late = wording.plural((today - gate.due_on).days, "day")
        keeper = (
            gettext("Gatekeeper %(name)s.") % {"name": gate.gatekeeper.display_name}
            if gate.gatekeeper
            else gettext("No gatekeeper is named.")
        )
        found.append(
            Decision(
                "now",
                gettext("%(name)s: the gate is %(late)s overdue") % {"name": row.name, "late": late},
                f"{criteria}. {keeper}",
                gettext("Open the gate"),
                row.gate_url,
            )
        )
    if money is not None:
        found += _budget_decisions(money, row, gate.due_on if gate else None, criteria, today)
    if gate is not None and today <= gate.due_on <= today + GATE_NEAR_DAYS * DAY:
        risky = [item.name for item in standing.criteria if item.is_must and item.tone != "green"]
        if risky:
            names = listed(risky)
            what = wording.plural(len(risky), "criterion", "criteria")
            days = wording.plural((gate.due_on - today).days, "day")
            found.append(
                Decision(
                    "soon",
                    gettext("%(name)s: %(what)s open, %(days)s to the gate")
                    % {"name": row.name, "what": what, "days": days},
                    f"{names}. {criteria}.",
                    gettext("See the criteria"),
                    row.gate_url,
                )
            )
    return found


def _budget_decisions(
    money: PhaseMoney, row: PortfolioRow, gate_on: date | None, criteria: str, today: date
) -> list[Decision]:
    if money.budget is None or money.spent is None or money.budget <= 0:
        return []
    budget = wording.money(money.budget, money.currency)
    amount = gettext("%(spent)s of %(budget)s") % {
        "spent": wording.money(money.spent, money.currency),
        "budget": budget,
    }
    if money.spent > money.budget:
        title = (
            gettext("%(name)s: budget passed on %(day)s")
            % {"name": row.name, "day": wording.day_short(money.passed_on)}
            if money.passed_on
            else gettext("%(name)s: budget passed") % {"name": row.name}
        )
        if gate_on and gate_on > today:
            days = wording.plural((gate_on - today).days, "day")
            amount = gettext("%(amount)s; %(days)s to the gate") % {"amount": amount, "days": days}
        return [
            Decision(
                "now",
                title,
                f"{amount}, {criteria}.",
                gettext("See the spend"),
                row.phase_url,
            )
        ]
    plan = money.forecast
    if plan is None or plan.passes_on is None or plan.total is None:
        return []
    total = wording.money(plan.total, money.currency)
    why = gettext("Forecast %(total)s of %(budget)s") % {"total": total, "budget": budget}
    if band := wording.band(plan.low, plan.high):
        told = {"total": total, "budget": budget, **band}
        why = gettext("Forecast %(total)s of %(budget)s; band %(low)s to %(high)s") % told
    return [
        Decision(
            "soon",
            gettext("%(name)s: budget ends %(passes_on)s")
            % {"name": row.name, "passes_on": wording.day(plan.passes_on)},
            f"{why}.",
            gettext("See the forecast"),
            row.phase_url,
        )
    ]


def _signal_decision(waiting: UndecidedSignal) -> Decision:
    return Decision(
        "soon",
        gettext("%(token_name)s sends %(arrives)s only")
        % {"token_name": waiting.token_name, "arrives": waiting.arrives},
        gettext("This token counts %(counts)s, so nothing of it is in any figure. Counted from the moment you say so.")
        % {"counts": waiting.counts},
        gettext("Count them"),
        reverse("count_signal", args=[waiting.token_id]),
        {"signal": waiting.arrives},
    )


def _usage_decision(item: Attention, *, can_act: bool) -> Decision:
    words = {
        "backend_stopped": (
            "now",
            gettext("%(subject)s does not answer") % {"subject": item.subject},
            gettext("Test connection") if can_act else gettext("See the backend"),
        ),
        "backend_late": (
            "soon",
            gettext("%(subject)s is late") % {"subject": item.subject},
            gettext("See the backend"),
        ),
        "not_priced": (
            "soon",
            gettext("%(subject)s is not priced") % {"subject": item.subject},
            gettext("Enter a price") if can_act else gettext("See the backend"),
        ),
        "unallocated": (
            "soon",
            gettext("Usage of %(subject)s has no roadmap") % {"subject": item.subject},
            gettext("Allocate it") if can_act else gettext("See the backend"),
        ),
        "bill": (
            "soon",
            gettext("Does the bill %(subject)s pay for what counts already?") % {"subject": item.subject},
            gettext("Say what it pays for") if can_act else gettext("See the bill"),
        ),
        "look_alike": (
            "soon",
            gettext("%(subject)s look like the same traffic") % {"subject": item.subject},
            gettext("Link them") if can_act else gettext("See the backend"),
        ),
    }
    urgency, what, action = words.get(item.code, ("soon", item.subject, gettext("See it")))
    try:
        url = reverse(item.url_name, args=item.url_args)
    except NoReverseMatch:
        url = ""
    return Decision(urgency, what, item.detail, action, url)  # type: ignore[arg-type]
