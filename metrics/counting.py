"""Which of linked sources counts (measures.md, 'Counted once'), and which unlinked ones look like the same traffic.

Linked are: a backend and the gateway it stands behind; a push and the backend that its traffic goes through. Of those
that report, the gateway counts, else the server, else the application. The others keep their figures as a cross-check.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.db.models import Min, Q, Sum
from django.db.models.functions import Coalesce

from metrics.models import Backend, LookAlike, Series, UsageHour
from metrics.sources import PUSH_ONLY
from metrics.usage import MeasuredAt, SeriesKind

RANK = {MeasuredAt.GATEWAY: 0, MeasuredAt.SERVER: 1, MeasuredAt.APPLICATION: 2}
# Two sources whose tokens of a day differ by less look like the same traffic.
NEARLY_THE_SAME = Decimal("0.05")
# A day with fewer tokens proves nothing.
FEWEST_TOKENS = 100


@dataclass(frozen=True, slots=True)
class Source:
    """One of linked sources. `first_on`: its first local day with figures, None where it reports nothing."""

    key: str
    measured_at: str
    first_on: date | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """From `from_on` on, `counts` counts and the others do not."""

    counts: str
    from_on: date


def decide(sources: Sequence[Source]) -> Verdict | None:
    """Return which of linked sources counts: gateway, else server, else application; of equals the first named.

    None where fewer than two report: then each counts as it is.
    """
    reporting = [source for source in sources if source.first_on is not None]
    if len(reporting) < 2:
        return None
    best = min(reporting, key=lambda source: RANK[MeasuredAt(source.measured_at)])
    assert best.first_on is not None  # noqa: S101 - narrowed above
    return Verdict(counts=best.key, from_on=best.first_on)


def recount(backend_ids: Iterable[int]) -> int:
    """Set `uncounted_from_on` of the series of these backends and of those linked with them; return how many changed.

    Called where a link changes and where a new series appears.
    """
    with transaction.atomic():
        changed = 0
        linked = _linked_backends(set(backend_ids))
        backends = {backend.pk: backend for backend in Backend.objects.filter(pk__in=linked).order_by("pk")}
        _inherit_links(linked)
        first_days = _first_days(linked)
        for backend in backends.values():
            changed += _recount_backend(backend, backends, first_days)
        return changed


def counted_usage_of(backend: Backend) -> Q:
    """Return the condition for usage series that carry this backend's traffic, whichever source counts it."""
    condition = Q(backend=backend) | Q(through=backend)
    if backend.behind_id is not None:
        condition |= Q(backend_id=backend.behind_id)
    return condition & Q(kind=SeriesKind.USAGE)


def find_look_alikes(today: date, *, days: int = 3) -> int:
    """Compare the sources that are not linked, day by day up to `today`; return how many new pairs were found."""
    found = 0
    for back in range(days):
        found += _find_on(today - timedelta(days=back))
    return found


# --- Who counts


def _linked_backends(ids: set[int]) -> set[int]:
    while True:
        more = set(Backend.objects.filter(Q(pk__in=ids) | Q(behind__in=ids)).values_list("pk", flat=True)) | set(
            Backend.objects.filter(pk__in=ids, behind__isnull=False).values_list("behind_id", flat=True)
        )
        more |= set(Series.objects.filter(through__in=ids).values_list("backend_id", flat=True))
        more |= set(Series.objects.filter(backend__in=ids, through__isnull=False).values_list("through_id", flat=True))
        if more <= ids:
            return ids
        ids = ids | more


def _inherit_links(ids: set[int]) -> None:
    """A push that was linked stays linked when a label or an operation makes a new series of it."""
    pushes = Series.objects.filter(backend__in=ids, is_pushed=True, kind=SeriesKind.USAGE)
    known = {
        (series.workload_id, series.backend_id, series.measured_at, model_name(series.model)): series.through_id
        for series in pushes.filter(through__isnull=False)
    }
    if not known:
        return
    for series in pushes.filter(through__isnull=True):
        through = known.get((series.workload_id, series.backend_id, series.measured_at, model_name(series.model)))
        if through is not None:
            Series.objects.filter(pk=series.pk).update(through_id=through)


def _first_days(ids: set[int]) -> dict[int, date]:
    """First local day with figures of each usage series of these backends, or passing through them."""
    rows = (
        UsageHour.objects.filter(Q(series__backend__in=ids) | Q(series__through__in=ids), series__kind=SeriesKind.USAGE)
        .filter(Q(requests__isnull=False) | Q(input_tokens__isnull=False) | Q(output_tokens__isnull=False))
        .values("series_id")
        .annotate(first=Min("hour"))
        .values_list("series_id", "first")
    )
    return {series_id: local_day(first) for series_id, first in rows}


def local_day(moment: datetime) -> date:
    """Return the day of the reporting zone that the moment lies in."""
    return moment.astimezone(settings.REPORTING_ZONE).date()


