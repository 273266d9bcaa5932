"""What makes a repeated push harmless: the answer to an Idempotency-Key, and the ids of records."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b, sha256
from typing import Any

import msgspec
from django.utils import timezone
from psycopg import Cursor

from accounts.models import Token
from metrics import record_ids
from metrics.errors import RuleViolation
from metrics.format import ID_DAYS, Batch
from metrics.models import IdempotencyKey, Receipt
from metrics.receipt_ids import receipt_params, receipt_ref
from metrics.together import afterwards, together

KEPT_FOR = timedelta(hours=24)
MAX_KEY_CHARACTERS = 255


class KeyViolation(RuleViolation):
    """The key is in flight (409, the same may be sent again after a second), or was used for another body (422)."""

    def __init__(self, code: str, message: str, *, status: int) -> None:
        super().__init__(code, message)
        self.status = status


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """What a request was answered: the HTTP status, and the document."""

    status: int
    answer: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PushKey:
    """The Idempotency-Key of a request, or the digest of its body where it has none, for one token and path."""

    token: Token
    path: str
    digest: bytes
    body_digest: bytes

    @classmethod
    def of(cls, token: Token, path: str, body: bytes, key: str | None) -> PushKey:
        """Raises RuleViolation for a key that is none."""
        if key is not None and not 1 <= len(key) <= MAX_KEY_CHARACTERS:
            raise RuleViolation("bad_key", f"Idempotency-Key: 1 to {MAX_KEY_CHARACTERS} characters.")
        body_digest = sha256(body).digest()
        digest = sha256(b"key " + key.encode()) if key is not None else sha256(b"body " + body_digest)
        return cls(token, path, digest.digest(), body_digest)

    def claim(self, now: datetime) -> tuple[FirstAnswer | None, int]:
        """What the first request with this key was answered, or None; and an id for the receipt of this one.

        As `lock` and `first_answer`, in one round trip.
        """
        with together() as send:
            self.lock()
            row = self._ask(now)
            receipt = send("SELECT nextval(pg_get_serial_sequence('metrics_receipt', 'id'))")
        return self._first(row), receipt.fetchone()[0]  # type: ignore[index]

    def lock(self) -> None:
        """Holds the key until the transaction ends. Raises KeyViolation where another request holds it."""
        with together() as send:
            locked = send("SELECT pg_try_advisory_xact_lock(%s::bigint)", [self._lock_number()])
            afterwards(lambda: _raise_in_flight(locked))

    def must_be_new(self, now: datetime) -> None:
        """Holds the key until the transaction ends, which fails where another request holds it or was answered.

        For `at_once`; `claim` says which of the two it is.
        """
        with together() as send:
            send(
                "SELECT metrics_claim(%s::bigint, %s::bigint, %s, %s::bytea, %s::timestamptz)",
                [self._lock_number(), self.token.pk, self.path, self.digest, now - KEPT_FOR],
            )

    def _lock_number(self) -> int:
        mixed = blake2b(self.digest + self.path.encode() + str(self.token.pk).encode(), digest_size=8).digest()
        return int.from_bytes(mixed, signed=True)

    def first_answer(self, now: datetime) -> FirstAnswer | None:
        """What the first request with this key was answered within 24 hours. Raises KeyViolation for another body."""
        with together():
            row = self._ask(now)
        return self._first(row)

    def _ask(self, now: datetime) -> Cursor[Any]:
        with together() as send:
            return send(
                "SELECT body_digest, status, answer FROM metrics_idempotencykey WHERE token_id = %s::bigint "
                "AND path = %s AND key_digest = %s::bytea AND created_at > %s::timestamptz AND answer IS NOT NULL",
                [self.token.pk, self.path, self.digest, now - KEPT_FOR],
            )

    def _first(self, row: Cursor[Any]) -> FirstAnswer | None:
        found = row.fetchone()
        if found is None:
            return None
        body_digest, status, answer = found
        if bytes(body_digest) != self.body_digest:
            raise KeyViolation(
                "key_reused", "This Idempotency-Key was used for another body. Take a new one.", status=422
            )
        return FirstAnswer(status, json.loads(answer) if isinstance(answer, str) else answer)

    def remember(self, receipt: Receipt, status: int, answer: dict[str, Any]) -> None:
        """Keeps the answer in the transaction of what it answers."""
        with together() as send:
            send(
                "INSERT INTO metrics_idempotencykey "  # noqa: S608 - a placeholder, or the sequence's last number
                "(token_id, path, key_digest, body_digest, created_at, status, answer, receipt_id) VALUES "
                "(%s::bigint, %s, %s::bytea, %s::bytea, %s::timestamptz, %s::smallint, %s::jsonb, "
                f"{receipt_ref(receipt)}) "
                # One of more than 24 hours ago makes room.
                "ON CONFLICT (token_id, path, key_digest) DO UPDATE SET body_digest = EXCLUDED.body_digest, "
                "created_at = EXCLUDED.created_at, status = EXCLUDED.status, answer = EXCLUDED.answer, "
                "receipt_id = EXCLUDED.receipt_id",
                [
                    self.token.pk,
                    self.path,
                    self.digest,
                    self.body_digest,
                    timezone.now(),
                    status,
                    msgspec.json.encode(answer).decode(),
                    *receipt_params(receipt),
                ],
            )


def _raise_in_flight(locked: Cursor[Any]) -> None:
    if not locked.fetchone()[0]:  # type: ignore[index]
        raise KeyViolation("key_in_flight", "The same request is being worked on. Ask again in a second.", status=409)


def drop_repeats(batch: Batch, workload_ids: Sequence[int | None], receipt_id: int) -> int:
    """Takes records out whose id was counted already for their workload and UTC day; returns how many.

    `workload_ids` has the workload of each record. The ids of the others are kept from now on, for the receipt. Waits
    for a push in flight that holds one of the same ids.
    """
    if "id" not in batch.fields:
        return 0
    places = _places(batch, workload_ids)
    named: dict[date, set[bytes]] = defaultdict(set)
    count = 0
    for day, digests in places.digests.items():
        named[day].update(digests)
        count += len(digests)
    if not count:
        return 0
    new = record_ids.keep(named, receipt_id)
    if new is None:
        if count == sum(map(len, named.values())):
            return 0
        new = named
    records, indexes, repeats = [], [], 0
    for record, index, place in zip(batch.records, batch.indexes, places.in_order(), strict=True):
        if place is not None:
            day, digest = place
            if digest not in new[day]:
                repeats += 1
                continue
            # The second of two equal ids in one batch is a repeat as well.
            new[day].discard(digest)
        records.append(record)
        indexes.append(index)
    batch.records, batch.indexes = records, indexes
    return repeats


@dataclass(slots=True)
class _Places:
    """The digests of the records' ids by UTC day, and the day of each record; None of one without id."""

    digests: dict[date, list[bytes]]
    days: list[date | None]

    def in_order(self) -> Iterator[tuple[date, bytes] | None]:
        """(day, digest) of each record."""
        following = {day: iter(digests) for day, digests in self.digests.items()}
        for day in self.days:
            yield None if day is None else (day, next(following[day]))


