"""What there is to say about sources: how fresh they are, how linked ones compare, what needs a decision."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from metrics import rows
from metrics.bill_questions import undecided as undecided_bills
from metrics.connectors import connector_for
from metrics.counted import model_name
from metrics.errors import RuleViolation
from metrics.figures import Attention, CrossCheck, Scope, SourceFreshness
from metrics.freshness import is_late
from metrics.models import Allocation, Backend, LookAlike, Series
from metrics.reads.door import ALLOCATIONS, Sql, read
from metrics.reads.usage import day_rows, usage
from metrics.sources import NOT_PULLED, PUSH_ONLY
from metrics.usage import STEP_OPERATIONS, SeriesKind
from metrics.windows import HOUR, hour_of, local_day
from web import wording

# Usage without a price is tried again for this long (measures.md, Money).
PRICED_WITHIN = timedelta(days=35)
NOTICED_WITHIN = timedelta(days=28)


def freshness(workload_ids: Sequence[int] | None) -> list[SourceFreshness]:
    """See metrics.series.freshness."""
    sql = Sql(
        "SELECT b.id, b.slug, b.name, b.connector, b.parameters, b.data_until, b.problem, b.is_problem_permanent, "
        "b.measured_at, b.is_demo, EXISTS (SELECT 1 FROM metrics_feed g WHERE g.backend_id = b.id "
        "AND g.kind = 'percentile'), p.hour, r.created_at FROM metrics_backend b "
        "LEFT JOIN metrics_feed f ON f.backend_id = b.id AND f.kind = 'push' "
        # The latest pushed hour, and the last receipt that posted to it.
        "LEFT JOIN LATERAL (SELECT e.hour, max(e.receipt_id) AS receipt_id FROM metrics_ledgerentry e "
        "WHERE e.feed_id = f.id GROUP BY e.hour ORDER BY e.hour DESC LIMIT 1) p ON TRUE "
        "LEFT JOIN metrics_receipt r ON r.id = p.receipt_id "
        # A bill comes once a month: it says nothing of how fresh the figures are.
        "WHERE b.connector <> 'billing_file'"
    )
    if workload_ids is not None:
        sql.add(
            " AND EXISTS (SELECT 1 FROM metrics_series s JOIN metrics_allocation a ON a.series_id = s.id "
            "WHERE s.backend_id = b.id AND a.workload_id = ANY(%s::bigint[]))",
            rows.literal(workload_ids),
        )
    sql.add(" ORDER BY b.name, b.id")
    with connection.cursor() as cursor:
        cursor.execute(sql.text, sql.params)
        found = cursor.fetchall()
    return [_freshness(row) for row in found]


def _freshness(row: Sequence[Any]) -> SourceFreshness:
    pk, slug, name, kind, parameters, until, problem, is_permanent, measured_at, *rest = row
    is_demo, states_percentiles, pushed_hour, pushed_at = rest
    reports, not_offered = _offer(kind, parameters)
    if reports is None and pushed_hour is not None:
        until = min(pushed_hour + HOUR, hour_of(timezone.now()))
    return SourceFreshness(
        backend_id=pk,
        slug=slug,
        name=name,
        connector=kind,
        data_until=until,
        last_push_at=pushed_at,
        problem=problem,
        is_problem_permanent=is_permanent,
        reports=reports,
        not_offered=not_offered,
        measured_at=measured_at,
        is_demo=is_demo,
        states_percentiles=states_percentiles,
    )


def _offer(kind: str, parameters: Any) -> tuple[frozenset[str] | None, Mapping[str, str]]:
    """What a backend reports and does not, None for pushes. A preset narrows what its kind of connector can report."""
    if kind == PUSH_ONLY:
        return None, {}
    try:
        connector = connector_for(kind)
    except RuleViolation:
        return frozenset(), {}
    if isinstance(parameters, str):
        # A plain cursor gives JSON as it is written.
        parameters = json.loads(parameters)
    try:
        return connector.offer(parameters if isinstance(parameters, dict) else {})
    except (RuleViolation, LookupError, StopIteration):
        # Parameters that no longer pass: the kind's own words are the best there is.
        return connector.reports, connector.not_offered


def first_and_last_day(workload_ids: Sequence[int] | None) -> tuple[date, date] | None:
    """See metrics.series.first_and_last_day."""
    sql = Sql(
        "SELECT min(h.first), max(h.last) FROM metrics_series s, LATERAL (SELECT "
        "(SELECT hour FROM metrics_usagehour WHERE series_id = s.id ORDER BY hour LIMIT 1) AS first, "
        "(SELECT hour FROM metrics_usagehour WHERE series_id = s.id ORDER BY hour DESC LIMIT 1) AS last) h"
    )
    if workload_ids is not None:
        sql.add(
            " WHERE EXISTS (SELECT 1 FROM metrics_allocation a WHERE a.series_id = s.id "
            "AND a.workload_id = ANY(%s::bigint[]))",
            rows.literal(workload_ids),
        )
    with connection.cursor() as cursor:
        cursor.execute(sql.text, sql.params)
        first, last = cursor.fetchone()
    if first is None:
        return None
    return local_day(first, settings.REPORTING_ZONE), local_day(last, settings.REPORTING_ZONE)


# --- Cross-checks


@dataclass(slots=True)
class _Pair:
    """A source that counts and one that does not, with their series and, for each, from which day they compare."""

    counted_name: str
    other_names: set[str] = field(default_factory=set)
    counted: dict[int, date] = field(default_factory=dict)
    other: dict[int, date] = field(default_factory=dict)


# At a place that something is linked with: nothing else has another source to be compared with.
_IS_LINKED = (
    Q(through__isnull=False)
    | Q(backend__behind__isnull=False)
    | Q(Exists(Backend.objects.filter(behind=OuterRef("backend"))))
    | Q(Exists(Series.objects.filter(through=OuterRef("backend"))))
)


def cross_checks(scope: Scope) -> list[CrossCheck]:
    """See metrics.series.cross_checks."""
    found = (
        Series.objects.filter(_IS_LINKED, kind=SeriesKind.USAGE)
        .exclude(operation__in=STEP_OPERATIONS)
        .select_related("backend__behind", "through__behind")
        .order_by("pk")
    )
    if scope.workload_ids is not None:
        allocations = Allocation.objects.filter(series=OuterRef("pk"), workload__in=scope.workload_ids)
        found = found.annotate(is_mine=Exists(allocations))
    every = list(found)
    others = [
        one
        for one in every
        if getattr(one, "is_mine", True)
        and one.uncounted_from_on is not None
        and one.uncounted_from_on < scope.end_on
        and (scope.include_demo or not one.is_demo)
    ]
    pairs = _pairs(scope, others, every)
    if not pairs:
        return []
    tokens: dict[tuple[int, bool], int | Decimal] = defaultdict(int)
    for number, is_counted, amount, _ in read(
        scope.start_on, scope.end_on, lambda *, with_hours: _tokens(scope, pairs, with_hours=with_hours)
    ):
        tokens[number, is_counted] = amount or 0
    checks = []
    for number, pair in enumerate(pairs):
        counted, other = tokens[number, True], tokens[number, False]
        if not counted and not other:
            continue
        gap = Decimal(other) / Decimal(counted) - 1 if counted else None
        checks.append(CrossCheck(pair.counted_name, ", ".join(sorted(pair.other_names)), counted, other, gap))
    return checks


def _pairs(scope: Scope, others: Iterable[Series], every: Iterable[Series]) -> list[_Pair]:
    by_place: dict[_Place, list[Series]] = defaultdict(list)
    for series in every:
        if series.through_id is None:
            by_place["own", series.backend_id].append(series)
        else:
            by_place["through", series.through_id].append(series)
    gateways = _gateways(every)
    pairs: dict[tuple[str, int, str], _Pair] = {}
    for series in others:
        server = series.through_id or series.backend_id
        chain = _chain(server, gateways)
        if scope.backend_id is not None and scope.backend_id not in {series.backend_id, *chain}:
            continue
        from_on = series.uncounted_from_on or scope.start_on
        places = _places(series, chain, gateways)
        found = _named_alike(series, places, by_place, from_on) or _named_otherwise(series, places, by_place, from_on)
        if found:
            place, counted = found
            pair = pairs.setdefault((*place, series.measured_at), _Pair(counted[0].backend.name))
            _compare(pair, series, counted, from_on)
    return list(pairs.values())


_Place = tuple[str, int]


def _gateways(every: Iterable[Series]) -> dict[int, int]:
    """Backend -> the gateway that it stands behind."""
    found: dict[int, int] = {}
    for series in every:
        for one in (series.backend, series.through):
            while one is not None and one.behind_id is not None and one.pk not in found:
                found[one.pk] = one.behind_id
                one = one.behind if "behind" in one._state.fields_cache else None  # noqa: PLW2901 - the next one
    return found


def _chain(place: int, gateways: Mapping[int, int]) -> list[int]:
    """The place and the gateways in front of it."""
    found = [place]
    while (place := gateways.get(place, place)) not in found:
        found.append(place)
    return found


def _places(series: Series, chain: Sequence[int], gateways: Mapping[int, int]) -> list[_Place]:
    """Where the traffic of a series that does not count may be counted, the likeliest first."""
    server = chain[0]
    places: list[_Place] = [(kind, gateway) for gateway in reversed(chain[1:]) for kind in ("own", "through")]
    if series.through_id is not None:
        places.append(("own", server))
    places.append(("through", server))
    behind = [one for one in gateways if server in _chain(one, gateways)[1:]]
    return [*places, *(("own", one) for one in behind)]


def _named_alike(
    series: Series, places: Iterable[_Place], by_place: Mapping[_Place, list[Series]], from_on: date
) -> tuple[_Place, list[Series]] | None:
    name = model_name(series.model)
    for place in places:
        counted = [
            one
            for one in by_place.get(place, [])
            if one.pk != series.pk and model_name(one.model) == name and _counts_from(one, from_on)
        ]
        if counted:
            return place, counted
    return None


def _named_otherwise(
    series: Series, places: Iterable[_Place], by_place: Mapping[_Place, list[Series]], from_on: date
) -> tuple[_Place, list[Series]] | None:
    """What a better source reports under names that nobody at the series' place has (metrics.counted)."""
    server = series.through_id or series.backend_id
    known = {model_name(one.model) for kind in ("own", "through") for one in by_place.get((kind, server), [])}
    for place in places:
        if place[1] == server:
            continue
        counted = [
            one for one in by_place.get(place, []) if model_name(one.model) not in known and _counts_from(one, from_on)
        ]
        if counted:
            return place, counted
    return None


