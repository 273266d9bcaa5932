"""Posts a provider's cost statements once they have settled, spread over the usage that counts (measures.md, Money)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from metrics import billed_elsewhere, counting, ledger
from metrics.connector import CostStatement
from metrics.identity import SeriesIdentity, series_ids
from metrics.ledger import PostedCell
from metrics.models import Backend, RateCard, Receipt, Series, StatedWindow, UsageHour
from metrics.spreading import LEFT_OUT, Part, UsedHour, spread
from metrics.usage import STEP_OPERATIONS, FeedKind, MeasuredAt, SeriesKey, SeriesKind
from metrics.windows import DAY, Window

MICROSECOND = timedelta(microseconds=1)


def post_statements(
    backend: Backend,
    statements: Sequence[CostStatement],
    window: Window,
    *,
    receipt: Receipt,
    as_of: datetime,
    settling_hours: int,
    not_stated: Sequence[Window] = (),
) -> tuple[Receipt | None, list[str]]:
    """Post what has settled; return the receipt (None: nothing changed) and sentences for the pull log.

    Call it in the transaction that has posted the window's usage.
    """
    settled = _settled(window, as_of, settling_hours)
    if settled.end <= settled.start:
        return None, _lines(statements, [])
    due = [s for s in statements if s.start >= settled.start and s.end <= settled.end]
    feed = ledger.feed(FeedKind.STATEMENT, backend)
    # Before it is asked which days a bill pays for: one that is counted meanwhile withdraws what was posted here.
    ledger.lock_feed(feed)
    due, paid = billed_elsewhere.apart(due, billed_elsewhere.windows_of(backend))
    billed_elsewhere.note(backend, paid)
    parts = spread(due, used_hours(backend, settled))
    changed = ledger.post_statement(
        receipt=receipt,
        feed=feed,
        window=settled,
        cells=_cells(backend, parts),
        as_of=as_of,
        not_stated=_days_not_stated(not_stated, statements),
    )
    lines = _lines(statements, [*due, *paid])
    if paid:
        lines.append(f"{len(paid)} cost statements are of days that a billing file pays for; they stand beside it.")
    return changed, lines


def _days_not_stated(not_stated: Sequence[Window], statements: Sequence[CostStatement]) -> list[Window]:
    """The days of which the source keeps no cost: money is stated by the day, and often kept longer than usage."""
    days = {
        _midnight(part.start) + number * DAY
        for part in not_stated
        for number in range(-((_midnight(part.start) - part.end) // DAY))
    }
    return [
        Window(day, day + DAY)
        for day in sorted(days)
        if not any(one.start < day + DAY and one.end > day for one in statements)
    ]


def costs_are_due(backend: Backend, window: Window, *, as_of: datetime, settling_hours: int) -> bool:
    """Whether the days of this window that have settled were not stated yet on this UTC day."""
    settled = _settled(window, as_of, settling_hours)
    today = StatedWindow.objects.filter(
        feed__kind=FeedKind.STATEMENT,
        feed__backend=backend,
        start__lte=settled.start,
        end__gte=settled.end,
        as_of__gte=_midnight(as_of),
    )
    return settled.start < settled.end and not today.exists()


def used_hours(backend: Backend, window: Window, *, models: frozenset[str] | None = None) -> list[UsedHour]:
    """Return what the series that count for this backend's traffic did, by series and hour.

    Capacity that it held and did not use is paid by the same statement, so that its hours are among them.
    `models` narrows a gateway's series to what this backend serves; None: to the models that it was seen to serve.
    """
    series = counting_series(backend, models=models)
    cards = _cards_of_others(backend, series)
    idle = Series.objects.filter(backend=backend, kind=SeriesKind.IDLE, is_pushed=False).in_bulk()
    series |= idle
    reserved = list(RateCard.objects.filter(backend=backend)) if idle else []
    rows = UsageHour.objects.filter(series__in=series, hour__gte=window.start, hour__lt=window.end)
    measured = rows.order_by("series_id", "hour", "currency").values_list(
        "series_id", "hour", "estimated_cost", "input_tokens", "output_tokens", "requests", "units"
    )
    sums: dict[tuple[int, datetime], dict[str, Decimal | None]] = {}
    for series_id, hour, estimate, tokens_in, tokens_out, requests, units in measured:
        one, day = series[series_id], counting.local_day(hour)
        if one.uncounted_from_on is not None and day >= one.uncounted_from_on:
            continue
        if any(_is_in_force(card, max(card.valid_from_on, since or day), day) for since, card in cards[series_id]):
            continue
        if series_id in idle and not estimate:
            continue
        there = sums.setdefault((series_id, hour), dict.fromkeys(("estimate", "tokens", "requests", "units")))
        for name, values in (
            ("estimate", (estimate,)),
            ("tokens", (tokens_in, tokens_out)),
            ("requests", (requests,)),
            ("units", (units,)),
        ):
            for value in values:
                if value is not None:
                    there[name] = (there[name] or Decimal(0)) + value
    return [
        UsedHour(
            series_id,
            hour,
            _idle_model(reserved, hour) if series_id in idle else series[series_id].model,
            _project_of(series[series_id]),
            service_tier=series[series_id].service_tier,
            **amounts,
        )
        for (series_id, hour), amounts in sums.items()
    ]


def _cards_of_others(backend: Backend, series: Mapping[int, Series]) -> dict[int, list[tuple[date | None, RateCard]]]:
    """Of a gateway's series the rate cards that pay for them, and since when they do.

    What only GPUs behind it have served is in nobody's statement: one without a model would take the place of their
    cost. A model that a backend without a card serves as well may be either's.
    """
    found: dict[int, list[tuple[date | None, RateCard]]] = defaultdict(list)
    cards = list(RateCard.objects.filter(backend__behind__isnull=False).exclude(backend=backend).order_by("pk"))
    if not cards:
        return found
    chains = counting.chains()
    models: dict[int, set[str]] = defaultdict(set)
    behind = Series.objects.filter(backend__in=chains, kind=SeriesKind.USAGE)
    for pk, model in behind.values_list("backend_id", "model").distinct().order_by():
        models[pk].add(counting.model_name(model))
    for pk, one in series.items():
        place, name = one.through_id or one.backend_id, counting.model_name(one.model)
        servers = {server for server, fronts in chains.items() if place in fronts and name in models[server]}
        paying = [card for card in cards if counting.model_name(card.model) in ("", name)]
        if servers <= {card.backend_id for card in paying}:
            found[pk] = [(chains[card.backend_id][place], card) for card in paying if card.backend_id in servers]
    return found


def _idle_model(cards: Sequence[RateCard], hour: datetime) -> str:
    """The model that the idle capacity of an hour was reserved for; empty where it serves several."""
    day = counting.local_day(hour)
    models = {card.model for card in cards if _is_in_force(card, card.valid_from_on, day)}
    return models.pop() if len(models) == 1 else ""


def _is_in_force(card: RateCard, since: date, day: date) -> bool:
    return since <= day and (card.valid_until_on is None or day < card.valid_until_on)


def _project_of(series: Series) -> str | None:
    """What a statement may name beside the model: providers call it a project or a workspace."""
    return series.labels.get("project") or series.labels.get("workspace")


def counting_series(backend: Backend, *, models: frozenset[str] | None = None) -> dict[int, Series]:
    """Return the usage series that carry this backend's traffic, its own and those of linked sources, by id."""
    traffic = Series.objects.filter(counting.counted_usage_of(backend)).exclude(operation__in=STEP_OPERATIONS)
    found = traffic.in_bulk()
    if backend.behind_id is None:
        return found
    if models is None:
        own = {one.model for one in found.values() if one.backend_id == backend.pk}
        models = frozenset(counting.model_name(model) for model in own)
    return {
        pk: one
        for pk, one in found.items()
        if backend.pk in (one.backend_id, one.through_id)
        or counting.model_name(one.model) in models
        or (not models and one.provider == backend.provider)
    }


