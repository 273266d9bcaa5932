"""The value of each KPI of a phase, computed from usage or read, judged against its target."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.utils import timezone

from metrics.usage import HISTOGRAM_MEASURES
from metrics.windows import local_day
from roadmap.kpi import KpiValue, combine_readings, no_data, value_of_readings
from roadmap.kpis import BY_NAME
from roadmap.models import CostEntry, Kpi, Phase, Reading
from roadmap.queries.entered import Entered, rates_for
from roadmap.queries.readings import FiguresReader, Readings

DAY = timedelta(days=1)


def phase_window(phase: Phase, today: date) -> tuple[date, date] | None:
    """The local days [start, end) of the phase so far, today included; None before it has started."""
    if phase.started_on is None or phase.started_on > today:
        return None
    return phase.started_on, min(phase.ended_on or today, today) + DAY


def kpi_window(kpi: Kpi, phase: Phase, today: date) -> tuple[date, date] | None:
    """The local days of a KPI: `window_days` back from the last complete day, within the phase; or the phase to date.

    Where no day of the phase is complete yet, today so far stands in. A read KPI counts today's readings.
    """
    window = phase_window(phase, today)
    if window is None:
        return None
    start_on, end_on = window
    if kpi.window_days is None:
        return window
    last = end_on
    if end_on > today and kpi.source == Kpi.Source.COMPUTED and end_on - DAY > start_on:
        last = end_on - DAY
    return max(start_on, last - DAY * kpi.window_days), last


def computed_windows(kpis: Iterable[Kpi], phase: Phase, today: date) -> list[tuple[date, date]]:
    """The windows of the computed KPIs, each once: what a page reads at once for all of them."""
    windows = [kpi_window(kpi, phase, today) for kpi in kpis if kpi.source == Kpi.Source.COMPUTED]
    return list(dict.fromkeys(window for window in windows if window is not None))


def latency_needed(kpis: Iterable[Kpi]) -> tuple[str, ...]:
    """The latency measures that a page with these KPIs needs: duration, and what a KPI is computed from."""
    asked = [kpi.measure for kpi in kpis if kpi.source == Kpi.Source.COMPUTED]
    return tuple(
        measure
        for measure in HISTOGRAM_MEASURES
        if measure == "duration" or any(name.startswith(measure) for name in asked)
    )


def kpi_values(
    phase: Phase,
    *,
    kpis: Sequence[Kpi] | None = None,
    readings: Iterable[Reading] | None = None,
    entries: Sequence[CostEntry] | None = None,
    reader: FiguresReader | None = None,
    entered: Entered | None = None,
    now: datetime | None = None,
) -> dict[int, KpiValue]:
    """The values by KPI id. What the caller has loaded already (`kpis`, `readings`, ...) is not read again; `entered`
    stands for `entries` with the rates of the whole phase.

    `now`: values as of then (a gate's evidence, a month's end); usage windows end there.
    """
    now = now or timezone.now()
    today = local_day(now, settings.REPORTING_ZONE)
    if kpis is None:
        kpis = list(phase.kpis.all())
    if not kpis:
        return {}
    if readings is None:
        readings = Reading.objects.filter(kpi__in=[kpi.pk for kpi in kpis])
    by_kpi = _by_kpi(readings, now)
    computed = [kpi for kpi in kpis if kpi.source == Kpi.Source.COMPUTED]
    values = {
        kpi.pk: _read_value(kpi, phase, by_kpi[kpi.pk], today) for kpi in kpis if kpi.source != Kpi.Source.COMPUTED
    }
    if computed:
        reader = reader or Readings((phase.roadmap.workload_id,), now)
        value_kpi = next((kpi for kpi in kpis if kpi.is_value and kpi.combine == Kpi.Combine.SUM), None)
        value_readings = by_kpi[value_kpi.pk] if value_kpi else []
        if entries is None and entered is None:
            entries = list(CostEntry.objects.filter(roadmap=phase.roadmap_id))
        values |= _computed_values(computed, phase, reader, entries or (), value_readings, today, entered)
    return {
        kpi.pk: values[kpi.pk].judged(
            baseline=kpi.baseline,
            target=kpi.target,
            direction="higher" if kpi.direction == Kpi.Direction.HIGHER else "lower",
            minimum_sample=kpi.minimum_sample if kpi.source == Kpi.Source.COMPUTED else 0,
        )
        for kpi in kpis
    }


def _by_kpi(readings: Iterable[Reading], now: datetime) -> Mapping[int, list[tuple[date, Decimal]]]:
    found: dict[int, list[tuple[date, Decimal]]] = defaultdict(list)
    for reading in sorted(readings, key=lambda reading: reading.at):
        if reading.at <= now:
            found[reading.kpi_id].append((local_day(reading.at, settings.REPORTING_ZONE), reading.value))
    return found


def _read_value(kpi: Kpi, phase: Phase, readings: Sequence[tuple[date, Decimal]], today: date) -> KpiValue:
    window = kpi_window(kpi, phase, today)
    if window is None:
        return no_data(kpi.unit, "the phase has not started")
    combine = {Kpi.Combine.MEAN: "mean", Kpi.Combine.SUM: "sum"}.get(Kpi.Combine(kpi.combine), "last")
    return value_of_readings(
        readings,
        combine=combine,  # type: ignore[arg-type]
        unit=kpi.unit,
        start_on=window[0],
        end_on=window[1],
    )


def _computed_values(
    kpis: Sequence[Kpi],
    phase: Phase,
    reader: FiguresReader,
    entries: Sequence[CostEntry],
    value_readings: Sequence[tuple[date, Decimal]],
    today: date,
    entered: Entered | None,
) -> dict[int, KpiValue]:
    values: dict[int, KpiValue] = {}
    figures = {}
    for kpi in kpis:
        measure = BY_NAME.get(kpi.measure)
        window = kpi_window(kpi, phase, today)
        if measure is None or window is None:
            reason = "the phase has not started" if window is None else f"there is no measure '{kpi.measure}'"
            values[kpi.pk] = no_data(kpi.unit, reason)
            continue
        if window not in figures:
            start_on, end_on = window
            if entered is None:
                first = phase.started_on or start_on
                entered = Entered(entries, rates_for([entry.currency for entry in entries], first, today + DAY), today)
            figures[window] = reader.figures(
                start_on,
                end_on,
                entered=entered.amount(start_on, end_on),
                value_sum=combine_readings([pair for pair in value_readings if start_on <= pair[0] < end_on], "sum"),
            )
        values[kpi.pk] = measure.of(figures[window])
    return values
