"""Reading the audit trail: what an asker may see of it, narrowed by a filter, a page at a time. Only reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils.translation import gettext

from accounts.access import Asker, trail_workloads
from accounts.models import AuditEvent, Workload
from accounts.trail_fields import field_words
from accounts.trail_words import action_words, subject_words
from web.spreadsheets import Column, Value

PAGE_ROWS = 50
# A file holds no more; a narrower filter gives the rest.
EXPORT_ROWS = 100_000
LONGEST_TEXT = 200
FIELDS = ("person", "roadmap", "action", "subject", "from", "to", "text")

COLUMNS = (
    Column("at"),
    Column("who"),
    Column("from_where"),
    Column("action"),
    Column("subject_type"),
    Column("subject_id"),
    Column("subject"),
    Column("roadmap"),
    Column("before"),
    Column("after"),
    Column("demo"),
)


@dataclass(frozen=True, slots=True)
class Problem:
    """What of the filter cannot be read, and what to write instead."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class TrailFilters:
    """What is asked for; with a problem nothing is shown, so that no wrong answer is taken for a right one."""

    person: str = ""
    roadmap: str = ""
    action: str = ""
    subject: str = ""
    start_on: date | None = None
    last_on: date | None = None
    text: str = ""
    problems: Sequence[Problem] = ()

    @property
    def is_set(self) -> bool:
        return bool(self.query)

    @property
    def query(self) -> str:
        """As a query string with '?'; empty where nothing is asked for."""
        given = {
            "person": self.person,
            "roadmap": self.roadmap,
            "action": self.action,
            "subject": self.subject,
            "from": self.start_on.isoformat() if self.start_on else "",
            "to": self.last_on.isoformat() if self.last_on else "",
            "text": self.text,
        }
        text = urlencode({name: value for name, value in given.items() if value})
        return f"?{text}" if text else ""


