"""Which hardware is paid by a rate card, for those who must not count it a second time."""

from __future__ import annotations

from datetime import date

from django.db.models import Q

from metrics.models import RateCard


def rated_backends(workload_id: int, start_on: date, end_on: date) -> list[str]:
    """Names of the workload's backends with a rate card valid on one of the local days from `start_on` to `end_on`.

    A backend is the workload's when one of its series is allocated to it, or its new series would be.
    """
    cards = RateCard.objects.filter(
        Q(backend__default_workload_id=workload_id) | Q(backend__series__allocations__workload_id=workload_id),
        Q(valid_until_on__isnull=True) | Q(valid_until_on__gt=start_on),
        valid_from_on__lte=end_on,
    )
    return sorted(set(cards.values_list("backend__name", flat=True)))
