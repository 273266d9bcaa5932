"""The read door: every figure that a page, a report or the API shows is asked for here, and only here.

Reads by local days of the reporting zone. A reading costs two to four queries, whatever the number of series or months.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from accounts.access import Asker
from metrics import exchange_rates as _rates
from metrics.figures import (
    DaySpend,
    Dimension,
    Grain,
    LatencyRow,
    Scope,
    Slice,
    SourceFreshness,
    Span,
    Sums,
    UsageRow,
    WorkloadWindow,
)
from metrics.money import Rates
from metrics.reads import changes as _changes
from metrics.reads import cross_checks as _cross_checks
from metrics.reads import latency as _latency
from metrics.reads import money_facts as _money_facts
from metrics.reads import names as _names
from metrics.reads import percentiles as _percentiles
from metrics.reads import rate_cards as _rate_cards
from metrics.reads import sources as _sources
from metrics.reads import spend_days as _spend_days
from metrics.reads import states as _states
from metrics.reads import usage as _usage
from metrics.source_facts import (
    Attention,
    Change,
    CrossCheck,
    ExchangeRateFact,
    Invoice,
    PriceFact,
    RateCardFact,
    Restated,
    SeriesNames,
    StoppedSource,
    UndecidedSignal,
    UsageStates,
)
from metrics.stated import StatedLatency


def usage(
    scope: Scope,
    *,
    by: tuple[Dimension, ...] = (),
    grain: Grain | None = None,
    slices: Sequence[Slice] = (),
    measures: Sequence[str] | None = None,
) -> list[UsageRow]:
    """Sums of the series that count, ordered by period and key. Without `by` and `grain` one row, or none.

    `grain` 'week': ISO weeks from Monday. Periods at the edges hold only days of the scope. Ask once with every
    dimension that a page needs and add up with `figures.roll_up`. `slices` name days of workloads for the dimension
    'slice', which needs 'workload' beside it. `measures`: of the counts only these are read, beside all money. With
    'currency' in `by`, parts hold `stated_billed_cost` and `stated_unsettled_cost`, not converted.
    """
    return _usage.usage(scope, by, grain, slices=slices, measures=measures)


def latency(
    scope: Scope,
    *,
    measures: Sequence[str] = ("duration",),
    by: tuple[Dimension, ...] = ("measured_at",),
    grain: Grain | None = None,
    slices: Sequence[Slice] = (),
) -> list[LatencyRow]:
    """Histograms and means of every source, those that do not count included.

    Sources that see the same request must not be merged: where they were measured is always told apart, as
    'measured_at' in the key; 'inner_gateway' and 'pushed_server' are those that another one stands for.
    `slices` as for `usage`.
    """
    return _latency.latency(scope, measures, by, grain, slices=slices)


def unallocated(
    scope: Scope,
    *,
    by: tuple[Dimension, ...] = ("workload",),
    grain: Grain | None = None,
    measures: Sequence[str] | None = None,
) -> list[UsageRow]:
    """Of `usage` of the whole organisation the rows that belong to no workload, which are few and read fast.

    None where the scope is that of some workloads.
    """
    return _usage.unallocated(scope, by, grain, measures=measures)


def usage_of_spans(
    workload_ids: tuple[int, ...] | None,
    spans: Sequence[Span],
    *,
    by: tuple[Dimension, ...] = (),
    include_demo: bool = True,
) -> list[list[UsageRow]]:
    """As `usage` of each span, in one query for all: the rows by span, in the order given."""
    scope = Scope(*_usage.spanned((one.start_on, one.end_on) for one in spans), workload_ids, include_demo=include_demo)
    return _usage.usage_of_spans(scope, spans, by)


def latency_of_spans(
    workload_ids: tuple[int, ...] | None,
    spans: Sequence[Span],
    *,
    measures: Sequence[str] = ("duration",),
    by: tuple[Dimension, ...] = ("measured_at",),
    include_demo: bool = True,
) -> list[list[LatencyRow]]:
    """As `latency` of each span as a whole (their grain is not asked), in one query for all: the rows by span."""
    scope = Scope(*_usage.spanned((one.start_on, one.end_on) for one in spans), workload_ids, include_demo=include_demo)
    return _latency.latency_of_spans(scope, spans, measures, by)


def stated_percentiles(
    scope: Scope,
    *,
    measures: Sequence[str] = ("duration", "time_to_first_token"),
    grain: Grain | None = None,
) -> list[StatedLatency]:
    """Percentiles as sources state them, per series, measure and percent: latest, worst and over time. One query.

    They are never merged with one another or with `latency`. With a `grain` `values` holds of each period the worst
    that was stated, as a value of its own hour. Read them where `SourceFreshness.states_percentiles`.
    """
    return _percentiles.stated_percentiles(scope, measures, grain)


def workloads_spend(workload_windows: Mapping[int, tuple[date, date]], *, include_demo: bool = True) -> dict[int, Sums]:
    """The sums of each workload over its own half-open window of local days; empty sums where there is no usage."""
    return _usage.workloads_spend(workload_windows, include_demo=include_demo)


def workloads_usage(
    workload_windows: Mapping[int, tuple[date, date]],
    *,
    by: tuple[Dimension, ...] = (),
    include_demo: bool = True,
) -> list[UsageRow]:
    """As `usage` by 'workload' and `by`, each workload over its own half-open window of local days. One query."""
    return _usage.workloads_usage(workload_windows, by, include_demo=include_demo)


def workloads_latency(
    workload_windows: Mapping[int, tuple[date, date]],
    *,
    measures: Sequence[str] = ("duration",),
    include_demo: bool = True,
) -> list[LatencyRow]:
    """As `latency` by 'workload' and 'measured_at', each workload over its own half-open window of local days."""
    return _latency.workloads_latency(workload_windows, measures, include_demo=include_demo)


def usage_of_windows(
    windows: Sequence[WorkloadWindow], *, by: tuple[Dimension, ...] = (), include_demo: bool = True
) -> list[list[UsageRow]]:
    """As `usage` of each window's workload and days, in one query for all: the rows by window, in the order given."""
    return _usage.usage_of_windows(windows, by, include_demo=include_demo)


