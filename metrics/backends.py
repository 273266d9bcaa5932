"""What the pages and the API show of backends: plain values, scoped to what the asker may see."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Count, Prefetch, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from accounts.access import Asker, can_change_backends, sees_everything, visible_workloads
from metrics import series as read_door
from metrics import sources
from metrics.actions.backfills import can_be_read_back
from metrics.connectors import REGISTRY, connector_for
from metrics.errors import RuleViolation
from metrics.figures import Ratio, Scope, Sums
from metrics.freshness import Freshness, freshness_of, is_late
from metrics.models import Allocation, Backend, LookAlike, OwnPrice, Pull, RateCard, Series
from metrics.reading_back import Reading, history_words, reading_of
from metrics.restatements import RestatementRow, restatements_of
from metrics.source_facts import CrossCheck
from metrics.spoken import spoken
from metrics.unaddressed import unaddressed
from metrics.usage import SeriesKind
from metrics.visible import shown_backends, visible_backends, visible_series

PULLS_SHOWN = 12
WINDOW_DAYS = 28
MONTHS_SHOWN = 6

# Measures as people say them, where the name does not say it itself.
MEASURE_WORDS = {
    "billed_cost": gettext_lazy("Bill"),
    "cached_input_tokens": gettext_lazy("Cached input tokens"),
    "cache_write_input_tokens": gettext_lazy("Cache write input tokens"),
    "duration": gettext_lazy("Latency"),
    "energy_wh": gettext_lazy("Energy"),
    "errors": gettext_lazy("Errors"),
    "estimated_cost": gettext_lazy("Cost"),
    "gpu_busy_seconds": gettext_lazy("GPU use"),
    "input_tokens": gettext_lazy("Input tokens"),
    "inter_token": gettext_lazy("Inter-token latency"),
    "output_tokens": gettext_lazy("Output tokens"),
    "requests": gettext_lazy("Requests"),
}


@dataclass(frozen=True, slots=True)
class State:
    """How a backend is, as tone, word and sentence."""

    tone: str
    word: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """Whose a series is."""

    name: str
    slug: str
    workload_id: int
    ratio: Decimal
    from_on: date
    source: str


@dataclass(slots=True)
class SeriesRow:
    """One series with its last four weeks and its allocation."""

    series: Series
    sums: Sums | None
    shares: list[Share]

    @property
    def unallocated(self) -> Decimal:
        return 1 - sum((share.ratio for share in self.shares), Decimal(0))

    @property
    def rule_query(self) -> str:
        """The parameters that begin a rule for this series; empty for idle capacity, which no rule places."""
        one = self.series
        if one.kind == SeriesKind.IDLE or one.is_demo:
            return ""
        label = next(iter(sorted(one.labels.items())), None) if one.kind == SeriesKind.USAGE else None
        named = {"backend": one.backend.slug, "model": one.model}
        named |= {"label": label[0], "value": label[1]} if label else {}
        return urlencode({name: value for name, value in named.items() if value})

    @property
    def labels(self) -> list[tuple[str, str]]:
        """(label, value), the value by the source's name for it where it told one: 'Claims (proj_a1)'."""
        named = self.series.backend.label_names
        found = []
        for label, value in self.series.labels.items():
            name = named.get(label, {}).get(value)
            found.append((label, f"{name} ({value})" if name else value))
        return found

    @property
    def tokens(self) -> Any:
        return self.sums.total("tokens") if self.sums else None

    @property
    def requests(self) -> Any:
        return self.sums.total("requests") if self.sums else None

    @property
    def spend(self) -> Any:
        return self.sums.spend if self.sums else None

    @property
    def is_not_priced(self) -> bool:
        """Traffic without any cost, which is not zero and not unknown usage."""
        return self.spend is None and not self.has_no_rate and bool(self.requests or self.tokens)

    @property
    def has_no_rate(self) -> bool:
        """A cost in a currency that there is no exchange rate for."""
        return self.spend is None and self.sums is not None and bool(self.sums.no_rate)


