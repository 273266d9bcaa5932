"""What the components take: plain values that a query fills and a template shows. No Django."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar, Literal

Tone = Literal["green", "amber", "red", "none", "off"]
"""green: circle, on track. amber: triangle, at risk. red: cross, off track. none: ring, open. off: bar, no data."""


@dataclass(frozen=True, slots=True)
class Head:
    """A column head; figures and dates stand at the end of their cell."""

    label: str
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts; the first cell of a row is its head. `foot` is the row of sums."""

    caption: str
    heads: Sequence[Head]
    rows: Sequence[Sequence[str]]
    foot: Sequence[str] | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A lettered mark of a chart and what happened there: 'A', '8 Jun, own GPUs connected'."""

    letter: str
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure: the finding as title, measure, unit and window as subtitle, a Vega-Lite spec, and its table.

    `spec` None draws no chart and says `missing` in its place; `label` is what a screen reader hears instead of it.
    """

    id: str
    title: str
    subtitle: str
    spec: Mapping[str, Any] | None
    table: Table | None
    label: str = ""
    missing: str = ""
    marks: Sequence[Mark] = ()
    width: Literal["w4", "w5", "w6", "w7", "w8", "w12"] = "w6"


@dataclass(frozen=True, slots=True)
class Gauge:
    """A value against its limit (budget, target). With `higher_is_better` passing the limit is good."""

    value: Decimal | float
    limit: Decimal | float
    label: str
    forecast: Decimal | float | None = None
    higher_is_better: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A line that was, one that is expected with its band, and a limit, over days.

    Places are fractions: x from the first day (0) to the last (1), y from nothing (0) to the top (1). `said` is the
    drawing in a sentence, for whoever does not see it; `band` is (x, low, high).
    """

    kind: ClassVar[str] = "course"
    said: str
    past: Sequence[tuple[float, float]]
    ahead: Sequence[tuple[float, float]] = ()
    band: Sequence[tuple[float, float, float]] = ()
    limit: float | None = None
    limit_label: str = ""
    past_label: str = ""
    ahead_label: str = ""
    band_label: str = ""
    ticks: Sequence[tuple[float, str]] = ()
    levels: Sequence[tuple[float, str]] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: filled up to `filled`, outlined from there to `outlined`, a tick across at `tick`. Heights 0 to 1."""

    label: str
    filled: float = 0.0
    outlined: float | None = None
    tick: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """What was (filled), what is expected (dashed outline) and what was planned (tick), period by period.

    `said` is the drawing in a sentence, for whoever does not see it; `levels` are heights with their texts. The names
    of the three marks stand in the legend; one that no bar has is empty.
    """

    kind: ClassVar[str] = "bars"
    said: str
    bars: Sequence[Bar]
    levels: Sequence[tuple[float, str]] = ()
    filled_name: str = ""
    outlined_name: str = ""
    tick_name: str = ""


@dataclass(frozen=True, slots=True)
class Tile:
    """One steered measure. `figure` empty means that nothing fills it: `missing` then says what would."""

    title: str
    figure: str
    unit: str = ""
    delta: str = ""
    delta_rest: str = ""
    delta_tone: Tone | Literal[""] = ""
    note: str = ""
    trend: Sequence[Decimal | float | None] = ()
    trend_target: Decimal | float | None = None
    gauge: Gauge | None = None
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Something a person has to do: now or soon, what, why, one button. `fields` makes the button a POST form."""

    urgency: Literal["now", "soon"]
    what: str
    why: str
    action: str
    url: str
    fields: Mapping[str, str] | None = None
    kind: str = ""


@dataclass(frozen=True, slots=True)
class PhaseSpan:
    """A phase on an axis: `start` to `end`, the day after the last; `promised_*` its first plan."""

    name: str
    state: Literal["closed", "active", "planned", "stopped"]
    start: date
    end: date
    promised_start: date | None = None
    promised_end: date | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class GateMark:
    """A gate on the axis; `passed` is a go. With `url` the mark on a timeline is a link."""

    day: date
    state: Literal["passed", "conditional", "held", "stopped", "open", "late"]
    name: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class MilestoneMark:
    """A milestone on the timeline, with the day it was first promised for.

    `waits_for`: the `id`s of marks of any lane. With `url` the mark is a link, opened in place, called `action`.
    """

    day: date
    state: Literal["done", "open", "late"]
    name: str
    promised: date | None = None
    id: int = 0
    waits_for: Sequence[int] = ()
    url: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """One phase of the timeline with its gate and milestones."""

    phase: PhaseSpan
    gate: GateMark | None = None
    milestones: Sequence[MilestoneMark] = field(default_factory=tuple)
