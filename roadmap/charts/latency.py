"""p50, p95 and p99 over time, of the source that counts; one in foreign buckets is drawn at its upper end. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext, gettext_lazy

from metrics.figures import Percentile
from roadmap.charts import frame
from roadmap.charts.frame import Event, Grain, Layer, plain, stamp
from web import wording
from web.pieces import Chart, Head, Table

PERCENTS = (50, 95, 99)
PLACES = {
    "gateway": gettext_lazy("at the gateway"),
    "server": gettext_lazy("at the server"),
    "application": gettext_lazy("in the application"),
    "inner_gateway": gettext_lazy("at the inner gateway"),
    "pushed_server": gettext_lazy("as pushed by the server"),
}
MEASURES = {
    "duration": gettext_lazy("Duration"),
    "time_to_first_token": gettext_lazy("Time to first token"),
    "inter_token": gettext_lazy("Inter-token latency"),
}


@dataclass(frozen=True, slots=True)
class LatencyPoint:
    """Percentiles of one period at one place of measurement. `count`: requests timed."""

    start_on: date
    measured_at: str
    count: int
    percentiles: Mapping[int, Percentile]
    mean_ms: Decimal | None = None


@dataclass(frozen=True, slots=True)
class LatencyData:
    """What the chart needs; `target_ms` of the p95 latency KPI; `now` and `before` of the tile, for the title."""

    start_on: date
    end_on: date
    today: date
    grain: Grain
    points: Sequence[LatencyPoint]
    measured_at: str
    events: Sequence[Event]
    target_ms: Decimal | None = None
    missing: str = ""


def text_of(percentile: Percentile | None) -> str:
    """'1.84 s', '2 to 2.5 s', 'under 0.3 s', 'over 10 s'."""
    if percentile is None:
        return wording.DASH
    if percentile.ms is not None:
        return wording.duration_ms(percentile.ms)
    if percentile.low_ms is None:
        return gettext("under %(high)s") % {"high": wording.duration_ms(percentile.high_ms)}
    if percentile.high_ms is None:
        return gettext("over %(low)s") % {"low": wording.duration_ms(percentile.low_ms)}
    low, high = wording.duration_ms(percentile.low_ms), wording.duration_ms(percentile.high_ms)
    if low.split(wording.NBSP)[-1] == high.split(wording.NBSP)[-1]:
        low = low.split(wording.NBSP)[0]
    return gettext("%(low)s to %(high)s") % {"low": low, "high": high}


def place_of(percentile: Percentile | None) -> float | None:
    """Where the point is drawn, in milliseconds: the upper end of an interval, its lower one where it is open."""
    if percentile is None:
        return None
    return next((value for value in (percentile.ms, percentile.high_ms, percentile.low_ms) if value is not None), None)


def title_of(points: Sequence[LatencyPoint], target_ms: Decimal | None) -> str:
    """What happened to p95, in words."""
    percentiles = [(point.start_on, point.percentiles.get(95)) for point in points]
    known = [(on, place, p95) for on, p95 in percentiles if p95 is not None and (place := place_of(p95)) is not None]
    if not known:
        return gettext("Latency has no percentiles")
    _, last, present = known[-1]
    if target_ms is not None:
        target = float(target_ms)
        if (present.low_ms or 0) < target < last and present.ms is None:
            return gettext("p95 is %(present)s: its target lies in that bucket") % {"present": text_of(present)}
        if last <= target:
            above = [index for index, (_, place, _) in enumerate(known) if place > target]
            if above and above[-1] + 1 < len(known):
                return gettext("p95 has been under its target since %(day)s") % {
                    "day": wording.day(known[above[-1] + 1][0])
                }
            return gettext("p95 is under its target")
        if present.ms is None:
            return gettext("p95 is above its target: %(present)s") % {"present": text_of(present)}
        return gettext("p95 is %(change)s above its target") % {"change": wording.percent((last - target) / target)}
    if len(known) < 2 or present.ms is None:
        return gettext("p95 is %(present)s") % {"present": text_of(present)}
    first = known[0][1]
    change = (last - first) / first if first else 0.0
    if abs(change) < 0.05:
        return gettext("p95 has held since the start")
    text = (
        gettext("p95 is %(change)s higher than at the start")
        if change > 0
        else gettext("p95 is %(change)s lower than at the start")
    )
    return text % {"change": wording.percent(abs(change))}


def latency_chart(data: LatencyData) -> Chart:
    """The chart with its table; without a spec where no source gives a histogram."""
    main = [point for point in data.points if point.measured_at == data.measured_at and point.percentiles]
    highest = max((place_of(point.percentiles.get(99)) or 0 for point in main), default=0.0)
    divisor, unit = (1000, "s") if max(highest, float(data.target_ms or 0)) >= 1000 else (1, "ms")
    by = {"day": gettext("by day"), "week": gettext("by week"), "month": gettext("by month")}[data.grain]
    place = str(PLACES.get(data.measured_at, ""))
    marks = frame.lettered(data.events, data.start_on, data.end_on)
    seconds = gettext("seconds") if unit == "s" else gettext("milliseconds")
    return Chart(
        id="latency",
        title=title_of(main, data.target_ms) if main else gettext("Latency is not measured"),
        subtitle=(
            gettext("Duration in %(seconds)s, %(by)s, successful requests, %(place)s")
            if place
            else gettext("Duration in %(seconds)s, %(by)s, successful requests")
        )
        % {"seconds": seconds, "by": by, "place": place},
        spec=_spec(data, main, divisor, marks) if main else None,
        table=_table(data) if any(point.percentiles or point.mean_ms for point in data.points) else None,
        label=gettext("p50, p95 and p99 of the duration over time."),
        missing=data.missing or gettext("No source reports latency. Send OpenTelemetry or connect a gateway."),
        marks=frame.marks_elsewhere(marks) if main else (),
        width="w5",
    )


def _spec(
    data: LatencyData, points: Sequence[LatencyPoint], divisor: int, marks: Sequence[tuple[str, Event]]
) -> dict[str, Any]:
    layers: list[Layer] = []
    starts = {start: (start, end) for start, end in frame.periods(data.start_on, data.end_on, data.grain)}
    found = {point.start_on: point for point in points}
    ends: list[tuple[float, str]] = []
    last_t = stamp(data.start_on)
    for percent in (99, 95, 50):
        values, last = [], None
        for start, (_, end) in starts.items():
            point = found.get(start)
            percentile = point.percentiles.get(percent) if point else None
            place = place_of(percentile)
            last = percentile if place is not None else last
            values.append(
                {
                    "t": stamp(start),
                    "v": None if place is None else plain(place / divisor),
                    "period": frame.period_text(start, end, data.grain),
                    "text": text_of(percentile),
                    "count": wording.count(point.count) if point else wording.NO_DATA,
                }
            )
        known = [value for value in values if value["v"] is not None]
        if last is None:
            continue
        tooltip = [("period", gettext("When")), ("text", f"p{percent}"), ("count", gettext("Requests timed"))]
        point_mark = {"size": 26} if len(known) < 3 else False
        layers.append(frame.line_layer(values, tooltip=tooltip, mark={"style": f"p{percent}", "point": point_mark}))
        last_t = max(last_t, int(str(known[-1]["t"])))
        # In the axis' unit where it is one figure; a bucket is printed as the bucket that it is.
        label = wording.number(Decimal(str(known[-1]["v"]))) if last.ms is not None else text_of(last)
        ends.append((float(str(known[-1]["v"])), f"p{percent} {label}"))
    top = max([place for place, _ in ends] + [float(data.target_ms or 0) / divisor]) or 1.0
    for place, (_, text) in zip(frame.apart([place for place, _ in ends], top * 0.07), ends, strict=True):
        layers += frame.label_layers(last_t, place, text)
    if data.target_ms is not None:
        value = float(data.target_ms) / divisor
        label = gettext("p95 target %(target)s") % {"target": wording.number(data.target_ms / divisor)}
        layers += frame.level_layers(value, label, style="target", at=stamp(data.start_on), above=False)
    layers += frame.mark_layers(marks, apart_days=(data.end_on - data.start_on).days * 0.045)
    layers[0]["encoding"]["x"] = frame.time_axis(data.start_on, data.end_on, most=7)
    layers[0]["encoding"]["y"] = frame.amount_axis()
    return frame.figure(layers, height=290)


def _table(data: LatencyData) -> Table:
    rows = []
    for point in sorted(data.points, key=lambda point: (point.start_on, point.measured_at)):
        end = min(frame.period_end(frame.period_start(point.start_on, data.grain), data.grain), data.end_on)
        rows.append(
            [
                frame.period_text(point.start_on, end, data.grain),
                str(PLACES.get(point.measured_at, point.measured_at)),
                *(text_of(point.percentiles.get(percent)) for percent in PERCENTS),
                wording.duration_ms(point.mean_ms, missing=wording.DASH),
                wording.count(point.count),
            ]
        )
    return Table(
        caption=gettext("Duration by period and place of measurement"),
        heads=[
            Head(gettext("Period")),
            Head(gettext("Measured")),
            frame.figures_head("p50"),
            frame.figures_head("p95"),
            frame.figures_head("p99"),
            frame.figures_head(gettext("Mean")),
            frame.figures_head(gettext("Requests timed")),
        ],
        rows=rows,
        note=gettext("Places of measurement are never merged. A range is the bucket of the source."),
    )
