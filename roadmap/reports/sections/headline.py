"""The status in a sentence, and the four figures under it."""

from __future__ import annotations

from decimal import Decimal

from roadmap.kpis import BY_NAME
from roadmap.queries.month_facts import KpiLine, MonthFacts
from roadmap.reports.section import Figure, Json, covered, fresh, iso
from roadmap.saying import Saying
from roadmap.sayings import say
from web import wording

# Less is no change worth a word.
_UNCHANGED = Decimal("0.005")


class Headline:
    """Page 1's answer: status, sentence, and spend, forecast, cost per unit and value."""

    name = "headline"

    def build(self, facts: MonthFacts) -> Json:
        """`status` and `status_before` ('' without an update), what the manager said, `money`, four `figures`."""
        update, before = facts.update, facts.update_before
        figures = (_spend(facts), _forecast(facts), _unit_cost(facts), _value(facts))
        return {
            "status": update.status if update else "",
            "status_before": before.status if before else "",
            "sentence": update.sentence if update else "",
            "said_by": update.author if update else "",
            "said_on": iso(update.on) if update else None,
            "money": money_saying(facts).json(),
            "figures": [figure.json() for figure in figures],
        }


def money_saying(facts: MonthFacts) -> Saying:
    """Whether the budget lasts, or lasted: what is over is not forecast."""
    phase = facts.phase
    if phase is None:
        return say("no_phase")
    if not phase.budget:
        return say("no_budget", phase=phase.kind)
    if phase.spent is not None:
        spent = {"spent": phase.spent, "budget": phase.budget, "currency": facts.currency}
        if phase.spent > phase.budget:
            return (
                say("budget_passed_on", on=phase.passed_on, **spent)
                if phase.passed_on
                else say("budget_passed", **spent)
            )
        if phase.schedule.state != "active":
            return say("budget_was_spent", **spent)
    if phase.forecast is None or phase.forecast.total is None:
        return say("no_forecast")
    amounts = {
        "budget": phase.budget, "total": phase.forecast.total, "currency": facts.currency, "phase": phase.kind
    }  # fmt: skip
    if phase.forecast.passes_on is None:
        return say("budget_lasts", **amounts)
    return say("budget_does_not_last", on=phase.forecast.passes_on, **amounts)


def change_saying(now: Decimal | None, before: Decimal | None) -> list[Saying]:
    """'8% more than the month before', or nothing where that cannot be said: of nothing, and of credits."""
    if now is None or before is None or before <= 0 or now < 0:
        return []
    ratio = now / before - 1
    if abs(ratio) < _UNCHANGED:
        return [say("as_before")]
    return [say("more_than_before" if ratio > 0 else "less_than_before", share=abs(ratio))]


def _spend(facts: MonthFacts) -> Figure:
    notes = [*_against_plan(facts), *change_saying(facts.figures.spend, facts.figures_before.spend)]
    return Figure(
        key="spend",
        kind="money",
        value=facts.figures.spend,
        unit=facts.currency,
        window=(facts.start_on, facts.end_on),
        freshness=fresh(facts),
        basis=say("usage_and_entries"),
        notes=notes,
    )


def _against_plan(facts: MonthFacts) -> list[Saying]:
    """The month and the phase to date as shares of the budget, spread evenly over the planned days."""
    phase, spent = facts.phase, facts.figures.spend
    notes = []
    if phase and phase.planned_for_month and spent is not None:
        plan = phase.planned_for_month
        notes.append(say("plan_of_month", share=spent / plan, plan=plan, currency=facts.currency))
    if phase and phase.planned_to_date and phase.spent is not None:
        plan = phase.planned_to_date
        said = say("plan_to_date", spent=phase.spent, share=phase.spent / plan, plan=plan, currency=facts.currency)
        notes.append(said)
    return notes


def _forecast(facts: MonthFacts) -> Figure:
    phase = facts.phase
    found = phase.forecast if phase else None
    total = found.total if found else None
    is_over = phase is not None and phase.schedule.state != "active" and phase.spent is not None
    if phase is not None and is_over:
        # Nothing is left to forecast: what was spent is what it ended at.
        found, total = None, phase.spent
    notes = []
    if phase is None or not phase.budget:
        notes.append(say("no_budget_set"))
    elif total is None:
        notes.append(say("budget_is", budget=phase.budget, currency=facts.currency))
    else:
        notes.append(say("of_budget", share=total / phase.budget, budget=phase.budget, currency=facts.currency))
    if found and total is not None and wording.band(found.low, found.high, facts.currency):
        notes.append(say("band", low=found.low, high=found.high, currency=facts.currency))
    if is_over:
        notes.append(say("phase_is_over"))
    return Figure(
        key="forecast",
        kind="money",
        value=total,
        unit=facts.currency,
        window=(phase.started_on, phase.planned_end_on) if phase else (facts.start_on, facts.end_on),
        freshness=fresh(facts),
        basis=say("run_rate", days=found.days_used) if found and total is not None else None,
        low=found.low if found else None,
        high=found.high if found else None,
        missing="too_little_data",
        notes=notes,
        phase=phase.kind if phase else "",
    )


def unit_measure(facts: MonthFacts) -> str:
    """The measure that says what a unit of this roadmap's work costs."""
    return {"token": "cost_per_million_tokens", "request": "cost_per_1000_requests"}.get(
        facts.unit_of_work, "cost_per_1000_units"
    )


def _unit_cost(facts: MonthFacts) -> Figure:
    measure = BY_NAME[unit_measure(facts)]
    now, before = measure.of(facts.figures), measure.of(facts.figures_before)
    return Figure(
        key="unit_cost",
        measure=measure.name,
        kind="money",
        value=now.value,
        unit=facts.currency,
        window=(facts.start_on, facts.end_on),
        freshness=fresh(facts),
        basis=now.basis if isinstance(now.basis, Saying) else None,
        coverage=covered(now),
        notes=change_saying(now.value, before.value),
    )


def _value(facts: MonthFacts) -> Figure:
    line = next((line for line in facts.kpis if line.is_value), None)
    if line is None:
        return Figure(
            key="value",
            kind="number",
            value=None,
            unit="",
            window=(facts.start_on, facts.end_on),
            freshness=fresh(facts),
            missing="no_value_kpi",
            notes=[say("name_a_value_kpi")],
        )
    return Figure(
        key="value",
        name=line.name,
        measure=line.measure,
        kind="number",
        value=line.value.value,
        unit=line.unit,
        window=(line.value.start_on, line.value.end_on),
        freshness=fresh(facts) if line.measure else {"state": "entered", "data_until": None},
        basis=line.value.basis if isinstance(line.value.basis, Saying) else None,
        coverage=covered(line.value),
        notes=_worth(line),
    )


def _worth(line: KpiLine) -> list[Saying]:
    if line.rate_amount is None or not line.rate_source or line.value.value is None:
        return []
    worth = line.value.value * line.rate_amount
    return [
        say("worth", rate=line.rate_amount, currency=line.rate_currency, source=line.rate_source, worth=worth)
    ]  # fmt: skip
