"""What there is to say about sources: how fresh they are, how linked ones compare, what needs a decision."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import get_language, gettext

from accounts.access import Asker, changeable_tokens
from accounts.models import Token
from metrics import arrivals, rows
from metrics.bill_questions import undecided as undecided_bills
from metrics.connectors import connector_for
from metrics.errors import RuleViolation
from metrics.figures import Scope, SourceFreshness
from metrics.freshness import is_late
from metrics.models import Backend, LookAlike, Series
from metrics.reads.door import Sql
from metrics.reads.usage import unallocated, usage
from metrics.redaction import without_addresses
from metrics.source_facts import Attention, StoppedSource, UndecidedSignal
from metrics.sources import NOT_PULLED, PUSH_ONLY
from metrics.windows import HOUR, hour_of, local_day
from web import wording

# Usage without a price is tried again for this long (measures.md, Money).
PRICED_WITHIN = timedelta(days=35)
NOTICED_WITHIN = timedelta(days=28)
# So many pulls fail before people are told; a failure that needs a person is told at once.
FAILURES_TOLD = 3


def freshness(workload_ids: Sequence[int] | None) -> list[SourceFreshness]:
    """See metrics.series.freshness."""
    sql = Sql(
        # From the few pushes that wait to their entries: the other way round every entry of a feed is looked at.
        "WITH behind AS MATERIALIZED (SELECT DISTINCT w.feed_id FROM metrics_pendinghistograms h CROSS JOIN LATERAL "
        "(SELECT DISTINCT l.feed_id FROM metrics_ledgerentry l WHERE l.receipt_id = h.receipt_id) w) "
        "SELECT b.id, b.slug, b.name, b.connector, b.parameters, b.data_until, b.problem, b.is_problem_permanent, "
        "b.measured_at, b.is_demo, EXISTS (SELECT 1 FROM metrics_feed g WHERE g.backend_id = b.id "
        "AND g.kind = 'percentile'), EXISTS (SELECT 1 FROM behind WHERE behind.feed_id = f.id), p.hour, r.created_at "
        "FROM metrics_backend b "
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
    is_demo, states_percentiles, is_latency_behind, pushed_hour, pushed_at = rest
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
        problem=without_addresses(problem, _as_mapping(parameters)),
        is_problem_permanent=is_permanent,
        reports=reports,
        not_offered=not_offered,
        measured_at=measured_at,
        is_demo=is_demo,
        states_percentiles=states_percentiles,
        is_latency_behind=is_latency_behind,
    )


def _offer(kind: str, parameters: Any) -> tuple[frozenset[str] | None, Mapping[str, str]]:
    """What a backend reports and does not, None for pushes. A preset narrows what its kind of connector can report."""
    if kind == PUSH_ONLY:
        return None, {}
    try:
        connector = connector_for(kind)
    except RuleViolation:
        return frozenset(), {}
    try:
        return connector.offer(_as_mapping(parameters))
    except (RuleViolation, LookupError, StopIteration):
        # Parameters that no longer pass: the kind's own words are the best there is.
        return connector.reports, connector.not_offered


def _as_mapping(parameters: Any) -> dict[str, Any]:
    """A plain cursor gives JSON as it is written."""
    if isinstance(parameters, str):
        parameters = json.loads(parameters)
    return parameters if isinstance(parameters, dict) else {}


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


# --- What needs a decision


# What was noticed of usage, by whose it is and the language of its words, with the day and the state of usage that it
# was noticed of.
_noticed: dict[tuple[tuple[int, ...] | None, str | None], tuple[date, str, list[Attention]]] = {}
MOST_NOTICED = 64


def forget() -> None:
    """Empty this process's memory."""
    _noticed.clear()


def attention(workload_ids: Sequence[int] | None, state: str | None) -> list[Attention]:
    """See metrics.series.attention."""
    found = [*_silent(workload_ids), *_of_usage(workload_ids, state)]
    if workload_ids is None:
        found += _bills()
    return [*found, *_look_alikes(workload_ids)]


def _of_usage(workload_ids: Sequence[int] | None, state: str | None) -> list[Attention]:
    """What is not priced and what belongs to nobody, out of memory where usage is as it was."""
    key = (None if workload_ids is None else tuple(workload_ids), get_language())
    today = _today()
    held = _noticed.get(key)
    if held is not None and state is not None and held[:2] == (today, state):
        return held[2]
    demo = _demo_backends()
    found = _not_priced(workload_ids, demo)
    if workload_ids is None:
        found += _unallocated(demo)
    if state is not None:
        if len(_noticed) >= MOST_NOTICED:
            _noticed.clear()
        _noticed[key] = (today, state, found)
    return found


