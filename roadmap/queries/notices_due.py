"""What people may have to be told of because of the day, or because figures say so: of roadmaps that run, not the demo.

Each has a key that names the occasion, so that it is told once: a milestone that moves has another day and another key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Max
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from accounts.models import OrganisationRole, User
from metrics import series
from metrics.source_facts import StoppedSource
from roadmap.models import Gate, Kpi, Milestone, NoticeSettings, Phase, Roadmap
from roadmap.queries.my_week import READING_DAYS
from roadmap.queries.phase_money import PhaseMoney
from roadmap.queries.portfolio_rows import portfolio_rows
from roadmap.queries.portfolio_standing import standings_for
from roadmap.rules.notices import GATE_DAYS, MILESTONE_DAYS, MONDAY, channels_for, monday_of
from web import wording

RUNNING = (Roadmap.State.ACTIVE, Roadmap.State.LIVE)


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a notice is made of; `details` hold told_as, title, text, url, people and is_late.

    Title and text are in the organisation's language, and under `in` in the others: it is noted before it is known who
    is told.
    """

    key: str
    kind: str
    subject_id: int | None
    workload_id: int | None
    details: dict[str, Any] = field(default_factory=dict)


# Says a title and a text in the active language.
Said = Callable[[], tuple[str, str]]


def occasion_of(
    key: str,
    told_as: str,
    said: Said,
    people: Iterable[int | None],
    *,
    url: str,
    subject_id: int | None = None,
    workload_id: int | None = None,
    is_late: bool = False,
) -> Occasion:
    words = {}
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            title, text = said()
            words[language] = {"title": title, "text": text}
    details = {
        "told_as": told_as,
        **words.pop(settings.LANGUAGE_CODE),
        "in": words,
        "url": url,
        "people": [pk for pk in dict.fromkeys(people) if pk is not None],
        "is_late": is_late,
    }
    return Occasion(key, key.partition(":")[0], subject_id, workload_id, details)


def milestones_due(today: date) -> list[Occasion]:
    """Open ones of a running phase: some days ahead, and once they are late."""
    found = Milestone.objects.filter(
        phase__roadmap__workload__is_demo=False,
        phase__roadmap__state__in=RUNNING,
        phase__state=Phase.State.ACTIVE,
        state=Milestone.State.OPEN,
        due_on__lte=today + timedelta(days=MILESTONE_DAYS),
    ).select_related("phase__roadmap__workload")
    return [
        occasion_of(
            f"milestone_{'late' if item.due_on < today else 'due'}:{item.pk}:{item.due_on}",
            "milestone",
            partial(_milestone_words, item, today),
            [item.owner_id or item.phase.owner_id],
            url=f"{item.phase.get_absolute_url()}#milestones",
            subject_id=item.pk,
            workload_id=item.phase.roadmap.workload_id,
            is_late=item.due_on < today,
        )
        for item in found.order_by("due_on", "pk")
    ]


def gates_due(today: date) -> list[Occasion]:
    """Gates of a running phase: to who decides and who prepares."""
    found = Gate.objects.filter(
        phase__roadmap__workload__is_demo=False,
        phase__roadmap__state__in=RUNNING,
        phase__state=Phase.State.ACTIVE,
        due_on__lte=today + timedelta(days=GATE_DAYS),
    ).select_related("phase__roadmap__workload")
    return [
        occasion_of(
            f"gate_{'late' if gate.due_on < today else 'due'}:{gate.pk}:{gate.due_on}",
            "gate",
            partial(_gate_words, gate, today),
            [gate.gatekeeper_id, gate.phase.owner_id],
            url=gate.get_absolute_url(),
            subject_id=gate.pk,
            workload_id=gate.phase.roadmap.workload_id,
            is_late=gate.due_on < today,
        )
        for gate in found.order_by("due_on", "pk")
    ]


