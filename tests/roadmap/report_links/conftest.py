"""Private links to reports: who there is, and what has been published."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from accounts.access import Asker
from roadmap.actions.report_links import make_report_link
from roadmap.actions.reports import close_month
from roadmap.models import Report, Roadmap
from tests.cast import person, team_of
from tests.roadmap.test_reports import MONTH, NOW, make_letters, push, roadmap_report


@pytest.fixture(autouse=True)
def _november(monkeypatch):
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


@pytest.fixture(scope="module")
def published(lasting) -> None:
    """October of 'Letters', which alice manages, to which bob contributes and which vera views."""
    with lasting(NOW):
        letters = make_letters(person("adam"))
        team_of(letters.workload)
        push(letters, datetime(2026, 10, 3, 10, tzinfo=UTC), requests=10, cost="42.50")
        close_month(Asker(person("adam")), MONTH)


@pytest.fixture
def roadmap(published, db) -> Roadmap:
    return Roadmap.objects.get()


@pytest.fixture
def report(roadmap) -> Report:
    return roadmap_report(roadmap)


@pytest.fixture
def portfolio(report) -> Report:
    return Report.objects.get(scope=Report.Scope.PORTFOLIO)


@pytest.fixture
def secret(report, alice) -> str:
    return make_report_link(Asker(alice), report, label="The board")[1]
