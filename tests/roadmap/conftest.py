"""A roadmap for the cast: alice owns and manages it, bob contributes, vera views, oscar is the outsider."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.access import Asker
from accounts.models import Membership, Role
from roadmap.actions.roadmaps import make_roadmap
from roadmap.models import Roadmap


@pytest.fixture
def today():
    return timezone.localdate()


@pytest.fixture
def plan(alice, bob, vera, oscar, adam, today) -> Roadmap:
    """'Contact centre', its PoC started 40 days ago, from the general template."""
    roadmap = make_roadmap(
        Asker(adam), name="Contact centre", owner=alice, start_on=today - timedelta(days=40), currency="EUR"
    )
    Membership.objects.create(user=bob, workload=roadmap.workload, role=Role.CONTRIBUTOR)
    Membership.objects.create(user=vera, workload=roadmap.workload, role=Role.VIEWER)
    return roadmap


@pytest.fixture
def poc(plan):
    return plan.phases.get(kind="poc")


@pytest.fixture
def gate(poc):
    return poc.gate
