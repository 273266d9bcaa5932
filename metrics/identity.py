"""Which series a stream of usage is: found by its digest, made with its allocation where it is new."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from django.db import transaction

from metrics import allocating
from metrics.models import Backend, Series
from metrics.usage import MeasuredAt, SeriesKey

CACHE_SIZE = 20_000


class SeriesGone(RuntimeError):  # noqa: N818 - says what is so
    """A series or feed was deleted while usage was being posted to it. Roll back and try again: it is made anew."""


@dataclass(frozen=True, slots=True)
class SeriesIdentity:
    """Everything that tells one series from another. `workload_id` and `through_id` are for pushes only."""

    key: SeriesKey
    backend_id: int
    is_pushed: bool = False
    workload_id: int | None = None
    measured_at: MeasuredAt = MeasuredAt.SERVER
    through_id: int | None = None
    # A push of many series asks for it a dozen times each.
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        told = (self.key, self.backend_id, self.is_pushed, self.workload_id, self.measured_at, self.through_id)
        object.__setattr__(self, "_hash", hash(told))

    def __hash__(self) -> int:
        return self._hash

    @property
    def digest(self) -> bytes:
        """The 16 bytes by which the series is found, whatever the order of its labels."""
        key = self.key
        told = [
            str(key.kind),
            key.provider,
            self.backend_id,
            key.model,
            key.operation,
            key.service_tier,
            sorted(key.labels),
            self.workload_id,
            self.is_pushed,
            str(self.measured_at),
            self.through_id,
        ]
        return blake2b(json.dumps(told, separators=(",", ":")).encode(), digest_size=16).digest()


_ids: dict[SeriesIdentity, int] = {}
# Every cache of ids that this process keeps, so that all are emptied when one of them turns out to be wrong.
caches: list[dict[Any, Any]] = [_ids]


def forget() -> None:
    """Empty this process's caches of ids."""
    for cache in caches:
        cache.clear()


def series_ids(identities: Iterable[SeriesIdentity], *, is_demo: bool = False) -> dict[SeriesIdentity, int]:
    """The id of each series, found or made; a new one is placed (metrics.allocating).

    One query where some are not in this process's cache, a few more where some are new. Ids are cached once their
    transaction is committed. Whoever makes new series calls `counting.recount` for their backends: compare with
    `is_known` before.
    """
    wanted = list(dict.fromkeys(identities))
    found = {identity: _ids[identity] for identity in wanted if identity in _ids}
    missing = {identity.digest: identity for identity in wanted if identity not in found}
    if missing:
        with transaction.atomic():
            new = _find(missing, found)
            if new:
                _make(new, is_demo=is_demo)
                _find(new, found)
        transaction.on_commit(lambda: _remember({identity: found[identity] for identity in missing.values()}))
    return found


def unknown(identities: Iterable[SeriesIdentity]) -> set[SeriesIdentity]:
    """Those that no series exists for yet. One query for those that are not in this process's cache."""
    missing = {identity.digest: identity for identity in identities if identity not in _ids}
    return set(_find(missing, {}).values()) if missing else set()


def all_cached(identities: Iterable[SeriesIdentity]) -> bool:
    """Whether this process has met all of these series, so that neither `series_ids` nor `unknown` asks."""
    return all(identity in _ids for identity in identities)


def _remember(ids: dict[SeriesIdentity, int]) -> None:
    if len(_ids) + len(ids) > CACHE_SIZE:
        _ids.clear()
    _ids.update(ids)


def _find(missing: dict[bytes, SeriesIdentity], found: dict[SeriesIdentity, int]) -> dict[bytes, SeriesIdentity]:
    """Put ids of existing series into `found`; return those that do not exist."""
    rows = Series.objects.filter(digest__in=list(missing)).values_list("digest", "pk")
    seen = {bytes(digest): pk for digest, pk in rows}
    for digest, pk in seen.items():
        found[missing[digest]] = pk
    return {digest: identity for digest, identity in missing.items() if digest not in seen}


def _make(new: dict[bytes, SeriesIdentity], *, is_demo: bool) -> None:
    allocating.hold_rules()
    defaults = dict(
        Backend.objects.filter(pk__in={identity.backend_id for identity in new.values()}).values_list(
            "pk", "default_workload_id"
        )
    )
    made = Series.objects.bulk_create(
        [
            Series(
                digest=digest,
                kind=str(identity.key.kind),
                provider=identity.key.provider,
                backend_id=identity.backend_id,
                model=identity.key.model,
                operation=identity.key.operation,
                service_tier=identity.key.service_tier,
                labels=dict(identity.key.labels),
                workload_id=identity.workload_id,
                is_pushed=identity.is_pushed,
                measured_at=str(identity.measured_at),
                through_id=identity.through_id,
                default_workload_id=None if identity.is_pushed else defaults.get(identity.backend_id),
                is_demo=is_demo,
            )
            # In order of digest, so that two processes that make the same ones wait and do not lock up.
            for digest, identity in sorted(new.items())
        ],
        ignore_conflicts=True,
    )
    digests = [bytes(series.digest) for series in made]
    allocating.place(Series.objects.filter(digest__in=digests).order_by("pk"), allocating.rules_in_order())


def when_gone() -> SeriesGone:
    """The error of a series or feed that was deleted. Forgets what this process remembers of ids."""
    forget()
    return SeriesGone("a series of this usage was deleted meanwhile; try again")
