"""Why a light of the month is what it is."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from roadmap.saying import Kind, Words, words

SAYINGS: dict[str, Words] = {
    "no_quality_kpi": words(_("No KPI measures quality.")),
    "no_latency_kpi": words(_("No KPI measures latency.")),
    "no_target_set": words(_("%(kpis)s: no target is set."), kpis=Kind.LISTED),
    "off_target": words(_("%(kpis)s: off target."), kpis=Kind.LISTED),
    "at_risk": words(_("%(kpis)s: at risk."), kpis=Kind.LISTED),
    "no_data_in_month": words(_("%(kpis)s: no data in the month."), kpis=Kind.LISTED),
    "on_target": words(_("%(kpis)s: on target."), kpis=Kind.LISTED),
    "no_risk": words(_("No risk is written down.")),
    "largest_risk": words(_("%(risk)s: %(score)s of 25."), risk=Kind.NAME, score=Kind.COUNT),
}
