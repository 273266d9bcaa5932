"""Two sides set against each other: a row for each thing that either has. Unknown stays unknown. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Generic

from roadmap.reports.comparisons.side import Dated, Item, K, Light, Scored, by_key
from roadmap.reports.document import Tone

# From the best to the worst; a light that is none of them is neither better nor worse than another.
_ORDER: tuple[Tone, ...] = ("green", "amber", "red")
# A report names as many risks.
NAMED_RISKS = 5


class Change(StrEnum):
    """How the second differs from the first."""

    SAME = "same"
    MORE = "more"
    LESS = "less"
    BETTER = "better"
    WORSE = "worse"
    OTHER = "other"
    LATER = "later"
    EARLIER = "earlier"
    DONE = "done"
    NEW = "new"
    GONE = "gone"
    # One of the two is not known, so that no difference is.
    UNKNOWN = "unknown"
    # They are figures of two things: another measure, phase, currency or unit.
    NOT_ALIKE = "not_alike"
    ONLY_FIRST = "only_first"
    ONLY_SECOND = "only_second"


@dataclass(frozen=True, slots=True)
class Pair(Generic[K]):
    """What stands under one key on either side; one of the two at least."""

    key: str
    first: K | None
    second: K | None

    @property
    def label(self) -> str:
        either = self.second or self.first
        return str(getattr(either, "label", self.key))


@dataclass(frozen=True, slots=True)
class FigureRow(Pair[Item]):
    """A figure on both sides, with its difference where both are known exactly and are alike."""

    @property
    def unit(self) -> str:
        either = self.second or self.first
        return either.unit if either else ""

    @property
    def difference(self) -> Decimal | None:
        """The second less the first; None where that is not known."""
        first, second = self.first, self.second
        if first is None or second is None or not _are_alike(first, second):
            return None
        return None if first.value is None or second.value is None else second.value - first.value

    @property
    def ratio(self) -> Decimal | None:
        """The difference as a share of the first; None without one, or where the first is zero."""
        difference = self.difference
        if difference is None or self.first is None or not self.first.value:
            return None
        return difference / abs(self.first.value)

    @property
    def change(self) -> Change:
        first, second, difference = self.first, self.second, self.difference
        if first is None or second is None:
            return Change.ONLY_SECOND if first is None else Change.ONLY_FIRST
        if not _are_alike(first, second):
            return Change.NOT_ALIKE
        if difference is None:
            is_same_interval = _is_interval(first) and (first.low, first.high) == (second.low, second.high)
            return Change.SAME if is_same_interval else Change.UNKNOWN
        return Change.SAME if not difference else Change.MORE if difference > 0 else Change.LESS


@dataclass(frozen=True, slots=True)
class LightRow(Pair[Light]):
    """A light on both sides."""

    @property
    def change(self) -> Change:
        first, second = self.first, self.second
        if first is None or second is None:
            return Change.ONLY_SECOND if first is None else Change.ONLY_FIRST
        if first.tone == second.tone:
            return Change.SAME
        if first.tone in _ORDER and second.tone in _ORDER:
            return Change.BETTER if _ORDER.index(second.tone) < _ORDER.index(first.tone) else Change.WORSE
        return Change.OTHER


@dataclass(frozen=True, slots=True)
class DatedRow(Pair[Dated]):
    """A gate or milestone on both sides. A report names those of its time alone: one that is missing may be there."""

    @property
    def days(self) -> int:
        """By how many days its date moved; 0 where that is not known."""
        return (self.second.due_on - self.first.due_on).days if self.first and self.second else 0

    @property
    def change(self) -> Change:
        first, second = self.first, self.second
        if first is None or second is None:
            return Change.ONLY_SECOND if first is None else Change.ONLY_FIRST
        if second.done_on and not first.done_on:
            return Change.DONE
        if self.days:
            return Change.LATER if self.days > 0 else Change.EARLIER
        return Change.SAME if (first.done_on, first.stands) == (second.done_on, second.stands) else Change.OTHER


@dataclass(frozen=True, slots=True)
class RiskRow(Pair[Scored]):
    """A risk on both sides. `*_names_all`: whether that report names each open risk, so that one missing is closed."""

    first_names_all: bool
    second_names_all: bool

    @property
    def change(self) -> Change:
        first, second = self.first, self.second
        if first is None:
            return Change.NEW if self.first_names_all else Change.ONLY_SECOND
        if second is None:
            return Change.GONE if self.second_names_all else Change.ONLY_FIRST
        if first.score == second.score:
            return Change.SAME
        return Change.MORE if second.score > first.score else Change.LESS


def paired(first: Sequence[K] | None, second: Sequence[K] | None) -> Iterator[tuple[str, K | None, K | None]]:
    """(key, first, second) for each key of either, in the second's order and then the first's."""
    was, now = by_key(first or ()), by_key(second or ())
    for key in dict.fromkeys([*now, *was]):
        yield key, was.get(key), now.get(key)


def figure_rows(first: Sequence[Item] | None, second: Sequence[Item] | None) -> list[FigureRow]:
    return [FigureRow(*pair) for pair in paired(first, second)]


def light_rows(first: Sequence[Light] | None, second: Sequence[Light] | None) -> list[LightRow]:
    return [LightRow(*pair) for pair in paired(first, second)]


def dated_rows(first: Sequence[Dated] | None, second: Sequence[Dated] | None) -> list[DatedRow]:
    return [DatedRow(*pair) for pair in paired(first, second)]


def _is_interval(item: Item) -> bool:
    return item.value is None and (item.low is not None or item.high is not None)


def _are_alike(first: Item, second: Item) -> bool:
    return (first.unit, first.of) == (second.unit, second.of)
