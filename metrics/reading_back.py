"""How far a backfill has come, in words and as a bar, for the backend's page and the API."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils.translation import gettext, ngettext

from metrics import backfill
from metrics.actions.backfills import can_be_read_back, earliest_day, history_of
from metrics.models import Backend
from metrics.spoken import spoken
from web import wording

FEW_MONTHS = 3


@dataclass(frozen=True, slots=True)
class Reading:
    """`done` of `whole` days. `text`: how far it is. `note`: what it waits for or why it stopped; empty: it reads."""

    to: str
    text: str
    note: str
    done: int
    whole: int
    is_stopped: bool
    is_failed: bool


def reading_of(backend: Backend, now: datetime) -> Reading | None:
    """Return how far the backend's backfill has come; None where it has none. One query."""
    progress = backfill.progress(backend, now)
    if progress is None:
        return None
    return Reading(
        to=_day(progress.start),
        text=_text(progress),
        note=_note(progress, now),
        done=progress.days_done,
        whole=progress.days,
        is_stopped=progress.is_stopped,
        is_failed=bool(progress.problem),
    )


def history_words(backend: Backend) -> str:
    """Return how far this backend was and can be read back, in sentences; empty where it only knows the present."""
    if not can_be_read_back(backend.connector):
        return ""
    history = history_of(backend)
    words = []
    if backend.history_from is not None:
        words.append(gettext("Read back to %(day)s.") % {"day": _day(backend.history_from)})
    if history.days is not None:
        words.append(gettext("The source answers for the last %(days)s days.") % {"days": history.days})
    words.append(spoken(history.says))
    words.append(gettext("The earliest day is %(day)s.") % {"day": wording.day(earliest_day(history))})
    return " ".join(filter(None, words))


def _text(progress: backfill.Progress) -> str:
    if progress.months >= FEW_MONTHS:
        part = ngettext("%(done)s of %(count)s month", "%(done)s of %(count)s months", progress.months)
        part %= {"done": progress.months_done, "count": wording.count(progress.months)}
    else:
        part = ngettext("%(done)s of %(count)s day", "%(done)s of %(count)s days", progress.days)
        part %= {"done": progress.days_done, "count": wording.count(progress.days)}
    text = gettext("Read back to %(day)s, %(part)s") % {"day": _day(progress.cursor), "part": part}
    if progress.seconds_left is None or progress.is_stopped:
        return text
    return gettext("%(text)s, about %(time)s left") % {"text": text, "time": _about(progress.seconds_left)}


def _note(progress: backfill.Progress, now: datetime) -> str:
    if progress.is_stopped:
        if progress.problem:
            return gettext("Stopped: %(problem)s") % {"problem": spoken(progress.problem)}
        return gettext("Stopped by hand; what was read stays.")
    if progress.next_at is not None and progress.next_at > now:
        why = spoken(progress.problem) if progress.problem else gettext("The source asked to be left alone.")
        return gettext("%(why)s It goes on %(ago)s.") % {"why": why, "ago": wording.ago(progress.next_at, now)}
    if not progress.is_in_hand:
        return gettext("It waits for its turn: other backends are read back first, or no worker runs.")
    return ""


def _about(seconds: float) -> str:
    """'a minute', '20 minutes', '3 hours': rounded up, since nobody minds being done sooner."""
    left = timedelta(seconds=seconds)
    if left <= timedelta(minutes=1):
        return gettext("a minute")
    if left <= timedelta(hours=2):
        minutes = math.ceil(left / timedelta(minutes=1))
        return ngettext("%(count)s minute", "%(count)s minutes", minutes) % {"count": minutes}
    if left <= timedelta(days=2):
        hours = math.ceil(left / timedelta(hours=1))
        return ngettext("%(count)s hour", "%(count)s hours", hours) % {"count": hours}
    days = math.ceil(left / timedelta(days=1))
    return ngettext("%(count)s day", "%(count)s days", days) % {"count": wording.count(days)}


def _day(moment: datetime) -> str:
    return wording.day(moment.astimezone(settings.REPORTING_ZONE).date())
