"""Whom to ask for their words for last month's report: once when its draft is made, once more before it is closed."""

from __future__ import annotations

from datetime import date, timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import Membership, Role
from roadmap.models import Report, ReportWords
from roadmap.queries.notices_due import Occasion, Said, occasion_of
from roadmap.rules.report_life import day_of_life, reminder_on
from web import wording


def report_words_wanted(today: date) -> list[Occasion]:
    """Roadmaps' drafts without words: to the owner and the managers. Three queries."""
    words = ReportWords.objects.filter(report=OuterRef("pk"))
    found = list(
        Report.objects.filter(scope=Report.Scope.ROADMAP, is_demo=False, roadmap__workload__is_demo=False)
        .exclude(state=Report.State.PUBLISHED)
        .exclude(Exists(words.exclude(text="") | words.filter(is_ready=True)))
        .select_related("roadmap__workload")
        .defer("payload")
        .order_by("pk")
    )
    managers: dict[int, list[int]] = {}
    for workload_id, user_id in (
        Membership.objects.filter(
            role=Role.MANAGER, workload__in=[one.roadmap.workload_id for one in found if one.roadmap]
        )
        .order_by("pk")
        .values_list("workload_id", "user_id")
    ):
        managers.setdefault(workload_id, []).append(user_id)
    occasions = []
    for report in found:
        roadmap = report.roadmap
        if roadmap is None:
            continue
        close_on = day_of_life(report.month, settings.REPORT_CLOSE_DAY)
        again = reminder_on(report.month, settings.REPORT_CLOSE_DAY)
        is_again = again <= today < close_on and again > day_of_life(report.month, 1)
        if today >= close_on:
            continue
        occasions.append(
            occasion_of(
                f"report_words_{'again' if is_again else 'wanted'}:{report.pk}",
                "words",
                _asked(roadmap.name, report.month, close_on),
                [roadmap.owner_id, *managers.get(roadmap.workload_id, [])],
                url=reverse("report_words", args=[report.uuid]),
                subject_id=report.pk,
                workload_id=roadmap.workload_id,
            )
        )
    return occasions


def _asked(name: str, month: date, close_on: date) -> Said:
    def said() -> tuple[str, str]:
        title = _("Your words for %(name)s, %(month)s, are wanted") % {"name": name, "month": wording.month(month)}
        last = wording.day(close_on - timedelta(days=1))
        return title, _("What should an executive know? The report is published after %(day)s.") % {"day": last}

    return said