def _counts_from(series: Series, on: date) -> bool:
    return series.uncounted_from_on is None or series.uncounted_from_on > on


def _compare(pair: _Pair, series: Series, counted: Iterable[Series], from_on: date) -> None:
    name = f"{series.backend.name} (pushed)" if series.is_pushed else series.backend.name
    pair.other_names.add(name)
    pair.other[series.pk] = from_on
    for one in counted:
        pair.counted[one.pk] = min(from_on, pair.counted.get(one.pk, from_on))


def _tokens(scope: Scope, pairs: Sequence[_Pair], *, with_hours: bool) -> Sql:
    compared = [
        (number, is_counted, series, from_on)
        for number, pair in enumerate(pairs)
        for is_counted, side in ((True, pair.counted), (False, pair.other))
        for series, from_on in side.items()
    ]
    share = " * a.share_ratio" if scope.workload_ids is not None else ""
    sql = Sql(
        "SELECT c.number, c.is_counted, "
        f"SUM((COALESCE(d.input_tokens, 0) + COALESCE(d.output_tokens, 0)){share}), TRUE FROM ("
    )
    days = day_rows(scope.start_on, scope.end_on, with_hours=with_hours)
    sql.add(days.text, *days.params)
    sql.add(
        ") d JOIN unnest(%s::int[], %s::boolean[], %s::bigint[], %s::date[]) "
        "AS c (number, is_counted, series_id, from_on) ON c.series_id = d.series_id AND d.day >= c.from_on "
        "JOIN metrics_series s ON s.id = d.series_id",
        *[rows.literal(column) for column in zip(*compared, strict=True)],
    )
    if scope.workload_ids is not None:
        sql.add(ALLOCATIONS)
    sql.add(" WHERE TRUE")
    if scope.model is not None:
        sql.add(" AND s.model = %s", scope.model)
    if scope.workload_ids is not None:
        sql.add(" AND a.workload_id = ANY(%s::bigint[])", rows.literal(scope.workload_ids))
    return sql.add(" GROUP BY 1, 2")


