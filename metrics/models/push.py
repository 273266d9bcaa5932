"""What makes a repeat harmless: ids of records, idempotency keys, and the last sample of a counter."""

import uuid

from django.db import models

from accounts.models import Token
from metrics.models.backend import Backend
from metrics.models.ledger import Receipt


class RecordId(models.Model):
    """A 16-byte hash of (workload, UTC day, id) of a pushed record, kept 35 days, so that an id counts once.

    Partitioned by day (`metrics.record_ids`). No foreign key: its check would cost as much as the row.
    """

    pk = models.CompositePrimaryKey("day", "digest")
    day = models.DateField()
    digest = models.UUIDField()
    receipt_id = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.day} {self.digest.hex}"


class IdempotencyKey(models.Model):
    """An Idempotency-Key, or the digest of a body sent without one, per token and path, for 24 hours."""

    token = models.ForeignKey(Token, on_delete=models.CASCADE, related_name="+")
    path = models.CharField(max_length=200)
    key_digest = models.BinaryField(max_length=32)
    body_digest = models.BinaryField(max_length=32)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    # The first answer; null while it is in flight.
    status = models.SmallIntegerField(null=True)
    answer = models.JSONField(null=True)
    receipt = models.ForeignKey(Receipt, on_delete=models.CASCADE, null=True, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["token", "path", "key_digest"], name="one_idempotency_key_per_token_and_path"
            )
        ]

    def __str__(self) -> str:
        return f"{self.path} {self.created_at:%Y-%m-%d %H:%M}"


class SeriesAllowance(models.Model):
    """How many series a token's pushes made on a UTC day; past a number, labels make no more of them."""

    token = models.ForeignKey(Token, on_delete=models.CASCADE, related_name="+")
    day = models.DateField()
    made = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["token", "day"], name="one_series_allowance_per_token_and_day")]

    def __str__(self) -> str:
        return f"{self.token_id} {self.day}: {self.made}"


class PushProblem(models.Model):
    """Why the last push of a token counted nothing, for who waits for it on Send data. It holds no data."""

    token = models.OneToOneField(Token, on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField()
    code = models.CharField(max_length=60)
    detail = models.TextField()

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.code}"


class ArrivedSignal(models.Model):
    """When usage last arrived with a token as one of OpenTelemetry's signals, counted or not."""

    token = models.ForeignKey(Token, on_delete=models.CASCADE, related_name="+")
    signal = models.CharField(max_length=8, choices=Token.Signal.choices)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["token", "signal"], name="one_arrival_per_token_and_signal")]

    def __str__(self) -> str:
        return f"{self.token_id} {self.signal} {self.at:%Y-%m-%d %H:%M}"


class CounterState(models.Model):
    """The last sample of one counter stream. It moves in the transaction that posts the difference."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    backend = models.ForeignKey(Backend, on_delete=models.CASCADE, null=True, blank=True, related_name="counter_states")
    stream_digest = models.BinaryField(max_length=16)
    # Who the stream is, the series it feeds and the last value, as `metrics.connector` writes them.
    state = models.JSONField()
    sampled_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["backend", "stream_digest"], name="one_state_per_stream", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return f"{self.backend_id} {bytes(self.stream_digest).hex()}"
