"""What makes a repeated push harmless: the answer to an Idempotency-Key, and the ids of records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b, sha256
from typing import Any

from django.db import connection
from django.utils import timezone

from accounts.models import Token
from metrics.errors import RuleViolation
from metrics.format import ID_DAYS, Batch, Record
from metrics.models import IdempotencyKey, Receipt, RecordId

KEPT_FOR = timedelta(hours=24)
MAX_KEY_CHARACTERS = 255


class KeyViolation(RuleViolation):
    """The key is in flight (409, the same may be sent again after a second), or was used for another body (422)."""

    def __init__(self, code: str, message: str, *, status: int) -> None:
        super().__init__(code, message)
        self.status = status


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

    def lock(self) -> None:
        """Holds the key until the transaction ends. Raises KeyViolation where another request holds it."""
        mixed = blake2b(self.digest + self.path.encode() + str(self.token.pk).encode(), digest_size=8).digest()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [int.from_bytes(mixed, signed=True)])
            if not cursor.fetchone()[0]:
                raise KeyViolation(
                    "key_in_flight", "The same request is being worked on. Ask again in a second.", status=409
                )

    def first_answer(self, now: datetime) -> IdempotencyKey | None:
        """The row of the first request with this key within 24 hours. Raises KeyViolation for another body."""
        row = IdempotencyKey.objects.filter(
            token=self.token,
            path=self.path,
            key_digest=self.digest,
            created_at__gt=now - KEPT_FOR,
            answer__isnull=False,
        ).first()
        if row is not None and bytes(row.body_digest) != self.body_digest:
            raise KeyViolation(
                "key_reused", "This Idempotency-Key was used for another body. Take a new one.", status=422
            )
        return row

    def remember(self, receipt: Receipt, status: int, answer: dict[str, Any]) -> None:
        """Keeps the answer in the transaction of what it answers."""
        row = IdempotencyKey(
            token=self.token,
            path=self.path,
            key_digest=self.digest,
            body_digest=self.body_digest,
            created_at=timezone.now(),
            status=status,
            answer=answer,
            receipt=receipt,
        )
        # One of more than 24 hours ago makes room.
        IdempotencyKey.objects.bulk_create(
            [row],
            update_conflicts=True,
            unique_fields=["token", "path", "key_digest"],
            update_fields=["body_digest", "created_at", "status", "answer", "receipt"],
        )


def drop_repeats(batch: Batch, workload_ids: Sequence[int | None], receipt_id: int) -> int:
    """Takes records out whose id was counted already for their workload and UTC day; returns how many.

    `workload_ids` has the workload of each record. The ids of the others are kept from now on, for the receipt. Waits
    for a push in flight that holds one of the same ids.
    """
    if "id" not in batch.fields:
        return 0
    digests = [
        None if record.id is None else _id_digest(record, workload_id)
        for record, workload_id in zip(batch.records, workload_ids, strict=True)
    ]
    named = sorted({digest for digest in digests if digest is not None})
    if not named:
        return 0
    new = _keep_ids(named, receipt_id)
    records, indexes, repeats = [], [], 0
    for record, index, digest in zip(batch.records, batch.indexes, digests, strict=True):
        if digest is None:
            pass
        elif digest in new:
            # The second of two equal ids in one batch is a repeat as well.
            new.discard(digest)
        else:
            repeats += 1
            continue
        records.append(record)
        indexes.append(index)
    batch.records, batch.indexes = records, indexes
    return repeats


def _id_digest(record: Record, workload_id: int | None) -> tuple[date, bytes]:
    day = record.timestamp.astimezone(UTC).date()
    return day, blake2b(f"{workload_id or 0} {day} {record.id}".encode(), digest_size=16).digest()


def _keep_ids(named: list[tuple[date, bytes]], receipt_id: int) -> set[tuple[date, bytes]]:
    """Inserts them in order, so that two pushes cannot wait for each other; returns those that were new."""
    days, digests = [day for day, _ in named], [digest for _, digest in named]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO metrics_recordid (day, digest, receipt_id)"
            " SELECT day, digest, %s FROM unnest(%s::date[], %s::bytea[]) AS named (day, digest)"
            " ON CONFLICT (day, digest) DO NOTHING",
            [receipt_id, days, digests],
        )
        if cursor.rowcount == len(named):
            return set(named)
    kept = RecordId.objects.filter(receipt_id=receipt_id, day__in=set(days)).values_list("day", "digest")
    return {(day, bytes(digest)) for day, digest in kept}


def release(receipt: Receipt) -> None:
    """Forgets ids and key of a push that was taken back, so that a corrected one counts."""
    RecordId.objects.filter(receipt=receipt).delete()
    IdempotencyKey.objects.filter(receipt=receipt).delete()


def drop_expired(now: datetime) -> tuple[int, int]:
    """Deletes keys after 24 hours and ids after 35 days; returns how many of each."""
    keys, _ = IdempotencyKey.objects.filter(created_at__lt=now - KEPT_FOR).delete()
    first_on = now.astimezone(UTC).date() - timedelta(days=ID_DAYS - 1)
    ids, _ = RecordId.objects.filter(day__lt=first_on).delete()
    return keys, ids
