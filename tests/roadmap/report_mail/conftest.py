"""A published report of one roadmap, and subscribers to it."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from accounts.access import Asker
from roadmap.actions.reports import close_month
from roadmap.models import Report, ReportSubscription
from roadmap.rules.report_mail import mailbox

MONTH = date(2026, 10, 1)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def report(plan, adam) -> Report:
    """October 2026 of 'Contact centre', published to nobody."""
    plan.phases.filter(kind="poc").update(started_on=date(2026, 9, 1), planned_start_on=date(2026, 9, 1))
    close_month(Asker(adam), MONTH)
    return Report.objects.get(roadmap=plan, month=MONTH)


@pytest.fixture
def portfolio(report) -> Report:
    return Report.objects.get(scope=Report.Scope.PORTFOLIO, month=MONTH)


@pytest.fixture
def subscribe():
    """`subscribe(report, vera)`, `subscribe(report, "ann@board.example")`: a row, without asking who may."""

    def _subscribe(report, reader, **fields) -> ReportSubscription:
        who = {"address": reader, "mailbox": mailbox(reader)} if isinstance(reader, str) else {"person": reader}
        return ReportSubscription.objects.create(scope=report.scope, roadmap=report.roadmap, **who, **fields)

    return _subscribe
