"""The five lights, each beside last month's."""

from __future__ import annotations

from roadmap.kpi import KpiStatus
from roadmap.queries.month_facts import KpiLine, MonthFacts
from roadmap.reports.section import Json
from roadmap.rules import health
from roadmap.rules.signals import NAMES, Signal, kpi_signal, risk_signal, schedule_signal

QUALITY = frozenset({"quality", "error_rate", "block_rate", "override_rate", "false_alarm_rate"})
LATENCY_BEGINS = ("duration_p", "time_to_first_token_p", "inter_token_p")


class Signals:
    """Schedule, budget, quality, latency and risk, in a word with its reason."""

    name = "signals"
    title = "Five signals"

    def build(self, facts: MonthFacts) -> Json:
        """`rows`, always the five of them in this order."""
        rows = (_schedule(facts), _budget(facts), _quality(facts), _latency(facts), _risk(facts))
        return {
            "rows": [
                {
                    "signal": signal.name,
                    "name": NAMES[signal.name],
                    "tone": signal.tone,
                    "word": signal.word,
                    "reason": signal.reason,
                }
                for signal in rows
            ]
        }


def _schedule(facts: MonthFacts) -> Signal:
    phase = facts.phase
    found = health.schedule_finding(phase.schedule) if phase else None
    return schedule_signal(found, is_running=phase is not None)


def _budget(facts: MonthFacts) -> Signal:
    phase = facts.phase
    if phase is None:
        return Signal("budget", "off", "No phase was running at the end of the month.")
    money = health.Money(facts.currency, phase.spent, phase.budget, phase.forecast, phase.passed_on)
    found = health.budget_finding(money, phase.schedule)
    return Signal("budget", found.tone, found.text)


def _quality(facts: MonthFacts) -> Signal:
    return kpi_signal("quality", [_standing(line) for line in facts.kpis if line.measure in QUALITY])


def _latency(facts: MonthFacts) -> Signal:
    lines = [line for line in facts.kpis if line.measure.startswith(LATENCY_BEGINS)]
    return kpi_signal("latency", [_standing(line) for line in lines])


def _standing(line: KpiLine) -> tuple[str, KpiStatus]:
    return line.name, line.value.judgement.status


def _risk(facts: MonthFacts) -> Signal:
    return risk_signal([(risk.name, risk.score) for risk in facts.risks])
