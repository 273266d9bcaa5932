"""What explains money: restatements of bills, prices and rate cards in force, exchange rates, billing files."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from decimal import Decimal

from django.conf import settings
from django.db import connection

from metrics import rows
from metrics.billed_elsewhere import standing
from metrics.days import zone_name
from metrics.figures import Scope
from metrics.models import (
    BillingImport,
    BillingSource,
    ExchangeRate,
    ImportedCharge,
    ImportPeriod,
    OwnPrice,
    RateCard,
    UncountedStatement,
)
from metrics.pricing import Price, price_for
from metrics.reads.door import ALLOCATIONS, Sql, narrowed
from metrics.source_facts import (
    ExchangeRateFact,
    Invoice,
    PriceFact,
    RateCardFact,
    Restated,
    SeriesNames,
)
from metrics.windows import local_day, month_of


def restated(scope: Scope) -> list[Restated]:
    """See metrics.series.restated."""
    is_shared = scope.workload_ids is not None
    sql = Sql(
        "WITH r AS MATERIALIZED (SELECT receipt_id, series_id, min(first_hour) AS first, max(last_hour) AS last "
        "FROM metrics_restatement WHERE last_hour >= %s::timestamp AT TIME ZONE %s - interval '1 hour' "
        "AND first_hour < %s::timestamp AT TIME ZONE %s GROUP BY 1, 2), "
        "d AS (SELECT e.series_id, (e.hour AT TIME ZONE %s)::date AS day, e.currency, e.billed_cost FROM r "
        "JOIN metrics_receipt x ON x.id = r.receipt_id AND NOT x.is_void "
        "JOIN metrics_ledgerentry e ON e.receipt_id = r.receipt_id AND e.series_id = r.series_id "
        "AND e.hour >= r.first AND e.hour <= r.last AND e.billed_cost IS NOT NULL) "
        "SELECT s.kind, s.provider, s.model, d.day, d.currency, SUM(d.billed_cost"
        f"{' * a.share_ratio' if is_shared else ''}) FROM d JOIN metrics_series s ON s.id = d.series_id",
        [scope.start_on, zone_name(), scope.end_on, zone_name(), zone_name()],
    )
    if is_shared:
        sql.add(ALLOCATIONS)
    sql.add(
        " WHERE d.day >= %s AND d.day < %s AND (s.uncounted_from_on IS NULL OR d.day < s.uncounted_from_on)",
        scope.start_on,
        scope.end_on,
    )
    if scope.workload_ids is not None:
        sql.add(" AND a.workload_id = ANY(%s::bigint[])", rows.literal(scope.workload_ids))
    narrowed(sql, scope, ())
    sql.add(" GROUP BY 1, 2, 3, 4, 5")
    with connection.cursor() as cursor:
        cursor.execute(sql.text, sql.params)
        return [Restated(*row) for row in cursor.fetchall()]


def own_prices() -> list[PriceFact]:
    """See metrics.series.own_prices."""
    found = OwnPrice.objects.select_related("backend").order_by("provider", "model", "service_tier", "-valid_from_on")
    return [
        PriceFact(
            provider=row.provider,
            model=row.model,
            service_tier=row.service_tier,
            currency=row.currency,
            input_per_million=row.input_per_million,
            cached_input_per_million=row.cached_input_per_million,
            cache_write_input_per_million=row.cache_write_input_per_million,
            output_per_million=row.output_per_million,
            source="own price",
            valid_from_on=row.valid_from_on,
            backend_name=row.backend.name if row.backend else "",
            backend_slug=row.backend.slug if row.backend else "",
        )
        for row in found
    ]


def prices_in_force(names: Iterable[SeriesNames], on: date) -> list[PriceFact]:
    """See metrics.series.prices_in_force."""
    found = []
    seen = sorted({(one.provider, one.model, one.backend_id, one.backend_slug, one.backend_name) for one in names})
    for provider, model, backend_id, slug, name in seen:
        if not model:
            continue
        price = price_for(provider, model, "standard", on, backend_id=backend_id)
        found.append(_in_force(provider, model, slug, name, price))
    return found


def _in_force(provider: str, model: str, slug: str, name: str, price: Price | None) -> PriceFact:
    def base(part: object) -> Decimal | None:
        return getattr(part, "base", None)

    return PriceFact(
        provider=provider,
        model=model,
        service_tier="standard",
        currency=price.currency if price else "",
        input_per_million=base(price.input) if price else None,
        cached_input_per_million=base(price.cached_input) if price else None,
        cache_write_input_per_million=base(price.cache_write_input) if price else None,
        output_per_million=base(price.output) if price else None,
        source=price.ref if price else "",
        valid_from_on=None,
        backend_name=name,
        backend_slug=slug,
        has_steps=price.has_steps if price else False,
    )


def rate_cards() -> list[RateCardFact]:
    """See metrics.series.rate_cards."""
    return [
        RateCardFact(
            backend_name=card.backend.name,
            backend_slug=card.backend.slug,
            is_demo=card.backend.is_demo,
            kind=card.kind,
            units=card.units,
            unit_name=card.unit_name,
            currency=card.currency,
            rate_per_unit_hour=card.rate_per_unit_hour,
            purchase_amount=card.purchase_amount,
            amortisation_months=card.amortisation_months,
            valid_from_on=card.valid_from_on,
            valid_until_on=card.valid_until_on,
        )
        for card in RateCard.objects.select_related("backend").order_by("backend__name", "-valid_from_on")
    ]


def newest_rates() -> list[ExchangeRateFact]:
    """See metrics.series.newest_rates."""
    rates = ExchangeRate.objects.order_by("currency", "-on").distinct("currency")
    return [ExchangeRateFact(rate.currency, rate.on, rate.per_euro, rate.source) for rate in rates]


def invoices(start_on: date, end_on: date) -> list[Invoice]:
    """See metrics.series.invoices."""
    sources = {
        source.pk: source
        for source in BillingSource.objects.select_related("backend").prefetch_related("pays_for").order_by("pk")
    }
    zone = settings.REPORTING_ZONE
    first = datetime.combine(start_on, time.min, tzinfo=zone).astimezone(UTC)
    after = datetime.combine(end_on, time.min, tzinfo=zone).astimezone(UTC)
    sums: dict[tuple[int, date, str], Decimal] = {}
    files: dict[tuple[int, date, str], set[str]] = {}
    read: dict[int, list[ImportPeriod]] = {pk: [] for pk in sources}
    for period in (
        ImportPeriod.objects.filter(billing_import__state=BillingImport.State.DONE)
        .select_related("billing_import")
        .order_by("-billing_import__posted_at", "-billing_import_id", "start", "pk")
    ):
        read[period.billing_import.source_id].append(period)
    periods = {
        period.pk: (source_id, period.billing_import.name)
        for source_id, newest_first in read.items()
        for period in standing(newest_first)
        if period.start < after and period.end > first
    }
    charges = ImportedCharge.objects.filter(period__in=periods, start__gte=first, start__lt=after).exclude(
        category="Tax"
    )
    for period_id, start, currency, billed in charges.values_list("period_id", "start", "currency", "billed"):
        source_id, name = periods[period_id]
        place = (source_id, month_of(local_day(start, zone)), currency)
        sums[place] = sums.get(place, Decimal(0)) + billed
        files.setdefault(place, set()).add(name)
    found = [
        Invoice(
            backend_slugs=tuple(sorted(one.slug for one in sources[source_id].pays_for.all()))
            or (sources[source_id].backend.slug,),
            month=month,
            currency=currency,
            amount=amount,
            source=", ".join(sorted(files[source_id, month, currency])),
            counts=True,
        )
        for (source_id, month, currency), amount in sorted(sums.items())
    ]
    return [*found, *_uncounted(start_on, end_on)]


def _uncounted(start_on: date, end_on: date) -> list[Invoice]:
    """What backends state of days for which a bill counts."""
    sums: dict[tuple[str, date, str], Decimal] = {}
    stated = UncountedStatement.objects.filter(day__gte=start_on, day__lt=end_on)
    for slug, day, currency, amount in stated.values_list("backend__slug", "day", "currency", "amount"):
        place = (slug, month_of(day), currency)
        sums[place] = sums.get(place, Decimal(0)) + amount
    return [
        Invoice((slug,), month, currency, amount, "its own cost report", counts=False)
        for (slug, month, currency), amount in sorted(sums.items())
    ]
