"""What changed and explains a figure: first uses of models, prices, rate cards, restatements. One query."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext

from metrics import rows
from metrics.days import zone_name
from metrics.figures import Scope
from metrics.reads.door import Sql
from metrics.source_facts import Change
from metrics.windows import local_day
from web import wording

RESTATED_WITHIN = timedelta(days=14)


def chart_marks(scope: Scope) -> list[tuple[date, str]]:
    """See metrics.series.chart_marks."""
    return [(change.on, change.text) for change in changes(scope) if change.kind != "restated"]


def changes(scope: Scope) -> list[Change]:
    """See metrics.series.changes."""
    is_shared = scope.workload_ids is not None
    sql = Sql("WITH mine AS (SELECT DISTINCT s.id, s.model, s.backend_id FROM metrics_series s")
    if scope.workload_ids is not None:
        sql.add(
            " JOIN metrics_allocation a ON a.series_id = s.id AND a.workload_id = ANY(%s::bigint[])",
            rows.literal(scope.workload_ids),
        )
    sql.add(" WHERE s.kind = 'usage'")
    if scope.backend_id is not None:
        sql.add(" AND s.backend_id = %s", scope.backend_id)
    if scope.model is not None:
        sql.add(" AND s.model = %s", scope.model)
    # Of each model the first hour with usage, whether it lies in the scope or not.
    sql.add(
        ") SELECT 'model', m.model, min(h.first), NULL::date, NULL::timestamptz, NULL::numeric, '' "
        "FROM mine m, LATERAL ("
        "SELECT hour AS first FROM metrics_usagehour WHERE series_id = m.id ORDER BY hour LIMIT 1) h "
        "WHERE m.model <> '' GROUP BY m.model"
    )
    window = (scope.start_on, scope.end_on)
    sql.add(
        " UNION ALL SELECT 'price', p.model, NULL, p.valid_from_on, NULL, NULL, '' FROM metrics_ownprice p "
        "WHERE p.valid_from_on >= %s AND p.valid_from_on < %s AND p.model IN (SELECT model FROM mine) "
        "AND (p.backend_id IS NULL OR p.backend_id IN (SELECT backend_id FROM mine))",
        *window,
    )
    sql.add(
        " UNION ALL SELECT 'rate_card', b.name, NULL, c.valid_from_on, NULL, NULL, '' FROM metrics_ratecard c "
        "JOIN metrics_backend b ON b.id = c.backend_id WHERE c.valid_from_on >= %s AND c.valid_from_on < %s "
        "AND c.backend_id IN (SELECT backend_id FROM mine)",
        *window,
    )
    sql.add(
        " UNION ALL SELECT 'restated', b.name, min(e.first_hour), (r.created_at AT TIME ZONE %s)::date, "
        f"max(e.last_hour), sum(e.amount{' * w.share' if is_shared else ''}), max(e.currency) FROM metrics_receipt r "
        "JOIN metrics_restatement e ON e.receipt_id = r.id JOIN mine m ON m.id = e.series_id "
        "JOIN metrics_backend b ON b.id = m.backend_id ",
        zone_name(),
    )
    if is_shared:
        # Of a series that several share, what was corrected of theirs, by the shares of its last day.
        sql.add(
            "JOIN LATERAL (SELECT sum(a.share_ratio) AS share FROM metrics_allocation a WHERE a.series_id = m.id "
            "AND a.workload_id = ANY(%s::bigint[]) AND a.valid_from_on <= (e.last_hour AT TIME ZONE %s)::date "
            "AND (a.valid_until_on IS NULL OR a.valid_until_on > (e.last_hour AT TIME ZONE %s)::date)) w "
            "ON w.share > 0 ",
            rows.literal(scope.workload_ids or ()),
            zone_name(),
            zone_name(),
        )
    sql.add(
        "WHERE NOT r.is_void AND r.created_at > %s AND e.last_hour >= %s::timestamp AT TIME ZONE %s "
        "AND e.first_hour < %s::timestamp AT TIME ZONE %s GROUP BY r.id, b.name",
        timezone.now() - RESTATED_WITHIN,
        scope.start_on,
        zone_name(),
        scope.end_on,
        zone_name(),
    )
    with connection.cursor() as cursor:
        cursor.execute(sql.text, sql.params)
        found = cursor.fetchall()
    told = {
        Change(
            kind,
            on,
            (gettext("Price of %(name)s") if kind == "price" else gettext("Rate card of %(name)s")) % {"name": name},
        )
        for kind, name, _, on, *_ in found
        if kind in ("price", "rate_card")
    }
    firsts = {name: local_day(at, settings.REPORTING_ZONE) for kind, name, at, *_ in found if kind == "model"}
    # The first models of all are no news.
    earliest = min(firsts.values(), default=None)
    told |= {
        Change("model", on, gettext("First use of %(name)s") % {"name": name})
        for name, on in firsts.items()
        if on != earliest and scope.start_on <= on < scope.end_on
    }
    told |= {Change("restated", row[3], _restatement(*row[1:])) for row in found if row[0] == "restated"}
    return sorted(told, key=lambda change: (change.on, change.text))


def _restatement(name: str, first: datetime, _on: date, last: datetime, amount: Decimal | None, currency: str) -> str:
    """'OpenAI corrected 3 Nov 2026 to 9 Nov 2026 by -212.00 EUR.'"""
    days = [_plain(wording.day(local_day(at, settings.REPORTING_ZONE))) for at in (first, last)]
    window = days[0]
    if days[0] != days[1]:
        window = gettext("%(first)s to %(last)s") % {"first": days[0], "last": days[1]}
    if not amount:
        return gettext("%(name)s corrected %(window)s in its counts.") % {"name": name, "window": window}
    return gettext("%(name)s corrected %(window)s by %(amount)s %(currency)s.") % {
        "name": name,
        "window": window,
        "amount": _plain(wording.signed_exact(amount)),
        "currency": currency,
    }


def _plain(text: str) -> str:
    """With the blank and the minus of a keyboard: the text is an export's as well."""
    return text.replace(wording.NBSP, " ").replace(wording.MINUS, "-")
