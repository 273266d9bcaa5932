"""What one unit of value cost: spend over the value KPI, whose readings must be a sum."""

from roadmap.kpi import ComputedKpi, KpiValue, PhaseFigures, no_data


def _cost_per_unit_of_value(figures: PhaseFigures) -> KpiValue:
    if figures.spend is None or not figures.value_sum:
        return no_data("", "")
    return KpiValue(value=figures.spend / figures.value_sum, unit="", basis="spend over the value KPI's sum")


COST_PER_UNIT_OF_VALUE = ComputedKpi(
    "cost_per_unit_of_value",
    "Cost per unit of value",
    "{currency}",
    "lower",
    _cost_per_unit_of_value,
    source="Needs a value KPI whose readings are summed, and its readings.",
    definition="(usage spend + cost entries) / the summed readings of the value KPI",
)
