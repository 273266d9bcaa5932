"""Working off the mails of reports: claimed one by one, handed over once, and settled.

Three commits a mail. The claim: nobody else has it for CLAIMED_FOR. 'Handing': written while the server has everything
but the last line; from then on nobody sends it again by itself. The outcome. Each holds only while the claim is ours,
so a worker that slept through it stops before the last line. What a killed worker leaves behind in `sending` was not
handed over and goes on with somebody else; what it leaves in `handing` becomes `unknown`.
"""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from accounts.access import Asker
from accounts.models import User
from metrics.errors import ConnectorError
from roadmap.mailing.compose import Letter, letter_of
from roadmap.mailing.hand_over import AnswerUnheard, Line, ServerAway, is_set_up
from roadmap.models import Report, ReportMail
from roadmap.queries.reports import visible_reports
from roadmap.rules.notices import MOST_ATTEMPTS, wait_before_next
from roadmap.rules.report_mail import clean_address

logger = logging.getLogger(__name__)

# Longer than a mail takes; where it takes longer still, the worker finds its claim gone and stops.
CLAIMED_FOR = timedelta(minutes=3)
WORK_SECONDS = 200.0
# So many workers mail at once; the others have their pulls to do.
AT_ONCE = 2
# A server that is away, or does not say what became of a mail, gets no other one until then.
SERVER_PAUSE = timedelta(minutes=1)
_LOCK = 0x5048_5250_4D41_494C
State = ReportMail.State


@dataclass(frozen=True, slots=True)
class Claim:
    """A mail that is ours until `until`."""

    mail: ReportMail
    id: uuid.UUID
    until: datetime


class _NoLongerOurs(Exception):  # noqa: N818 - what it says
    """Somebody else has taken it up meanwhile."""


def work_off(seconds: float = WORK_SECONDS) -> int:
    """Send what is due, for some minutes at most; how many were handed over. Without a mail server all of it waits."""
    if not is_set_up():
        return 0
    began, sent = time.monotonic(), 0
    give_up_on_left_behind(timezone.now())
    # A report's bytes are looked up once a run.
    letters = lru_cache(maxsize=8)(letter_of)
    with Line() as line:
        while time.monotonic() - began < seconds:
            claim = claim_one(timezone.now())
            if claim is None:
                break
            try:
                sent += _send(claim, line, letters(claim.mail.report_id, claim.mail.language))
            except ServerAway as error:
                _later(claim, error)
                # One that was sent: the server has enough of this connection, and the next one may be let in.
                if not sent:
                    _others_wait()
                break
            except AnswerUnheard:
                # Each mail that a server in trouble is given may end as one of which nobody knows.
                _others_wait()
                break
            except ConnectorError as error:
                _later(claim, error)
            except _NoLongerOurs:
                line.hang_up()
            except Exception as error:
                line.hang_up()
                logger.exception("The mail %s of a report could not be made or sent.", claim.mail.uuid)
                said = f"Something went wrong here ({type(error).__name__}); the log says what."
                _later(claim, ConnectorError(said, permanent=False))
    return sent


def give_up_on_left_behind(now: datetime) -> int:
    """What nobody takes up again; how many.

    What was being handed over when its worker went: nobody knows whether the server took it. And what was in hand each
    time that a worker went: it would take the next one along.
    """
    left = ReportMail.objects.filter(claimed_until__lte=now)
    unknown = left.filter(state=State.HANDING).update(
        state=State.UNKNOWN,
        ended_at=now,
        problem="The process was stopped while the mail server was taking it; it may have arrived.",
    )
    failed = left.filter(state=State.SENDING, attempts__gte=MOST_ATTEMPTS).update(
        state=State.FAILED,
        ended_at=now,
        problem="The process was stopped before the mail server was given it, at each attempt; the log may say why.",
    )
    return unknown + failed