def readings_due(today: date) -> list[Occasion]:
    """KPIs read by hand whose last reading is as old as their window; once for each reading that is missing."""
    found = (
        Kpi.objects.filter(
            phase__roadmap__workload__is_demo=False,
            phase__roadmap__state__in=RUNNING,
            phase__state=Phase.State.ACTIVE,
            source=Kpi.Source.READ,
        )
        .annotate(last=Max("readings__at"))
        .select_related("phase__roadmap__workload")
        .order_by("pk")
    )
    occasions = []
    for kpi in found:
        on = kpi.last.astimezone(settings.REPORTING_ZONE).date() if kpi.last else None
        if on is not None and on + timedelta(days=kpi.window_days or READING_DAYS) > today:
            continue
        occasions.append(
            occasion_of(
                f"reading:{kpi.pk}:{on or 'never'}",
                "reading",
                partial(_reading_words, kpi, on),
                [kpi.phase.owner_id],
                url=reverse("reading_new", args=[kpi.pk]),
                subject_id=kpi.pk,
                workload_id=kpi.phase.roadmap.workload_id,
            )
        )
    return occasions


def budgets_running_out(now: datetime, today: date) -> list[Occasion]:
    """Phases whose budget is passed, or will be by the forecast: each once for a budget."""
    running = Roadmap.objects.filter(workload__is_demo=False, state=Roadmap.State.ACTIVE).order_by("pk")
    rows = portfolio_rows(list(running.values_list("pk", flat=True)))
    if not rows:
        return []
    occasions = []
    for standing in standings_for(rows, series.freshness(), now=now, today=today):
        phase, money = standing.rows.present, standing.money
        if phase is None or money is None or phase.state != Phase.State.ACTIVE:
            continue
        word = _budget_state(money)
        if not word:
            continue
        roadmap = standing.rows.roadmap
        occasions.append(
            occasion_of(
                f"budget_{word}:{phase.pk}:{phase.budget_amount}:{phase.budget_currency}",
                "budget",
                partial(_budget_words, money, phase, roadmap),
                [roadmap.owner_id, phase.owner_id, roadmap.sponsor_id],
                url=phase.get_absolute_url(),
                subject_id=phase.pk,
                workload_id=roadmap.workload_id,
                is_late=word == "passed",
            )
        )
    return occasions


def _budget_state(money: PhaseMoney) -> str:
    """'passed', 'ends' by the forecast, '' for neither."""
    if money.budget is None or money.spent is None or money.budget <= 0:
        return ""
    if money.spent > money.budget:
        return "passed"
    plan = money.forecast
    return "" if plan is None or plan.passes_on is None or plan.total is None else "ends"


