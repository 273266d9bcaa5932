"""The value of each KPI of a phase, computed from usage or read, judged against its target."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.utils import timezone

from metrics.usage import HISTOGRAM_MEASURES
from metrics.windows import local_day
from roadmap.kpi import KpiValue, no_data
from roadmap.models import CostEntry, Kpi, Phase, Reading
from roadmap.queries.entered import Entered
from roadmap.queries.readings import FiguresReader, Readings
from roadmap.queries.window_values import WindowValues
from roadmap.sayings import say

DAY = timedelta(days=1)
# Baselines and targets are kept at so many.
_PLACES = Decimal("1e-6")


def phase_window(phase: Phase, today: date) -> tuple[date, date] | None:
    """The local days [start, end) of the phase so far, today included; None before it has started."""
    if phase.started_on is None or phase.started_on > today:
        return None
    return phase.started_on, min(phase.ended_on or today, today) + DAY


def kpi_window(kpi: Kpi, phase: Phase, today: date) -> tuple[date, date] | None:
    """The local days of a KPI: `window_days` back from the last complete day, within the phase; or the phase to date.

    Where no day of the phase is complete yet, today so far stands in. A read KPI counts today's readings, a
    formula does not.
    """
    window = phase_window(phase, today)
    if window is None:
        return None
    start_on, end_on = window
    if kpi.window_days is None:
        return window
    last = end_on
    if end_on > today and kpi.source != Kpi.Source.READ and end_on - DAY > start_on:
        last = end_on - DAY
    return max(start_on, last - DAY * kpi.window_days), last


def computed_windows(kpis: Iterable[Kpi], phase: Phase, today: date) -> list[tuple[date, date]]:
    """The windows of the computed KPIs and formulas, each once: what a page reads at once for all of them."""
    windows = [kpi_window(kpi, phase, today) for kpi in kpis if kpi.source != Kpi.Source.READ]
    return list(dict.fromkeys(window for window in windows if window is not None))


def latency_needed(kpis: Iterable[Kpi]) -> tuple[str, ...]:
    """The latency measures that a page with these KPIs needs: duration, and what a KPI is computed from."""
    asked = histograms_of(kpis)
    return tuple(measure for measure in HISTOGRAM_MEASURES if measure == "duration" or measure in asked)


def histograms_of(kpis: Iterable[Kpi]) -> tuple[str, ...]:
    """The latency measures that these KPIs are computed from."""
    asked = [kpi.measure for kpi in kpis if kpi.source == Kpi.Source.COMPUTED]
    return tuple(measure for measure in HISTOGRAM_MEASURES if any(name.startswith(measure) for name in asked))


def kpi_values(
    phase: Phase,
    *,
    kpis: Sequence[Kpi] | None = None,
    wanted: Collection[int] | None = None,
    readings: Iterable[Reading] | None = None,
    entries: Sequence[CostEntry] | None = None,
    reader: FiguresReader | None = None,
    entered: Entered | None = None,
    now: datetime | None = None,
) -> dict[int, KpiValue]:
    """The values by KPI id. What the caller has loaded already (`kpis`, `readings`, ...) is not read again; `entered`
    stands for `entries` with the rates of the whole phase. `wanted`: only these of the phase's `kpis`.

    `now`: values as of then (a gate's evidence, a month's end); usage windows end there.
    """
    now = now or timezone.now()
    today = local_day(now, settings.REPORTING_ZONE)
    if kpis is None:
        kpis = list(phase.kpis.all())
    if not kpis:
        return {}
    worked_out = window_values(
        phase, kpis=kpis, readings=readings, entries=entries, reader=reader, entered=entered, now=now, today=today
    )
    values = {}
    asked = [kpi for kpi in kpis if wanted is None or kpi.pk in wanted]
    for kpi in asked:
        window = kpi_window(kpi, phase, today)
        values[kpi.pk] = no_data(kpi.unit, say("phase_not_started")) if window is None else worked_out.over(kpi, window)
    return {
        kpi.pk: values[kpi.pk].judged(
            baseline=kpi.baseline,
            target=kpi.target,
            direction="higher" if kpi.direction == Kpi.Direction.HIGHER else "lower",
            minimum_sample=kpi.minimum_sample if kpi.source != Kpi.Source.READ else 0,
        )
        for kpi in asked
    }


def window_values(
    phase: Phase,
    *,
    kpis: Sequence[Kpi],
    now: datetime,
    today: date,
    readings: Iterable[Reading] | None = None,
    entries: Sequence[CostEntry] | None = None,
    reader: FiguresReader | None = None,
    entered: Entered | None = None,
) -> WindowValues:
    """What works the values of these KPIs out over any window; see kpi_values for what may be given."""
    if readings is None:
        readings = Reading.objects.filter(kpi__in=[kpi.pk for kpi in kpis])
    if entries is None and entered is None and any(kpi.source != Kpi.Source.READ for kpi in kpis):
        entries = list(CostEntry.objects.filter(roadmap=phase.roadmap_id))
    by_kpi = _by_kpi(readings, now)
    value_kpi = next((kpi for kpi in kpis if kpi.is_value and kpi.combine == Kpi.Combine.SUM), None)
    return WindowValues(
        phase=phase,
        kpis=kpis,
        today=today,
        readings=by_kpi,
        reader=reader or Readings((phase.roadmap.workload_id,), now),
        entries=entries or (),
        entered=entered,
        value_readings=by_kpi[value_kpi.pk] if value_kpi else [],
    )


def last_value(kpi: Kpi) -> KpiValue | None:
    """What the KPI that this one goes on from came to at the end of its phase, at six places; None where it is none."""
    before = kpi.carried_from
    if before is None:
        return None
    found = kpi_values(before.phase).get(before.pk)
    if found is None or found.value is None:
        return None
    return replace(found, value=found.value.quantize(_PLACES))


def _by_kpi(readings: Iterable[Reading], now: datetime) -> Mapping[int, list[tuple[date, Decimal]]]:
    found: dict[int, list[tuple[date, Decimal]]] = defaultdict(list)
    for reading in sorted(readings, key=lambda reading: reading.at):
        if reading.at <= now:
            found[reading.kpi_id].append((local_day(reading.at, settings.REPORTING_ZONE), reading.value))
    return found