def other_charges(backend: Backend, category: str = "Usage") -> int:
    """Return the id of the backend's series of money that belongs to no traffic, one for each charge category."""
    labels = () if category == "Usage" else (("charge_category", category),)
    key = SeriesKey(
        provider=backend.provider,
        model="",
        operation="other_charges",
        kind=SeriesKind.OTHER_CHARGES,
        labels=labels,
    )
    identity = SeriesIdentity(key=key, backend_id=backend.pk, measured_at=MeasuredAt(backend.measured_at))
    return series_ids([identity], is_demo=backend.is_demo)[identity]


def _settled(window: Window, as_of: datetime, settling_hours: int) -> Window:
    """The whole days of the window that have settled; empty (its end before its start) where there are none.

    What a statement says of a day that the window cuts is not said here, and not withdrawn either.
    """
    until = as_of - timedelta(hours=settling_hours)
    return Window(_midnight(window.start + DAY - MICROSECOND), _midnight(min(window.end, until)))


def _midnight(moment: datetime) -> datetime:
    """The start of the UTC day."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _cells(backend: Backend, parts: Sequence[Part]) -> list[PostedCell]:
    others = {
        category: other_charges(backend, category)
        for category in sorted({part.category for part in parts if part.series_id is None})
    }
    return [
        PostedCell(
            others[part.category] if part.series_id is None else part.series_id,
            part.hour,
            {"billed_cost": part.amount},
            currency=part.currency,
        )
        for part in parts
    ]


def _lines(statements: Sequence[CostStatement], due: Sequence[CostStatement]) -> list[str]:
    lines = []
    waiting = len(statements) - len(due)
    if waiting:
        lines.append(f"{waiting} cost statements have not settled yet; those days stay estimated.")
    tax = [s for s in due if s.charge_category in LEFT_OUT]
    if tax:
        lines.append("Tax is left out of the figures.")
    return lines
