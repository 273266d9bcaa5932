"""Output tokens (or requests, or units of work) per second over time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.utils.translation import gettext

from roadmap.charts import frame
from roadmap.charts.frame import Event, Grain, plain, stamp
from web import wording
from web.pieces import Chart, Head, Table

DOUBLED = Decimal(2)
HELD = Decimal("0.05")


@dataclass(frozen=True, slots=True)
class ThroughputData:
    """`points`: (start of period, amount a second or None where unknown, its total). `what`: 'Output tokens'."""

    start_on: date
    end_on: date
    grain: Grain
    what: str
    points: Sequence[tuple[date, Decimal | None, Decimal | None]]
    events: Sequence[Event]
    # The last period is not over: it is drawn, and not what the title speaks of.
    is_last_running: bool = False


def title_of(data: ThroughputData) -> str:
    """How the rate has changed, in words."""
    points = data.points[:-1] if data.is_last_running and len(data.points) > 2 else data.points
    known = [(on, value) for on, value, _ in points if value is not None]
    if not known:
        return gettext("Throughput is not measured")
    # Traffic seldom begins with a period: the first whole one is what later ones are held against.
    (first_on, first), (_, last) = known[1 if len(known) > 3 else 0], known[-1]
    if len(known) < 2 or not first:
        return gettext("%(rate)s %(what)s a second") % {"rate": wording.number(last), "what": data.what.lower()}
    ratio = last / first
    since = wording.day(first_on)
    if ratio >= DOUBLED:
        return gettext("Throughput has grown %(ratio)s-fold since %(since)s") % {
            "ratio": wording.decimals(ratio, 0 if ratio >= 10 else 1),
            "since": since,
        }
    if abs(ratio - 1) < HELD:
        return gettext("Throughput has held since %(since)s") % {"since": since}
    text = (
        gettext("Throughput has grown by %(change)s since %(since)s")
        if ratio > 1
        else gettext("Throughput has fallen by %(change)s since %(since)s")
    )
    return text % {"change": wording.percent(abs(ratio - 1)), "since": since}


def throughput_chart(data: ThroughputData) -> Chart:
    """The chart with its table."""
    known = [(on, value) for on, value, _ in data.points if value is not None]
    spans = dict(frame.periods(data.start_on, data.end_on, data.grain))
    marks = frame.lettered(data.events, data.start_on, data.end_on)
    spec = None
    if known:
        values = [
            {
                "t": stamp(on),
                "v": plain(value),
                "period": frame.period_text(on, spans.get(on, data.end_on), data.grain),
                "text": wording.number(value),
                "total": wording.short(total),
            }
            for on, value, total in data.points
        ]
        mark = {"color": "$c1", "point": {"size": 26} if len(known) < 3 else False}
        tooltip = [
            ("period", gettext("When")),
            ("text", gettext("%(what)s a second") % {"what": data.what}),
            ("total", data.what),
        ]
        line = frame.line_layer(values, tooltip=tooltip, mark=mark)
        line["encoding"]["x"] = frame.time_axis(data.start_on, data.end_on, most=7)
        line["encoding"]["y"] = frame.amount_axis()
        last_on, last = known[-1]
        labels = frame.label_layers(stamp(last_on), plain(last) or 0.0, wording.number(last))
        boxes = frame.mark_layers(marks, apart_days=(data.end_on - data.start_on).days * 0.036)
        spec = frame.figure([line, *labels, *boxes], height=230)
    return Chart(
        id="throughput",
        title=title_of(data),
        subtitle=gettext("%(what)s per second, mean of each %(grain)s") % {"what": data.what, "grain": data.grain},
        spec=spec,
        table=_table(data, spans) if known else None,
        label=gettext("%(what)s per second over time.") % {"what": data.what},
        missing=gettext("No source reports %(lower)s.") % {"lower": data.what.lower()},
        marks=frame.marks_elsewhere(marks) if known else (),
        width="w6",
    )


def _table(data: ThroughputData, spans: dict[date, date]) -> Table:
    rows = [
        [
            frame.period_text(on, spans.get(on, data.end_on), data.grain),
            wording.number(value, missing=wording.DASH),
            wording.count(total, missing=wording.DASH),
        ]
        for on, value, total in data.points
    ]
    return Table(
        caption=f"{data.what} by {data.grain}",
        heads=[
            frame.figures_head(data.grain.capitalize()),
            Head(gettext("%(what)s a second") % {"what": data.what}),
            frame.figures_head(data.what),
        ],
        rows=rows,
    )
