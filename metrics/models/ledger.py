"""The append-only ledger. Only `metrics.ledger` writes here."""

import uuid
from decimal import Decimal

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.models import Token, Workload
from metrics.models.backend import Backend
from metrics.models.measures import AdditiveMeasures
from metrics.models.series import Series
from metrics.usage import FeedKind


class Feed(models.Model):
    """One source of one kind of fact. There is one push feed per backend; the feed's id is its advisory lock."""

    kind = models.CharField(max_length=16, choices=[(k.value, k.value) for k in FeedKind])
    backend = models.ForeignKey(Backend, on_delete=models.PROTECT, null=True, blank=True, related_name="feeds")
    name = models.CharField(max_length=100, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "backend", "name"], name="one_feed_per_source_and_kind", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.backend or self.name}"


class Receipt(models.Model):
    """One accepted push, pull window, import or posting: who, when, how much."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(
        max_length=16,
        choices=[(k.value, k.value) for k in FeedKind] + [("reversal", "reversal"), ("reprice", "reprice")],
    )
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    token = models.ForeignKey(Token, on_delete=models.SET_NULL, null=True, blank=True, related_name="receipts")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    backend = models.ForeignKey(Backend, on_delete=models.SET_NULL, null=True, blank=True, related_name="receipts")
    workload = models.ForeignKey(Workload, on_delete=models.SET_NULL, null=True, blank=True, related_name="receipts")
    # When the source said it; an hour stated with a later one is left alone.
    as_of = models.DateTimeField(null=True, blank=True)
    window_start = models.DateTimeField(null=True, blank=True)
    window_end = models.DateTimeField(null=True, blank=True)
    accepted = models.BigIntegerField(default=0)
    duplicates = models.BigIntegerField(default=0)
    not_priced = models.BigIntegerField(default=0)
    # Records whose sender stated their cost, so that it is nobody's estimate here.
    stated_costs = models.BigIntegerField(default=0)
    # [{"index", "code", "detail"}], at most 100; `rejected_count` counts all.
    rejected = models.JSONField(default=list, blank=True)
    rejected_count = models.BigIntegerField(default=0)
    warnings = models.JSONField(default=list, blank=True)
    note = models.CharField(max_length=300, blank=True, default="")
    reverses = models.OneToOneField("self", on_delete=models.PROTECT, null=True, blank=True, related_name="reversed_by")
    # True for a receipt that was taken back and for the one that took it back: their entries cancel out, and neither
    # makes a measure known.
    is_void = models.BooleanField(default=False)
    is_demo = models.BooleanField(default=False)
    # Old receipts of a day are thinned: one that stays has the numbers of those that went (metrics.compaction).
    stands_for = models.BigIntegerField(default=1)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["workload", "-created_at"]), models.Index(fields=["token", "-created_at"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.uuid}"

    @property
    def differences(self) -> list[tuple[str, Decimal]]:
        """(currency, amount) of what it corrected."""
        found: dict[str, Decimal] = {}
        for row in self.restatements.all():
            if row.amount is not None:
                found[row.currency] = found.get(row.currency, Decimal(0)) + row.amount
        return sorted(found.items())


class LedgerEntry(AdditiveMeasures):
    """Signed differences of one series in one UTC hour, from one feed, by one receipt.

    No foreign keys: checked row by row they cost as much as the rows. ADR 0016 says what stands in for them.
    """

    receipt = models.ForeignKey(Receipt, on_delete=models.PROTECT, related_name="entries", db_constraint=False)
    feed = models.ForeignKey(
        Feed, on_delete=models.PROTECT, related_name="entries", db_index=False, db_constraint=False
    )
    series = models.ForeignKey(
        Series, on_delete=models.PROTECT, related_name="entries", db_index=False, db_constraint=False
    )
    hour = models.DateTimeField()
    currency = models.CharField(max_length=3, blank=True, default="")
    # More than one where old entries were merged into this one (metrics.compaction).
    postings = models.IntegerField(db_default=1)

    class Meta:
        indexes = [
            models.Index(fields=["feed", "hour", "series"]),
            models.Index(fields=["series", "hour"]),
        ]

    def __str__(self) -> str:
        return f"{self.series_id} {self.hour:%Y-%m-%d %H}:00 of receipt {self.receipt_id}"


class CapacityDue(models.Model):
    """Hours of a backend whose capacity is to be shared out again, since usage came late or a card or link changed.

    Written in the transaction that is the reason, taken away by `metrics.capacity` once they are posted.
    """

    backend = models.ForeignKey(Backend, on_delete=models.CASCADE, related_name="capacity_due")
    # Half-open, full UTC hours.
    start = models.DateTimeField()
    end = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.backend} from {self.start:%Y-%m-%d %H}:00"


class Restatement(models.Model):
    """What a receipt corrected of one series in hours that its source had stated days before; for those who explain."""

    receipt = models.ForeignKey(Receipt, on_delete=models.CASCADE, related_name="restatements")
    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="+")
    first_hour = models.DateTimeField()
    last_hour = models.DateTimeField()
    # None where only counts were corrected.
    amount = models.DecimalField(max_digits=30, decimal_places=10, null=True)
    currency = models.CharField(max_length=3, blank=True, default="")

    def __str__(self) -> str:
        return f"{self.series_id} from {self.first_hour:%Y-%m-%d %H}:00 by receipt {self.receipt_id}"


class HistogramBounds(models.Model):
    """Foreign bucket bounds in milliseconds, kept so that a percentile can be printed as the bucket it fell in."""

    bounds_ms = models.JSONField()
    digest = models.BinaryField(max_length=16, unique=True)

    def __str__(self) -> str:
        return f"{len(self.bounds_ms)} bounds"


class LedgerHistogram(models.Model):
    """The signed bucket counts that came with an entry. `window`: first bucket, then counts (metrics.histogram)."""

    entry = models.ForeignKey(LedgerEntry, on_delete=models.CASCADE, related_name="histograms", db_constraint=False)
    measure = models.SmallIntegerField()
    # None: native counts, in our own buckets from the start.
    bounds = models.ForeignKey(
        HistogramBounds, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    window = ArrayField(models.BigIntegerField())

    def __str__(self) -> str:
        return f"histogram of entry {self.entry_id}"


class PendingHistograms(models.Model):
    """A push of many cells whose histograms are in the ledger and not yet in the hours (`metrics.behind`)."""

    receipt = models.OneToOneField(Receipt, on_delete=models.CASCADE, primary_key=True, related_name="+")

    class Meta:
        verbose_name_plural = "pending histograms"

    def __str__(self) -> str:
        return f"histograms of receipt {self.receipt_id}"


class StatedWindow(models.Model):
    """Up to when a feed's hours [start, end) are stated, so that an older answer that arrives late changes nothing.

    Kept for a week of statements: no answer is under way for longer.
    """

    feed = models.ForeignKey(Feed, on_delete=models.CASCADE, related_name="+", db_index=False)
    start = models.DateTimeField()
    end = models.DateTimeField()
    as_of = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["feed", "end"])]
        constraints = [
            models.CheckConstraint(condition=models.Q(end__gt=models.F("start")), name="stated_window_not_empty")
        ]

    def __str__(self) -> str:
        return f"feed {self.feed_id} as of {self.as_of:%Y-%m-%d %H:%M}"
