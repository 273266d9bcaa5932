"""What one unit of value cost: spend over the value KPI, whose readings must be a sum."""

from django.utils.translation import gettext_lazy as _

from roadmap.kpi import ComputedKpi, KpiValue, PhaseFigures, no_data
from roadmap.sayings import say


def _cost_per_unit_of_value(figures: PhaseFigures) -> KpiValue:
    if figures.spend is None or not figures.value_sum:
        return no_data("", "")
    return KpiValue(value=figures.spend / figures.value_sum, unit="", basis=say("spend_over_value"))


COST_PER_UNIT_OF_VALUE = ComputedKpi(
    "cost_per_unit_of_value",
    _("Cost per unit of value"),
    "{currency}",
    "lower",
    _cost_per_unit_of_value,
    needs="needs_value_kpi",
    definition=_("(usage spend + cost entries) / the summed readings of the value KPI"),
)