# --- What needs a decision


def attention(workload_ids: Sequence[int] | None) -> list[Attention]:
    """See metrics.series.attention."""
    found = [*_stopped(workload_ids), *_late(workload_ids), *_not_priced(workload_ids)]
    if workload_ids is None:
        found += _unallocated()
        found += _bills()
    return [*found, *_look_alikes(workload_ids)]


def _bills() -> list[Attention]:
    """Bills of which nobody has said whether they pay for what is counted here already."""
    return [
        Attention(
            "bill",
            question.source.backend.name,
            f"It may pay for {question.names}, which counts already. Until somebody says so, both count.",
            "imports",
        )
        for question in undecided_bills()
    ]


def _today() -> date:
    return local_day(timezone.now(), settings.REPORTING_ZONE)


def _recent(within: timedelta, workload_ids: Sequence[int] | None) -> Scope:
    today = _today()
    ids = None if workload_ids is None else tuple(workload_ids)
    return Scope(today - within, today + timedelta(days=1), ids)


def _stopped(workload_ids: Sequence[int] | None) -> list[Attention]:
    backends = Backend.objects.filter(is_enabled=True).exclude(problem="")
    if workload_ids is not None:
        backends = backends.filter(series__allocations__workload_id__in=workload_ids).distinct()
    return [
        Attention("backend_stopped", backend.name, backend.problem, "backend", (backend.slug,), is_demo=backend.is_demo)
        for backend in backends
    ]


