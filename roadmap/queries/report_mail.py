"""Who gets reports by mail, and what became of each: for the pages and REST."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, Count, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.utils.translation import gettext
from django.utils.translation import gettext as look_up

from accounts import access
from accounts.access import Asker, sees_everything, visible_workloads
from accounts.models import Membership, User
from roadmap.models import Programme, Report, ReportMail, ReportSubscription, Roadmap
from roadmap.queries.reports import manages_reports

State = ReportMail.State
Scope = Report.Scope
TONES: dict[str, str] = {
    State.SENT: "green",
    State.FAILED: "red",
    State.UNKNOWN: "amber",
    State.DROPPED: "off",
}
# What a person may have sent again; what was dropped was not for them any more.
AGAIN = (State.FAILED, State.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose reports: one roadmap's, a programme's, or the portfolio's."""

    scope: str
    roadmap: Roadmap | None = None
    programme: Programme | None = None

    @property
    def name(self) -> str:
        """As pages and the audit trail call it."""
        return str(self.roadmap or self.programme or gettext("Portfolio"))

    @property
    def is_demo(self) -> bool:
        """Demo data is never mailed."""
        if self.roadmap is not None:
            return self.roadmap.workload.is_demo
        return self.programme is not None and self.programme.is_demo

    @property
    def fields(self) -> dict[str, Any]:
        """The columns of a subscription that say so."""
        return {"scope": self.scope, "roadmap": self.roadmap, "programme": self.programme}


PORTFOLIO = Subject(Scope.PORTFOLIO)


def subject_of(held: Report | ReportSubscription) -> Subject:
    """What a report or a subscription is about."""
    return Subject(held.scope, held.roadmap, getattr(held, "programme", None))


def sees(asker: Asker, subject: Subject) -> bool:
    """Whether the asker may read these reports. Of a programme: who sees each of its roadmaps."""
    if subject.roadmap is not None:
        return visible_workloads(asker).filter(pk=subject.roadmap.workload_id).exists()
    if sees_everything(asker):
        return True
    if subject.programme is None:
        return False
    roadmaps = subject.programme.roadmaps
    hidden = roadmaps.exclude(workload__in=visible_workloads(asker))
    return roadmaps.exists() and not hidden.exists()


def manages(asker: Asker, subject: Subject) -> bool:
    """Whether the asker says who else gets them: a manager of the roadmap; of programmes and the portfolio an admin."""
    return manages_reports(asker, subject.roadmap)


def people_who_see(people: Sequence[User], subject: Subject) -> set[int]:
    """The ids of those who may read the reports, by the rule of `sees`, in one query at most."""
    if subject.roadmap is not None:
        found = access.people_who_see(subject.roadmap.workload).filter(pk__in=[person.pk for person in people])
        return set(found.values_list("pk", flat=True))
    seeing = {person.pk for person in people if person.reads_all}
    if subject.programme is not None and len(seeing) < len(people):
        workloads = set(subject.programme.roadmaps.values_list("workload_id", flat=True))
        held = Membership.objects.filter(user__in=people, user__is_active=True, workload__in=workloads)
        of_each = Counter(held.values_list("user_id", flat=True))
        seeing |= {pk for pk, count in of_each.items() if count == len(workloads)}
    return seeing


def subscriptions(subject: Subject) -> QuerySet[ReportSubscription]:
    """Everybody who gets the reports, people first, with what became of the last mail of each."""
    last = ReportMail.objects.filter(subscription=OuterRef("pk")).order_by("-created_at", "-pk")
    return (
        ReportSubscription.objects.filter(**subject.fields)
        .select_related("person", "roadmap__workload", "programme")
        .annotate(
            last_state=Subquery(last.values("state")[:1]),
            last_at=Subquery(last.values("ended_at")[:1]),
            last_problem=Subquery(last.values("problem")[:1]),
        )
        .order_by("person__last_name", "person__username", "mailbox", "pk")
    )


def subscription_of_person(asker: Asker, subject: Subject) -> ReportSubscription | None:
    """The asker's own."""
    return ReportSubscription.objects.filter(person=asker.user, **subject.fields).first()


def own_subscriptions(asker: Asker) -> list[ReportSubscription]:
    """All of the asker's own that they may still read."""
    held = ReportSubscription.objects.filter(person=asker.user).select_related("roadmap__workload", "programme")
    return [one for one in held.order_by("scope", "roadmap__workload__name", "pk") if sees(asker, subject_of(one))]


@dataclass(frozen=True, slots=True)
class Mailing:
    """How many of a report's mails stand where; `problems`: why not, the most frequent first, with how often."""

    total: int
    sent: int
    failed: int
    unknown: int
    waiting: int
    dropped: int
    problems: Sequence[tuple[str, int]]


def mailing_of(report: Report) -> Mailing:
    """What became of a report's mails, in two queries."""
    counts = dict(report.mails.order_by().values_list("state").annotate(Count("pk")))
    problems = (
        report.mails.filter(Q(state__in=AGAIN) | Q(state=State.WAITING, attempts__gt=0))
        .exclude(problem="")
        .order_by()
        .values_list("problem")
        .annotate(count=Count("pk"))
        .order_by("-count", "problem")[:5]
    )
    return Mailing(
        total=sum(counts.values()) - counts.get(State.DROPPED, 0),
        sent=counts.get(State.SENT, 0),
        failed=counts.get(State.FAILED, 0),
        unknown=counts.get(State.UNKNOWN, 0),
        waiting=sum(counts.get(state, 0) for state in (State.WAITING, State.SENDING, State.HANDING)),
        dropped=counts.get(State.DROPPED, 0),
        problems=[(look_up(problem), count) for problem, count in problems],
    )


def mails_of(report: Report) -> QuerySet[ReportMail]:
    """Each mail of a report: what did not arrive first."""
    order = {State.FAILED: 0, State.UNKNOWN: 1, State.WAITING: 2, State.SENDING: 2, State.HANDING: 2}

    rank = Case(
        *(When(state=state, then=Value(place)) for state, place in order.items()),
        default=Value(3),
        output_field=IntegerField(),
    )
    return report.mails.select_related("person").annotate(rank=rank).order_by("rank", "recipient")


def undelivered_reports() -> list[tuple[Report, int, int]]:
    """(report, not delivered, perhaps delivered) of the last mailings, for admins."""
    rows = (
        Report.objects.filter(mails__state__in=AGAIN)
        .defer("payload")
        .select_related("roadmap__workload", "programme")
        .annotate(
            failed=Count("mails", filter=Q(mails__state=State.FAILED)),
            unknown=Count("mails", filter=Q(mails__state=State.UNKNOWN)),
        )
        .order_by("-month", "-pk")[:50]
    )
    return [(row, row.failed, row.unknown) for row in rows]
