"""What every action of this app shares: the local day, who may, and which fields a change touched."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from accounts import audit
from accounts.access import Asker, can
from accounts.models import AuditEvent, Role
from metrics.currency import CURRENCIES
from metrics.errors import RuleViolation
from roadmap.models import Notice, Roadmap
from roadmap.rules.notices import is_noted

WORDS = {
    Role.MANAGER: gettext_lazy("Only a manager of this roadmap may do that."),
    Role.CONTRIBUTOR: gettext_lazy("Only a manager or contributor of this roadmap may do that."),
    Role.VIEWER: gettext_lazy("You do not see this roadmap."),
}


def today() -> date:
    """The present local day of the reporting zone."""
    return timezone.localdate()


def require(asker: Asker, role: Role, roadmap: Roadmap) -> None:
    """PermissionDenied unless the asker holds at least `role` for the roadmap."""
    if not can(asker, role, roadmap.workload):
        raise PermissionDenied(WORDS[role])


def change(row: Model, changes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sets the fields on the unsaved row, checks them, and returns what differs: (before, after)."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for name, value in changes.items():
        held = getattr(row, name)
        if held != value:
            before[name], after[name] = held, value
            setattr(row, name, value)
    check(row, only=set(after))
    return before, after


def check(row: Model, *, only: set[str] | None = None) -> None:
    """Refuses what the columns cannot hold (length, choice, digits, address), naming the field."""
    names = {field.name for field in row._meta.fields if not field.is_relation}
    wanted = names if only is None else names & only
    exclude = {field.name for field in row._meta.fields} - wanted
    try:
        row.clean_fields(exclude=exclude)
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise RuleViolation("invalid", messages[0], field) from error


def record(
    asker: Asker | str,
    action: str,
    subject: Model,
    roadmap: Roadmap,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """The one audit row of an action, and its row in the outbox; unchanged fields are left out by the caller."""
    event = audit.record(
        asker,
        action=action,
        subject=subject,
        workload=roadmap.workload,
        before=dict(before) if before else None,
        after=dict(after) if after else None,
    )
    note(event)


def note(event: AuditEvent) -> None:
    """Puts an action of which people may have to be told into the outbox, in the action's transaction."""
    if event.is_demo or not is_noted(event.action, event.after or {}):
        return
    Notice.objects.create(
        key=f"audit:{event.pk}",
        kind=event.action,
        event=event,
        subject_id=int(event.subject_id),
        workload_id=event.workload_id,
    )


def text_required(value: str, *, field: str, what: str) -> str:
    """The text without space around it; refused when nothing is left."""
    stripped = value.strip()
    if not stripped:
        raise RuleViolation("missing", gettext("Give %(what)s.") % {"what": what}, field)
    return stripped


def check_currency(value: str, *, field: str = "currency") -> str:
    """An ISO 4217 code in capitals."""
    code = value.strip().upper()
    if code not in CURRENCIES:
        raise RuleViolation("unknown_currency", gettext("Give a currency in use as three letters, like EUR."), field)
    return code
