"""The five lights of a month: schedule, budget, quality, latency, risk; each in a word, a tone and a reason. Pure.

A light says what is measured or dated, never an opinion; what nothing is known of is 'not measured', and is no green.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from roadmap.kpi import KpiStatus
from roadmap.rules.health import Finding
from web.pieces import Tone

SignalName = Literal["schedule", "budget", "quality", "latency", "risk"]
NAMES: dict[SignalName, str] = {
    "schedule": "Schedule",
    "budget": "Budget",
    "quality": "Quality",
    "latency": "Latency",
    "risk": "Risk",
}
WORDS: dict[Tone, str] = {
    "green": "Green",
    "amber": "Amber",
    "red": "Red",
    "none": "No target",
    "off": "Not measured",
}
# Likelihood x impact, each 1 to 5.
HIGH_RISK, MEDIUM_RISK = 15, 8


@dataclass(frozen=True, slots=True)
class Signal:
    """One light."""

    name: SignalName
    tone: Tone
    reason: str

    @property
    def word(self) -> str:
        return WORDS[self.tone]


def schedule_signal(found: Finding | None, *, is_running: bool) -> Signal:
    """From what is late (`roadmap.rules.health.schedule_finding`)."""
    if not is_running:
        return Signal("schedule", "off", "No phase was running at the end of the month.")
    if found is None:
        return Signal("schedule", "green", "No milestone and no gate is late.")
    return Signal("schedule", found.tone, found.text)


def kpi_signal(name: SignalName, kpis: Sequence[tuple[str, KpiStatus]]) -> Signal:
    """The worst of the KPIs given, which are those of quality or those of latency."""
    if not kpis:
        return Signal(name, "off", f"No KPI measures {NAMES[name].lower()}.")
    judged = [(kpi, status) for kpi, status in kpis if status != KpiStatus.NO_TARGET]
    if not judged:
        return Signal(name, "none", f"{_listed([kpi for kpi, _ in kpis])}: no target is set.")
    worst: tuple[tuple[KpiStatus, Tone, str], ...] = (
        (KpiStatus.OFF_TARGET, "red", "off target"),
        (KpiStatus.AT_RISK, "amber", "at risk"),
        (KpiStatus.NO_DATA, "off", "no data in the month"),
    )
    for status, tone, word in worst:
        names = [kpi for kpi, found in judged if found == status]
        if names:
            return Signal(name, tone, f"{_listed(names)}: {word}.")
    return Signal(name, "green", f"{_listed([kpi for kpi, _ in judged])}: on target.")


def risk_signal(risks: Sequence[tuple[str, int]]) -> Signal:
    """From open risks as (name, likelihood x impact)."""
    if not risks:
        return Signal("risk", "off", "No risk is written down.")
    largest, score = max(risks, key=lambda risk: risk[1])
    tone: Tone = "red" if score >= HIGH_RISK else "amber" if score >= MEDIUM_RISK else "green"
    return Signal("risk", tone, f"{largest}: {score} of 25.")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