@dataclass(frozen=True, slots=True)
class MonthRow:
    """Billed against estimated."""

    month: date
    billed: Decimal | None
    estimated: Decimal | None
    spend: Decimal | None

    @property
    def gap(self) -> Decimal | None:
        if self.billed is None or self.estimated is None:
            return None
        return self.billed - self.estimated


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What was measured of the GPUs in the window: use as a ratio with its coverage, energy in kWh."""

    use: Ratio
    kwh: Decimal | None
    kwh_per_1000_tokens: Decimal | None


@dataclass(slots=True)
class BackendPage:
    """Everything on the page of one backend."""

    backend: Backend
    title: str
    state: State
    may_change: bool
    pulls: list[Pull]
    series: list[SeriesRow]
    months: list[MonthRow]
    rate_cards: list[RateCard]
    own_prices: list[OwnPrice]
    restatements: list[RestatementRow]
    cross_checks: list[CrossCheck]
    look_alikes: list[LookAlike]
    freshness: Freshness
    backfill: Reading | None
    can_be_read_back: bool
    history_says: str
    not_offered: Mapping[str, str] = field(default_factory=dict)
    window: tuple[date, date] | None = None
    machine: MachineFacts | None = None
    is_waiting: bool = False


def title_of(kind: str) -> str:
    """What people call a kind of backend."""
    if kind == sources.PUSH_ONLY:
        return gettext("Pushed to")
    if kind == sources.BILLING_FILE:
        return gettext("Billing files")
    try:
        return spoken(connector_for(kind).title)
    except RuleViolation:
        return kind


def state_of(backend: Backend, now: datetime) -> State:
    """How the backend is."""
    if backend.is_demo:
        return State("none", gettext("Demo"), gettext("It does not exist; its figures are invented."))
    if backend.connector == sources.PUSH_ONLY:
        return State("green", gettext("Pushed to"))
    if backend.connector == sources.BILLING_FILE:
        return State(
            "green" if backend.data_until else "none",
            gettext("From files") if backend.data_until else gettext("No file yet"),
        )
    if not backend.is_enabled and backend.is_example:
        return State(
            "off",
            gettext("No longer pulled"),
            gettext("The example server went with the demo. What it has counted stays."),
        )
    if not backend.is_enabled:
        return State("off", gettext("No longer pulled"), gettext("What it has counted stays."))
    if backend.problem and backend.is_problem_permanent:
        return State("red", gettext("Needs you"), backend.problem)
    if backend.failures_in_a_row:
        return State("amber", gettext("Tried again"), backend.problem)
    if backend.problem:
        return State("amber", gettext("Partly read"), backend.problem)
    if backend.data_until is None:
        return State("none", gettext("First pull to come"))
    if is_late(backend, now):
        return State("amber", gettext("Late"), gettext("It should have been pulled by now: is a worker running?"))
    return State("green", gettext("Answers"))


def backend_list(asker: Asker) -> list[tuple[Backend, State, str, int, Freshness]]:
    """(backend, state, title of its kind, series, freshness) of each visible backend, those in need first."""
    now = timezone.now()
    mine = None if sees_everything(asker) else Q(series__in=visible_series(asker))
    backends = shown_backends(asker).annotate(series_count=Count("series", filter=mine, distinct=True))
    may_change = can_change_backends(asker)
    rows = []
    for one in backends:
        if not may_change:
            unaddressed(one)
        rows.append((one, state_of(one, now), title_of(one.connector), one.series_count, freshness_of(one, now)))
    order = {"red": 0, "amber": 1}
    return sorted(rows, key=lambda row: (order.get(row[1].tone, 2), not row[0].is_enabled))


def open_look_alikes(asker: Asker) -> QuerySet[LookAlike]:
    """Pairs that need a decision; shown to those who see both sides."""
    mine = visible_series(asker).values("pk")
    return (
        LookAlike.objects.filter(decision=LookAlike.Decision.OPEN, first__in=mine, second__in=mine)
        .select_related("first__backend", "second__backend", "first__workload", "second__workload")
        .order_by("-on", "pk")
    )


def backend_page(asker: Asker, backend: Backend) -> BackendPage:
    """The page of one backend, which the asker may see."""
    now = timezone.now()
    today = now.astimezone(settings.REPORTING_ZONE).date()
    reads_all = asker.user.reads_all and (asker.token is None or asker.token.workload_id is None)
    workload_ids = None if reads_all else tuple(visible_workloads(asker).values_list("pk", flat=True))
    window = (today - timedelta(days=WINDOW_DAYS - 1), today + timedelta(days=1))
    pulls = list(backend.pulls.select_related("receipt")[:PULLS_SHOWN])
    if not can_change_backends(asker):
        unaddressed(backend, pulls)
    return BackendPage(
        backend=backend,
        title=title_of(backend.connector),
        state=state_of(backend, now),
        may_change=can_change_backends(asker),
        pulls=pulls if reads_all else [],
        series=_series_rows(asker, backend, window, workload_ids, today),
        months=_months(backend, workload_ids, today),
        rate_cards=list(backend.rate_cards.order_by("-valid_from_on")),
        own_prices=list(OwnPrice.objects.filter(Q(backend=backend) | Q(backend=None, provider=backend.provider))),
        restatements=restatements_of(backend, adds_only=not can_be_read_back(backend.connector)) if reads_all else [],
        cross_checks=_cross_checks(backend, window, workload_ids),
        look_alikes=list(open_look_alikes(asker).filter(Q(first__backend=backend) | Q(second__backend=backend))),
        freshness=freshness_of(backend, now),
        backfill=reading_of(backend, now),
        can_be_read_back=can_be_read_back(backend.connector) and backend.is_enabled and not backend.is_demo,
        history_says=history_words(backend),
        not_offered=_not_offered(backend),
        window=(window[0], today),
        machine=_machine(backend, window, workload_ids),
        is_waiting=_is_waiting(backend, pulls),
    )


def _series_rows(
    asker: Asker,
    backend: Backend,
    window: tuple[date, date],
    workload_ids: tuple[int, ...] | None,
    today: date,
) -> list[SeriesRow]:
    found = list(
        visible_series(asker)
        .filter(backend=backend)
        # What an exporter measured is shared out over the others every hour; of itself it belongs to nobody.
        .exclude(kind=SeriesKind.GPU)
        .select_related("backend")
        # Who pushes it, and through what, may be others' to see.
        .prefetch_related(
            Prefetch("workload", queryset=visible_workloads(asker)),
            Prefetch("through", queryset=visible_backends(asker)),
        )
        .order_by("kind", "model", "operation", "pk")
    )
    scope = Scope(start_on=window[0], end_on=window[1], workload_ids=workload_ids, backend_id=backend.pk)
    sums = {row.key["series"]: row.sums for row in read_door.usage(scope, by=("series",))}
    shares: dict[int, list[Share]] = defaultdict(list)
    allocations = (
        Allocation.objects.filter(series__in=found, valid_from_on__lte=today)
        .filter(Q(valid_until_on=None) | Q(valid_until_on__gt=today))
        .select_related("workload")
    )
    for one in allocations:
        if workload_ids is None or one.workload_id in workload_ids:
            shares[one.series_id].append(
                Share(
                    one.workload.name,
                    one.workload.slug,
                    one.workload_id,
                    one.share_ratio,
                    one.valid_from_on,
                    one.source,
                )
            )
    return [SeriesRow(one, sums.get(one.pk), shares[one.pk]) for one in found]


def _months(backend: Backend, workload_ids: tuple[int, ...] | None, today: date) -> list[MonthRow]:
    start = today.replace(day=1)
    for _ in range(MONTHS_SHOWN - 1):
        start = (start - timedelta(days=1)).replace(day=1)
    scope = Scope(start_on=start, end_on=today + timedelta(days=1), workload_ids=workload_ids, backend_id=backend.pk)
    rows = read_door.usage(scope, grain="month")
    return [
        MonthRow(row.period, row.sums.billed, row.sums.estimated, row.sums.spend)
        for row in reversed(rows)
        if row.period is not None and row.sums.spend is not None
    ]


def _machine(backend: Backend, window: tuple[date, date], workload_ids: tuple[int, ...] | None) -> MachineFacts | None:
    scope = Scope(start_on=window[0], end_on=window[1], workload_ids=workload_ids, backend_id=backend.pk)
    rows = read_door.usage(scope)
    if not rows:
        return None
    sums = rows[0].sums
    use = sums.ratio("gpu_busy_seconds", "gpu_held_seconds", weight="gpu_held_seconds")
    watt_hours = sums.total("energy_wh")
    if use.value is None and watt_hours is None:
        return None
    return MachineFacts(
        use=use,
        kwh=None if watt_hours is None else Decimal(watt_hours) / 1000,
        kwh_per_1000_tokens=sums.ratio("energy_wh", "tokens", weight="tokens").value,
    )


def _cross_checks(
    backend: Backend, window: tuple[date, date], workload_ids: tuple[int, ...] | None
) -> list[CrossCheck]:
    scope = Scope(start_on=window[0], end_on=window[1], workload_ids=workload_ids, backend_id=backend.pk)
    return list(read_door.cross_checks(scope))


def _not_offered(backend: Backend) -> Mapping[str, str]:
    """What this backend does not report, in a reader's words, and what to do instead."""
    if backend.connector in sources.NOT_PULLED:
        return {}
    try:
        _, found = connector_for(backend.connector).offer(backend.parameters)
    except RuleViolation:
        return {}
    return {
        str(MEASURE_WORDS.get(name, name.replace("_", " ").capitalize())): instead for name, instead in found.items()
    }


def _is_waiting(backend: Backend, pulls: Sequence[Pull]) -> bool:
    """Whether something is about to appear, so that the page should look again by itself."""
    if not backend.is_enabled or backend.connector in sources.NOT_PULLED:
        return False
    is_reading_back = backend.backfill_cursor is not None and not backend.is_backfill_stopped
    if is_reading_back or any(pull.outcome == Pull.Outcome.RUNNING for pull in pulls):
        return True
    is_young = timezone.now() - backend.created_at < timedelta(minutes=5)
    has_series = Series.objects.filter(backend=backend, kind=SeriesKind.USAGE).exists()
    return is_young and not has_series and not backend.is_problem_permanent


__all__ = ["REGISTRY", "BackendPage", "backend_list", "backend_page", "open_look_alikes"]
