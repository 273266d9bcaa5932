"""Private addresses of calendars: one's own to make, to renew and to revoke. Their text is returned once."""

from __future__ import annotations

import secrets

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from accounts import audit
from accounts.access import Asker
from accounts.models import Role, User
from accounts.tokens import digest_of
from metrics.errors import RuleViolation
from roadmap.actions.changes import require
from roadmap.models import CalendarAddress, Roadmap


@transaction.atomic
def make_calendar_address(asker: Asker, *, roadmap: Roadmap | None = None) -> tuple[CalendarAddress, str]:
    """An address for one roadmap, or for everything that the asker sees, and its secret, which is nowhere stored."""
    if roadmap is not None:
        require(asker, Role.VIEWER, roadmap)
    # So that two forms sent at once make one address.
    User.objects.select_for_update().get(pk=asker.user.pk)
    if CalendarAddress.objects.filter(owner=asker.user, roadmap=roadmap).exists():
        raise RuleViolation(
            "already_exists", gettext("There is an address for this already. Renew it below."), "roadmap"
        )
    text = secrets.token_urlsafe(32)
    address = CalendarAddress.objects.create(
        owner=asker.user, roadmap=roadmap, digest=digest_of(text), made_at=timezone.now()
    )
    _record(asker, "make_calendar_address", address)
    return address, text


@transaction.atomic
def renew_calendar_address(asker: Asker, address: CalendarAddress) -> str:
    """Another secret; the one before is refused from now on."""
    address = _own(asker, address)
    text = secrets.token_urlsafe(32)
    address.digest, address.made_at, address.last_used_at = digest_of(text), timezone.now(), None
    address.save(update_fields=["digest", "made_at", "last_used_at"])
    _record(asker, "renew_calendar_address", address)
    return text


@transaction.atomic
def revoke_calendar_address(asker: Asker, address: CalendarAddress) -> None:
    """The address is not there any more."""
    address = _own(asker, address)
    _record(asker, "revoke_calendar_address", address)
    address.delete()


def _own(asker: Asker, address: CalendarAddress) -> CalendarAddress:
    held = CalendarAddress.objects.select_for_update(of=("self",)).filter(pk=address.pk, owner=asker.user).first()
    if held is None:
        raise RuleViolation("not_yours", gettext("This address is gone already, or somebody else's."))
    return held


def _record(asker: Asker, action: str, address: CalendarAddress) -> None:
    """A person's affair: on the audit trail, and not among what happened on a roadmap."""
    roadmap = address.roadmap
    shows = roadmap.name if roadmap else gettext("every roadmap")
    workload = roadmap.workload if roadmap else None
    audit.record(asker, action=action, subject=asker.user, workload=workload, after={"shows": shows})
