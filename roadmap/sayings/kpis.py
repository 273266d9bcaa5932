"""How KPIs stand, what their values rest on, and why there is none."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy as _n

from roadmap.saying import Kind, Words, words

SAYINGS: dict[str, Words] = {
    "kpis_off_target": words(
        _n(
            "%(count)s of %(of)s KPIs is off target: %(kpis)s.",
            "%(count)s of %(of)s KPIs are off target: %(kpis)s.",
            "n",
        ),
        count=Kind.COUNT, of=Kind.COUNT, kpis=Kind.NAMES,
    ),
    "kpis_at_risk": words(
        _n(
            "%(count)s of %(of)s KPIs is at risk: %(kpis)s.",
            "%(count)s of %(of)s KPIs are at risk: %(kpis)s.",
            "n",
        ),
        count=Kind.COUNT, of=Kind.COUNT, kpis=Kind.NAMES,
    ),
    "kpis_without_data": words(_("No KPI has data yet.")),
    "kpis_all_on_target": words(
        _n("The KPI is on target.", "All %(count)s KPIs are on target.", "n"), count=Kind.COUNT
    ),
    "kpis_on_target": words(
        _n(
            "%(count)s of %(of)s KPIs is on target, the others have no data.",
            "%(count)s of %(of)s KPIs are on target, the others have no data.",
            "n",
        ),
        count=Kind.COUNT, of=Kind.COUNT,
    ),
}  # fmt: skip
