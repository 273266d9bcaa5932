"""Percentiles as their sources state them, over time: points that were stated, never made of several. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext

from metrics.stated import StatedLatency, StatedValue
from roadmap.charts import frame
from roadmap.charts.frame import Grain, Layer, plain, stamp
from roadmap.charts.latency import MEASURES
from web import wording
from web.pieces import Chart, Head, Mark, Table

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
# As many lines as can be told apart; the table has them all.
MOST_LINES = 6
# Every hour is drawn in as many days; at most about 150 points a line.
LONGEST_BY_HOUR = 6
MAIN_PERCENT = Decimal(95)


@dataclass(frozen=True, slots=True)
class StatedData:
    """What the chart needs. `grain` None: `stated` has every value; else of each period the worst."""

    start_on: date
    end_on: date
    grain: Grain | None
    zone: tzinfo
    stated: Sequence[StatedLatency]


def grain_of(start_on: date, end_on: date) -> Grain | None:
    """None, every value, for a few days; else as the other charts."""
    return None if (end_on - start_on).days <= LONGEST_BY_HOUR else frame.grain_for(start_on, end_on)


def percent_text(percent: Decimal) -> str:
    """'p95', 'p99.9'."""
    return f"p{percent.normalize():f}"


def name_of(one: StatedLatency) -> str:
    """The model, with what else tells its series from others: 'model-a, eu-west-1'."""
    tier = [] if one.service_tier == "standard" else [one.service_tier]
    operation = [] if one.operation in {"chat", ""} else [one.operation]
    return ", ".join([one.model, *operation, *tier, *(one.labels[name] for name in sorted(one.labels))])


def stated_chart(data: StatedData) -> Chart | None:
    """The chart with its table; None where no source states any."""
    if not data.stated:
        return None
    lines = _lines(data.stated)
    percent = percent_text(lines[0].percent)
    sources = list(dict.fromkeys(one.backend_name for one in data.stated))
    by_whom = sources[0] if len(sources) == 1 else gettext("the sources")
    highest = max(value.value_ms for one in lines for _, value in one.values)
    divisor, unit = (1000, "seconds") if highest >= 1000 else (1, "milliseconds")
    points = (
        gettext("each point as stated")
        if data.grain is None
        else gettext("each point the worst %(lines)s of the %(grain)s, as stated")
        % {"lines": _period_word(lines), "grain": data.grain}
    )
    return Chart(
        id="stated-latency",
        title=gettext("%(percent)s as stated by %(by_whom)s") % {"percent": percent, "by_whom": by_whom},
        subtitle=gettext("%(measure)s in %(unit)s, %(points)s; never merged or averaged")
        % {"measure": MEASURES[lines[0].measure], "unit": unit, "points": points},
        spec=_spec(data, lines, divisor),
        table=_table(data),
        label=gettext("%(percent)s of the %(lower)s as stated by %(by_whom)s, over time.")
        % {"percent": percent, "lower": MEASURES[lines[0].measure].lower(), "by_whom": by_whom},
        # Names of models are too long to stand at a line's end on a phone.
        marks=[Mark(_letter(number), name_of(one)) for number, one in enumerate(lines, start=1)],
        width="w12",
    )


def _letter(number: int) -> str:
    """A line's letter: 'A' for the first."""
    return chr(ord("A") + number - 1)


def _period_word(lines: Sequence[StatedLatency]) -> str:
    lengths = {value.end - value.start for one in lines for _, value in one.values}
    return {frozenset({HOUR}): "hour", frozenset({DAY}): "day"}.get(frozenset(lengths), "period")


def _lines(stated: Sequence[StatedLatency]) -> list[StatedLatency]:
    """One measure and percent: the duration's p95 where there is one, of the series with the worst values."""
    measure = next((name for name in MEASURES if any(one.measure == name for one in stated)), stated[0].measure)
    of_measure = [one for one in stated if one.measure == measure]
    percents = {one.percent for one in of_measure}
    percent = MAIN_PERCENT if MAIN_PERCENT in percents else max(percents)
    found = [one for one in of_measure if one.percent == percent]
    return sorted(found, key=lambda one: (-one.worst.value_ms, one.series_id))[:MOST_LINES]


