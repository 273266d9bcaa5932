"""Small drawings as coordinates: gauges, trends, plan bars and the timeline. Widths in percent, so that they stretch.

Arithmetic over web.pieces; the templates in templates/components/ turn the numbers into SVG attributes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.utils.translation import gettext as _

from web.pieces import GateMark, Gauge, Lane, MilestoneMark, PhaseSpan
from web.wording import day, month_name

SPARK_WIDTH, SPARK_TOP, SPARK_BOTTOM = 100.0, 4.0, 32.0
LANE_TOP, LANE_STEP = 44.0, 50.0
# Milestones stand this much above their bar; a line between two of a lane rises this much above them.
DOT_RISE, WAIT_RISE = 7.0, 11.0
# Half a hairline between two phases that touch, in percent of the axis.
PLAN_GAP = 0.17


@dataclass(frozen=True, slots=True)
class Axis:
    """The days from `start` to `end` (exclusive) laid over 0 to 100."""

    start: date
    end: date

    def at(self, when: date) -> float:
        """Percent of the width, clipped to the axis."""
        total = (self.end - self.start).days or 1
        return round(min(100.0, max(0.0, (when - self.start).days * 100 / total)), 2)

    @classmethod
    def of_years(cls, days: Sequence[date]) -> "Axis":
        """Whole years around the days; one year where there are none is impossible, so at least one day is needed."""
        return cls(date(min(days).year, 1, 1), date(max(days).year + 1, 1, 1))

    @classmethod
    def of_months(cls, days: Sequence[date]) -> "Axis":
        """Whole months around the days."""
        first, last = min(days), max(days)
        after = (last.replace(day=1) + timedelta(days=32)).replace(day=1)
        return cls(first.replace(day=1), last if last.day == 1 and last > first else after)

    def ticks(self) -> list[tuple[float, str]]:
        """Quarters up to 40 months, years beyond, thinned to at most 13: place and text."""
        months = (self.end.year - self.start.year) * 12 + self.end.month - self.start.month
        step = next(size for size in (1, 3, 12, 24, 60) if months / size <= 13 or size == 60)
        marks = []
        for index in range(0, months + 1, step):
            at = _month_after(self.start, index)
            if at >= self.end:
                break
            with_year = index == 0 or at.month <= (3 if step == 3 else 1)
            text = str(at.year) if step >= 12 and at.month == 1 else month_name(at.month)
            if with_year and not text.isdigit():
                text = f"{text} {at.year}"
            marks.append((self.at(at), text))
        return marks

    def years(self) -> list[tuple[float, str]]:
        """The first of January of each year on the axis."""
        span = range(self.start.year, self.end.year + 1)
        step = max(1, -(-len(span) // 7))
        firsts = [date(year, 1, 1) for year in span][::step]
        return [(self.at(at), str(at.year)) for at in firsts if self.start <= at < self.end]


def _month_after(start: date, months: int) -> date:
    index = start.year * 12 + start.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


@dataclass(frozen=True, slots=True)
class GaugeDrawing:
    """Widths in percent: track, pale forecast, filled value; `over_*` the overshoot beyond the tick."""

    label: str
    track: float
    more: float
    fill: float
    tick: float
    over_forecast: float
    over_value: float


def draw_gauge(gauge: Gauge) -> GaugeDrawing | None:
    """The bar of a value against its limit; None where the limit is not above zero."""
    limit = float(gauge.limit)
    if limit <= 0:
        return None
    value, forecast = max(0.0, float(gauge.value)), max(0.0, float(gauge.forecast or 0))
    # The limit stands at five sixths, so that an overshoot of a fifth still fits; a larger one moves the tick inwards.
    scale = max(limit * 1.2, max(value, forecast) * 1.02)
    tick = limit * 100 / scale

    def width(amount: float) -> float:
        return round(amount * 100 / scale, 2)

    good_above = gauge.higher_is_better
    return GaugeDrawing(
        label=gauge.label,
        track=100.0 if gauge.forecast is None else round(tick, 2),
        more=width(min(forecast, limit)),
        fill=width(value if good_above else min(value, limit)),
        tick=round(tick, 2),
        over_forecast=0.0 if good_above else width(max(0.0, forecast - limit)),
        over_value=0.0 if good_above else width(max(0.0, value - limit)),
    )


@dataclass(frozen=True, slots=True)
class SparkDrawing:
    """An SVG path in a box of 104 x 36, the last point, and the height of the target line."""

    path: str
    x: float
    y: float
    target: float | None


def draw_spark(values: Sequence[Decimal | float | None], target: Decimal | float | None = None) -> SparkDrawing | None:
    """The trend of the values, unknown ones as gaps; None with fewer than two known values."""
    known = [float(value) for value in values if value is not None]
    if len(known) < 2:
        return None
    reach = [*known, float(target)] if target is not None else known
    low, high = min(reach), max(reach)

    def place(value: float) -> float:
        if high == low:
            return round((SPARK_TOP + SPARK_BOTTOM) / 2, 1)
        return round(SPARK_BOTTOM - (value - low) * (SPARK_BOTTOM - SPARK_TOP) / (high - low), 1)

    path, x, y, pen_is_down = "", 0.0, 0.0, False
    for index, value in enumerate(values):
        if value is None:
            pen_is_down = False
            continue
        x, y = round(index * SPARK_WIDTH / (len(values) - 1), 1), place(float(value))
        path += f"{'L' if pen_is_down else 'M'}{x} {y}"
        pen_is_down = True
    return SparkDrawing(path=path, x=x, y=y, target=None if target is None else place(float(target)))


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle on the axis, in percent, with its state as class."""

    kind: str
    x: float
    width: float
    y: float = 0.0