def _recount_backend(backend: Backend, backends: dict[int, Backend], first_days: dict[int, date]) -> int:
    """The backend's own series, and the pushes that go through it."""
    own = list(Series.objects.filter(backend=backend, kind=SeriesKind.USAGE, through__isnull=True).order_by("pk"))
    passing = list(Series.objects.filter(through=backend, kind=SeriesKind.USAGE).order_by("pk"))
    sources = [Source("own", backend.measured_at, _first(_speaking_for(backend, own), first_days))]
    gateway = backends.get(backend.behind_id) if backend.behind_id else None
    if gateway is not None:
        in_front = Series.objects.filter(backend=gateway, kind=SeriesKind.USAGE)
        sources.insert(0, Source("gateway", MeasuredAt.GATEWAY, _first(_speaking_for(gateway, in_front), first_days)))
    for measured_at in MeasuredAt:
        pushed = [series for series in passing if series.measured_at == measured_at]
        sources.append(Source(f"pushed {measured_at}", measured_at, _first(pushed, first_days)))
    verdict = decide(sources)
    changed = 0
    for series in [*own, *passing]:
        key = "own" if series.through_id is None else f"pushed {series.measured_at}"
        if verdict is None or verdict.counts == key:
            from_on = None
        elif verdict.counts == "gateway" and backend.behind_from_on is not None:
            # Not before it has figures: else nobody would count.
            from_on = max(backend.behind_from_on, verdict.from_on)
        else:
            from_on = verdict.from_on
        changed += _set_uncounted(series, from_on)
    return changed


def _speaking_for(backend: Backend, series: Iterable[Series]) -> list[Series]:
    """Without pushes that only name a backend which is pulled: some application's, they are not what it reports."""
    if backend.connector == PUSH_ONLY:
        return list(series)
    return [one for one in series if not one.is_pushed]


def _first(series: Iterable[Series], first_days: dict[int, date]) -> date | None:
    return min((first_days[one.pk] for one in series if one.pk in first_days), default=None)


def _set_uncounted(series: Series, from_on: date | None) -> int:
    if series.uncounted_from_on == from_on:
        return 0
    series.uncounted_from_on = from_on
    series.save(update_fields=["uncounted_from_on"])
    return 1


# --- Look-alikes


@dataclass(slots=True)
class _Seen:
    """One source's tokens of a model on a day, and the series that stands for it."""

    backend: Backend
    is_pushed: bool
    tokens: int
    most: int
    series: Series


def _find_on(on: date) -> int:
    by_model: dict[str, dict[tuple[int, bool, int | None, str], _Seen]] = defaultdict(dict)
    start, end = (datetime.combine(day, time(), tzinfo=settings.REPORTING_ZONE) for day in (on, on + timedelta(days=1)))
    rows = (
        UsageHour.objects.filter(hour__gte=start, hour__lt=end, series__kind=SeriesKind.USAGE)
        .values("series_id")
        .annotate(tokens=Sum(Coalesce("input_tokens", 0) + Coalesce("output_tokens", 0)))
        .values_list("series_id", "tokens")
    )
    tokens = dict(rows)
    for series in Series.objects.filter(pk__in=tokens).select_related("backend", "backend__behind").order_by("pk"):
        source = (series.backend_id, series.is_pushed, series.workload_id, series.measured_at)
        there = by_model[model_name(series.model)].get(source)
        amount = int(tokens[series.pk] or 0)
        if there is None:
            by_model[model_name(series.model)][source] = _Seen(series.backend, series.is_pushed, amount, amount, series)
            continue
        there.tokens += amount
        if amount > there.most:
            there.most, there.series = amount, series
    return sum(_keep(on, model, list(sources.values())) for model, sources in by_model.items() if model)


def _keep(on: date, model: str, seen: list[_Seen]) -> int:
    found = 0
    for position, first in enumerate(seen):
        for second in seen[position + 1 :]:
            larger = max(first.tokens, second.tokens)
            if larger < FEWEST_TOKENS or abs(first.tokens - second.tokens) > NEARLY_THE_SAME * larger:
                continue
            if _are_linked(first, second) or _is_decided(first, second):
                continue
            front, behind = sorted(
                (first, second), key=lambda one: (RANK[MeasuredAt(one.series.measured_at)], one.series.pk)
            )
            _, is_new = LookAlike.objects.get_or_create(
                first=front.series,
                second=behind.series,
                defaults={
                    "model": behind.series.model,
                    "on": on,
                    "first_tokens": front.tokens,
                    "second_tokens": behind.tokens,
                },
            )
            found += is_new
    return found


def _are_linked(first: _Seen, second: _Seen) -> bool:
    for one, two in ((first, second), (second, first)):
        fronts = {one.backend.behind_id, one.series.through_id} - {None}
        if two.backend.pk in fronts:
            return True
        if one.series.through is not None and one.series.through.behind_id == two.backend.pk:
            return True
        if one.series.through_id is not None and one.series.through_id == two.series.through_id:
            return one.series.measured_at != two.series.measured_at
    return False


def _is_decided(first: _Seen, second: _Seen) -> bool:
    """Whether a person was already asked about these two sources, whichever of their series stood for them."""

    def of(one: _Seen, side: str) -> dict[str, object]:
        return {
            f"{side}__backend_id": one.backend.pk,
            f"{side}__is_pushed": one.is_pushed,
            f"{side}__workload_id": one.series.workload_id,
            f"{side}__measured_at": one.series.measured_at,
        }

    return LookAlike.objects.filter(
        Q(**of(first, "first"), **of(second, "second")) | Q(**of(second, "first"), **of(first, "second"))
    ).exists()


def model_name(model: str) -> str:
    """Return a model's name as sources can be compared by: without its folder and a file's ending, lower-case."""
    name = model.replace("\\", "/").rsplit("/", 1)[-1].lower()
    return name.removesuffix(".gguf").removesuffix(".safetensors")