def _place(value: StatedValue, zone: tzinfo) -> int:
    """Milliseconds of the local wall clock, taken as UTC, as the axis has it."""
    return int(value.start.astimezone(zone).replace(tzinfo=UTC).timestamp() * 1000)


def period_text(value: StatedValue, zone: tzinfo) -> str:
    """'22 Nov 2026, 14:00' for an hour, '22 Nov 2026' for a day; another period with its end."""
    start, end = value.start.astimezone(zone), value.end.astimezone(zone)
    if value.end - value.start == HOUR:
        return f"{wording.day(start.date())}, {start:%H:%M}"
    if value.end - value.start == DAY and (start.hour, start.minute) == (0, 0):
        return wording.day(start.date())
    return gettext("%(first)s to %(last)s") % {
        "first": f"{wording.day(start.date())}, {start:%H:%M}",
        "last": f"{wording.day(end.date())}, {end:%H:%M}",
    }


def _spec(data: StatedData, lines: Sequence[StatedLatency], divisor: int) -> dict[str, Any]:
    layers: list[Layer] = []
    ends: list[tuple[int, float, str]] = []
    for number, one in enumerate(lines, start=1):
        values = [
            {
                "t": _place(value, data.zone) if data.grain is None else stamp(max(period, data.start_on)),
                "v": plain(value.value_ms / divisor),
                "series": f"{name_of(one)} ({one.backend_name})",
                "period": period_text(value, data.zone),
                "text": wording.duration_ms(value.value_ms),
            }
            for period, value in one.values
        ]
        tooltip = [
            ("series", gettext("Series")),
            ("period", gettext("Stated for")),
            ("text", percent_text(one.percent)),
        ]
        points = {"size": 26, "color": f"$c{number}"} if len(values) < 40 else False
        layers.append(frame.line_layer(values, tooltip=tooltip, mark={"color": f"$c{number}", "point": points}))
        ends.append((int(str(values[-1]["t"])), float(str(values[-1]["v"])), _letter(number)))
    top = max(place for _, place, _ in ends) or 1.0
    for place, (t, _, text) in zip(frame.apart([place for _, place, _ in ends], top * 0.08), ends, strict=True):
        layers += frame.label_layers(t, place, text)
    layers[0]["encoding"]["x"] = frame.time_axis(data.start_on, data.end_on, most=7)
    layers[0]["encoding"]["y"] = frame.amount_axis()
    return frame.figure(layers, height=230)


def _table(data: StatedData) -> Table:
    percents = sorted({one.percent for one in data.stated})
    groups: dict[tuple[int, str], dict[Decimal, StatedLatency]] = {}
    for one in data.stated:
        groups.setdefault((one.series_id, one.measure), {})[one.percent] = one
    rows = []
    for (_, measure), found in groups.items():
        main = found.get(MAIN_PERCENT) or found[max(found)]
        latest = main.latest.start, main.latest.end
        rows.append(
            [
                name_of(main),
                main.backend_name,
                str(MEASURES[measure]),
                period_text(main.latest, data.zone),
                *(
                    wording.duration_ms(found[percent].latest.value_ms)
                    if percent in found and (found[percent].latest.start, found[percent].latest.end) == latest
                    else wording.DASH
                    for percent in percents
                ),
                f"{percent_text(main.percent)} {wording.duration_ms(main.worst.value_ms)}, "
                f"{period_text(main.worst, data.zone)}",
                wording.count(main.periods),
            ]
        )
    return Table(
        caption=gettext("Percentiles as the sources state them"),
        heads=[
            *(
                Head(label)
                for label in (gettext("Series"), gettext("Stated by"), gettext("Measure"), gettext("Latest period"))
            ),
            *(frame.figures_head(percent_text(percent)) for percent in percents),
            Head(gettext("Worst period")),
            frame.figures_head(gettext("Periods stated")),
        ],
        rows=rows,
        note=gettext("Each figure is one that the source stated of that period. Times in %(zone)s.")
        % {"zone": data.zone},
    )
