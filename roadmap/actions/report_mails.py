"""Which mails a published report makes, and having those sent again that did not arrive."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.access import Asker
from accounts.languages import language_of
from metrics.errors import RuleViolation
from roadmap.mailing.compose import drawn_mail
from roadmap.models import Report, ReportFile, ReportMail, ReportSubscription
from roadmap.queries.report_mail import AGAIN, manages, subject_of
from roadmap.rules.report_mail import mailbox, report_language

State = ReportMail.State


def queue(report: Report) -> int:
    """One row for each subscriber's mailbox, in the transaction that publishes; how many. Demo data is never mailed.

    Safe to call again: a mailbox that has its row gets no second. Raises ValueError for a report that is not published.
    """
    if report.state != Report.State.PUBLISHED:
        raise ValueError("Only a published report is mailed.")
    if report.is_demo:
        keep_mails(report, [report_language(settings.LANGUAGE_CODE)])
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
    keep_mails(report, {report_language(settings.LANGUAGE_CODE), *(row.language for row in rows.values())})
    return len(ReportMail.objects.bulk_create(rows.values(), ignore_conflicts=True, batch_size=500))


def keep_mails(report: Report, languages: Iterable[str]) -> None:
    """The mail in each of the languages, frozen with the report; one that is kept already stays."""
    kept = set(report.files.filter(kind=ReportFile.Kind.MAIL).values_list("language", flat=True))
    for language in sorted(set(languages) - kept):
        content = drawn_mail(report, language)
        ReportFile.objects.create(
            report=report,
            kind=ReportFile.Kind.MAIL,
            language=language,
            content=content,
            sha256=sha256(content).hexdigest(),
        )


def subscriptions_of(report: Report) -> QuerySet[ReportSubscription]:
    """Those to what the report is about."""
    return ReportSubscription.objects.filter(
        scope=report.scope, roadmap_id=report.roadmap_id, programme_id=report.programme_id
    ).select_related("person")


def language_for(subscription: ReportSubscription) -> str:
    """The language a subscription's mail is written in: its own, else the person's, else the organisation's."""
    if subscription.language in dict(settings.LANGUAGES):
        chosen = subscription.language
    else:
        chosen = language_of(subscription.person) if subscription.person else settings.LANGUAGE_CODE
    return report_language(chosen)


@transaction.atomic
def send_report_mails_again(asker: Asker, report: Report) -> int:
    """Has every mail of a report tried again that was not delivered; how many. What perhaps arrived is left alone."""
    _check_may(asker, report)
    failed = report.mails.filter(state=State.FAILED)
    count = _again(failed)
    if not count:
        raise RuleViolation("none_failed", _("Every mail is delivered, or still tried."))
    _record(asker, "send_report_mails_again", report, {"mails": count})
    return count


@transaction.atomic
def send_report_mail_again(asker: Asker, mail: ReportMail) -> ReportMail:
    """One mail again, under the same Message-ID: one that was not delivered, or one of which nobody knows."""
    _check_may(asker, mail.report)
    row = ReportMail.objects.select_for_update(of=("self",)).select_related("report__roadmap__workload").get(pk=mail.pk)
    if row.state not in AGAIN:
        raise RuleViolation("not_failed", _("It is delivered, or still tried."))
    before = row.state
    _again(ReportMail.objects.filter(pk=row.pk))
    _record(asker, "send_report_mail_again", row.report, {"reader": row.address or row.recipient, "was": before})
    return row


def _check_may(asker: Asker, report: Report) -> None:
    if not manages(asker, subject_of(report)):
        raise PermissionDenied("Only who manages it has mails sent again.")


def _again(mails: QuerySet[ReportMail]) -> int:
    """Whoever held one before finds its claim gone."""
    return mails.update(
        state=State.WAITING, due_at=timezone.now(), attempts=0, claim=None, claimed_until=None, ended_at=None
    )


def _record(asker: Asker, action: str, report: Report, after: dict[str, object]) -> None:
    workload = report.roadmap.workload if report.roadmap else None
    audit.record(asker, action=action, subject=report, workload=workload, after=after)
