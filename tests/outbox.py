"""The outbox of notices, drained as by day."""

from __future__ import annotations

from django.utils import timezone

from roadmap.deliver import spread, work_off
from roadmap.models import Delivery


def work_off_by_day() -> None:
    """Drain the outbox as the task does in the daytime: what waits for the morning goes, too, at whatever hour."""
    now = timezone.now()
    while spread(now):
        pass
    Delivery.objects.filter(state=Delivery.State.WAITING, attempts=0, due_at__gt=now).update(due_at=now)
    work_off()
