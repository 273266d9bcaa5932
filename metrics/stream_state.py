"""The last point of each pushed cumulative stream, kept 35 days: one read and one write a push, whatever its size."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from metrics import rows
from metrics.models import CounterState
from metrics.together import together

KEPT_FOR = timedelta(days=35)
# A stream that only says the same again is written this often, so that it is not forgotten.
REFRESHED_AFTER = timedelta(days=1)


# Bounds of buckets are kept as the digest of them.
_encoded = msgspec.json.Encoder(enc_hook=str).encode


@dataclass(frozen=True, slots=True)
class LastPoint:
    """Its time in nanoseconds, and what it counted. `is_due`: it was written so long ago that it has to be again."""

    time_ns: int
    reading: dict[str, Any]
    is_due: bool


def hold(groups: Collection[bytes]) -> None:
    """Holds these groups of streams (16 bytes each) until the transaction ends, in one order for everybody.

    Two exports of one stream count one after the other, also where neither is known yet.
    """
    keys = sorted({int.from_bytes(group[:8], signed=True) for group in groups})
    with together() as send:
        send("SELECT pg_advisory_xact_lock(k) FROM unnest(%s::bigint[]) AS held (k)", [rows.literal(keys)])


def last_points(streams: Collection[bytes], now: datetime) -> dict[bytes, LastPoint]:
    """The last point of each of the streams that is known."""
    with together() as send:
        answer = send(
            "SELECT stream_digest, state::text, sampled_at < %s::timestamptz FROM metrics_counterstate"
            " WHERE backend_id IS NULL AND stream_digest = ANY(%s::bytea[])",
            [now - REFRESHED_AFTER, rows.digests(streams)],
        )
    found = {}
    for stream, text, is_due in answer.fetchall():
        state = msgspec.json.decode(text)
        found[bytes(stream)] = LastPoint(state["t"], state["v"], is_due)
    return found


def keep(points: Mapping[bytes, tuple[int, dict[str, Any]]], now: datetime) -> None:
    """Writes (time, reading) of these streams. Call it in the transaction that posts their differences."""
    if not points:
        return
    streams = sorted(points)
    states = [_encoded({"t": points[one][0], "v": points[one][1]}).decode() for one in streams]
    with together() as send:
        send(
            "INSERT INTO metrics_counterstate (id, backend_id, stream_digest, state, sampled_at)"
            " SELECT gen_random_uuid(), NULL, stream, state, %s::timestamptz"
            " FROM unnest(%s::bytea[], %s::jsonb[]) AS i (stream, state)"
            " ON CONFLICT (backend_id, stream_digest) DO UPDATE"
            " SET state = excluded.state, sampled_at = excluded.sampled_at",
            [now, rows.digests(streams), rows.documents(states)],
        )


def drop_expired(now: datetime) -> int:
    """Deletes the states of pushed streams that nothing was heard of for 35 days; returns how many."""
    dropped, _ = CounterState.objects.filter(backend=None, sampled_at__lt=now - KEPT_FOR).delete()
    return dropped