def _bills() -> list[Attention]:
    """Bills of which nobody has said whether they pay for what is counted here already."""
    return [
        Attention(
            "bill",
            question.source.backend.name,
            gettext("It may pay for %(names)s, which counts already. Until somebody says so, both count.")
            % {"names": question.names},
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


def _silent(workload_ids: Sequence[int] | None) -> list[Attention]:
    """Backends that do not answer, and those that nothing has been heard of, without a failure: nobody pulls them."""
    backends = Backend.objects.filter(is_enabled=True).filter(
        ~Q(problem="") | (Q(is_demo=False) & ~Q(connector__in=NOT_PULLED))
    )
    if workload_ids is not None:
        served = Series.objects.filter(backend=OuterRef("pk"), allocations__workload_id__in=workload_ids)
        backends = backends.filter(Exists(served))
    held, now = list(backends), timezone.now()
    stopped = [
        Attention(
            "backend_stopped",
            backend.name,
            without_addresses(backend.problem, backend.parameters),
            "backend",
            (backend.slug,),
            is_demo=backend.is_demo,
        )
        for backend in held
        if backend.problem
    ]
    late = [
        Attention("backend_late", backend.name, _since(backend, now), "backend", (backend.slug,))
        for backend in held
        if not backend.problem and is_late(backend, now)
    ]
    return stopped + late


def stopped_sources() -> list[StoppedSource]:
    """See metrics.series.stopped_sources."""
    backends = list(
        Backend.objects.filter(
            Q(is_problem_permanent=True) | Q(failures_in_a_row__gte=FAILURES_TOLD), is_enabled=True, is_demo=False
        )
        .exclude(problem="")
        .order_by("name", "pk")
    )
    served: dict[int, set[int]] = {}
    pairs = Series.objects.filter(backend__in=backends).values_list("backend_id", "allocations__workload_id").distinct()
    for backend_id, workload_id in pairs:
        if backend_id is not None and workload_id is not None:
            served.setdefault(backend_id, set()).add(workload_id)
    return [
        StoppedSource(
            backend.pk,
            backend.slug,
            backend.name,
            without_addresses(backend.problem, backend.parameters),
            backend.data_until or backend.created_at,
            tuple(sorted(served.get(backend.pk, ()))),
        )
        for backend in backends
    ]


def _since(backend: Backend, now: datetime) -> str:
    if backend.data_until is None:
        return gettext("Added %(ago)s and never pulled: do worker and beat run?") % {
            "ago": wording.ago(backend.created_at, now)
        }
    return gettext("Last data %(ago)s: do worker and beat run?") % {"ago": wording.ago(backend.data_until, now)}


def _demo_backends() -> set[int]:
    return set(Backend.objects.filter(is_demo=True).values_list("pk", flat=True))


def _not_priced(workload_ids: Sequence[int] | None, demo: set[int]) -> list[Attention]:
    found = []
    for row in usage(_recent(PRICED_WITHIN, workload_ids), ("backend", "model"), None):
        without = row.sums.requests_without_cost or row.sums.tokens_without_cost
        if without:
            unit = "requests" if row.sums.requests_without_cost else "tokens"
            found.append(
                Attention(
                    "not_priced",
                    row.key["model"] or row.key["backend_name"],
                    _no_price(wording.count(without), row.key["backend_name"], are_tokens=unit == "tokens"),
                    "backend",
                    (row.key["backend_slug"],),
                    is_demo=row.key["backend"] in demo,
                )
            )
    return found


def _no_price(count: str, backend: str, *, are_tokens: bool) -> str:
    text = (
        gettext("%(count)s tokens on %(backend)s have no price, so they are in no total.")
        if are_tokens
        else gettext("%(count)s requests on %(backend)s have no price, so they are in no total.")
    )
    return text % {"count": count, "backend": backend}


def _unallocated(demo: set[int]) -> list[Attention]:
    found = []
    for row in unallocated(_recent(NOTICED_WITHIN, None), ("backend",), None, measures=None):
        spend, tokens = row.sums.spend, row.sums.total("tokens") or row.sums.total("output_tokens")
        if spend:
            detail = gettext("%(amount)s of the last 28 days belongs to no roadmap.") % {
                "amount": f"{wording.decimals(spend, 2)} {settings.REPORTING_CURRENCY}"
            }
        elif tokens:
            detail = gettext("%(count)s tokens of the last 28 days belong to no roadmap.") % {
                "count": wording.count(tokens)
            }
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


def undecided_signals(asker: Asker) -> list[UndecidedSignal]:
    """See metrics.series.undecided_signals."""
    managed = changeable_tokens(asker).values("pk")
    return [
        UndecidedSignal(
            token.pk,
            token.name,
            "traces" if token.signal == Token.Signal.METRICS else "metrics",
            token.signal,
            token.workload_id,
            is_demo=token.is_demo,
        )
        for token in arrivals.undecided().filter(pk__in=managed)
    ]


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
            gettext("%(first)s and %(second)s")
            % {"first": pair.first.backend.name, "second": pair.second.backend.name},
            gettext("Both report %(model)s with nearly the same tokens on %(day)s. Link them?")
            % {"model": pair.model, "day": wording.day(pair.on).replace(wording.NBSP, " ")},
            "backend",
            (pair.second.backend.slug,),
            is_demo=pair.first.is_demo and pair.second.is_demo,
        )
        for pair in pairs
    ]


def has_real_usage() -> bool:
    """See metrics.series."""
    return Series.objects.filter(is_demo=False, backend__is_demo=False).exists()
