"""Whose usage it is: allocating a series to workloads, in shares, from a day on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from django.db import transaction
from django.db.models import Q

from accounts.access import Asker
from accounts.audit import record
from accounts.models import Workload
from metrics.actions.permission import require_backend_admin
from metrics.errors import RuleViolation
from metrics.models import Allocation, Series

PLACES = 10
THE_BEGINNING = date(2000, 1, 1)


@transaction.atomic
def allocate(
    asker: Asker, series: Series, *, shares: Sequence[tuple[Workload, Decimal]], from_on: date = THE_BEGINNING
) -> list[Allocation]:
    """From `from_on` on the series belongs to these workloads in these shares; what is left is unallocated.

    No shares: nobody's. Days before keep theirs. Raises RuleViolation, PermissionDenied.
    """
    require_backend_admin(asker)
    _check(shares)
    series = Series.objects.select_for_update().get(pk=series.pk)
    before = [f"{one.workload.slug} {one.share_ratio:f}" for one in in_force(series, from_on)]
    Allocation.objects.filter(series=series, valid_from_on__gte=from_on).delete()
    Allocation.objects.filter(series=series).filter(
        Q(valid_until_on__isnull=True) | Q(valid_until_on__gt=from_on)
    ).update(valid_until_on=from_on)
    made = Allocation.objects.bulk_create(
        [
            Allocation(series=series, workload=workload, share_ratio=share, valid_from_on=from_on)
            for workload, share in shares
        ]
    )
    record(
        asker,
        action="allocate_series",
        subject=series,
        workload=shares[0][0] if len(shares) == 1 else None,
        before={"shares": ", ".join(before) or "none"},
        after={"shares": ", ".join(f"{w.slug} {share:f}" for w, share in shares) or "none", "from": from_on},
    )
    return made


def in_force(series: Series, on: date) -> list[Allocation]:
    """Return the allocations of a day."""
    return list(
        Allocation.objects.filter(series=series, valid_from_on__lte=on)
        .filter(Q(valid_until_on__isnull=True) | Q(valid_until_on__gt=on))
        .select_related("workload")
    )


def _check(shares: Sequence[tuple[Workload, Decimal]]) -> None:
    if len({workload.pk for workload, _ in shares}) < len(shares):
        raise RuleViolation("repeated", "Each roadmap stands once.", "shares")
    for workload, share in shares:
        if not share.is_finite() or not 0 < share <= 1:
            raise RuleViolation(
                "share_out_of_range", f"The share of {workload} is above 0% and at most 100%.", "shares"
            )
        if -int(share.as_tuple().exponent) > PLACES:
            raise RuleViolation("too_many_decimals", f"A share has at most {PLACES} decimals.", "shares")
    if sum((share for _, share in shares), Decimal(0)) > 1:
        raise RuleViolation("more_than_all", "The shares add up to more than 100%.", "shares")
