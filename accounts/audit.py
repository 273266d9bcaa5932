"""Writing the audit trail: one row per change, in the transaction of the change."""

from __future__ import annotations

from typing import Any

from django.db.models import Model

from accounts.access import Asker
from accounts.models import AuditEvent, Workload


def record(
    asker: Asker | str,
    *,
    action: str,
    subject: Model,
    workload: Workload | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    origin: str = "",
) -> AuditEvent:
    """One audit row. `asker` is who did it, or the name of a command. Secrets must not be in `before` or `after`."""
    return AuditEvent.objects.create(
        actor=asker.user if isinstance(asker, Asker) else None,
        actor_name=asker.name if isinstance(asker, Asker) else asker,
        origin=origin,
        action=action,
        subject_type=subject._meta.label_lower,
        subject_id=str(subject.pk),
        subject_name=str(subject)[:300],
        workload=workload,
        before=_as_text(before),
        after=_as_text(after),
        is_demo=bool(workload and workload.is_demo),
    )


def _as_text(values: dict[str, Any] | None) -> dict[str, str | None] | None:
    if values is None:
        return None
    return {name: None if value is None else str(value) for name, value in values.items()}
