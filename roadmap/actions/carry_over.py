"""KPIs go on into the next phase with their history. Part of decide_gate; decides nothing about who may."""

from __future__ import annotations

from roadmap.models import Kpi, Phase
from roadmap.rules.formulas import key_from, renamed


def carry_over(phase: Phase, following: Phase) -> None:
    """Each KPI goes on with its history: into the next phase's KPI of the same measure or name, else anew."""
    there = list(following.kpis.all())
    taken = {kpi.key for kpi in there}
    has_value = any(kpi.is_value for kpi in there)
    position = max((kpi.position for kpi in there), default=-1)
    keys: dict[str, str] = {}
    made: list[Kpi] = []
    for kpi in phase.kpis.all():
        same = next(
            (item for item in there if (kpi.measure and item.measure == kpi.measure) or item.name == kpi.name), None
        )
        if same is None:
            position += 1
            same = Kpi(
                phase=following,
                name=kpi.name,
                key=kpi.key if kpi.key not in taken else key_from(kpi.name, taken),
                unit=kpi.unit,
                direction=kpi.direction,
                source=kpi.source,
                measure=kpi.measure,
                formula=kpi.formula,
                window_days=kpi.window_days,
                combine=kpi.combine,
                minimum_sample=kpi.minimum_sample,
                is_value=kpi.is_value and not has_value,
                position=position,
            )
            taken.add(same.key)
            made.append(same)
        keys[kpi.key] = same.key
        same.carried_from = kpi
        if same.target is None:
            same.target = kpi.target
        if same.baseline is None:
            same.baseline = kpi.baseline
        if same.is_value and same.rate_amount is None:
            same.rate_amount, same.rate_currency = kpi.rate_amount, kpi.rate_currency
            same.rate_source, same.rate_owner = kpi.rate_source, kpi.rate_owner
        same.save()
    for kpi in made:
        if kpi.formula:
            kpi.formula = renamed(kpi.formula, keys)
            kpi.save(update_fields=["formula"])