@transaction.atomic
def claim_one(now: datetime) -> Claim | None:
    """Take the mail that is due longest; None where nothing is, or others have enough in hand."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    in_hand = ReportMail.objects.filter(state__in=[State.SENDING, State.HANDING], claimed_until__gt=now)
    if in_hand.count() >= AT_ONCE:
        return None
    free = ReportMail.objects.filter(state=State.WAITING, due_at__lte=now).order_by("due_at", "pk").first()
    if free is None:
        left = ReportMail.objects.filter(state=State.SENDING, claimed_until__lte=now)
        free = left.order_by("due_at", "pk").first()
    if free is None:
        return None
    id_, until = uuid.uuid4(), now + CLAIMED_FOR
    ReportMail.objects.filter(pk=free.pk).update(
        state=State.SENDING, claim=id_, claimed_until=until, attempts=F("attempts") + 1
    )
    mail = ReportMail.objects.select_related("subscription", "person").get(pk=free.pk)
    return Claim(mail, id_, until)


def _send(claim: Claim, line: Line, letter: Letter) -> int:
    """1 where the server took it; raises ConnectorError where it did not, AnswerUnheard where nobody knows."""
    mail = claim.mail
    why_not = _why_not(mail)
    if why_not:
        _settle(claim, State.SENDING, state=State.DROPPED, problem=why_not)
        return 0
    address = mail.person.email if mail.person else mail.address
    if not address:
        raise ConnectorError("No mail address of this person is known.", permanent=True)
    try:
        address = clean_address(address)
    except ValueError as error:
        raise ConnectorError(f"Nothing can be sent to this mail address: {error}.", permanent=True) from None
    finish = line.offer(address, letter.to(mail, address))
    # From here on, until the outcome is noted, a kill leaves it unknown.
    until = timezone.now() + CLAIMED_FOR
    if not _settle(claim, State.SENDING, state=State.HANDING, ended_at=None, claimed_until=until):
        raise _NoLongerOurs
    try:
        answer = finish()
    except AnswerUnheard as error:
        said = f"The mail server was given it and no answer was heard ({error}); it may have arrived."
        _settle(claim, State.HANDING, state=State.UNKNOWN, problem=said)
        raise
    except ConnectorError as error:
        # Refused after all: it is as before the last line.
        _settle(claim, State.HANDING, state=State.SENDING, ended_at=None)
        raise error from None
    # Also where somebody has given it up meanwhile: the answer is what counts.
    _settle(claim, State.HANDING, State.UNKNOWN, state=State.SENT, problem="", answer=answer[:300])
    return 1


def _why_not(mail: ReportMail) -> str:
    """Why it is not sent any more; '' where it is."""
    if mail.subscription is None or not mail.subscription.is_on:
        return "The subscription has ended."
    person = mail.person
    if mail.subscription.person_id is not None and (person is None or not _sees(person, mail.report_id)):
        return "This person does not see the report."
    return ""


def _sees(person: User, report_id: int) -> bool:
    return visible_reports(Asker(person)).filter(pk=report_id, state=Report.State.PUBLISHED).exists()


def _settle(claim: Claim, *held: str, **fields: object) -> bool:
    """Note how it stands, where it is still ours and in one of these states."""
    values = {"ended_at": timezone.now(), **fields}
    mine = ReportMail.objects.filter(pk=claim.mail.pk, claim=claim.id, state__in=held)
    return bool(mine.update(**values))


def _others_wait() -> None:
    """A server in trouble is asked with one mail a while, not with all: each of them keeps a worker waiting."""
    now = timezone.now()
    ReportMail.objects.filter(state=State.WAITING, due_at__lte=now).update(due_at=now + SERVER_PAUSE)


def _later(claim: Claim, error: ConnectorError) -> None:
    """Try again after a while, or not at all."""
    wait = None if error.permanent else wait_before_next(claim.mail.attempts, error.retry_after_seconds)
    if wait is None:
        _settle(claim, State.SENDING, state=State.FAILED, problem=str(error))
    else:
        _settle(
            claim, State.SENDING, state=State.WAITING, problem=str(error), due_at=timezone.now() + wait, ended_at=None
        )
