"""A bound on how many series labels can make: past it, records count on the series without labels."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from django.db import connection

from accounts.models import Token
from metrics import identity
from metrics.fold import Folded, unlabelled
from metrics.format import Batch

NEW_SERIES_A_DAY = 1_000


# How many series the sender made today, with so many more counted in.
MadeSeries = Callable[[int], int]


def made_with(token: Token | None, now: datetime) -> MadeSeries:
    """Counts for a token. Raises ValueError without one: who has none counts in another way."""
    if token is None:
        raise ValueError("new series of no token")
    return lambda more: _made(token, now, more)


def within_allowance(made: MadeSeries, folded: Folded, batch: Batch) -> bool:
    """Moves what goes past the sender's 1,000 new series of the UTC day onto series without labels, with a warning.

    Returns whether the batch makes any new series. A series without labels is always made: there are as many as there
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
    made(len(plain) + len(labelled) - len(past))
    return True


def _made(token: Token, now: datetime, more: int) -> int:
    """How many series the token made today, `more` counted in. Holds the row, so that two pushes count in turn."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO metrics_seriesallowance (token_id, day, made) VALUES (%s, %s, %s)"
            " ON CONFLICT (token_id, day) DO UPDATE SET made = metrics_seriesallowance.made + excluded.made"
            " RETURNING made",
            [token.pk, now.astimezone(UTC).date(), more],
        )
        return int(cursor.fetchone()[0])
