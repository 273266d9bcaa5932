"""The status in a sentence, and the four figures under it."""

from __future__ import annotations

from decimal import Decimal

from roadmap.kpi import KpiValue, PhaseFigures
from roadmap.kpis import BY_NAME
from roadmap.queries.month_facts import MonthFacts
from roadmap.reports.section import Figure, Json
from web.wording import money as money_text


class Headline:
    """Page 1's answer: status, sentence, and spend, forecast, cost per unit and value."""

    name = "headline"
    title = "Where it stands"

    def build(self, facts: MonthFacts) -> Json:
        """`status*`, `sentence`, `said_*`, `money_sentence`, `figures`."""
        update, before = facts.update, facts.update_before
        figures = (_spend(facts), _forecast(facts), _unit_cost(facts), _value(facts))
        return {
            "status": update.status if update else "",
            "status_word": update.word if update else "No update",
            "status_before_word": before.word if before else "No update",
            "sentence": update.sentence if update else "",
            "said_by": update.author if update else "",
            "said_on": update.on.isoformat() if update else None,
            "money_sentence": money_sentence(facts),
            "figures": [figure.json() for figure in figures],
        }


def money_sentence(facts: MonthFacts) -> str:
    """Whether the budget lasts, in words."""
    phase = facts.phase
    if phase is None:
        return "No phase was running at the end of the month."
    if phase.budget is None:
        return f"{phase.name} has no budget."
    if phase.forecast is None or phase.forecast.total is None:
        return "There is too little data for a forecast."
    budget, total = money_text(phase.budget, facts.currency), money_text(phase.forecast.total, facts.currency)
    if phase.forecast.passes_on is None:
        return f"The budget of {budget} lasts: {total} are forecast for {phase.name}."
    day = f"{phase.forecast.passes_on:%-d %b %Y}"
    return f"The budget of {budget} does not last: {total} are forecast for {phase.name}, and it is passed on {day}."


def change_text(now: Decimal | None, before: Decimal | None) -> str:
    """'8% more than the month before', or nothing where that cannot be said."""
    if now is None or not before:
        return ""
    percent = (now / before - 1) * 100
    if abs(percent) < Decimal("0.5"):
        return "as in the month before"
    return f"{abs(percent):.0f}% {'more' if percent > 0 else 'less'} than the month before"


def _window(facts: MonthFacts) -> str:
    return f"{facts.start_on:%B %Y}, {facts.zone}"


def _spend(facts: MonthFacts) -> Figure:
    planned = facts.phase.planned_for_month if facts.phase else None
    notes = [change_text(facts.figures.spend, facts.figures_before.spend)]
    if planned is not None:
        notes.insert(0, f"the budget by the day: {money_text(planned, facts.currency)}")
    return Figure(
        label="Spend of the month",
        value=facts.figures.spend,
        unit=facts.currency,
        window=_window(facts),
        note="; ".join(note for note in notes if note),
        kind="money",
    )


def _forecast(facts: MonthFacts) -> Figure:
    phase = facts.phase
    found = phase.forecast if phase else None
    basis = f"run rate of {found.days_used} days" if found and found.total is not None else ""
    note = f"budget {money_text(phase.budget, facts.currency)}" if phase and phase.budget is not None else "no budget"
    return Figure(
        label=f"Forecast, {phase.name}" if phase else "Forecast",
        value=found.total if found else None,
        unit=facts.currency,
        window=f"to {phase.planned_end_on:%-d %b %Y}" if phase else _window(facts),
        basis=basis,
        low=found.low if found else None,
        high=found.high if found else None,
        missing="too little data",
        note=note,
        kind="money",
    )


def unit_measure(facts: MonthFacts) -> str:
    """The measure that says what a unit of this roadmap's work costs."""
    return {"token": "cost_per_million_tokens", "request": "cost_per_1000_requests"}.get(
        facts.unit_of_work, "cost_per_1000_units"
    )


def computed(measure: str, figures: PhaseFigures) -> KpiValue:
    """A computed KPI's value over a month's figures."""
    return BY_NAME[measure].of(figures)


def _unit_cost(facts: MonthFacts) -> Figure:
    measure = BY_NAME[unit_measure(facts)]
    now, before = measure.of(facts.figures), measure.of(facts.figures_before)
    return Figure(
        label=measure.title_in(facts.currency),
        value=now.value,
        unit=facts.currency,
        window=_window(facts),
        basis=now.basis,
        coverage=now.coverage,
        note=change_text(now.value, before.value),
        kind="money",
    )


def _value(facts: MonthFacts) -> Figure:
    line = next((line for line in facts.kpis if line.is_value), None)
    if line is None:
        return Figure(
            label="Value",
            value=None,
            unit="",
            window=_window(facts),
            missing="no value KPI",
            note="name one on the phase",
        )
    note = ""
    if line.rate_amount is not None and line.rate_source and line.value.value is not None:
        worth = money_text(line.value.value * line.rate_amount, line.rate_currency)
        note = f"at {line.rate_amount.normalize():f} {line.rate_currency} each ({line.rate_source}): {worth}"
    return Figure(
        label=f"Value: {line.name}",
        value=line.value.value,
        unit=line.unit,
        window=_window(facts),
        basis=line.value.basis,
        note=note,
    )
