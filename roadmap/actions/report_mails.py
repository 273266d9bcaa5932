"""Which mails a published report makes."""

from __future__ import annotations

from django.conf import settings
from django.db.models import QuerySet

from roadmap.models import Report, ReportMail, ReportSubscription
from roadmap.rules.report_mail import mailbox

State = ReportMail.State


def queue(report: Report) -> int:
    """One row for each subscriber's mailbox, in the transaction that publishes; how many. Demo data is never mailed.

    Safe to call again: a mailbox that has its row gets no second. Raises ValueError for a report that is not published.
    """
    if report.state != Report.State.PUBLISHED:
        raise ValueError("Only a published report is mailed.")
    if report.is_demo:
        return 0
    rows: dict[str, ReportMail] = {}
    # People first: an address that is a person's as well goes to the person, whose access is asked.
    for one in subscriptions_of(report).filter(is_on=True).order_by("person_id", "pk"):
        address = one.person.email.strip() if one.person else one.address
        recipient = mailbox(address) if address else f"person:{one.person_id}"
        rows.setdefault(
            recipient,
            ReportMail(
                report=report,
                recipient=recipient,
                subscription=one,
                person=one.person,
                address=address,
                language=language_for(one),
            ),
        )
    return len(ReportMail.objects.bulk_create(rows.values(), ignore_conflicts=True, batch_size=500))


def subscriptions_of(report: Report) -> QuerySet[ReportSubscription]:
    """Those to what the report is about."""
    return ReportSubscription.objects.filter(
        scope=report.scope, roadmap_id=report.roadmap_id, programme_id=report.programme_id
    ).select_related("person")


def language_for(subscription: ReportSubscription) -> str:
    """The language a subscription's mail is written in: its own, else the person's, else the organisation's."""
    chosen = subscription.language or getattr(subscription.person, "language", "") or settings.LANGUAGE_CODE
    return str(chosen).partition("-")[0]
