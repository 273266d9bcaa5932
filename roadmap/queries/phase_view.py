"""What a phase's dashboard holds: what its page and its REST answer are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.utils.translation import gettext

from metrics.figures import SourceFreshness
from metrics.source_facts import Change, CrossCheck
from metrics.stated import StatedLatency
from roadmap.charts.frame import Grain
from roadmap.kpi import KpiValue
from roadmap.models import Phase
from roadmap.queries.dashboard_filters import Filters
from roadmap.queries.phase_money import PhaseMoney
from roadmap.queries.phase_rows import PhaseRows
from roadmap.queries.phase_tiles import Figure
from roadmap.rules import health
from web import wording
from web.pieces import Chart, Tile

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that a filter offers."""

    value: str
    name: str


@dataclass(frozen=True, slots=True)
class PhaseDashboard:
    """What stands above the plan. `window`: local days [start, end) shown, None before the phase has started.

    `figures` are the four measures with everything that is known about them, `tiles` the same as pieces of the page.
    """

    rows: PhaseRows
    filters: Filters
    now: datetime
    today: date
    window: tuple[date, date] | None
    grain: Grain
    finding: health.Finding
    rest: str
    money: PhaseMoney | None
    figures: Sequence[Figure]
    tiles: Sequence[Tile]
    charts: Sequence[Chart]
    values: Mapping[int, KpiValue]
    freshness: Sequence[SourceFreshness]
    cross_checks: Sequence[CrossCheck]
    backends: Sequence[Choice]
    models: Sequence[Choice]
    not_priced_tokens: int
    not_priced_requests: int
    stale_rates: Mapping[str, date]
    restated: Sequence[Change]
    stated_percentiles: Sequence[StatedLatency] = ()

    @property
    def phase(self) -> Phase:
        return self.rows.phase

    @property
    def last_on(self) -> date | None:
        """The last day shown."""
        return self.window[1] - DAY if self.window else None

    @property
    def window_text(self) -> str:
        """'1 Apr to 21 Nov 2026'; 'opens 27 Nov 2026' of a phase that a gate opened for tomorrow."""
        if self.window:
            return wording.days(self.window[0], self.window[1] - DAY)
        return f"opens {wording.day(self.phase.started_on)}" if self.phase.started_on else gettext("not started")