@dataclass(frozen=True, slots=True)
class Diamond:
    """A gate's mark."""

    kind: str
    x: float
    name: str
    y: float = 0.0
    url: str = ""


def phase_bars(phase: PhaseSpan, axis: Axis, today: date, *, gap: float = 0.0, y: float = 0.0) -> list[Bar]:
    """The bars of one phase: a running one is filled to today and pale after it."""
    start, end = axis.at(phase.start), axis.at(phase.end)
    bars = []
    if phase.state == "active":
        now = min(max(axis.at(today), start), end)
        if now - gap > start:
            bars.append(Bar("active", start + gap, now - start - gap, y))
        if end - gap > now:
            bars.append(Bar("ahead", now, end - now - gap, y))
    elif end - start > 2 * gap:
        bars.append(Bar(phase.state, start + gap, end - start - 2 * gap, y))
    return [Bar(bar.kind, round(bar.x, 2), round(bar.width, 2), bar.y) for bar in bars]


def ghost_bar(phase: PhaseSpan, axis: Axis, *, y: float) -> Bar | None:
    """The phase as first promised, where that differs from what is or is planned now."""
    if phase.promised_start is None or phase.promised_end is None:
        return None
    if (phase.promised_start, phase.promised_end) == (phase.start, phase.end):
        return None
    start, end = axis.at(phase.promised_start), axis.at(phase.promised_end)
    return Bar("ghost", start, round(end - start, 2), y)


@dataclass(frozen=True, slots=True)
class PlanDrawing:
    """A row's plan on the axis shared by all rows."""

    bars: list[Bar]
    gates: list[Diamond]
    today: float | None
    label: str


def draw_plan(
    phases: Sequence[PhaseSpan], gates: Sequence[GateMark], axis: Axis, today: date, label: str
) -> PlanDrawing:
    """Three phases in one line, gates as diamonds, first plans as a thin line under a phase that moved."""
    bars: list[Bar] = []
    for phase in phases:
        bars += phase_bars(phase, axis, today, gap=PLAN_GAP)
        if phase.state in ("active", "closed") and (ghost := ghost_bar(phase, axis, y=20)):
            bars.append(ghost)
    return PlanDrawing(
        bars=bars,
        gates=[Diamond(gate.state, axis.at(gate.day), f"{gate.name}, {day(gate.day)}") for gate in gates],
        today=axis.at(today) if axis.start <= today < axis.end else None,
        label=label,
    )


@dataclass(frozen=True, slots=True)
class Dot:
    """A milestone's mark with the slip from the day first promised."""

    kind: str
    x: float
    y: float
    name: str
    promised: float | None
    url: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """A line from a mark to one that waits for it, in a box of `width` percent and `height` px, drawn 100 wide.

    `is_against`: the one that waits is due first.
    """

    x: float
    y: float
    width: float
    height: float
    path: str
    is_against: bool


@dataclass(frozen=True, slots=True)
class LaneDrawing:
    """One lane of the timeline; the name stands right of the bar, left of it, or on it, where there is room."""

    bars: list[Bar]
    ghost: Bar | None
    gate: Diamond | None
    dots: list[Dot]
    name: str
    note: str
    name_x: float
    name_dx: int
    name_y: float
    name_anchor: str
    name_is_on_bar: bool


