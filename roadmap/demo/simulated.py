"""Roadmaps for usage that `metrics.simulation` posts, marked as demo data, and their removal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

from django.db import transaction

from accounts.access import Asker
from accounts.models import AuditEvent, User, Workload
from metrics import simulation
from roadmap.actions.roadmaps import make_roadmap
from roadmap.models import Roadmap

OWNER = "simulated"


@transaction.atomic
def make_roadmaps(count: int, start_on: date, months: int) -> list[Workload]:
    """The workloads of `count` simulated roadmaps whose first phase holds all of the usage; made where not there."""
    owner, is_new = User.objects.get_or_create(
        username=OWNER,
        defaults={"first_name": "Simulated", "organisation_role": "admin", "is_demo": True, "is_active": False},
    )
    if is_new:
        owner.set_unusable_password()
        owner.save()
    # Nobody signs in as this account.
    owner.is_active = True
    found = []
    for number in range(1, count + 1):
        slug = f"{simulation.PREFIX}{number}"
        workload = Workload.objects.filter(slug=slug).first()
        if workload is None:
            workload = make_roadmap(
                Asker(owner),
                name=f"Simulated {number}",
                slug=slug,
                owner=owner,
                start_on=start_on,
                months=(months + 2, 6, 6),
                budgets={"poc": Decimal(1_000_000)},
                is_demo=True,
            ).workload
        found.append(workload)
    return found


def remove(*, tell: Callable[[str], None] = lambda _: None) -> int:
    """Take away what was simulated, with its roadmaps; how many series went. What was killed half-way goes on."""
    gone = simulation.remove(tell=tell)
    with transaction.atomic():
        workloads = Workload.objects.filter(slug__startswith=simulation.PREFIX, is_demo=True)
        Roadmap.objects.filter(workload__in=workloads).delete()
        AuditEvent.objects.filter(is_demo=True, workload__in=workloads).delete()
        workloads.delete()
        User.objects.filter(username=OWNER, is_demo=True).delete()
    return gone
