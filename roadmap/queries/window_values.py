"""The values of a phase's KPIs over any window, before they are judged: computed, by formula or read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from roadmap.kpi import KpiValue, PhaseFigures, combine_readings, no_data, value_of_readings
from roadmap.kpis import BY_NAME
from roadmap.models import CostEntry, Kpi, Phase
from roadmap.queries.entered import Entered, rates_for
from roadmap.queries.readings import FiguresReader
from roadmap.rules.formula_values import OperandValue, formula_value
from roadmap.rules.formulas import read_formula
from roadmap.sayings import say

DAY = timedelta(days=1)
Window = tuple[date, date]


@dataclass(slots=True)
class WindowValues:
    """Values of the KPIs of one phase; figures of a window are read once for all of them.

    `readings`: (day, value) by KPI id, in order of time. `entered` stands for `entries` with the rates of the phase.
    """

    phase: Phase
    kpis: Sequence[Kpi]
    today: date
    readings: Mapping[int, Sequence[tuple[date, Decimal]]]
    reader: FiguresReader
    entries: Sequence[CostEntry] = ()
    entered: Entered | None = None
    value_readings: Sequence[tuple[date, Decimal]] = ()
    _figures: dict[Window, PhaseFigures] = field(default_factory=dict)

    def over(self, kpi: Kpi, window: Window) -> KpiValue:
        """The KPI's value over the local days [start, end)."""
        if kpi.source == Kpi.Source.FORMULA:
            return self._by_formula(kpi, window)
        if kpi.source == Kpi.Source.COMPUTED:
            measure = BY_NAME.get(kpi.measure)
            if measure is None:
                return no_data(kpi.unit, say("no_such_measure", measure=kpi.measure))
            return measure.of(self._figures_of(window))
        combine = {Kpi.Combine.MEAN: "mean", Kpi.Combine.SUM: "sum"}.get(Kpi.Combine(kpi.combine), "last")
        return value_of_readings(
            self.readings.get(kpi.pk, ()),
            combine=combine,  # type: ignore[arg-type]
            unit=kpi.unit,
            start_on=window[0],
            end_on=window[1],
        )

    def _by_formula(self, kpi: Kpi, window: Window) -> KpiValue:
        """Each operand over the formula's own window, whatever window it has by itself."""
        formula = read_formula(kpi.formula)
        by_key = {item.key: item for item in self.kpis if item.key}
        operands = {
            name: OperandValue(by_key[name].name, self.over(by_key[name], window))
            for name in sorted(formula.names)
            if name in by_key
        }
        return formula_value(formula, operands, unit=kpi.unit, start_on=window[0], end_on=window[1])

    def _figures_of(self, window: Window) -> PhaseFigures:
        if window not in self._figures:
            start_on, end_on = window
            if self.entered is None:
                first = self.phase.started_on or start_on
                currencies = [entry.currency for entry in self.entries]
                self.entered = Entered(self.entries, rates_for(currencies, first, self.today + DAY), self.today)
            inside = [pair for pair in self.value_readings if start_on <= pair[0] < end_on]
            self._figures[window] = self.reader.figures(
                start_on,
                end_on,
                entered=self.entered.amount(start_on, end_on),
                value_sum=combine_readings(inside, "sum"),
            )
        return self._figures[window]
