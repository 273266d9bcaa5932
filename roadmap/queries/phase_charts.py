"""What the charts of a phase page are made of, out of the rows that the page has read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from django.conf import settings
from django.utils.translation import gettext, gettext_lazy

from metrics.figures import (
    LatencyRow,
    Sums,
    UsageRow,
    merged,
    roll_up,
    whole,
)
from metrics.source_facts import Change
from metrics.usage import SeriesKind
from roadmap.charts.efficiency import EfficiencyData, EfficiencyRow, efficiency_chart
from roadmap.charts.frame import Event, Grain, period_start, periods
from roadmap.charts.latency import LatencyData, LatencyPoint, latency_chart
from roadmap.charts.operations import OperationRow, operations_chart
from roadmap.charts.spend import SpendData, spend_chart
from roadmap.charts.throughput import ThroughputData, throughput_chart
from roadmap.models import Gate, Milestone, Roadmap
from roadmap.queries.entered import Entered
from roadmap.queries.phase_money import PhaseMoney, sources_of
from roadmap.queries.phase_rows import PhaseRows
from roadmap.queries.readings import PERCENTS, window_seconds
from web.pieces import Chart

DAY = timedelta(days=1)
# Operations of plain inference; anything else is worth a chart.
PLAIN_OPERATIONS = {"chat", "text_completion", "generate_content"}
OUTCOMES = {"go": "go", "conditional": gettext_lazy("conditional go"), "hold": "hold", "stop": "stop"}


def events_of(rows: PhaseRows, changes: Sequence[Change]) -> list[Event]:
    """What changed: milestones done, gate decisions, typed notes, and the read door's new models and prices."""
    found = [
        Event(item.done_on, item.name, "milestone")
        for item in rows.milestones
        if item.state == Milestone.State.DONE and item.done_on is not None
    ]
    kinds = {gate.pk: gate for gate in rows.gates}
    for decision in rows.decisions:
        gate: Gate = kinds[decision.gate_id]
        name = gate.phase.get_kind_display()
        found.append(
            Event(
                decision.decided_on,
                gettext("%(name)s gate: %(outcome)s") % {"name": name, "outcome": OUTCOMES[decision.outcome]},
                "gate",
            )
        )
    found += [Event(note.on, note.text) for note in rows.notes]
    kinds_of: dict[str, Literal["model", "price"]] = {"model": "model", "price": "price", "rate_card": "price"}
    found += [Event(change.on, change.text, kinds_of[change.kind]) for change in changes if change.kind in kinds_of]
    return found


def spend(
    rows: Sequence[UsageRow],
    *,
    money: PhaseMoney,
    entered: Entered | None,
    window: tuple[date, date],
    grain: Grain,
    today: date,
    last_on: date,
    events: Sequence[Event],
    colors: dict[Any, str],
    is_narrowed: bool,
) -> Chart:
    """Spend by source, with the budget and the forecast unless a filter leaves only a part of it."""
    start_on, end_on = window
    data = SpendData(
        currency=settings.REPORTING_CURRENCY,
        start_on=start_on,
        end_on=end_on,
        last_on=last_on,
        today=today,
        grain=grain,
        sources=sources_of(rows, entered, start_on=start_on, end_on=end_on, grain=grain, colors=colors),
        budget=None if is_narrowed else money.budget,
        forecast=None if is_narrowed else money.forecast,
        events=events,
        is_filtered=is_narrowed,
        note=gettext("Cost entries are left out while a source is chosen.") if entered is None else "",
    )
    return spend_chart(data)


def latency(
    rows: Sequence[LatencyRow],
    *,
    window: tuple[date, date],
    grain: Grain,
    today: date,
    place: str,
    events: Sequence[Event],
    target: Decimal | None,
    missing: str,
) -> Chart:
    """Percentiles of the duration by period; `target` in seconds."""
    start_on, end_on = window
    points = [
        LatencyPoint(
            start_on=max(row.period or start_on, start_on),
            measured_at=row.key["measured_at"],
            count=int(row.histogram.count),
            percentiles={
                percent: value for percent in PERCENTS if (value := row.histogram.percentile(percent)) is not None
            },
            mean_ms=row.mean_ms,
        )
        for row in rows
        if row.measure == "duration"
    ]
    data = LatencyData(
        start_on=start_on,
        end_on=end_on,
        today=today,
        grain=grain,
        points=points,
        measured_at=place,
        events=events,
        target_ms=None if target is None else target * 1000,
        missing=missing,
    )
    return latency_chart(data)