def _late(workload_ids: Sequence[int] | None) -> list[Attention]:
    """Backends that nothing has been heard of, and no failure either: nobody pulls them."""
    backends = Backend.objects.filter(is_enabled=True, is_demo=False, problem="").exclude(connector__in=NOT_PULLED)
    if workload_ids is not None:
        backends = backends.filter(series__allocations__workload_id__in=workload_ids).distinct()
    now = timezone.now()
    return [
        Attention("backend_late", backend.name, _since(backend, now), "backend", (backend.slug,))
        for backend in backends
        if is_late(backend, now)
    ]


def _since(backend: Backend, now: datetime) -> str:
    if backend.data_until is None:
        return f"Added {wording.ago(backend.created_at, now)} and never pulled: do worker and beat run?"
    return f"Last data {wording.ago(backend.data_until, now)}: do worker and beat run?"


def _demo_backends() -> set[int]:
    return set(Backend.objects.filter(is_demo=True).values_list("pk", flat=True))


def _not_priced(workload_ids: Sequence[int] | None) -> list[Attention]:
    found = []
    demo = _demo_backends()
    for row in usage(_recent(PRICED_WITHIN, workload_ids), ("backend", "model"), None):
        without = row.sums.requests_without_cost or row.sums.tokens_without_cost
        if without:
            unit = "requests" if row.sums.requests_without_cost else "tokens"
            found.append(
                Attention(
                    "not_priced",
                    row.key["model"] or row.key["backend_name"],
                    f"{int(without):,} {unit} on {row.key['backend_name']} have no price, so they are in no total.",
                    "backend",
                    (row.key["backend_slug"],),
                    is_demo=row.key["backend"] in demo,
                )
            )
    return found


def _unallocated() -> list[Attention]:
    found = []
    demo = _demo_backends()
    for row in usage(_recent(NOTICED_WITHIN, None), ("workload", "backend"), None):
        if row.key["workload"] is not None:
            continue
        spend, tokens = row.sums.spend, row.sums.total("tokens") or row.sums.total("output_tokens")
        if spend:
            detail = f"{spend:,.2f} {settings.REPORTING_CURRENCY} of the last 28 days belongs to no roadmap."
        elif tokens:
            detail = f"{int(tokens):,} tokens of the last 28 days belong to no roadmap."
        else:
            continue
        found.append(
            Attention(
                "unallocated",
                row.key["backend_name"],
                detail,
                "backend",
                (row.key["backend_slug"],),
                is_demo=row.key["backend"] in demo,
            )
        )
    return found


def _look_alikes(workload_ids: Sequence[int] | None) -> list[Attention]:
    pairs = LookAlike.objects.filter(decision=LookAlike.Decision.OPEN).select_related(
        "first__backend", "second__backend"
    )
    if workload_ids is not None:
        # Only who may see both: the sentence names both.
        pairs = (
            pairs.filter(first__allocations__workload_id__in=workload_ids)
            .filter(second__allocations__workload_id__in=workload_ids)
            .distinct()
        )
    return [
        Attention(
            "look_alike",
            f"{pair.first.backend.name} and {pair.second.backend.name}",
            f"Both report {pair.model} with nearly the same tokens on {pair.on:%-d %b %Y}. Link them?",
            "backend",
            (pair.second.backend.slug,),
            is_demo=pair.first.is_demo and pair.second.is_demo,
        )
        for pair in pairs
    ]


def has_real_usage() -> bool:
    """See metrics.series."""
    return Series.objects.filter(is_demo=False, backend__is_demo=False).exists()