def _places(batch: Batch, workload_ids: Sequence[int | None]) -> _Places:
    first, last = (at.astimezone(UTC).date() for at in batch.span)
    ids = [record.id for record in batch.records]
    if first == last and None not in ids and len(set(workload_ids)) == 1:
        # One day and one workload, as most batches are.
        head = _head(workload_ids[0], first)
        digests = [blake2b(head + name.encode(), digest_size=16).digest() for name in ids]  # type: ignore[union-attr]
        return _Places({first: digests}, [first] * len(ids))
    found: dict[date, list[bytes]] = defaultdict(list)
    days: list[date | None] = []
    times = [record.timestamp for record in batch.records]
    for at, name, workload_id in zip(times, ids, workload_ids, strict=True):
        if name is None:
            days.append(None)
            continue
        day = at.astimezone(UTC).date()
        found[day].append(blake2b(_head(workload_id, day) + name.encode(), digest_size=16).digest())
        days.append(day)
    return _Places(found, days)


def _head(workload_id: int | None, day: date) -> bytes:
    return f"{workload_id or 0} {day} ".encode()


def release(receipt: Receipt) -> None:
    """Forgets ids and key of a push that was taken back, so that a corrected one counts."""
    if receipt.window_start is not None and receipt.window_end is not None:
        first, last = (at.astimezone(UTC).date() for at in (receipt.window_start, receipt.window_end))
        record_ids.forget(receipt.pk, first, last)
    IdempotencyKey.objects.filter(receipt=receipt).delete()


def drop_expired(now: datetime) -> tuple[int, int]:
    """Deletes keys after 24 hours and days of ids after 35 days; returns how many of each."""
    keys, _ = IdempotencyKey.objects.filter(created_at__lt=now - KEPT_FOR).delete()
    return keys, record_ids.drop_before(now.astimezone(UTC).date() - timedelta(days=ID_DAYS - 1))
