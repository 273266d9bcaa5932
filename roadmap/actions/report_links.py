"""Private links to a published report: making one and revoking it. A link's secret is returned once."""

from __future__ import annotations

import secrets
from datetime import datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import audit
from accounts.access import Asker
from accounts.tokens import digest_of
from metrics.errors import RuleViolation
from roadmap.actions.changes import check
from roadmap.models import Report, ReportLink
from roadmap.queries.report_links import are_links_on, may_link
from roadmap.reports.plain import plain


@transaction.atomic
def make_report_link(
    asker: Asker, report: Report, *, label: str, expires_at: datetime | None = None
) -> tuple[ReportLink, str]:
    """A link to this revision and its secret, which is nowhere stored.

    Without `expires_at` it works for REPORT_LINK_DAYS, and never longer than the token that makes it. RuleViolation:
    'links_off', 'not_published', or a field that cannot be; PermissionDenied for who does not keep the report's links.
    """
    _require(asker, report)
    if not are_links_on():
        raise RuleViolation("links_off", _("Private links to reports are switched off here."))
    if report.state != Report.State.PUBLISHED:
        raise RuleViolation("not_published", _("Only a published report can have a private link."))
    now = timezone.now()
    text = secrets.token_urlsafe(32)
    link = ReportLink(
        report=report,
        digest=digest_of(text),
        label=" ".join(plain(label).split()),
        created_at=now,
        created_by=asker.user,
        expires_at=_end(asker, now, expires_at),
    )
    if not link.label:
        raise RuleViolation("required", _("Say for whom it is."), "label")
    check(link, only={"label"})
    link.save()
    after = {"report": report.uuid, "label": link.label, "expires_at": link.expires_at.isoformat()}
    _record(asker, "make_report_link", link, before=None, after=after)
    return link, text


@transaction.atomic
def revoke_report_link(asker: Asker, link: ReportLink) -> None:
    """The link is answered no more. RuleViolation 'already_revoked' the second time."""
    _require(asker, link.report)
    held = ReportLink.objects.select_for_update(of=("self",)).select_related("report__roadmap__workload")
    kept = held.filter(pk=link.pk).first()
    if kept is None or kept.revoked_at is not None:
        raise RuleViolation("already_revoked", _("This link is revoked already."))
    kept.revoked_at, kept.revoked_by = timezone.now(), asker.user
    kept.save(update_fields=["revoked_at", "revoked_by"])
    after = {"revoked_at": kept.revoked_at.isoformat()}
    _record(asker, "revoke_report_link", kept, before={"revoked_at": None}, after=after)


def latest_end(now: datetime) -> datetime:
    """The end of the last day, in the reporting zone, on which a link made now may still work."""
    after = timezone.localdate(now) + timedelta(days=settings.REPORT_LINK_MAX_DAYS + 1)
    return timezone.make_aware(datetime.combine(after, time.min), settings.REPORTING_ZONE)


def longest_said() -> str:
    """How long a link works at most, as a sentence."""
    most = settings.REPORT_LINK_MAX_DAYS
    said = ngettext("A link works for %(days)d day at most.", "A link works for %(days)d days at most.", most)
    return said % {"days": most}


def _require(asker: Asker, report: Report) -> None:
    if may_link(asker, report):
        return
    if report.roadmap is not None:
        raise PermissionDenied(_("Only a manager of this roadmap keeps the private links to its reports."))
    raise PermissionDenied(_("Only an admin keeps the private links to this report."))


def _end(asker: Asker, now: datetime, wanted: datetime | None) -> datetime:
    """When the link ends; refused where it is over, or later than may be."""
    last = asker.token.expires_at if asker.token is not None else None
    if wanted is None:
        ends = now + timedelta(days=settings.REPORT_LINK_DAYS)
        return min(ends, last) if last is not None else ends
    if wanted <= now:
        raise RuleViolation("in_the_past", _("The last day is over already."), "expires_at")
    if wanted > latest_end(now):
        raise RuleViolation("too_long", longest_said(), "expires_at")
    if last is not None and wanted > last:
        raise RuleViolation("outlives_token", _("Not later than the end of the token that makes it."), "expires_at")
    return wanted


def _record(
    asker: Asker, action: str, link: ReportLink, *, before: dict[str, Any] | None, after: dict[str, Any]
) -> None:
    roadmap = link.report.roadmap
    workload = roadmap.workload if roadmap else None
    audit.record(asker, action=action, subject=link, workload=workload, before=before, after=after)
