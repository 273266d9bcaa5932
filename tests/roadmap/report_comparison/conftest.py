"""Two reports beside each other: who there is, and what has been published."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from accounts.access import Asker
from roadmap.actions.reports import close_month
from roadmap.models import CostEntry, Report, Roadmap
from tests.cast import person, team_of
from tests.roadmap.report_comparison.common import SEPTEMBER
from tests.roadmap.test_reports import MONTH, NOW, make_letters, push, roadmap_report


@pytest.fixture(autouse=True)
def _november(monkeypatch):
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


@pytest.fixture(scope="module")
def published(lasting) -> None:
    """September (9.00 of usage) and October (42.50, and licences of 310.00) of 'Letters'."""
    with lasting(NOW):
        letters = make_letters(person("adam"))
        team_of(letters.workload)
        push(letters, datetime(2026, 9, 30, 10, tzinfo=UTC), requests=1, cost="9.00")
        push(letters, datetime(2026, 10, 3, 10, tzinfo=UTC), requests=10, cost="42.50")
        CostEntry.objects.create(
            roadmap=letters, name="Licences", category="licences", amount=Decimal(310), currency="USD",
            start_on=date(2026, 10, 1), end_on=date(2026, 10, 31),
        )  # fmt: skip
        for month in (SEPTEMBER, MONTH):
            close_month(Asker(person("adam")), month)


@pytest.fixture
def roadmap(published, db) -> Roadmap:
    return Roadmap.objects.get()


@pytest.fixture
def months(roadmap) -> tuple[Report, Report]:
    return Report.objects.get(roadmap=roadmap, month=SEPTEMBER), roadmap_report(roadmap)


@pytest.fixture
def revisions(months, roadmap, adam) -> tuple[Report, Report]:
    """October as it was published, and as 7.50 of late usage made it."""
    push(roadmap, datetime(2026, 10, 4, 10, tzinfo=UTC), requests=1, cost="7.50")
    close_month(Asker(adam), MONTH, revise=True)
    return months[1], roadmap_report(roadmap)