def latency_of_windows(
    windows: Sequence[WorkloadWindow], *, measures: Sequence[str] = ("duration",), include_demo: bool = True
) -> list[list[LatencyRow]]:
    """As `latency` of each window's workload and days as a whole, by 'measured_at', in one query: rows by window."""
    return _latency.latency_of_windows(windows, measures, include_demo=include_demo)


def spend_days(workload_ids: Sequence[int], start_on: date, end_on: date) -> dict[int, list[DaySpend]]:
    """The spend of the local days [start_on, end_on) by workload: a row for each backend and day with usage, by day.

    As `usage` by 'workload' and 'backend' with grain 'day' says it, for many workloads. One query.
    """
    return _spend_days.spend_days(workload_ids, start_on, end_on)


def usage_states(workload_ids: Sequence[int]) -> UsageStates:
    """What the figures of each of these workloads rest on; ask before reading what is to be kept. One query.

    Stale days are built first, as any reading does. A figure that is cut at the present moment (seconds of a running
    window) moves by itself; the states do not know of it.
    """
    return _states.usage_states(workload_ids)


def names(workload_ids: Sequence[int] | None = None, *, include_demo: bool = True) -> list[SeriesNames]:
    """Which providers, backends, models and team labels there are among the series of these workloads (None: all)."""
    return _names.names(workload_ids, include_demo=include_demo)


def freshness(workload_ids: Sequence[int] | None = None) -> list[SourceFreshness]:
    """How far the data of each backend goes that serves these workloads (None: all)."""
    return _sources.freshness(workload_ids)


def cross_checks(scope: Scope) -> list[CrossCheck]:
    """Linked sources side by side: the one that counts, the other one and the gap. One query."""
    return _cross_checks.cross_checks(scope)


def attention(workload_ids: Sequence[int] | None = None, *, state: str | None = None) -> list[Attention]:
    """What needs a decision about usage. `workload_ids`: those that the asker may see, None for all.

    With the `state` of their usage, what follows from usage alone is kept in this process for as long as it stays.
    """
    return _sources.attention(workload_ids, state)


def stopped_sources() -> list[StoppedSource]:
    """Backends of which people are told that they stopped answering, by name; the demo's aside. Two queries."""
    return _sources.stopped_sources()


def undecided_signals(asker: Asker) -> list[UndecidedSignal]:
    """Tokens whose OpenTelemetry arrives and is not counted, for those who may say that it is. One query."""
    return _sources.undecided_signals(asker)


def first_and_last_day(workload_ids: Sequence[int] | None) -> tuple[date, date] | None:
    """The first and the last local day with usage, None where there is none."""
    return _sources.first_and_last_day(workload_ids)


def changes(scope: Scope) -> list[Change]:
    """What changed, in one query: as `chart_marks`, and what a source has stated anew in the last 14 days."""
    return _changes.changes(scope)


def chart_marks(scope: Scope) -> list[tuple[date, str]]:
    """Days on which a model was first used or an own price or rate card began, with a few words each."""
    return _changes.chart_marks(scope)


def exchange_rates(start_on: date, end_on: date) -> Rates:
    """The rates needed to convert amounts of local days [start_on, end_on) into the reporting currency. One query."""
    return _rates.rates(start_on, end_on)


def has_real_usage() -> bool:
    """Whether any usage that is not the demo's was ever counted; from then on the demo is in no total. One query."""
    return _sources.has_real_usage()


def rated_backends(workload_id: int, start_on: date, end_on: date) -> list[str]:
    """Names of the workload's backends with a rate card valid on one of the local days from `start_on` to `end_on`."""
    return _rate_cards.rated_backends(workload_id, start_on, end_on)


def restated(scope: Scope) -> list[Restated]:
    """What statements corrected in days that had settled, by series' kind, provider, model, day and currency.

    One query over the corrections alone.
    """
    return _money_facts.restated(scope)


def own_prices() -> list[PriceFact]:
    """Every own price, the newest of each model first."""
    return _money_facts.own_prices()


def prices_in_force(names: Iterable[SeriesNames], on: date) -> list[PriceFact]:
    """The price of the standard tier that usage of these series gets on a day; without one its source is empty."""
    return _money_facts.prices_in_force(names, on)


def rate_cards() -> list[RateCardFact]:
    """Every rate card, by backend, the newest first."""
    return _money_facts.rate_cards()


def newest_rates() -> list[ExchangeRateFact]:
    """The newest exchange rate of each currency that was loaded."""
    return _money_facts.newest_rates()


def invoices(start_on: date, end_on: date) -> list[Invoice]:
    """What billing files state of the local months of [start_on, end_on), and what counts no more because of them."""
    return _money_facts.invoices(start_on, end_on)
