"""Taking the demo away, and nothing else."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db import transaction

from accounts import audit
from accounts.access import Asker
from accounts.models import AuditEvent, OrganisationRole, Token, User, Workload
from metrics import demo as usage
from roadmap.models import Annotation, GateDecision, Phase, Programme, Report, Roadmap, Update


@transaction.atomic
def remove(asker: Asker | str) -> list[str]:
    """Deletes everything that is demo and keeps the rest; returns what was kept of the demo, in words.

    The demo's admin stays, as an account like any other, where nobody else could administrate; what people who are
    not of the demo own of it goes with it. PermissionDenied for a person who is no admin.
    """
    if isinstance(asker, Asker) and not asker.user.is_admin:
        raise PermissionDenied("Only an admin removes the demo data.")
    kept: list[str] = []
    Report.objects.filter(is_demo=True).delete()
    usage.remove()
    Token.objects.filter(is_demo=True).delete()
    workloads = Workload.objects.filter(is_demo=True)
    Roadmap.objects.filter(workload__in=workloads).delete()
    AuditEvent.objects.filter(is_demo=True).delete()
    workloads.delete()
    Programme.objects.filter(is_demo=True, roadmaps__isnull=True).delete()
    Programme.objects.filter(is_demo=True).update(is_demo=False)
    others = User.objects.filter(is_demo=False, is_active=True, organisation_role=OrganisationRole.ADMIN).exists()
    for person in User.objects.filter(is_demo=True):
        if person.is_admin and not others:
            person.is_demo = False
            person.save(update_fields=["is_demo"])
            kept.append(f"the account '{person.username}', since there is no other admin")
        elif _owns_something(person):
            person.is_demo = False
            person.save(update_fields=["is_demo"])
            kept.append(f"the account '{person.username}', since it owns what is not demo")
        else:
            person.delete()
    _record(asker, kept)
    return kept


def _record(asker: Asker | str, kept: list[str]) -> None:
    """One audit row, unless the demo was removed by somebody who went with it."""
    subject = User.objects.filter(pk=asker.user.pk).first() if isinstance(asker, Asker) else User.objects.first()
    if subject is not None:
        who = Asker(subject) if isinstance(asker, Asker) else asker
        audit.record(who, action="remove_demo", subject=subject, after={"kept": "; ".join(kept)})


def _owns_something(person: User) -> bool:
    return (
        Roadmap.objects.filter(owner=person).exists()
        or Phase.objects.filter(owner=person).exists()
        or Update.objects.filter(author=person).exists()
        or Annotation.objects.filter(author=person).exists()
        or GateDecision.objects.filter(decided_by=person).exists()
        or person.tokens.exists()
    )
