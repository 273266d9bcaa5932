"""Which backends and series an asker may see."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from accounts.access import Asker, can_see_backends, sees_everything, visible_workloads
from metrics.models import Allocation, Backend, Series


def visible_backends(asker: Asker) -> QuerySet[Backend]:
    """Admins and executives see all; managers and contributors those that serve their workloads."""
    backends = Backend.objects.all()
    if not can_see_backends(asker):
        return backends.none()
    if sees_everything(asker):
        return backends
    return backends.filter(
        Q(Exists(_series_of(asker).filter(backend=OuterRef("pk")))) | Q(default_workload__in=visible_workloads(asker))
    )


def shown_backends(asker: Asker) -> QuerySet[Backend]:
    """The same for showing: `behind` and `default_workload` are None where they are not the asker's to see."""
    return visible_backends(asker).prefetch_related(
        Prefetch("behind", queryset=visible_backends(asker)),
        Prefetch("default_workload", queryset=visible_workloads(asker)),
    )


def visible_series(asker: Asker) -> QuerySet[Series]:
    """The series that the asker may see: all, or those that serve their workloads."""
    if not can_see_backends(asker):
        return Series.objects.none()
    if sees_everything(asker):
        return Series.objects.all()
    return _series_of(asker)


def _series_of(asker: Asker) -> QuerySet[Series]:
    mine = visible_workloads(asker)
    allocated = Allocation.objects.filter(series=OuterRef("pk"), workload__in=mine)
    return Series.objects.filter(Q(Exists(allocated)) | Q(workload__in=mine))
