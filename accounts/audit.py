"""Writing the audit trail: one row per change, in the transaction of the change."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Model

from accounts.access import Asker
from accounts.models import AuditEvent, User, Workload
from accounts.origin import present_origin

NAME_LENGTH = 200


def record(
    asker: Asker | str,
    *,
    action: str,
    subject: Model,
    workload: Workload | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    at: datetime | None = None,
) -> AuditEvent:
    """One audit row. `asker` is who did it, or the name of a command. Secrets must not be in `before` or `after`.

    From where is known here (accounts.origin). `at` is now; the demo's past gives another moment.
    """
    return AuditEvent.objects.create(
        actor=asker.user if isinstance(asker, Asker) else None,
        actor_name=(asker.name if isinstance(asker, Asker) else asker)[:NAME_LENGTH],
        origin=_origin_of(asker),
        action=action,
        subject_type=subject._meta.label_lower,
        subject_id=str(subject.pk),
        subject_name=str(subject)[:300],
        workload=workload,
        workload_name=workload.name if workload else "",
        before=_as_text(before),
        after=_as_text(after),
        is_demo=_is_demo(subject, workload),
        **({} if at is None else {"at": at}),
    )


def _origin_of(asker: Asker | str) -> str:
    """The address, with the token that was shown there; or the command or task."""
    where = present_origin()
    if isinstance(asker, Asker):
        if asker.token is None:
            return where[:NAME_LENGTH]
        return ", ".join(part for part in (f"REST token {asker.token.name}", where) if part)[:NAME_LENGTH]
    return (where or asker)[:NAME_LENGTH]


def _is_demo(subject: Model, workload: Workload | None) -> bool:
    """Whether the row may go with the demo. What happened to a person stays, whoever they were."""
    if workload is not None:
        return workload.is_demo
    return not isinstance(subject, User) and bool(getattr(subject, "is_demo", False))


def _as_text(values: dict[str, Any] | None) -> dict[str, str | None] | None:
    if values is None:
        return None
    return {name: None if value is None else str(value) for name, value in values.items()}