@dataclass(frozen=True, slots=True)
class ChangedField:
    """A field in words with what it was and is; None where there was nothing."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class TrailPage:
    """Some rows, the newest first; `older` is the query of the next page, empty on the last."""

    rows: Sequence[AuditEvent]
    older: str
    is_first: bool
    roadmaps: Sequence[tuple[str, str]] = field(default=())
    actions: Sequence[tuple[str, str]] = field(default=())
    subjects: Sequence[tuple[str, str]] = field(default=())


def parse_trail_filters(given: Mapping[str, str]) -> TrailFilters:
    """The filter of a query string; what cannot be read is a problem of its field."""
    problems: list[Problem] = []
    days: dict[str, date | None] = {}
    for name in ("from", "to"):
        days[name] = None
        if text := given.get(name, "").strip():
            try:
                days[name] = date.fromisoformat(text)
            except ValueError:
                problems.append(
                    Problem(name, gettext("'%(text)s' is not a day. Write it like 2026-11-22.") % {"text": text[:40]})
                )
    first, last = days["from"], days["to"]
    if first and last and last < first:
        problems.append(Problem("to", gettext("The last day is before the first. Change one of them.")))
    texts = {}
    for name in ("person", "roadmap", "action", "subject", "text"):
        value = given.get(name, "").strip()
        if "\0" in value or len(value) > LONGEST_TEXT:
            problems.append(Problem(name, gettext("Search for at most %(count)s letters.") % {"count": LONGEST_TEXT}))
            value = ""
        texts[name] = value
    return TrailFilters(start_on=first, last_on=last, problems=tuple(problems), **texts)


def visible_events(asker: Asker) -> QuerySet[AuditEvent]:
    """The rows that the asker may read, the newest first."""
    events = AuditEvent.objects.order_by("-at", "-id")
    workloads = trail_workloads(asker)
    return events if workloads is None else events.filter(workload__in=workloads)


def trail(asker: Asker, filters: TrailFilters) -> QuerySet[AuditEvent]:
    """The visible rows that the filter lets through."""
    events = visible_events(asker)
    if filters.problems:
        return events.none()
    if filters.person:
        events = events.filter(Q(actor_name__icontains=filters.person) | Q(actor__username__iexact=filters.person))
    if filters.roadmap:
        events = events.filter(workload__slug=filters.roadmap)
    if filters.action:
        events = events.filter(action=filters.action)
    if filters.subject:
        events = events.filter(subject_type=filters.subject)
    if filters.start_on:
        events = events.filter(at__gte=_midnight(filters.start_on))
    if filters.last_on:
        # The last day that there is has no day after it.
        last = filters.last_on
        events = events.filter(at__lt=_midnight(last + timedelta(days=1))) if last < date.max else events
    if filters.text:
        events = events.annotate(before_text=Cast("before", TextField()), after_text=Cast("after", TextField())).filter(
            Q(subject_name__icontains=filters.text)
            | Q(before_text__icontains=filters.text)
            | Q(after_text__icontains=filters.text)
            | Q(workload_name__icontains=filters.text)
            | Q(origin__icontains=filters.text)
            | Q(actor_name__icontains=filters.text)
        )
    return events


def trail_page(asker: Asker, filters: TrailFilters, *, before: str = "") -> TrailPage:
    """A page of the trail in three queries; `before` is the cursor that the page before it ended with."""
    events = trail(asker, filters)
    cursor = _read_cursor(before)
    if cursor is not None:
        at, pk = cursor
        events = events.filter(Q(at__lt=at) | Q(at=at, pk__lt=pk))
    rows = list(events[: PAGE_ROWS + 1])
    older = ""
    if len(rows) > PAGE_ROWS:
        last = rows[PAGE_ROWS - 1]
        query = urlencode({"before": f"{last.at.isoformat()},{last.pk}"})
        older = f"{filters.query}&{query}" if filters.query else f"?{query}"
    known = list(visible_events(asker).order_by().values_list("action", "subject_type").distinct())
    workloads = trail_workloads(asker)
    named = Workload.objects.all() if workloads is None else workloads
    return TrailPage(
        rows=rows[:PAGE_ROWS],
        older=older,
        is_first=cursor is None,
        roadmaps=list(named.order_by("name").values_list("slug", "name").distinct()),
        actions=[(name, action_words(name)) for name in sorted({action for action, _ in known})],
        subjects=[(name, subject_words(name)) for name in sorted({subject for _, subject in known})],
    )


def export_rows(events: QuerySet[AuditEvent]) -> Iterator[Sequence[Value]]:
    """The rows of a file, as COLUMNS names them."""
    for event in events[:EXPORT_ROWS].iterator(chunk_size=2_000):
        yield (
            event.at.isoformat(),
            event.actor_name,
            event.origin,
            event.action,
            event.subject_type,
            event.subject_id,
            event.subject_name,
            event.workload_name,
            shown(event.before),
            shown(event.after),
            "yes" if event.is_demo else "no",
        )


def changed_fields(event: AuditEvent) -> list[ChangedField]:
    """What the change touched, a field at a time."""
    before, after = event.before or {}, event.after or {}
    return [
        ChangedField(field_words(name), before.get(name), after.get(name)) for name in dict.fromkeys([*before, *after])
    ]


def shown(values: Mapping[str, str | None] | None) -> str:
    """'due on: 2026-11-03; name: Pilot'."""
    return "; ".join(f"{name}: {value}" for name, value in (values or {}).items())


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=settings.REPORTING_ZONE)


def _read_cursor(text: str) -> tuple[datetime, int] | None:
    """A cursor as `trail_page` wrote it; anything else begins at the newest."""
    at, _, pk = text.rpartition(",")
    try:
        moment, number = datetime.fromisoformat(at), int(pk)
    except ValueError:
        return None
    return (moment, number) if moment.tzinfo is not None and 0 < number < 2**63 else None
