"""Which sources see the same traffic: links between backends and pushes, and decisions about look-alikes."""

from __future__ import annotations

from datetime import date

from django.utils.translation import gettext

from accounts.access import Asker
from accounts.audit import record
from metrics import counting, importing, sources
from metrics.actions.backfills import BACKFILL_FIELDS, read_again
from metrics.actions.permission import require_backend_admin
from metrics.deadlocks import one_transaction
from metrics.errors import RuleViolation
from metrics.models import Backend, LookAlike, Series
from metrics.possible_days import check_day
from metrics.usage import MeasuredAt, SeriesKind


@one_transaction
def link_backend(asker: Asker, backend: Backend, *, gateway: Backend | None, from_on: date | None = None) -> Backend:
    """From `from_on` (today unless given) the gateway counts for this backend's traffic; None takes the link back.

    Raises RuleViolation, PermissionDenied.
    """
    require_backend_admin(asker)
    check_day(from_on, field="from_on")
    backend = Backend.objects.select_for_update().get(pk=backend.pk)
    former, former_on = backend.behind, backend.behind_from_on
    if gateway is not None:
        _refuse_circle(backend, gateway)
        _refuse_demo(backend, gateway)
    backend.behind = gateway
    backend.behind_from_on = (from_on or counting.local_day(sources.now())) if gateway else None
    # Money that was spread before goes to the series that count now.
    read_again(backend, min((on for on in (former_on, backend.behind_from_on) if on is not None), default=None))
    backend.save(update_fields=["behind", "behind_from_on", *BACKFILL_FIELDS])
    ids = {one.pk for one in (backend, former, gateway) if one is not None}
    counting.recount(ids)
    importing.follow_links(ids, now=sources.now())
    record(
        asker,
        action="link_backend" if gateway else "unlink_backend",
        subject=backend,
        before={"behind": former.slug if former else None},
        after={"behind": gateway.slug if gateway else None, "from": backend.behind_from_on},
    )
    return backend


@one_transaction
def link_push(asker: Asker, series: Series, *, backend: Backend | None) -> int:
    """Say which backend a push's traffic goes through; None takes it back. Return how many series it concerns.

    It holds for every series of the same sender and model. Raises RuleViolation, PermissionDenied.
    """
    require_backend_admin(asker)
    if not series.is_pushed:
        raise RuleViolation("not_pushed", gettext("Only what is pushed goes through a backend."), "series")
    same = [
        one
        for one in Series.objects.select_for_update()
        .filter(
            backend_id=series.backend_id,
            workload_id=series.workload_id,
            measured_at=series.measured_at,
            is_pushed=True,
            kind=SeriesKind.USAGE,
        )
        .order_by("pk")
        if counting.model_name(one.model) == counting.model_name(series.model)
    ]
    if backend is not None:
        _refuse_demo(series, backend)
    former = series.through
    Series.objects.filter(pk__in=[one.pk for one in same]).update(through=backend)
    ids = {series.backend_id, *(one.pk for one in (former, backend) if one is not None)}
    counting.recount(ids)
    importing.follow_links(ids, now=sources.now())
    record(
        asker,
        action="link_push" if backend else "unlink_push",
        subject=series,
        workload=series.workload,
        before={"through": former.slug if former else None},
        after={"through": backend.slug if backend else None, "series": len(same)},
    )
    return len(same)


@one_transaction
def decide_look_alike(asker: Asker, look_alike: LookAlike, *, decision: str) -> LookAlike:
    """'linked': the same traffic, counted once from now on. 'different': do not ask again.

    Raises RuleViolation, PermissionDenied.
    """
    require_backend_admin(asker)
    look_alike = LookAlike.objects.select_for_update().get(pk=look_alike.pk)
    if decision not in (LookAlike.Decision.LINKED, LookAlike.Decision.DIFFERENT):
        raise RuleViolation("unknown_choice", gettext("Say 'linked' or 'different'."), "decision")
    if look_alike.decision != LookAlike.Decision.OPEN:
        raise RuleViolation("already_decided", gettext("Somebody has decided this already."), "decision")
    if decision == LookAlike.Decision.LINKED:
        _link(asker, look_alike)
    look_alike.decision = decision
    look_alike.save(update_fields=["decision"])
    record(asker, action="decide_look_alike", subject=look_alike, after={"decision": decision})
    return look_alike


def _link(asker: Asker, look_alike: LookAlike) -> None:
    front, behind = sorted(
        Series.objects.filter(pk__in=[look_alike.first_id, look_alike.second_id]).select_related("backend", "through"),
        key=lambda one: (counting.RANK[MeasuredAt(one.measured_at)], one.pk),
    )
    if behind.is_pushed:
        link_push(asker, behind, backend=front.backend)
    elif front.is_pushed:
        link_push(asker, front, backend=behind.backend)
    else:
        link_backend(asker, behind.backend, gateway=front.backend, from_on=look_alike.on)


def _refuse_demo(one: Backend | Series, other: Backend) -> None:
    """The demo goes one day, and would take real traffic along that it counts for."""
    if one.is_demo != other.is_demo:
        raise RuleViolation(
            "is_demo", gettext("One of them is demo data, the other is real: they see different traffic.")
        )


def _refuse_circle(backend: Backend, gateway: Backend) -> None:
    there: Backend | None = Backend.objects.get(pk=gateway.pk)
    while there is not None:
        if there.pk == backend.pk:
            raise RuleViolation(
                "circle",
                gettext("%(gateway)s stands behind %(backend)s itself.") % {"gateway": gateway, "backend": backend},
                "behind",
            )
        there = there.behind
