"""Which of OpenTelemetry's signals arrive with a token, and whether the one that counts is among them.

A token counts one signal, so that an application that sends both is counted once. Where only the other one arrives,
somebody has to decide: `undecided` names these tokens.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.models import Token
from metrics.models import ArrivedSignal

# A signal that has not come for this long comes no more.
ARRIVES_WITHIN = timedelta(days=7)
# Written at most this often, so that a push does not write a hot row each time.
GRAIN = timedelta(minutes=1)


# When this process last kept it, by token and signal.
_noted: dict[tuple[int, str], datetime] = {}
MAX_NOTED = 10_000


def note_arrival(token: Token, signal: str, *, now: datetime | None = None) -> bool:
    """Keeps that usage arrived as this signal, once a minute at most; returns whether it did. One statement or none."""
    now = now or timezone.now()
    noted = _noted.get((token.pk, signal))
    if noted is not None and timedelta(0) <= now - noted < GRAIN:
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO metrics_arrivedsignal (token_id, signal, at) VALUES (%s, %s, %s)"
            " ON CONFLICT (token_id, signal) DO UPDATE SET at = excluded.at WHERE metrics_arrivedsignal.at < %s",
            [token.pk, signal, now, now - GRAIN],
        )
        is_kept = bool(cursor.rowcount)
    transaction.on_commit(lambda: _remember((token.pk, signal), now))
    return is_kept


def _remember(key: tuple[int, str], at: datetime) -> None:
    if len(_noted) >= MAX_NOTED:
        _noted.clear()
    _noted[key] = at


def has_arrived(token: Token, signal: str, *, now: datetime) -> bool:
    """Whether this signal has come with the token lately."""
    return ArrivedSignal.objects.filter(token=token, signal=signal, at__gt=now - ARRIVES_WITHIN).exists()


def undecided(now: datetime | None = None) -> QuerySet[Token]:
    """The tokens that only a signal arrives with which they do not count."""
    arrived = ArrivedSignal.objects.filter(token=OuterRef("pk"), at__gt=(now or timezone.now()) - ARRIVES_WITHIN)
    return (
        Token.objects.filter(Exists(arrived.exclude(signal=OuterRef("signal"))), revoked_at=None)
        .filter(Q(expires_at=None) | Q(expires_at__gt=now or timezone.now()))
        .exclude(Exists(arrived.filter(signal=OuterRef("signal"))))
        .select_related("owner", "workload")
        .order_by("name", "pk")
    )
