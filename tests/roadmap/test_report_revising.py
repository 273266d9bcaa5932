"""Revising all reports of a month: one that cannot be drawn holds up no other."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from accounts.access import Asker
from roadmap.actions import report_publishing
from roadmap.actions.reports import close_month
from roadmap.actions.roadmaps import make_roadmap
from roadmap.models import Report
from roadmap.reports.outputs.pdf import PdfRefusedError, pdf_of
from tests.roadmap.test_reports import MONTH, NOW, push, roadmap

__all__ = ["roadmap"]


@pytest.fixture
def two(roadmap, adam, monkeypatch):
    """'Letters' and 'Claims', their October published, and corrected since."""
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)
    claims = make_roadmap(Asker(adam), name="Claims", owner=adam, start_on=datetime(2026, 9, 1, tzinfo=UTC).date())
    close_month(Asker(adam), MONTH)
    for one, slug in ((roadmap, "push-one"), (claims, "push-two")):
        push(one, datetime(2026, 10, 3, 10, tzinfo=UTC), requests=10, cost="40.00", backend_slug=slug)
    return roadmap, claims


def test_a_revision_that_cannot_be_drawn_holds_up_no_other(two, adam, monkeypatch):
    letters, claims = two

    def drawn(document, sha256):
        if document.name == "Claims":
            raise PdfRefusedError("Claims, October 2026: no room")
        return pdf_of(document, sha256)

    monkeypatch.setattr(report_publishing, "pdf_of", drawn)
    closed = close_month(Asker(adam), MONTH, revise=True, why="Corrected")
    assert [(report.roadmap, why) for report, why in closed.failed] == [(claims, "Claims, October 2026: no room")]
    assert letters in {report.roadmap for report in closed.revised}
    assert not Report.objects.filter(roadmap=claims, revision=2).exists()
