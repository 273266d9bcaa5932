"""Private links to reports: who keeps them, and which report a secret opens."""

from __future__ import annotations

from django.conf import settings
from django.db.models import F, QuerySet
from django.utils import timezone

from accounts.access import Asker
from accounts.tokens import digest_of
from roadmap.models import Report, ReportLink
from roadmap.queries.reports import manages_reports, same_subject


def are_links_on() -> bool:
    """Whether the operator lets private links be made and answered."""
    return bool(settings.REPORT_LINKS == "on")


def may_link(asker: Asker, report: Report) -> bool:
    """Whether the asker makes, sees and revokes a report's links: managers of its roadmap; for any other, admins."""
    return manages_reports(asker, report.roadmap)


def links_of(report: Report) -> QuerySet[ReportLink]:
    """The links to one revision, the newest first."""
    return report.links.select_related("created_by", "revoked_by")


def open_report_link(text: str) -> ReportLink | None:
    """The link with this secret, where it is answered now; None for every other reason alike.

    One look-up by the secret's digest finds out, whichever reason it is, so that the time tells nothing either. The
    secret has 256 random bits: guessing needs no limit.
    """
    link = ReportLink.objects.select_related("created_by").filter(digest=digest_of(text)).first()
    if link is None or not are_links_on() or link.state_at(timezone.now()) != ReportLink.State.WORKS:
        return None
    return link


def linked_report(link: ReportLink) -> Report | None:
    """The report of an answered link, None where it is not published."""
    found = Report.objects.filter(pk=link.report_id, state=Report.State.PUBLISHED)
    return found.select_related("roadmap__workload").first()


def count_use(link: ReportLink) -> None:
    """Remembers that the link was used, and nothing of who did."""
    ReportLink.objects.filter(pk=link.pk).update(uses=F("uses") + 1, last_used_at=timezone.now())


def later_revision(report: Report) -> Report | None:
    """The last published revision after this one, without its payload; None where this one is the last."""
    later = Report.objects.filter(
        same_subject(report), month=report.month, state=Report.State.PUBLISHED, revision__gt=report.revision
    )
    return later.defer("payload").order_by("-revision").first()
