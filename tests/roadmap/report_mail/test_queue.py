"""One row for each report and mailbox, made when the report is published."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from roadmap.actions.report_mails import queue
from roadmap.models import Report, ReportMail


def test_each_subscriber_gets_a_row(report, subscribe, vera, alice):
    for reader in (vera, alice, "ann@board.example"):
        subscribe(report, reader)
    assert queue(report) == 3
    assert set(report.mails.values_list("recipient", "language", "state")) == {
        ("vera@example.org", "en", "waiting"),
        ("alice@example.org", "en", "waiting"),
        ("ann@board.example", "en", "waiting"),
    }


def test_a_mailbox_gets_one_however_it_is_written(report, subscribe, vera):
    subscribe(report, "Vera@Example.org")
    subscribe(report, vera)
    queue(report)
    [mail] = report.mails.all()
    assert mail.person == vera


def test_queueing_again_adds_nothing(report, subscribe, vera):
    subscribe(report, vera)
    queue(report)
    queue(report)
    assert report.mails.count() == 1


def test_the_database_holds_the_lock(report, subscribe, vera):
    subscribe(report, vera)
    queue(report)
    with pytest.raises(IntegrityError), transaction.atomic():
        ReportMail.objects.create(report=report, recipient="vera@example.org", language="nl")


def test_the_subscription_says_the_language(report, subscribe, vera):
    subscribe(report, vera, language="nl")
    queue(report)
    assert report.mails.get().language == "nl"


def test_who_has_turned_it_off_gets_none(report, subscribe, vera):
    subscribe(report, vera, is_on=False)
    assert queue(report) == 0


def test_the_portfolio_goes_to_its_own_subscribers(report, portfolio, subscribe, vera, erin):
    subscribe(report, vera)
    subscribe(portfolio, erin)
    queue(portfolio)
    assert [mail.person for mail in portfolio.mails.all()] == [erin]


def test_demo_data_is_mailed_to_nobody(report, subscribe, vera):
    subscribe(report, vera)
    report.is_demo = True
    assert queue(report) == 0


@pytest.mark.parametrize("state", [Report.State.DRAFT, Report.State.PROVISIONAL])
def test_what_is_not_published_is_mailed_to_nobody(report, subscribe, vera, state):
    subscribe(report, vera)
    report.state = state
    with pytest.raises(ValueError, match="published"):
        queue(report)
    assert not ReportMail.objects.exists()
