"""The five lights, each beside last month's."""

from __future__ import annotations

from dataclasses import replace

from roadmap.kpi import KpiStatus
from roadmap.queries.month_facts import KpiLine, MonthFacts
from roadmap.reports.section import Json
from roadmap.rules import health
from roadmap.rules.signals import Signal, kpi_signal, risk_signal, schedule_signal
from roadmap.sayings import say

QUALITY = frozenset({"quality", "error_rate", "block_rate", "override_rate", "false_alarm_rate"})
LATENCY_BEGINS = ("duration_p", "time_to_first_token_p", "inter_token_p")


class Signals:
    """Schedule, budget, quality, latency and risk, each as a tone with its reasons."""

    name = "signals"

    def build(self, facts: MonthFacts) -> Json:
        """`rows`, always the five of them in this order; `tone_before` null where last month had no report."""
        rows = (_schedule(facts), _budget(facts), _quality(facts), _latency(facts), _risk(facts))
        return {
            "rows": [
                {
                    "signal": signal.name,
                    "tone": signal.tone,
                    "tone_before": None,
                    "reasons": [saying.json() for saying in signal.found.sayings],
                }
                for signal in rows
            ]
        }


def set_beside(signals: Json, before: Json | None) -> Json:
    """The lights with last month's beside them, as last month's report had them (schema version 1 or 2)."""
    then = {row["signal"]: row["tone"] for row in before["rows"]} if before else {}
    return {**signals, "rows": [{**row, "tone_before": then.get(row["signal"])} for row in signals["rows"]]}


def _schedule(facts: MonthFacts) -> Signal:
    phase = facts.phase
    found = health.schedule_finding(phase.schedule) if phase else None
    return schedule_signal(found, is_running=phase is not None)


def _budget(facts: MonthFacts) -> Signal:
    phase = facts.phase
    if phase is None:
        return Signal("budget", health.finding("off", say("no_phase")))
    money = health.Money(facts.currency, phase.spent, phase.budget, phase.forecast, phase.passed_on)
    found = health.budget_finding(money, phase.schedule)
    # There is a target; how it will be met is what nobody knows yet.
    return Signal("budget", replace(found, tone="off") if found.tone == "none" and phase.budget else found)


def _quality(facts: MonthFacts) -> Signal:
    return kpi_signal("quality", [_standing(line) for line in facts.kpis if line.measure in QUALITY])


def _latency(facts: MonthFacts) -> Signal:
    lines = [line for line in facts.kpis if line.measure.startswith(LATENCY_BEGINS)]
    return kpi_signal("latency", [_standing(line) for line in lines])


def _standing(line: KpiLine) -> tuple[str, KpiStatus]:
    return line.name, line.value.judgement.status


def _risk(facts: MonthFacts) -> Signal:
    return risk_signal([(risk.name, risk.score) for risk in facts.risks])
