"""Bars drawn: filled, outlined, with a tick; as places in a box. Pure arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass

from web.pieces import Bars

WIDTH, HEIGHT = 720, 176
LEFT, RIGHT, TOP, BOTTOM = 56.0, 712.0, 12.0, 154.0
# Of a period's width: its bar, and the tick that reaches over it.
BAR, TICK = 0.56, 0.8


@dataclass(frozen=True, slots=True)
class BarDrawing:
    """One bar's rectangles (y, height) and the tick's y, None where there is none."""

    label: str
    middle: float
    left: float
    width: float
    filled: tuple[float, float] | None
    outlined: tuple[float, float] | None
    tick: float | None
    tick_left: float
    tick_right: float


@dataclass(frozen=True, slots=True)
class BarsDrawing:
    """The bars in a box of 720 x 176 with its margins. `legend`: what each mark is."""

    said: str
    width: int
    height: int
    left: float
    right: float
    bottom: float
    levels: Sequence[tuple[float, str]]
    bars: Sequence[BarDrawing]
    legend: Sequence[tuple[str, str]]


def draw_bars(item: Bars) -> BarsDrawing:
    """The bars' fractions laid over the box."""
    step = (RIGHT - LEFT) / max(len(item.bars), 1)

    def y(height: float) -> float:
        return round(BOTTOM - min(max(height, 0.0), 1.0) * (BOTTOM - TOP), 1)

    drawn = []
    for number, bar in enumerate(item.bars):
        middle = LEFT + step * (number + 0.5)
        top = y(bar.filled)
        over = None if bar.outlined is None or bar.outlined <= bar.filled else y(bar.outlined)
        drawn.append(
            BarDrawing(
                label=bar.label,
                middle=round(middle, 1),
                left=round(middle - step * BAR / 2, 1),
                width=round(step * BAR, 1),
                filled=(top, round(BOTTOM - top, 1)) if bar.filled > 0 else None,
                outlined=None if over is None else (over, round(top - over, 1)),
                tick=None if bar.tick is None else y(bar.tick),
                tick_left=round(middle - step * TICK / 2, 1),
                tick_right=round(middle + step * TICK / 2, 1),
            )
        )
    legend = (("filled", item.filled_name), ("outlined", item.outlined_name), ("tick", item.tick_name))
    return BarsDrawing(
        said=item.said,
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=RIGHT,
        bottom=BOTTOM,
        levels=[(y(level), text) for level, text in item.levels],
        bars=drawn,
        legend=[(mark, name) for mark, name in legend if name],
    )
