"""The five lights of a month: schedule, budget, quality, latency, risk; each in a word, a tone and a reason. Pure.

A light says what is measured or dated, never an opinion; what nothing is known of is 'not measured', and is no green.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from roadmap.kpi import KpiStatus
from roadmap.labels import LIGHTS, label_of
from roadmap.rules.health import Finding, finding
from roadmap.saying import Saying
from roadmap.sayings import say
from web.pieces import Tone

SignalName = Literal["schedule", "budget", "quality", "latency", "risk"]
# Likelihood x impact, each 1 to 5.
HIGH_RISK, MEDIUM_RISK = 15, 8


@dataclass(frozen=True, slots=True)
class Signal:
    """One light, and what was found."""

    name: SignalName
    found: Finding

    @property
    def tone(self) -> Tone:
        return self.found.tone

    @property
    def word(self) -> str:
        return label_of(LIGHTS, self.tone)

    @property
    def reason(self) -> str:
        return self.found.text


def schedule_signal(found: Finding | None, *, is_running: bool) -> Signal:
    """From what is late (`roadmap.rules.health.schedule_finding`)."""
    if not is_running:
        return Signal("schedule", finding("off", say("no_phase")))
    return Signal("schedule", found or finding("green", say("nothing_late")))


def kpi_signal(name: Literal["quality", "latency"], kpis: Sequence[tuple[str, KpiStatus]]) -> Signal:
    """The worst of the KPIs given, which are those of quality or those of latency."""
    if not kpis:
        return Signal(name, finding("off", say(f"no_{name}_kpi")))
    judged = [(kpi, status) for kpi, status in kpis if status != KpiStatus.NO_TARGET]
    if not judged:
        return Signal(name, finding("none", _of("no_target_set", [kpi for kpi, _ in kpis])))
    worst: tuple[tuple[KpiStatus, Tone, str], ...] = (
        (KpiStatus.OFF_TARGET, "red", "off_target"),
        (KpiStatus.AT_RISK, "amber", "at_risk"),
        (KpiStatus.NO_DATA, "off", "no_data_in_month"),
    )
    for status, tone, code in worst:
        names = [kpi for kpi, found in judged if found == status]
        if names:
            return Signal(name, finding(tone, _of(code, names)))
    return Signal(name, finding("green", _of("on_target", [kpi for kpi, _ in judged])))


def risk_signal(risks: Sequence[tuple[str, int]]) -> Signal:
    """From open risks as (name, likelihood x impact)."""
    if not risks:
        return Signal("risk", finding("off", say("no_risk")))
    largest, score = max(risks, key=lambda risk: risk[1])
    tone: Tone = "red" if score >= HIGH_RISK else "amber" if score >= MEDIUM_RISK else "green"
    return Signal("risk", finding(tone, say("largest_risk", risk=largest, score=score)))


def _of(code: str, kpis: Sequence[str]) -> Saying:
    return say(code, kpis=kpis)
