"""The contract of one side of a comparison: what a frozen payload says, by keys that every schema version shares.

A reader (`comparisons/v<schema version>.py`) SHALL make a `Side` from the payload alone, with labels in the language in
force, and SHALL leave None where its payload has no such section, so that 'not in that report' and
'unknown' stay apart.
Pure: no database, no clock, no settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Protocol, TypeVar

from roadmap.reports.document import Tone


class Keyed(Protocol):
    """Whatever stands on both sides under one key."""

    @property
    def key(self) -> str: ...


K = TypeVar("K", bound=Keyed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One figure. `value` None is unknown; where only an interval is known it is in `low` and `high`, and not in it.

    `of`: what it is a figure of besides its key (the measure, the phase); figures of two things have no difference.
    """

    key: str
    label: str
    value: Decimal | None
    unit: str = ""
    is_money: bool = False
    missing: str = ""
    low: Decimal | None = None
    high: Decimal | None = None
    of: str = ""
    tone: Tone = ""
    word: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """A judgement in a tone and a word, with its reason."""

    key: str
    label: str
    tone: Tone
    word: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dated:
    """A milestone or a gate: when it is due, when it was done or decided, and how it stands in words."""

    key: str
    label: str
    phase: str
    due_on: date
    done_on: date | None
    stands: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """An open risk, likelihood x impact."""

    key: str
    label: str
    score: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One report. Sections that it does not have are None; `risk_count` is of all open risks, of which five are named.

    `roadmaps`: of a programme or the portfolio, the spend of each; `statuses` its manager's word.
    """

    schema_version: int
    name: str
    month: date
    revision: int
    dated_on: date
    currency: str
    zone: str
    is_demo: bool
    figures: Sequence[Item] | None = None
    lights: Sequence[Light] | None = None
    sources: Sequence[Item] | None = None
    parts: Sequence[Item] | None = None
    performance: Sequence[Item] | None = None
    kpis: Sequence[Item] | None = None
    gates: Sequence[Dated] | None = None
    milestones: Sequence[Dated] | None = None
    risks: Sequence[Scored] | None = None
    risk_count: int = 0
    roadmaps: Sequence[Item] | None = None
    statuses: Sequence[Light] | None = None


def by_key(items: Iterable[K]) -> Mapping[str, K]:
    """The items by their keys; a second one of the same key is 'key (2)', in the order of the document."""
    found: dict[str, K] = {}
    for item in items:
        key, number = item.key, 2
        while key in found:
            key, number = f"{item.key} ({number})", number + 1
        found[key] = item if key == item.key else replace(item, key=key)  # type: ignore[type-var]
    return found
