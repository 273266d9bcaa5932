"""Working off the outbox: a notice is spread into deliveries, a delivery is claimed, sent and settled.

A claim is committed before anything is sent and holds for CLAIMED_FOR, longer than a task may run: two workers never
have the same delivery in hand, and what a killed worker had is taken up again, under the same id. Only a worker that is
killed between the other side's yes and the row that says so sends twice; the id tells mailboxes and webhooks.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone, translation

from accounts.access import Asker, visible_workloads
from accounts.languages import language_of
from accounts.models import PersonAddress, User
from metrics.errors import ConnectorError
from roadmap.channel import Destination, Message
from roadmap.channels import channel_for
from roadmap.models import Delivery, Notice, NoticeSettings
from roadmap.queries.notice_messages import monday_message, notices_message
from roadmap.queries.notices import Told, told_of
from roadmap.rules.notices import MAIL, MONDAY, OF_AN_HOUR, channels_for, not_before, wait_before_next

logger = logging.getLogger(__name__)

CLAIMED_FOR = timedelta(minutes=6)
NOTICES_AT_ONCE = 200
MOST_IN_A_MESSAGE = 50
WORK_SECONDS = 200.0
# So many messages are on their way at once: a slow chat holds up one of them, and pulls keep their workers.
AT_ONCE = 2
# One claim at a time, so that a message's deliveries are never torn between two workers.
_LOCK = 0x5048_4E4F_5449_4345
State = Delivery.State


@dataclass(frozen=True, slots=True)
class Batch:
    """Deliveries to one person through one channel that go in one message; ours until `until`."""

    id: uuid.UUID
    person: User
    channel: str
    until: datetime
    rows: Sequence[Delivery]


def work_off() -> None:
    """Spread what is new and send what is due, for some minutes at most; the next run goes on."""
    began = time.monotonic()
    while spread(timezone.now()) and time.monotonic() - began < WORK_SECONDS:
        pass
    while time.monotonic() - began < WORK_SECONDS:
        batch = claim(timezone.now())
        if batch is None:
            return
        send(batch)


@transaction.atomic
def spread(now: datetime) -> int:
    """Make the deliveries of some notices; how many notices were spread."""
    notices = list(
        Notice.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(spread_at=None)
        .select_related("event")
        .order_by("pk")[:NOTICES_AT_ONCE]
    )
    for notice in notices:
        try:
            with transaction.atomic():
                _spread_one(notice, now)
        except Exception:
            # One that cannot be said must not keep the others back.
            logger.exception("Notice %s cannot be spread.", notice.key)
    Notice.objects.filter(pk__in=[notice.pk for notice in notices]).update(spread_at=now)
    return len(notices)


def _spread_one(notice: Notice, now: datetime) -> None:
    told = told_of(notice)
    people = User.objects.in_bulk({one.person_id for one in told})
    chosen = {row.person_id: row for row in NoticeSettings.objects.filter(person__in=people)}
    reached = {(row.person_id, row.channel) for row in PersonAddress.objects.filter(person__in=people)}
    reached |= {(person.pk, MAIL) for person in people.values() if person.email}
    rows = []
    for one in told:
        row = chosen.get(one.person_id)
        due_at = now
        if notice.event_id is None:
            day = None if one.kind in OF_AN_HOUR else timezone.localdate(notice.at)
            due_at = not_before(now, zone_of(row), day)
        for channel in channels_for(row.channels if row else {}, one.kind):
            if (one.person_id, channel) in reached:
                rows.append(_delivery(notice, one, channel, due_at))
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)


def _delivery(notice: Notice, told: Told, channel: str, due_at: datetime) -> Delivery:
    return Delivery(
        notice=notice,
        kind=told.kind,
        person_id=told.person_id,
        channel=channel,
        title=told.title,
        text=told.text,
        url=told.url,
        due_at=due_at,
    )


def zone_of(row: NoticeSettings | None) -> ZoneInfo:
    """The person's zone, else the organisation's."""
    return ZoneInfo(row.zone) if row is not None and row.zone else settings.REPORTING_ZONE


@transaction.atomic
def claim(now: datetime) -> Batch | None:
    """Take what is due for one person through one channel; None where nothing is, or others have enough in hand."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    in_hand = Delivery.objects.filter(state=State.SENDING, claimed_until__gt=now)
    if in_hand.order_by().values("batch").distinct().count() >= AT_ONCE:
        return None
    free = Q(state=State.WAITING, due_at__lte=now) | Q(state=State.SENDING, claimed_until__lte=now)
    first = Delivery.objects.filter(free).order_by("due_at", "pk").first()
    if first is None:
        return None
    if first.batch is not None:
        mine = Delivery.objects.filter(free, batch=first.batch)
    else:
        mine = Delivery.objects.filter(free, batch=None, person=first.person_id, channel=first.channel)
        # The Monday mail is a message of its own.
        mine = mine.filter(pk=first.pk) if first.kind == MONDAY else mine.exclude(kind=MONDAY)
    ids = list(mine.order_by("due_at", "pk").values_list("pk", flat=True)[:MOST_IN_A_MESSAGE])
    batch, until = first.batch or uuid.uuid4(), now + CLAIMED_FOR
    attempts = first.attempts + 1
    Delivery.objects.filter(pk__in=ids).update(state=State.SENDING, claimed_until=until, batch=batch, attempts=attempts)
    rows = list(Delivery.objects.filter(pk__in=ids).select_related("person", "notice__workload").order_by("pk"))
    return Batch(batch, first.person, first.channel, until, rows)


