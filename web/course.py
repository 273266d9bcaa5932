"""A course drawn: a line to today, one that is expected, a limit; as points in a box. Pure arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass

from web.pieces import Course

WIDTH, HEIGHT = 720, 200
LEFT, RIGHT, TOP, BOTTOM = 56.0, 712.0, 14.0, 176.0


@dataclass(frozen=True, slots=True)
class CourseDrawing:
    """Points of lines, and places of texts, in a box of 720 x 200 with its margins. `legend`: what each mark is."""

    said: str
    width: int
    height: int
    left: float
    right: float
    bottom: float
    levels: Sequence[tuple[float, str]]
    ticks: Sequence[tuple[float, str]]
    past: str
    ahead: str
    band: str
    limit: float | None
    legend: Sequence[tuple[str, str]]


def draw_course(item: Course) -> CourseDrawing:
    """The course's fractions laid over the box."""

    def at(place: tuple[float, float]) -> tuple[float, float]:
        return round(LEFT + place[0] * (RIGHT - LEFT), 1), round(BOTTOM - place[1] * (BOTTOM - TOP), 1)

    def points(places: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{x},{y}" for x, y in map(at, places))

    band = [(x, low) for x, low, _ in item.band] + [(x, high) for x, _, high in reversed(item.band)]
    legend = [
        ("past", item.past_label),
        ("ahead", item.ahead_label if item.ahead else ""),
        ("band", item.band_label if len(item.band) > 1 else ""),
        ("limit", item.limit_label if item.limit is not None else ""),
    ]
    return CourseDrawing(
        said=item.said,
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=RIGHT,
        bottom=BOTTOM,
        levels=[(at((0, level))[1], text) for level, text in item.levels],
        ticks=[(at((place, 0))[0], text) for place, text in item.ticks],
        past=points(item.past),
        ahead=points(item.ahead),
        band=points(band) if len(item.band) > 1 else "",
        limit=None if item.limit is None else at((0, item.limit))[1],
        legend=[(mark, text) for mark, text in legend if text],
    )
