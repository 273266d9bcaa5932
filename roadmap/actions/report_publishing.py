"""Publishing a report and correcting a published one: one report, one transaction, once."""

from __future__ import annotations

import logging
from hashlib import sha256

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.access import Asker
from metrics.errors import RuleViolation
from roadmap.actions import report_mails
from roadmap.actions.changes import note, text_required
from roadmap.actions.report_drafts import lock_open, words_of
from roadmap.models import Report, ReportFile, ReportWords
from roadmap.queries.reports import manages_reports
from roadmap.reports.document import Document, Json
from roadmap.reports.documents import document_of
from roadmap.reports.fresh import fresh
from roadmap.reports.outputs.pdf import pdf_of
from roadmap.reports.snapshot import hash_of
from roadmap.rules.reports import moved_figures, next_month

logger = logging.getLogger(__name__)

LONGEST_WHY = 500
LONGEST_PROBLEM = 500


def may_publish(asker: Asker, report: Report) -> bool:
    """Managers publish and revise the reports of their roadmap; admins those of programmes and the portfolio too."""
    return manages_reports(asker, report.roadmap)


def check_may_publish(asker: Asker, report: Report) -> None:
    """Raises PermissionDenied for who may not."""
    if not may_publish(asker, report):
        raise PermissionDenied(_("Only a manager of the roadmap publishes its report; other reports, an admin."))


def publish_report(asker: Asker, report: Report) -> Report:
    """Publishes a draft before its day, with what is known now. Raises RuleViolation where it cannot be."""
    check_may_publish(asker, report)
    if report.is_published:
        raise RuleViolation("already_published", _("It is published already; what is known now goes into a revision."))
    if next_month(report.month) > timezone.localdate():
        raise RuleViolation("month_not_over", _("The month is not over yet."))
    published = publish_now(asker, report.pk)
    if published is None:
        raise RuleViolation("in_hand", _("It is being published just now. Look again in a minute."))
    return published


def publish_now(asker: Asker | str, report_id: int) -> Report | None:
    """Publishes a draft, whoever is asking; None where it is published already, or another has it in hand.

    The attempt is counted first, in a transaction of its own, so that a process that is killed has counted. What goes
    wrong is kept with the draft and raised as RuleViolation 'not_published': the next run tries again.
    """
    open_rows = Report.objects.filter(pk=report_id).exclude(state=Report.State.PUBLISHED)
    if not open_rows.update(attempts=F("attempts") + 1, tried_at=timezone.now()):
        return None
    try:
        with transaction.atomic():
            report = lock_open(report_id)
            if report is None:
                return None
            words = words_of(report)
            now = fresh(report, dated_on=timezone.localdate(), words=words, is_final=True)
            report.covers.set(now.covers)
            return _freeze(asker, report, now.payload)
    except Exception as error:
        # One that fails must not keep the others back: it says why on the Reports page.
        logger.exception("Report %s cannot be published.", report_id)
        problem = f"{type(error).__name__}: {error}"[:LONGEST_PROBLEM]
        open_rows.update(problem=problem)
        raise RuleViolation("not_published", _("It could not be published: %(why)s") % {"why": problem}) from error


def revise_report(asker: Asker, report: Report, *, why: str) -> Report | None:
    """The next revision of a published report with what is known now; None where nothing has changed.

    `why` goes into the revision, in the words of who makes it. The words of the manager stay as they were published.
    """
    check_may_publish(asker, report)
    reason = text_required(why, field="why", what=_("the reason"))
    if len(reason) > LONGEST_WHY:
        text = _("Say it in at most %(count)d characters.") % {"count": LONGEST_WHY}
        raise RuleViolation("too_long", text, "why")
    return revise_now(asker, report, why=reason)


@transaction.atomic
def revise_now(asker: Asker | str, report: Report, *, why: str) -> Report | None:
    """The same, whoever is asking."""
    last = (
        Report.objects.select_for_update(of=("self",))
        .select_related("roadmap__workload", "roadmap__owner", "roadmap__programme", "programme")
        .filter(
            scope=report.scope,
            roadmap=report.roadmap,
            programme=report.programme,
            month=report.month,
            is_demo=report.is_demo,
        )
        .order_by("-revision")
        .first()
    )
    if last is None or not last.is_published:
        raise RuleViolation("not_published_yet", _("It is not published yet; a draft shows what is known now."))
    revision = Report(
        scope=last.scope,
        roadmap=last.roadmap,
        programme=last.programme,
        month=last.month,
        is_demo=last.is_demo,
        revision=last.revision + 1,
        why=why,
    )
    words = words_of(last)
    now = fresh(revision, dated_on=timezone.localdate(), words=words, is_final=True)
    moved = moved_figures(last.payload, now.payload)
    if not moved:
        return None
    revision.save()
    revision.covers.set(now.covers)
    if words is not None:
        _copy(words, revision)
    return _freeze(asker, revision, {**now.payload, "moved": moved, "why": why})


def _copy(words: ReportWords, revision: Report) -> None:
    ReportWords.objects.create(
        report=revision,
        text=words.text,
        next_actions=words.next_actions,
        is_ready=words.is_ready,
        version=words.version,
        changed_at=words.changed_at,
        changed_by=words.changed_by,
        changed_by_name=words.changed_by_name,
    )


def _freeze(asker: Asker | str, report: Report, payload: Json) -> Report:
    report.state = Report.State.PUBLISHED
    report.schema_version = payload["schema_version"]
    report.payload = payload
    report.sha256 = hash_of(payload)
    report.published_at = timezone.now()
    report.published_by = asker.user if isinstance(asker, Asker) else None
    report.published_by_name = (asker.name if isinstance(asker, Asker) else asker)[: audit.NAME_LENGTH]
    report.problem, report.gaps, report.drawn_at = "", [], None
    report.save()
    for document in documents_of(payload):
        pdf = pdf_of(document, report.sha256)
        ReportFile.objects.create(
            report=report,
            kind=ReportFile.Kind.PDF,
            language=document.language,
            content=pdf,
            sha256=sha256(pdf).hexdigest(),
        )
    event = audit.record(
        asker,
        action="publish_report",
        subject=report,
        workload=report.roadmap.workload if report.roadmap else None,
        after={
            "month": report.month,
            "revision": report.revision,
            "sha256": report.sha256,
            **({"why": report.why} if report.why else {}),
        },
    )
    note(event)
    report_mails.queue(report)
    return report


def documents_of(payload: Json) -> list[Document]:
    """The payload in each language that it can be put into."""
    codes = [code.partition("-")[0] for code, name in settings.LANGUAGES]
    return list({document.language: document for document in (document_of(payload, code) for code in codes)}.values())