def send(batch: Batch) -> None:
    """Send what may still be said, once, and note how it went."""
    row = NoticeSettings.objects.filter(person=batch.person).first()
    try:
        may = _still_told(batch, row)
        _settle(batch, [one for one in batch.rows if one not in may], State.DROPPED)
        if not may:
            return
        to = _destination(batch.person, batch.channel)
        # In the person's language, from the subject to what the channel adds.
        with translation.override(language_of(batch.person)):
            message = _message(batch, may, row)
            if to is None or message is None:
                _settle(batch, may, State.DROPPED)
                return
            channel_for(batch.channel).send(message, to)
    except ConnectorError as error:
        _failed(batch, str(error), permanent=error.permanent, retry_after_seconds=error.retry_after_seconds)
    except Exception as error:
        logger.exception("A message through %s could not be made or sent.", batch.channel)
        _failed(batch, f"Something went wrong here ({type(error).__name__}); the log says what.", permanent=False)
    else:
        _settle(batch, may, State.SENT)


def _still_told(batch: Batch, row: NoticeSettings | None) -> list[Delivery]:
    """Those whose roadmap the person still sees, and which they still want here."""
    person = batch.person
    if not person.is_active:
        return []
    wanted = {one.kind for one in batch.rows if batch.channel in channels_for(row.channels if row else {}, one.kind)}
    asked = {one.notice.workload_id for one in batch.rows if one.notice.workload_id is not None}
    seen = set(visible_workloads(Asker(person)).filter(pk__in=asked).values_list("pk", flat=True))
    return [
        one
        for one in batch.rows
        if one.kind in wanted
        and (one.notice.workload_id in seen or (one.notice.workload_id is None and _is_theirs(one, person)))
    ]


def _is_theirs(one: Delivery, person: User) -> bool:
    """What is of no roadmap: a person's own week, and what admins look after."""
    return one.kind == MONDAY or person.is_admin


def _destination(person: User, channel: str) -> Destination | None:
    if channel == MAIL:
        return Destination(mail=person.email) if person.email else None
    address = PersonAddress.objects.filter(person=person, channel=channel).first()
    if address is None:
        return None
    return Destination(sealed=bytes(address.sealed), may_be_private=person.is_admin)


def _message(batch: Batch, rows: Sequence[Delivery], row: NoticeSettings | None) -> Message | None:
    now = timezone.now()
    if rows[0].kind == MONDAY:
        return monday_message(batch.person, id=batch.id, today=now.astimezone(zone_of(row)).date(), now=now)
    return notices_message(batch.person, rows, id=batch.id, now=now)


def _ours(batch: Batch, rows: Iterable[Delivery]) -> QuerySet[Delivery]:
    """The rows that are still in our hands."""
    ids = [one.pk for one in rows]
    return Delivery.objects.filter(pk__in=ids, state=State.SENDING, batch=batch.id, claimed_until=batch.until)


def _settle(batch: Batch, rows: Sequence[Delivery], state: str) -> None:
    if rows:
        _ours(batch, rows).update(state=state, ended_at=timezone.now(), claimed_until=None, problem="")


def _failed(batch: Batch, problem: str, *, permanent: bool, retry_after_seconds: float | None = None) -> None:
    wait = None if permanent else wait_before_next(batch.rows[0].attempts, retry_after_seconds)
    now = timezone.now()
    if wait is None:
        _ours(batch, batch.rows).update(state=State.FAILED, ended_at=now, claimed_until=None, problem=problem)
    else:
        _ours(batch, batch.rows).update(state=State.WAITING, due_at=now + wait, claimed_until=None, problem=problem)
