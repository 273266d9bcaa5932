"""Which of linked sources counts (measures.md, 'Counted once'), and which unlinked ones look like the same traffic.

Linked are: a backend and the gateway it stands behind; a push and the backend that its traffic goes through. Which of
those that report counts is said in `metrics.counted`; the others keep their figures as a cross-check.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.db.models import Min, Q, Sum
from django.db.models.functions import Coalesce

from metrics.counted import RANK, Place, Stream, chain, model_name, uncounted_from
from metrics.models import Backend, LookAlike, Series, UsageHour
from metrics.sources import PUSH_ONLY
from metrics.usage import STEP_OPERATIONS, MeasuredAt, SeriesKind

# Two sources whose tokens of a day differ by less look like the same traffic.
NEARLY_THE_SAME = Decimal("0.05")
# A day with fewer tokens proves nothing.
FEWEST_TOKENS = 100


def recount(backend_ids: Iterable[int]) -> int:
    """Set `uncounted_from_on` of the series of these backends and of those linked with them; return how many changed.

    Called where a link changes and where a new series appears.
    """
    with transaction.atomic():
        linked = linked_with(backend_ids)
        backends = {backend.pk: backend for backend in Backend.objects.filter(pk__in=linked).order_by("pk")}
        _inherit_links(linked)
        places = {pk: Place(one.behind_id, one.behind_from_on) for pk, one in backends.items()}
        verdicts = uncounted_from(_streams(linked, backends, _first_days(linked)), places)
        wrong = [
            one
            for one in Series.objects.filter(pk__in=verdicts).only("uncounted_from_on").order_by("pk")
            if one.uncounted_from_on != verdicts[one.pk]
        ]
        for one in wrong:
            one.uncounted_from_on = verdicts[one.pk]
        Series.objects.bulk_update(wrong, ["uncounted_from_on"], batch_size=1_000)
        return len(wrong)


def linked_with(backend_ids: Iterable[int]) -> set[int]:
    """Return the ids of these backends and of all that are linked with them, through whatever there is between."""
    ids = set(backend_ids)
    while True:
        more = set(Backend.objects.filter(Q(pk__in=ids) | Q(behind__in=ids)).values_list("pk", flat=True)) | set(
            Backend.objects.filter(pk__in=ids, behind__isnull=False).values_list("behind_id", flat=True)
        )
        more |= set(Series.objects.filter(through__in=ids).values_list("backend_id", flat=True))
        more |= set(Series.objects.filter(backend__in=ids, through__isnull=False).values_list("through_id", flat=True))
        if more <= ids:
            return ids
        ids = ids | more


def gateways_of(backend: Backend) -> list[int]:
    """Return the ids of the gateways that the backend stands behind, the nearest first."""
    found: list[int] = []
    behind = backend.behind_id
    while behind is not None and behind not in found:
        found.append(behind)
        behind = Backend.objects.filter(pk=behind).values_list("behind_id", flat=True).first()
    return found


def chains() -> dict[int, dict[int, date | None]]:
    """Of each backend that stands behind one the gateways in front of it, and since which local day. One query."""
    places = {
        pk: Place(behind, since)
        for pk, behind, since in Backend.objects.values_list("pk", "behind_id", "behind_from_on").order_by("pk")
    }
    return {pk: dict(chain(pk, places)[1:]) for pk, place in places.items() if place.behind is not None}


def counted_usage_of(backend: Backend) -> Q:
    """Return the condition for usage series that carry this backend's traffic, whichever source counts it."""
    condition = Q(backend=backend) | Q(through=backend)
    if backend.behind_id is not None:
        gateways = gateways_of(backend)
        condition |= Q(backend__in=gateways) | Q(through__in=gateways, measured_at=MeasuredAt.GATEWAY)
    return condition & Q(kind=SeriesKind.USAGE)


def find_look_alikes(today: date, *, days: int = 3) -> int:
    """Compare the sources that are not linked, day by day up to `today`; return how many new pairs were found."""
    found = 0
    for back in range(days):
        found += _find_on(today - timedelta(days=back))
    return found


# --- Who counts


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


def _streams(linked: set[int], backends: dict[int, Backend], first_days: dict[int, date]) -> list[Stream]:
    """Every usage series at these places. A step of an agent is nobody's traffic but its own, so that it always counts.

    A push that only names a backend which is pulled is some application's, and speaks for nobody else.
    """
    found = []
    series = Series.objects.filter(Q(backend__in=linked) | Q(through__in=linked), kind=SeriesKind.USAGE)
    for one in series.order_by("pk"):
        own = one.through_id is None
        place = one.through_id or one.backend_id
        if place not in backends:
            continue
        found.append(
            Stream(
                key=one.pk,
                place=place,
                measured_at=backends[place].measured_at if own else one.measured_at,
                is_own=own,
                model=model_name(one.model),
                first_on=first_days.get(one.pk),
                speaks=not (own and one.is_pushed and backends[place].connector != PUSH_ONLY),
                is_step=one.operation in STEP_OPERATIONS,
            )
        )
    return found


# --- Look-alikes


@dataclass(slots=True)
class _Seen:
    """One source's tokens of a model on a day, and the series that stands for it."""

    backend: Backend
    is_pushed: bool
    tokens: int
    most: int
    series: Series

    @property
    def voice(self) -> tuple[bool, str]:
        """Whether it is the place's own, and where it was measured."""
        return self.series.through_id is None, self.series.measured_at


def _find_on(on: date) -> int:
    by_model: dict[str, dict[tuple[int, bool, int | None, str], _Seen]] = defaultdict(dict)
    start, end = (datetime.combine(day, time(), tzinfo=settings.REPORTING_ZONE) for day in (on, on + timedelta(days=1)))
    rows = (
        UsageHour.objects.filter(hour__gte=start, hour__lt=end, series__kind=SeriesKind.USAGE)
        .exclude(series__operation__in=STEP_OPERATIONS)
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
    gateways = dict(Backend.objects.values_list("pk", "behind_id"))
    return sum(_keep(on, list(sources.values()), gateways) for model, sources in by_model.items() if model)


def _keep(on: date, seen: list[_Seen], gateways: Mapping[int, int | None]) -> int:
    found = 0
    for position, first in enumerate(seen):
        for second in seen[position + 1 :]:
            larger = max(first.tokens, second.tokens)
            if larger < FEWEST_TOKENS or abs(first.tokens - second.tokens) > NEARLY_THE_SAME * larger:
                continue
            if first.series.is_demo != second.series.is_demo:
                continue
            if _are_linked(first, second, gateways) or _is_decided(first, second):
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


def _are_linked(first: _Seen, second: _Seen, gateways: Mapping[int, int | None]) -> bool:
    for one, two in ((first, second), (second, first)):
        place: int | None = one.series.through_id or one.backend.pk
        end = two.series.through_id or two.backend.pk
        seen: set[int] = set()
        while place is not None and place not in seen:
            # Of what passes one place, what is measured at the same one is other traffic; so is what only names it.
            is_passing = one.series.through_id is not None or two.series.through_id is not None
            if place == end and (seen or (is_passing and one.voice != two.voice)):
                return True
            seen.add(place)
            place = gateways.get(place)
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
