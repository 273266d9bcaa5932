"""Private links to reports: who there is, and what has been published."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from accounts.access import Asker
from accounts.models import Membership, Role
from roadmap.actions.report_links import make_report_link
from roadmap.actions.reports import close_month
from roadmap.models import Report
from tests.roadmap.test_reports import MONTH, NOW, push, roadmap, roadmap_report

__all__ = ["roadmap"]


@pytest.fixture(autouse=True)
def _november(monkeypatch):
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


@pytest.fixture
def report(roadmap, adam, alice, bob, vera) -> Report:
    """October of 'Letters', which alice manages, to which bob contributes and which vera views."""
    for person, role in ((alice, Role.MANAGER), (bob, Role.CONTRIBUTOR), (vera, Role.VIEWER)):
        Membership.objects.create(user=person, workload=roadmap.workload, role=role)
    push(roadmap, datetime(2026, 10, 3, 10, tzinfo=UTC), requests=10, cost="42.50")
    close_month(Asker(adam), MONTH)
    return roadmap_report(roadmap)


@pytest.fixture
def portfolio(report) -> Report:
    return Report.objects.get(scope=Report.Scope.PORTFOLIO)


@pytest.fixture
def secret(report, alice) -> str:
    return make_report_link(Asker(alice), report, label="The board")[1]
