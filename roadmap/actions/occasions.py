"""Putting into the outbox what the day brings. The schedule's, not a person's: it changes nothing but the outbox."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from roadmap.models import Delivery, Notice
from roadmap.queries.notices_due import (
    Occasion,
    budgets_running_out,
    gates_due,
    milestones_due,
    mondays,
    readings_due,
    sources_stopped,
)
from roadmap.queries.report_words_due import report_words_wanted

# What was told is shown for so long.
KEPT_DAYS = 90
_LOCK = 0x5048_4F43_4341_5349


def note_occasions(now: datetime) -> int:
    """Note what became due and is not noted yet; how many notices that made."""
    today = timezone.localdate(now)
    found = [
        *milestones_due(today),
        *gates_due(today),
        *readings_due(today),
        *budgets_running_out(now, today),
        *sources_stopped(),
        *report_words_wanted(today),
    ]
    return _note(found, now)


def note_mondays(now: datetime) -> int:
    """Note the Monday mails whose hour has come; how many notices that made."""
    return _note(mondays(now), now)


@transaction.atomic
def _note(found: Iterable[Occasion], now: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    occasions = {one.key: one for one in found}
    held = set(Notice.objects.filter(key__in=occasions).values_list("key", flat=True))
    made = [
        Notice(
            key=one.key,
            kind=one.kind,
            subject_id=one.subject_id,
            workload_id=one.workload_id,
            details=one.details,
            at=now,
        )
        for one in occasions.values()
        if one.key not in held
    ]
    Notice.objects.bulk_create(made)
    return len(made)


def drop_old_notices(now: datetime) -> None:
    """Forget what was told, once it is old. The keys of occasions stay, so that none is told anew."""
    old = now - timedelta(days=KEPT_DAYS)
    over = [Delivery.State.SENT, Delivery.State.FAILED, Delivery.State.DROPPED]
    Delivery.objects.filter(created_at__lt=old, state__in=over).delete()
    Notice.objects.filter(at__lt=old, event__isnull=False, spread_at__isnull=False, deliveries__isnull=True).delete()
