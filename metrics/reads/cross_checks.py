"""Linked sources side by side: what the one that counts has seen, and the other one. One query."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from metrics import rows
from metrics.counted import model_name
from metrics.figures import Number, Scope
from metrics.reads.door import ALLOCATIONS, Sql, read
from metrics.reads.usage import day_rows
from metrics.source_facts import CrossCheck
from metrics.usage import STEP_OPERATIONS, SeriesKind


@dataclass(slots=True)
class _Linked:
    """A series at a place that something is linked with: nothing else has another source to be compared with.

    `tokens`: those of the scope, by the last of the days before on which some series stopped to count.
    """

    pk: int
    backend_id: int
    backend_name: str
    through_id: int | None
    model: str
    is_pushed: bool
    is_demo: bool
    measured_at: str
    uncounted_from_on: date | None
    is_mine: bool
    tokens: dict[date, Number] = field(default_factory=dict)


@dataclass(slots=True)
class _Pair:
    """A source that counts and one that does not, with their series and, for each, from which day they compare."""

    counted_name: str
    other_names: set[str] = field(default_factory=set)
    counted: dict[int, date] = field(default_factory=dict)
    other: dict[int, date] = field(default_factory=dict)


def cross_checks(scope: Scope) -> list[CrossCheck]:
    """See metrics.series.cross_checks."""
    every, gateways = _linked(scope)
    others = [
        one
        for one in every.values()
        if one.is_mine
        and one.uncounted_from_on is not None
        and one.uncounted_from_on < scope.end_on
        and (scope.include_demo or not one.is_demo)
    ]
    checks = []
    for pair in _pairs(scope, others, list(every.values()), gateways):
        counted, other = _tokens(every, pair.counted), _tokens(every, pair.other)
        if not counted and not other:
            continue
        gap = Decimal(other) / Decimal(counted) - 1 if counted else None
        checks.append(CrossCheck(pair.counted_name, ", ".join(sorted(pair.other_names)), counted, other, gap))
    return checks


def _linked(scope: Scope) -> tuple[dict[int, _Linked], dict[int, int]]:
    """The linked series by id, in order, and backend -> the gateway that it stands behind."""
    every: dict[int, _Linked] = {}
    gateways: dict[int, int] = {}
    found = read(scope.start_on, scope.end_on, lambda *, with_hours: _series_and_tokens(scope, with_hours=with_hours))
    for pk, *values, since, amount, own, own_front, through_front, further, _ in sorted(found, key=lambda row: row[0]):
        one = every.setdefault(pk, _Linked(pk, *values))
        if since is not None:
            one.tokens[since] = amount or 0
        for place, front, next_front in (
            (one.backend_id, own, own_front),
            (one.through_id, through_front, further),
        ):
            if place is not None and front is not None:
                gateways.setdefault(place, front)
                if next_front is not None:
                    gateways.setdefault(front, next_front)
    return every, gateways


def _tokens(every: Mapping[int, _Linked], side: Mapping[int, date]) -> Number:
    """The tokens of series, of each from its day on: every such day is one at which the sums are cut."""
    return sum(amount for pk, from_on in side.items() for since, amount in every[pk].tokens.items() if since >= from_on)


def _series_and_tokens(scope: Scope, *, with_hours: bool) -> Sql:
    """Columns: those of _Linked, a day and the tokens since, the gateways of backend and `through`, TRUE."""
    is_shared = scope.workload_ids is not None
    mine = rows.literal(scope.workload_ids or ())
    sql = Sql(
        "WITH linked AS MATERIALIZED (SELECT s.id, s.backend_id, s.through_id, s.model, s.is_pushed, s.is_demo, "
        "s.measured_at, s.uncounted_from_on FROM metrics_series s JOIN metrics_backend b ON b.id = s.backend_id "
        "WHERE s.kind = %s AND NOT s.operation = ANY(%s::text[]) AND (s.through_id IS NOT NULL "
        "OR b.behind_id IS NOT NULL OR EXISTS (SELECT 1 FROM metrics_backend x WHERE x.behind_id = s.backend_id) "
        "OR EXISTS (SELECT 1 FROM metrics_series x WHERE x.through_id = s.backend_id))), "
        "cuts AS (SELECT ARRAY(SELECT DISTINCT uncounted_from_on FROM linked "
        "WHERE uncounted_from_on IS NOT NULL ORDER BY 1) AS days), "
        "seen AS (SELECT d.series_id, width_bucket(d.day, (SELECT days FROM cuts)) AS place, "
        "SUM((COALESCE(d.input_tokens, 0) + COALESCE(d.output_tokens, 0))"
        f"{' * a.share_ratio' if is_shared else ''}) AS tokens FROM (",
        [SeriesKind.USAGE.value, rows.literal(sorted(STEP_OPERATIONS))],
    )
    days = day_rows(scope.start_on, scope.end_on, with_hours=with_hours)
    sql.add(days.text, *days.params)
    sql.add(") d JOIN linked s ON s.id = d.series_id")
    if is_shared:
        sql.add(ALLOCATIONS)
    # Where nothing stopped to count there is nothing to compare, and no day is read.
    sql.add(" WHERE EXISTS (SELECT 1 FROM linked o WHERE o.uncounted_from_on < %s)", scope.end_on)
    if scope.model is not None:
        sql.add(" AND s.model = %s", scope.model)
    if is_shared:
        sql.add(" AND a.workload_id = ANY(%s::bigint[])", mine)
    sql.add(
        " GROUP BY 1, 2) SELECT l.id, l.backend_id, b.name, l.through_id, l.model, l.is_pushed, l.is_demo, "
        "l.measured_at, l.uncounted_from_on, "
    )
    if is_shared:
        allocated = (
            "EXISTS (SELECT 1 FROM metrics_allocation a WHERE a.series_id = l.id AND a.workload_id = ANY(%s::bigint[]))"
        )
        sql.add(allocated, mine)
    else:
        sql.add("TRUE")
    return sql.add(
        ", (SELECT days FROM cuts)[k.place], k.tokens, b.behind_id, bg.behind_id, t.behind_id, tg.behind_id, TRUE "
        "FROM linked l JOIN metrics_backend b ON b.id = l.backend_id "
        "LEFT JOIN metrics_backend bg ON bg.id = b.behind_id "
        "LEFT JOIN metrics_backend t ON t.id = l.through_id LEFT JOIN metrics_backend tg ON tg.id = t.behind_id "
        "LEFT JOIN seen k ON k.series_id = l.id"
    )


def _pairs(
    scope: Scope, others: Iterable[_Linked], every: Iterable[_Linked], gateways: Mapping[int, int]
) -> list[_Pair]:
    by_place: dict[_Place, list[_Linked]] = defaultdict(list)
    for series in every:
        if series.through_id is None:
            by_place["own", series.backend_id].append(series)
        else:
            by_place["through", series.through_id].append(series)
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
            pair = pairs.setdefault((*place, series.measured_at), _Pair(counted[0].backend_name))
            _compare(pair, series, counted, from_on)
    return list(pairs.values())


_Place = tuple[str, int]


def _chain(place: int, gateways: Mapping[int, int]) -> list[int]:
    """The place and the gateways in front of it."""
    found = [place]
    while (place := gateways.get(place, place)) not in found:
        found.append(place)
    return found


def _places(series: _Linked, chain: Sequence[int], gateways: Mapping[int, int]) -> list[_Place]:
    """Where the traffic of a series that does not count may be counted, the likeliest first."""
    server = chain[0]
    places: list[_Place] = [(kind, gateway) for gateway in reversed(chain[1:]) for kind in ("own", "through")]
    if series.through_id is not None:
        places.append(("own", server))
    places.append(("through", server))
    behind = [one for one in gateways if server in _chain(one, gateways)[1:]]
    return [*places, *(("own", one) for one in behind)]


def _named_alike(
    series: _Linked, places: Iterable[_Place], by_place: Mapping[_Place, list[_Linked]], from_on: date
) -> tuple[_Place, list[_Linked]] | None:
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
    series: _Linked, places: Iterable[_Place], by_place: Mapping[_Place, list[_Linked]], from_on: date
) -> tuple[_Place, list[_Linked]] | None:
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


def _counts_from(series: _Linked, on: date) -> bool:
    return series.uncounted_from_on is None or series.uncounted_from_on > on


def _compare(pair: _Pair, series: _Linked, counted: Iterable[_Linked], from_on: date) -> None:
    name = f"{series.backend_name} (pushed)" if series.is_pushed else series.backend_name
    pair.other_names.add(name)
    pair.other[series.pk] = from_on
    for one in counted:
        pair.counted[one.pk] = min(from_on, pair.counted.get(one.pk, from_on))
