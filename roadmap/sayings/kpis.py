"""How KPIs stand, what their values rest on, and why there is none. Fragments begin with a small letter."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from roadmap.saying import Kind, Words, words

SAYINGS: dict[str, Words] = {
    "kpis_off_target": words(
        ngettext_lazy(
            "%(count)s of %(of)s KPIs is off target: %(kpis)s.",
            "%(count)s of %(of)s KPIs are off target: %(kpis)s.",
            "n",
        ),
        count=Kind.COUNT, of=Kind.COUNT, kpis=Kind.NAMES,
    ),
    "kpis_at_risk": words(
        ngettext_lazy(
            "%(count)s of %(of)s KPIs is at risk: %(kpis)s.", "%(count)s of %(of)s KPIs are at risk: %(kpis)s.", "n"
        ),
        count=Kind.COUNT, of=Kind.COUNT, kpis=Kind.NAMES,
    ),
    "kpis_without_data": words(_("No KPI has data yet.")),
    "kpis_all_on_target": words(
        ngettext_lazy("The KPI is on target.", "All %(count)s KPIs are on target.", "n"), count=Kind.COUNT
    ),
    "kpis_on_target": words(
        _("%(count)s of %(of)s KPIs are on target, the others have no data."), count=Kind.COUNT, of=Kind.COUNT
    ),
    # A KPI beside its target.
    "part_of_way": words(_("%(share)s of the way"), share=Kind.RATIO),
    "headroom": words(_("headroom %(share)s"), share=Kind.RATIO),
    # What a value rests on.
    "readings_last": words(
        ngettext_lazy("last of %(count)s reading", "last of %(count)s readings", "n"), count=Kind.COUNT
    ),
    "readings_mean": words(
        ngettext_lazy("mean of %(count)s reading", "mean of %(count)s readings", "n"), count=Kind.COUNT
    ),
    "readings_sum": words(
        ngettext_lazy("sum of %(count)s reading", "sum of %(count)s readings", "n"), count=Kind.COUNT
    ),
    "reading_of": words(_("reading of %(on)s"), on=Kind.PLAIN_DAY),
    "covered": words(_("%(share)s of %(of)s"), share=Kind.RATIO, of=Kind.COVERED),
    "usage_and_entries": words(_("usage and cost entries")),
    "idle_of_usage": words(_("idle of usage spend")),
    "providers": words(ngettext_lazy("%(count)s provider", "%(count)s providers", "n"), count=Kind.COUNT),
    "output_tokens": words(_("output tokens")),
    "reserved_basis": words(_("reserved basis, idle included")),
    "scored": words(_("%(count)s scored"), count=Kind.COUNT),
    "measured_at": words("%(place)s", place=Kind.PLACE),
    "providers_with_spend": words(_("providers with spend")),
    "spend_over_value": words(_("spend over the value KPI's sum")),
    "made_of": words("%(parts)s", parts=Kind.PARTS),
    # Why there is no value.
    "no_reading": words(_("no reading yet")),
    "last_reading": words(_("last reading on %(on)s"), on=Kind.PLAIN_DAY),
    "sample_too_small": words(
        ngettext_lazy(
            "%(had)s request of at least %(least)s", "%(had)s requests of at least %(least)s", "n"
        ),
        had=Kind.COUNT, least=Kind.COUNT,
    ),
    "sample_unknown": words(_("an unknown number of requests of at least %(least)s"), least=Kind.COUNT),
    "known_for_only": words(_("known for %(share)s of %(of)s only"), share=Kind.RATIO, of=Kind.COVERED),
    "scored_too_few": words(
        _("%(count)s scored, at least %(least)s are needed"), count=Kind.COUNT, least=Kind.COUNT
    ),
    "only_a_mean": words(_("only a mean is reported")),
    "no_rate_card": words(_("No capacity with a rate card is allocated here.")),
    "phase_not_started": words(_("the phase has not started")),
    "phase_had_not_started": words(_("the phase had not started")),
    "no_such_measure": words(_("there is no measure '%(measure)s'"), measure=Kind.NAME),
    "no_such_kpi": words(_("there is no KPI '%(kpi)s'"), kpi=Kind.NAME),
    "operand_missing": words("%(kpi)s: %(reason)s", kpi=Kind.NAME, reason=Kind.SAYING),
    "operand_no_data": words(_("%(kpi)s: no data"), kpi=Kind.NAME),
    "operand_only_over": words(
        _("%(kpi)s is only known to be over %(low)s"), kpi=Kind.NAME, low=Kind.NUMBER
    ),
    "divides_by_zero": words(_("divides by zero: %(kpis)s is 0"), kpis=Kind.ALL_NAMES),
    "divisor_comes_to_zero": words(_("divides by zero: what it divides by comes to 0")),
    "intervals_too_wide": words(_("its parts are known as intervals too wide to say")),
}  # fmt: skip
