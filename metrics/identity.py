"""Which series a stream of usage is: found by its digest, made with its allocation where it is new."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from metrics.usage import MeasuredAt, SeriesKey


@dataclass(frozen=True, slots=True)
class SeriesIdentity:
    """Everything that tells one series from another. `workload_id` and `through_id` are for pushes only."""

    key: SeriesKey
    backend_id: int
    is_pushed: bool = False
    workload_id: int | None = None
    measured_at: MeasuredAt = MeasuredAt.SERVER
    through_id: int | None = None


def series_ids(identities: Iterable[SeriesIdentity], *, is_demo: bool = False) -> dict[SeriesIdentity, int]:
    """The id of each series, found or made, with the allocation that a new one begins with."""
    raise NotImplementedError
