"""Who belongs to a roadmap."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext

from accounts.access import Asker
from accounts.models import Membership, Role, User
from metrics.errors import RuleViolation
from roadmap.actions.changes import record, require
from roadmap.models import Roadmap


@transaction.atomic
def set_membership(asker: Asker, roadmap: Roadmap, *, user: User, role: str) -> Membership:
    """Gives a person a role for the roadmap's workload, or another one."""
    require(asker, Role.MANAGER, roadmap)
    if role not in Role.values:
        raise RuleViolation("unknown_role", gettext("Choose manager, contributor or viewer."), "role")
    if not user.is_active:
        raise RuleViolation("inactive", gettext("%(name)s cannot sign in.") % {"name": user.display_name}, "user")
    held = Membership.objects.select_for_update().filter(user=user, workload=roadmap.workload).first()
    if held is not None and user.pk == roadmap.owner_id and role != Role.MANAGER:
        raise RuleViolation(
            "owner_manages", gettext("The roadmap's owner stays a manager. Choose another owner first."), "role"
        )
    before = {"role": held.role} if held else None
    membership, _ = Membership.objects.update_or_create(user=user, workload=roadmap.workload, defaults={"role": role})
    record(asker, "set_membership", membership, roadmap, before, {"user": user.username, "role": role})
    return membership


@transaction.atomic
def remove_membership(asker: Asker, roadmap: Roadmap, membership: Membership) -> None:
    """Takes a person out; the owner stays."""
    require(asker, Role.MANAGER, roadmap)
    if membership.workload_id != roadmap.workload_id:
        raise ValueError(gettext("The membership is not of this roadmap."))
    if membership.user_id == roadmap.owner_id:
        raise RuleViolation(
            "owner_manages", gettext("The roadmap's owner stays a manager. Choose another owner first.")
        )
    record(
        asker,
        "remove_membership",
        membership,
        roadmap,
        {"user": membership.user.username, "role": membership.role},
        None,
    )
    membership.delete()
