"""A bound on how many series labels can make: past it, records count on the series without labels."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

from django.db import connection, transaction

from accounts.models import Token
from metrics import identity
from metrics.fold import Folded, unlabelled
from metrics.format import Batch
from metrics.identity import caches

NEW_SERIES_A_DAY = 1_000


# How many series the sender made today, with so many more counted in.
MadeSeries = Callable[[int], int]


def made_with(token: Token | None, now: datetime) -> MadeSeries:
    """Counts for a token. Raises ValueError without one: who has none counts in another way."""
    if token is None:
        raise ValueError("new series of no token")
    return lambda more: _made(token.pk, now, more)


def within_allowance(made: MadeSeries, folded: Folded, batch: Batch) -> bool:
    """Moves what goes past the sender's 1,000 new series of the UTC day onto series without labels, with a warning.

    Returns whether the batch makes a new series. A series without labels is always made: there are as many as there
    are models and operations, and no plainer series to count on.
    """
    unknown = identity.unknown(folded.identities)
    if not unknown:
        return False
    labelled = sorted((one for one in unknown if one.key.labels), key=lambda one: one.digest)
    plain = {one for one in unknown if not one.key.labels}
    left = max(0, NEW_SERIES_A_DAY - made(0) - len(plain)) if labelled else 0
    past = set(labelled[left:])
    if past:
        cells = sum(1 for one, _, _ in folded.cells if one in past)
        batch.warn(
            "too_many_series",
            f"More than {NEW_SERIES_A_DAY:,} new series of this sender today: counted without labels ({cells} sums).",
            len(past),
        )
        folded.without_labels(past)
        plain |= identity.unknown({unlabelled(one) for one in past})
    new = len(plain) + len(labelled) - len(past)
    if new:
        made(new)
    return bool(new)


# By token: the last day on which it was seen to have made all that it may. What it made of a day only grows.
_used_up: dict[int, date] = {}
caches.append(_used_up)


def _made(token_id: int, now: datetime, more: int) -> int:
    """How many series the token made today, `more` counted in, or the limit where it has reached that.

    Holds the row, so that two pushes count in turn; not of a token that makes no more.
    """
    day = now.astimezone(UTC).date()
    if not more and _used_up.get(token_id) == day:
        return NEW_SERIES_A_DAY
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO metrics_seriesallowance (token_id, day, made) VALUES (%s, %s, %s)"
            " ON CONFLICT (token_id, day) DO UPDATE SET made = metrics_seriesallowance.made + excluded.made"
            " RETURNING made",
            [token_id, day, more],
        )
        made = int(cursor.fetchone()[0])
    if made >= NEW_SERIES_A_DAY:
        transaction.on_commit(lambda: _used_up.__setitem__(token_id, day))
    return made