def throughput(
    rows: Sequence[UsageRow],
    *,
    roadmap: Roadmap,
    window: tuple[date, date],
    grain: Grain,
    now: datetime,
    events: Sequence[Event],
) -> Chart:
    """Work per second of each period, in the roadmap's unit."""
    start_on, end_on = window
    measure, what = work_of(roadmap)
    held: dict[date, list[Sums]] = {}
    for row in rows:
        if row.period is not None:
            held.setdefault(period_start(row.period, grain), []).append(row.sums)
    sums = {on: merged(found) for on, found in held.items()}
    points: list[tuple[date, Decimal | None, Decimal | None]] = []
    for first, last in periods(start_on, end_on, grain):
        found = sums.get(period_start(first, grain))
        total = found.total(measure) if found else None
        seconds = window_seconds(first, last, now)
        amount = None if total is None else Decimal(total)
        points.append((first, None if amount is None or not seconds else amount / seconds, amount))
    data = ThroughputData(start_on, end_on, grain, what, points, events, is_last_running=_is_running(end_on, now))
    return throughput_chart(data)


def _is_running(end_on: date, now: datetime) -> bool:
    return end_on > now.astimezone(settings.REPORTING_ZONE).date()


def work_of(roadmap: Roadmap) -> tuple[str, str]:
    """The measure of work and its word: tokens out, units where the unit is neither token nor request."""
    if roadmap.unit_of_work == Roadmap.UnitOfWork.TOKEN:
        return "output_tokens", gettext("Output tokens")
    if roadmap.unit_of_work == Roadmap.UnitOfWork.REQUEST:
        return "successful_requests", gettext("Successful requests")
    return "units", gettext("Units of work")


def efficiency(
    rows: Sequence[UsageRow], *, roadmap: Roadmap, window: str, target: Decimal | None, colors: Mapping[Any, str]
) -> Chart:
    """Work per second and money by backend, and by model where no capacity is held; idle belongs to its backend."""
    currency = settings.REPORTING_CURRENCY
    is_tokens = roadmap.unit_of_work == Roadmap.UnitOfWork.TOKEN
    measure = "output_tokens" if is_tokens else "successful_requests"
    capacity = {row.key["backend"] for row in rows if row.key["kind"] == SeriesKind.IDLE}
    capacity |= {row.key["backend"] for row in rows if row.sums.total("gpu_held_seconds")}
    groups: dict[tuple[Any, str], list[UsageRow]] = {}
    for row in rows:
        backend = row.key["backend"]
        if backend not in capacity and row.key["kind"] != SeriesKind.USAGE:
            continue
        groups.setdefault((backend, "" if backend in capacity else row.key["model"]), []).append(row)
    many = {backend for backend, _ in groups if sum(1 for other, _ in groups if other == backend) > 1}
    found: list[EfficiencyRow] = []
    without: list[tuple[str, str]] = []
    for (backend, model), members in groups.items():
        name = members[0].key.get("backend_name") or str(backend)
        label = f"{name}, {model}" if backend in many else name
        sums = whole(members)
        if sums.total("requests") is None and sums.total("output_tokens") is None:
            continue
        reserved = sums.ratio(measure, "spend")
        if reserved.value is None:
            without.append(
                (label, gettext("not priced") if sums.spend is None else gettext("not known for half of the spend"))
            )
            continue
        used = sums.ratio(measure, "spend", basis="used") if backend in capacity else None
        busy = sums.ratio("gpu_busy_seconds", "gpu_held_seconds", weight="gpu_held_seconds")
        found.append(
            EfficiencyRow(
                name=label,
                note=members[0].key.get("hardware")
                or (gettext("own capacity") if backend in capacity else model or "API"),
                color=colors.get(backend, "$c1"),
                value=reserved.value / 3600,
                coverage=reserved.coverage,
                used=used.value / 3600 if used and used.value and used.value != reserved.value else None,
                utilisation=busy.value,
                is_capacity=backend in capacity,
            )
        )
    unit = gettext("%(value)s/s per %(currency)s/h") % {
        "value": "tokens" if is_tokens else "requests",
        "currency": currency,
    }
    return efficiency_chart(EfficiencyData(unit, window, currency, found, target, without))


def operations(rows: Sequence[UsageRow], *, window: str) -> Chart | None:
    """Requests by operation, where there is more than plain inference."""
    traffic = [row for row in rows if row.key["kind"] == SeriesKind.USAGE]
    found = roll_up(traffic, by=("operation",))
    is_plain = len(found) < 2 or not {row.key["operation"] for row in found} - PLAIN_OPERATIONS
    if is_plain or not whole(found).total("requests"):
        return None
    lines = [
        OperationRow(
            row.key["operation"],
            row.sums.total("requests"),
            row.sums.total("errors"),
            row.sums.total("tokens"),
            row.sums.spend,
        )
        for row in found
    ]
    return operations_chart(lines, window=window, currency=settings.REPORTING_CURRENCY)


def keep_for(backend_id: int | None, model: str) -> Callable[[UsageRow], bool]:
    """Whether a row is of the backend and model that were chosen."""

    def keep(row: UsageRow) -> bool:
        if backend_id is not None and row.key["backend"] != backend_id:
            return False
        return not model or row.key["model"] == model

    return keep


__all__ = [
    "efficiency",
    "events_of",
    "keep_for",
    "latency",
    "operations",
    "spend",
    "throughput",
    "work_of",
]
