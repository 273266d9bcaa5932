"""Closing a month: building its documents once, and freezing them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.utils import timezone

from accounts import audit
from accounts.access import Asker
from metrics.errors import RuleViolation
from roadmap.actions import report_mails
from roadmap.actions.changes import note
from roadmap.models import Report, ReportFile, Roadmap
from roadmap.queries.month import month_facts
from roadmap.queries.reports import has_real_data, reportable_roadmaps
from roadmap.reports.documents import document_of
from roadmap.reports.outputs.pdf import pdf_of
from roadmap.reports.section import Json
from roadmap.reports.snapshot import hash_of, portfolio_payload, roadmap_payload
from roadmap.rules.reports import moved_figures, next_month, previous_month

# The advisory lock under which a month is closed, so that two beats or a beat and a person make one report.
_LOCK = 0x7265706F7274
# What reports are published in.
LANGUAGE = "en"


@dataclass(frozen=True, slots=True)
class Closed:
    """What closing a month did."""

    month: date
    published: tuple[Report, ...]
    revised: tuple[Report, ...]
    unchanged: int


def close_month(asker: Asker | str, month: date, *, revise: bool = False) -> Closed:
    """Builds and publishes the reports of a local month that are not published yet.

    With `revise`, a published report whose figures have changed since gets its next revision beside it, with the list
    of what moved. Raises RuleViolation for a month that is not over, PermissionDenied for a person who is not an admin.
    """
    if isinstance(asker, Asker) and not asker.user.is_admin:
        raise PermissionDenied("Only an admin closes a month.")
    if month.day != 1:
        raise RuleViolation("not_a_month", "Name a month by its first day.", "month")
    if next_month(month) > timezone.localdate():
        raise RuleViolation(
            "month_not_over", f"{month:%B %Y} is not over yet; it can be closed from the next day on.", "month"
        )
    published: list[Report] = []
    revised: list[Report] = []
    unchanged = 0
    with transaction.atomic():
        _lock(month)
        for is_demo, roadmaps in reportable_roadmaps(month):
            documents = []
            for roadmap in roadmaps:
                report, is_new = _roadmap_report(asker, roadmap, month, revise=revise)
                documents.append(report.payload)
                (published if is_new and report.revision == 1 else revised if is_new else []).append(report)
                unchanged += not is_new
            if documents and (not is_demo or not has_real_data()):
                report, is_new = _portfolio_report(
                    asker, documents, month, covers=roadmaps, is_demo=is_demo, revise=revise
                )
                (published if is_new and report.revision == 1 else revised if is_new else []).append(report)
                unchanged += not is_new
    return Closed(month, tuple(published), tuple(revised), unchanged)


def close_due_months(asker: str = "the schedule") -> Closed | None:
    """Closes the month before this one once its closing day has come; None before. Safe to call again."""
    today = timezone.localdate()
    if today.day < settings.REPORT_CLOSE_DAY:
        return None
    last = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    return close_month(asker, last)


def _lock(month: date) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s::bigint + %s::bigint)", [_LOCK, month.toordinal()])


def _roadmap_report(asker: Asker | str, roadmap: Roadmap, month: date, *, revise: bool) -> tuple[Report, bool]:
    last = (
        Report.objects.filter(roadmap=roadmap, month=month, state=Report.State.PUBLISHED).order_by("-revision").first()
    )
    if last is not None and not revise:
        return last, False
    today = timezone.localdate()
    before = Report.objects.filter(roadmap=roadmap, month=previous_month(month), state=Report.State.PUBLISHED)
    earlier = before.order_by("-revision").first()
    fresh = roadmap_payload(
        month_facts(roadmap, month),
        dated_on=today,
        revision=last.revision + 1 if last else 1,
        before=earlier.payload if earlier else None,
    )
    if last is not None:
        moved = moved_figures(last.payload, fresh)
        if not moved:
            return last, False
        fresh["moved"] = moved
    return _publish(asker, fresh, scope=Report.Scope.ROADMAP, roadmap=roadmap, month=month), True


def _portfolio_report(
    asker: Asker | str, documents: list[Json], month: date, *, covers: Sequence[Roadmap], is_demo: bool, revise: bool
) -> tuple[Report, bool]:
    held = Report.objects.filter(
        scope=Report.Scope.PORTFOLIO, month=month, is_demo=is_demo, state=Report.State.PUBLISHED
    )
    last = held.order_by("-revision").first()
    if last is not None and not revise:
        return last, False
    fresh = portfolio_payload(
        documents,
        month=month,
        dated_on=timezone.localdate(),
        revision=last.revision + 1 if last else 1,
        zone=settings.TIME_ZONE,
        currency=settings.REPORTING_CURRENCY,
        is_demo=is_demo,
    )
    if last is not None:
        moved = moved_figures(last.payload, fresh)
        if not moved:
            return last, False
        fresh["moved"] = moved
    return _publish(asker, fresh, scope=Report.Scope.PORTFOLIO, roadmap=None, month=month, covers=covers), True


def _publish(
    asker: Asker | str,
    payload: Json,
    *,
    scope: str,
    roadmap: Roadmap | None,
    month: date,
    covers: Sequence[Roadmap] = (),
) -> Report:
    report = Report.objects.create(
        scope=scope,
        roadmap=roadmap,
        month=month,
        revision=payload["revision"],
        is_demo=payload["is_demo"],
    )
    report.covers.set([roadmap] if roadmap else covers)
    report.state = Report.State.PUBLISHED
    report.schema_version = payload["schema_version"]
    report.payload = payload
    report.sha256 = hash_of(payload)
    report.published_at = timezone.now()
    report.published_by = asker.user if isinstance(asker, Asker) else None
    report.published_by_name = asker.name if isinstance(asker, Asker) else asker
    report.save()
    pdf = pdf_of(document_of(payload), report.sha256)
    ReportFile.objects.create(
        report=report, kind=ReportFile.Kind.PDF, language=LANGUAGE, content=pdf, sha256=sha256(pdf).hexdigest()
    )
    event = audit.record(
        asker,
        action="publish_report",
        subject=report,
        workload=roadmap.workload if roadmap else None,
        after={"month": month, "revision": report.revision, "sha256": report.sha256},
    )
    note(event)
    report_mails.queue(report)
    return report