def sources_stopped() -> list[Occasion]:
    """To admins; and per roadmap that a source serves, to its owner."""
    stopped = series.stopped_sources()
    if not stopped:
        return []
    admins = list(
        User.objects.filter(is_active=True, organisation_role=OrganisationRole.ADMIN)
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    served = {pk for one in stopped for pk in one.workload_ids}
    roadmaps = {
        item.workload_id: item
        for item in Roadmap.objects.filter(workload__in=served, workload__is_demo=False, state__in=RUNNING)
    }
    occasions = []
    for one in stopped:
        key = f"{one.backend_id}:{one.since.isoformat()}"
        url = reverse("backend", args=[one.slug])
        occasions.append(
            occasion_of(
                f"source:{key}", "source", partial(_source_words, one), admins, url=url, subject_id=one.backend_id
            )
        )
        for pk in one.workload_ids:
            roadmap = roadmaps.get(pk)
            # An admin is told once.
            if roadmap is not None and roadmap.owner_id not in admins:
                occasions.append(
                    occasion_of(
                        f"source:{key}:{pk}",
                        "source",
                        partial(_source_words, one, roadmap),
                        [roadmap.owner_id],
                        url=url,
                        subject_id=one.backend_id,
                        workload_id=pk,
                    )
                )
    return occasions


def mondays(now: datetime) -> list[Occasion]:
    """The Monday mail of everybody for whom it is Monday morning now; one for each person and week."""
    chosen = {row.person_id: row for row in NoticeSettings.objects.all()}
    occasions = []
    for pk in User.objects.filter(is_active=True, is_demo=False).order_by("pk").values_list("pk", flat=True):
        row = chosen.get(pk)
        week = monday_of(now, ZoneInfo(row.zone) if row and row.zone else settings.REPORTING_ZONE)
        if week is not None and channels_for(row.channels if row else {}, MONDAY):
            occasions.append(occasion_of(f"monday:{pk}:{week}", MONDAY, _week_words, [pk], url=reverse("my_week")))
    return occasions


def _milestone_words(item: Milestone, today: date) -> tuple[str, str]:
    names = {"name": item.name, "roadmap": item.phase.roadmap.name, "day": wording.day(item.due_on)}
    days = (item.due_on - today).days
    if days < 0:
        return _("'%(name)s' of %(roadmap)s is late: it was due on %(day)s") % names, ""
    if days == 0:
        return _("'%(name)s' of %(roadmap)s is due today") % names, ""
    in_ = {"duration": wording.plural(days, "day")}
    return _("'%(name)s' of %(roadmap)s is due on %(day)s, in %(duration)s") % (names | in_), ""


def _gate_words(gate: Gate, today: date) -> tuple[str, str]:
    phase = gate.phase
    names = {
        "phase": phase.get_kind_display(),
        "roadmap": phase.roadmap.name,
        "day": wording.day(gate.due_on),
    }
    days = (gate.due_on - today).days
    if days < 0:
        return _("The %(phase)s gate of %(roadmap)s is late: it was due on %(day)s") % names, ""
    if days == 0:
        return _("The %(phase)s gate of %(roadmap)s is due today") % names, ""
    in_ = {"duration": wording.plural(days, "day")}
    return _("The %(phase)s gate of %(roadmap)s is due on %(day)s, in %(duration)s") % (names | in_), ""


def _reading_words(kpi: Kpi, on: date | None) -> tuple[str, str]:
    title = _("A reading of %(kpi)s in %(roadmap)s is asked for") % {
        "kpi": kpi.name,
        "roadmap": kpi.phase.roadmap.name,
    }
    return title, _("The last is of %(day)s.") % {"day": wording.day(on)} if on else _("There is none yet.")


def _budget_words(money: PhaseMoney, phase: Phase, roadmap: Roadmap) -> tuple[str, str]:
    """Of a budget that is passed, or ends by the forecast."""
    names = {"phase": phase.get_kind_display(), "roadmap": roadmap.name}
    budget = wording.money(money.budget, money.currency)
    if _budget_state(money) == "passed":
        text = _("%(spent)s of %(budget)s spent.") % {
            "spent": wording.money(money.spent, money.currency),
            "budget": budget,
        }
        if money.passed_on is None:
            return _("%(phase)s of %(roadmap)s: the budget is passed") % names, text
        on = {"day": wording.day(money.passed_on)}
        return _("%(phase)s of %(roadmap)s: the budget is passed on %(day)s") % (names | on), text
    plan = money.forecast
    on = {"day": wording.day(plan.passes_on if plan else None)}
    total = wording.money(plan.total if plan else None, money.currency)
    return (
        _("%(phase)s of %(roadmap)s: the budget ends on %(day)s") % (names | on),
        _("Forecast %(total)s of %(budget)s.") % {"total": total, "budget": budget},
    )


def _source_words(one: StoppedSource, roadmap: Roadmap | None = None) -> tuple[str, str]:
    title = _("%(name)s does not answer") % {"name": one.name}
    if roadmap is None:
        return title, one.detail
    return title, _("%(roadmap)s lacks what it would report. %(detail)s") % {
        "roadmap": roadmap.name,
        "detail": one.detail,
    }


def _week_words() -> tuple[str, str]:
    return _("My week"), ""
