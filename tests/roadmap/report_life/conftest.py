"""The life of a report: who there is, and what has been published."""

from __future__ import annotations

from datetime import date

import pytest

from accounts.access import Asker
from accounts.models import Membership, Role
from roadmap.actions.roadmaps import make_roadmap
from tests.roadmap.report_life.common import NOW
from tests.roadmap.test_reports import roadmap

__all__ = ["roadmap"]


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """3 November, two days before the closing day; `clock(day)` moves it."""
    moment = [NOW]
    monkeypatch.setattr("django.utils.timezone.now", lambda: moment[0])

    def move(day: int) -> None:
        moment[0] = NOW.replace(day=day)

    return move


@pytest.fixture(autouse=True)
def started(monkeypatch):
    """What is handed to workers, instead of a broker."""
    found: list[int] = []
    monkeypatch.setattr("roadmap.tasks.advance_report.apply_async", lambda args, **kwargs: found.extend(args))
    return found


@pytest.fixture
def second(adam):
    """'Calls', beside 'Letters'."""
    return make_roadmap(Asker(adam), name="Calls", owner=adam, start_on=date(2026, 9, 1))


@pytest.fixture
def mia(roadmap, alice):
    """A manager of 'Letters' who is no admin."""
    Membership.objects.create(user=alice, workload=roadmap.workload, role=Role.MANAGER)
    return alice