@dataclass(frozen=True, slots=True)
class TimelineDrawing:
    """The whole timeline; heights in px, widths in percent."""

    lanes: list[LaneDrawing]
    waits: list[Wait]
    ticks: list[tuple[float, str]]
    today: float | None
    height: float
    bottom: float
    label: str

    @property
    def has_links(self) -> bool:
        return any(dot.url for lane in self.lanes for dot in lane.dots) or any(
            lane.gate.url for lane in self.lanes if lane.gate
        )


def draw_timeline(lanes: Sequence[Lane], axis: Axis, today: date, label: str) -> TimelineDrawing:
    """Phases as bars with the first plan as a ghost behind, milestones above their bar, gates as diamonds."""
    bottom = LANE_TOP + LANE_STEP * len(lanes) - 2
    return TimelineDrawing(
        lanes=[_draw_lane(lane, axis, today, LANE_TOP + LANE_STEP * index) for index, lane in enumerate(lanes)],
        waits=_draw_waits(lanes, axis),
        ticks=axis.ticks(),
        today=axis.at(today) if axis.start <= today < axis.end else None,
        height=bottom + 4,
        bottom=bottom,
        label=label,
    )


def _draw_lane(lane: Lane, axis: Axis, today: date, y: float) -> LaneDrawing:
    start, end = axis.at(lane.phase.start), axis.at(lane.phase.end)
    if lane.phase.state == "planned" and start <= 80:
        x, dx, anchor, on_bar = start, 8, "start", False
    elif end <= 72:
        x, dx, anchor, on_bar = end, 12, "start", False
    elif start >= 28:
        x, dx, anchor, on_bar = start, -10, "end", False
    else:
        x, dx, anchor, on_bar = start, 8, "start", lane.phase.state in ("active", "closed")
    gate = lane.gate
    return LaneDrawing(
        bars=phase_bars(lane.phase, axis, today, y=y),
        ghost=ghost_bar(lane.phase, axis, y=y + 13),
        gate=Diamond(gate.state, axis.at(gate.day), f"{gate.name}, {day(gate.day)}", y + 7.5, gate.url)
        if gate
        else None,
        dots=[_draw_dot(mark, axis, y - DOT_RISE) for mark in lane.milestones],
        name=lane.phase.name,
        note=lane.phase.note,
        name_x=x,
        name_dx=dx,
        name_y=y + 12,
        name_anchor=anchor,
        name_is_on_bar=on_bar,
    )


def _draw_dot(mark: MilestoneMark, axis: Axis, y: float) -> Dot:
    moved = mark.promised is not None and mark.promised != mark.day
    name = f"{mark.name}, {day(mark.day)}"
    if moved:
        name = _("%(name)s, first promised %(day)s") % {"name": name, "day": day(mark.promised)}
    return Dot(
        kind=mark.state,
        x=axis.at(mark.day),
        y=y,
        name=name,
        promised=axis.at(mark.promised) if moved and mark.promised else None,
        url=mark.url,
        label=f"{mark.action} {name}".strip(),
    )


def _draw_waits(lanes: Sequence[Lane], axis: Axis) -> list[Wait]:
    places = {
        mark.id: (axis.at(mark.day), LANE_TOP + LANE_STEP * index - DOT_RISE)
        for index, lane in enumerate(lanes)
        for mark in lane.milestones
        if mark.id
    }
    return [
        _draw_wait(places[before], places[mark.id])
        for lane in lanes
        for mark in lane.milestones
        if mark.id
        for before in mark.waits_for
        if before in places and places[before] != places[mark.id]
    ]


def _draw_wait(before: tuple[float, float], after: tuple[float, float]) -> Wait:
    """An arc above two marks of one lane, a bow from lane to lane; a mark right below another gets a sliver."""
    left, right = sorted((before[0], after[0]))
    width = max(0.05, round(right - left, 2))
    if before[1] == after[1]:
        path = f"M0 {WAIT_RISE}C0 0 100 0 100 {WAIT_RISE}"
        return Wait(left, before[1] - WAIT_RISE, width, WAIT_RISE, path, before[0] > after[0])
    top, height = min(before[1], after[1]), abs(after[1] - before[1])
    falls = (before[1] < after[1]) == (before[0] <= after[0])
    start, end = (0.0, height) if falls else (height, 0.0)
    path = f"M0 {start}C50 {start} 50 {end} 100 {end}"
    return Wait(left, top, width, height, path, before[0] > after[0])
