"""Estimates for the tokens of a pull: posted once, with the price then in force (measures.md, Money)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from django.conf import settings
from django.db.models import Sum

from metrics import pricing
from metrics.ledger import PostedCell
from metrics.models import Backend, Feed, LedgerEntry, Series
from metrics.usage import SeriesKind
from metrics.windows import Window

PRICED_BY = ("input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens")
HourKey = tuple[int, datetime]


@dataclass(slots=True)
class Told:
    """The prices that estimates used, and the models whose price depends on each request: sums took its first step."""

    refs: set[str] = field(default_factory=set)
    first_steps: set[str] = field(default_factory=set)

    @property
    def note(self) -> str:
        """For the receipt."""
        return f"Priced by {'; '.join(sorted(self.refs))}"[:300] if self.refs else ""

    @property
    def lines(self) -> list[str]:
        """For the pull log."""
        if not self.first_steps:
            return []
        models = ", ".join(sorted(self.first_steps))
        return [f"The price depends on the size of a request; sums took its first step: {models}."]


def estimates_of(
    backend: Backend, cells: Iterable[PostedCell], series: Mapping[int, Series], told: Told
) -> list[PostedCell]:
    """Return the estimated cost of the cells' tokens, as cells of the ESTIMATE feed.

    Nothing where the source states a cost itself, where a rate card pays for the hour, or where there is no price.
    Fills `told`.
    """
    sums: dict[HourKey, dict[str, int | Decimal]] = defaultdict(dict)
    has_cost: set[HourKey] = set()
    for cell in cells:
        key = (cell.series_id, cell.hour)
        if "estimated_cost" in cell.sums or "billed_cost" in cell.sums:
            has_cost.add(key)
        for name in PRICED_BY:
            if name in cell.sums:
                sums[key][name] = sums[key].get(name, 0) + cell.sums[name]
    found = []
    for (series_id, hour), tokens in sums.items():
        one = series[series_id]
        if (series_id, hour) in has_cost or one.kind != SeriesKind.USAGE or not any(tokens.values()):
            continue
        if pricing.has_reserved_capacity(backend.pk, hour.astimezone(settings.REPORTING_ZONE).date(), one.model):
            continue
        estimate = pricing.estimate(
            one.provider,
            one.model,
            one.service_tier,
            hour.astimezone(UTC).date(),
            tokens,
            backend_id=backend.pk,
            operation=one.operation,
        )
        if estimate is not None:
            told.refs.add(estimate.price_ref)
            if estimate.is_first_step:
                told.first_steps.add(one.model)
            found.append(PostedCell(series_id, hour, {"estimated_cost": estimate.amount}, currency=estimate.currency))
    return found


def restated_estimates(
    backend: Backend,
    cells: list[PostedCell],
    window: Window,
    *,
    usage_feed: Feed,
    estimate_feed: Feed,
    series: Mapping[int, Series],
    told: Told,
) -> list[PostedCell]:
    """Return the whole window's estimates: what was estimated before stays where the tokens are the same."""
    before = {
        key: amounts for key, amounts in _sums(usage_feed, window).items() if any(value for value in amounts.values())
    }
    now: dict[HourKey, dict[str, int]] = defaultdict(lambda: dict.fromkeys(PRICED_BY, 0))
    for cell in cells:
        for name in PRICED_BY:
            now[cell.series_id, cell.hour][name] += int(cell.sums.get(name) or 0)
    unchanged = {key for key, tokens in now.items() if before.get(key) == tokens}
    kept = [
        PostedCell(series_id, hour, {"estimated_cost": amount}, currency=currency)
        for series_id, hour, currency, amount in _estimates(estimate_feed, window)
        if (series_id, hour) in unchanged and amount
    ]
    done = {(cell.series_id, cell.hour) for cell in kept}
    fresh = estimates_of(backend, [cell for cell in cells if (cell.series_id, cell.hour) not in done], series, told)
    return kept + fresh


def _sums(feed: Feed, window: Window) -> dict[HourKey, dict[str, int]]:
    rows = (
        LedgerEntry.objects.filter(feed=feed, hour__gte=window.start, hour__lt=window.end)
        .values_list("series_id", "hour")
        .annotate(*(Sum(name) for name in PRICED_BY))
    )
    return {
        (series_id, hour): {name: int(value or 0) for name, value in zip(PRICED_BY, values, strict=True)}
        for series_id, hour, *values in rows
    }


def _estimates(feed: Feed, window: Window) -> Iterable[tuple[int, datetime, str, Decimal]]:
    return (
        LedgerEntry.objects.filter(feed=feed, hour__gte=window.start, hour__lt=window.end)
        .exclude(estimated_cost=None)
        .values("series_id", "hour", "currency")
        .annotate(amount=Sum("estimated_cost"))
        .values_list("series_id", "hour", "currency", "amount")
    )
