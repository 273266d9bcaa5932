"""Whose usage it is: allocating a series to workloads, in shares, from a day on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from django.db.models import Q
from django.utils.translation import gettext

from accounts.access import Asker
from accounts.audit import record
from accounts.models import Workload
from metrics import allocating, capacity, sources
from metrics.actions.permission import require_backend_admin
from metrics.deadlocks import one_transaction
from metrics.errors import RuleViolation
from metrics.models import Allocation, Series
from metrics.placing import ALWAYS
from metrics.possible_days import check_day
from metrics.usage import SeriesKind

PLACES = 10
THE_BEGINNING = ALWAYS


@one_transaction
def allocate(
    asker: Asker, series: Series, *, shares: Sequence[tuple[Workload, Decimal]], from_on: date = THE_BEGINNING
) -> list[Allocation]:
    """From `from_on` on the series belongs to these workloads in these shares; what is left is unallocated.

    No shares: nobody's. Days before keep theirs. Raises RuleViolation, PermissionDenied.
    """
    require_backend_admin(asker)
    check_shares(shares)
    check_day(from_on, field="from_on")
    allocating.hold_rules()
    series = Series.objects.select_for_update(no_key=True).get(pk=series.pk)
    before = [f"{one.workload.slug} {one.share_ratio:f}" for one in in_force(series, from_on)]
    Allocation.objects.filter(series=series, valid_from_on__gte=from_on).delete()
    Allocation.objects.filter(series=series).filter(
        Q(valid_until_on__isnull=True) | Q(valid_until_on__gt=from_on)
    ).update(valid_until_on=from_on)
    made = Allocation.objects.bulk_create(
        [
            Allocation(
                series=series,
                workload=workload,
                share_ratio=share,
                valid_from_on=from_on,
                source=Allocation.Source.HAND,
            )
            for workload, share in shares
        ]
    )
    series.hand_from_on = min(from_on, series.hand_from_on or from_on)
    series.save(update_fields=["hand_from_on"])
    if series.kind != SeriesKind.IDLE:
        capacity.follow_busy(from_on, sources.now())
    record(
        asker,
        action="allocate_series",
        subject=series,
        workload=shares[0][0] if len(shares) == 1 else None,
        before={"shares": ", ".join(before) or "none"},
        after={"shares": ", ".join(f"{w.slug} {share:f}" for w, share in shares) or "none", "from": from_on},
    )
    return made


@one_transaction
def allocate_by_rules(asker: Asker, series: Series) -> Series:
    """Take back what was said by hand: the rules, else the backend's default, place the series again.

    Idle capacity follows its busy part again. Raises PermissionDenied.
    """
    require_backend_admin(asker)
    allocating.hold_rules()
    series = Series.objects.select_for_update(no_key=True).get(pk=series.pk)
    since = series.hand_from_on
    if since is None:
        return series
    before = [f"{one.workload.slug} {one.share_ratio:f}" for one in in_force(series, since)]
    series.allocations.filter(source=Allocation.Source.HAND).delete()
    series.hand_from_on = None
    series.save(update_fields=["hand_from_on"])
    if series.kind != SeriesKind.IDLE:
        allocating.place([series], allocating.rules_in_order())
    capacity.follow_busy(since, sources.now())
    record(
        asker,
        action="allocate_by_rules",
        subject=series,
        before={"shares": ", ".join(before) or "none", "by hand from": since},
        after={"shares": "by the rules"},
    )
    return series


def in_force(series: Series, on: date) -> list[Allocation]:
    """Return the allocations of a day."""
    return list(
        Allocation.objects.filter(series=series, valid_from_on__lte=on)
        .filter(Q(valid_until_on__isnull=True) | Q(valid_until_on__gt=on))
        .select_related("workload")
    )


def check_shares(shares: Sequence[tuple[Workload, Decimal]]) -> None:
    """Raise RuleViolation unless each workload stands once with a share above 0 and they are at most 1 in sum."""
    if len({workload.pk for workload, _ in shares}) < len(shares):
        raise RuleViolation("repeated", gettext("Each roadmap stands once."), "shares")
    for workload, share in shares:
        if not share.is_finite() or not 0 < share <= 1:
            raise RuleViolation(
                "share_out_of_range",
                gettext("The share of %(workload)s is above 0%% and at most 100%%.") % {"workload": workload},
                "shares",
            )
        if -int(share.as_tuple().exponent) > PLACES:
            raise RuleViolation(
                "too_many_decimals", gettext("A share has at most %(places)s decimals.") % {"places": PLACES}, "shares"
            )
    if sum((share for _, share in shares), Decimal(0)) > 1:
        raise RuleViolation("more_than_all", gettext("The shares add up to more than 100%."), "shares")
