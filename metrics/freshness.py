"""How fresh a backend's figures are and when it is pulled next, in words. Plain values; no query, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils.translation import gettext

from metrics.connectors import connector_for
from metrics.errors import RuleViolation
from metrics.models import Backend
from metrics.sources import NOT_PULLED
from metrics.windows import DAY
from web import wording

# What a pull may be behind beyond two intervals and the hour that is not complete yet.
LATE_AFTER = timedelta(minutes=90)
SOON = timedelta(seconds=90)


@dataclass(frozen=True, slots=True)
class Freshness:
    """`text` is a sentence without its full stop; empty where there is nothing to say (pushed to, demo, removed)."""

    text: str
    is_late: bool = False


def freshness_of(backend: Backend, now: datetime) -> Freshness:
    """Say until when there is data, how long ago that was, and when the next pull comes."""
    if backend.connector in NOT_PULLED or backend.is_demo or not backend.is_enabled:
        until = backend.data_until
        if until is None or backend.is_demo:
            return Freshness("")
        return Freshness(gettext("Data until %(moment)s") % {"moment": _at(until, now)})
    late = is_late(backend, now)
    if backend.data_until is None:
        data = gettext("No data yet")
    elif late:
        data = gettext("Late: last data %(ago)s") % {"ago": wording.ago(backend.data_until, now)}
    else:
        data = gettext("Data until %(moment)s, %(ago)s") % {
            "moment": _at(backend.data_until, now),
            "ago": wording.ago(backend.data_until, now),
        }
    return Freshness("; ".join(part for part in (data, _next(backend, now)) if part), late)


def is_late(backend: Backend, now: datetime) -> bool:
    """Whether a pull should have brought data by now and did not."""
    if backend.connector in NOT_PULLED or backend.is_demo or not backend.is_enabled:
        return False
    since = backend.data_until or backend.created_at
    return now - since > timedelta(minutes=backend.pull_every_minutes) * 2 + LATE_AFTER + _lag(backend)


def _lag(backend: Backend) -> timedelta:
    """What a source that states whole days is always behind by."""
    try:
        is_daily = connector_for(backend.connector).finest_grain == "day"
    except RuleViolation:
        is_daily = False
    return DAY if is_daily else timedelta(0)


def _next(backend: Backend, now: datetime) -> str:
    if backend.resting_until is not None and backend.resting_until > now:
        until = _at(backend.resting_until, now)
        return gettext("the source asked to be left alone until %(moment)s") % {"moment": until}
    if backend.next_pull_at is None:
        return ""
    wait = backend.next_pull_at - now
    if wait > SOON:
        return gettext("next pull %(ago)s") % {"ago": wording.ago(backend.next_pull_at, now)}
    return gettext("next pull within two minutes") if wait > -LATE_AFTER else gettext("the next pull is overdue")


def _at(moment: datetime, now: datetime) -> str:
    """'14:00 UTC' on the same UTC day, else with its day: hours are UTC."""
    there = moment.astimezone(UTC)
    if there.date() == now.astimezone(UTC).date():
        return f"{there:%H:%M}{wording.NBSP}UTC"
    return wording.moment(there)
