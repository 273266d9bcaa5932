"""What the tests of the life of a report share."""

from __future__ import annotations

from datetime import UTC, datetime

from roadmap.actions.report_drafts import make_drafts
from roadmap.models import Report
from tests.roadmap.test_reports import MONTH

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 3, 10, tzinfo=UTC)


def draft_of(roadmap=None) -> Report:
    make_drafts(MONTH)
    return Report.objects.get(roadmap=roadmap, month=MONTH, **({} if roadmap else {"scope": "portfolio"}))
