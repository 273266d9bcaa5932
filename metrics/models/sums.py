"""Sums of the ledger per UTC hour, updated in the transaction that posts, rebuildable at any time.

Foreign keys of tables that every posting writes have no index of their own where a unique constraint begins with them,
or where nothing is ever looked up by them.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from metrics.models.ledger import HistogramBounds
from metrics.models.measures import AdditiveMeasures
from metrics.models.series import Series


class UsageHour(AdditiveMeasures):
    """What a series did in one UTC hour: the sum of its ledger entries. A row per currency ('' for none)."""

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="hours", db_index=False)
    hour = models.DateTimeField()
    currency = models.CharField(max_length=3, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["series", "hour", "currency"], name="one_usage_hour_per_series_and_currency"
            )
        ]
        indexes = [models.Index(fields=["hour"])]

    def __str__(self) -> str:
        return f"{self.series_id} {self.hour:%Y-%m-%d %H}:00"


class HistogramHour(models.Model):
    """Merged bucket counts of one latency measure of a series in one UTC hour, native and foreign apart."""

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="+", db_index=False)
    hour = models.DateTimeField()
    measure = models.SmallIntegerField()
    bounds = models.ForeignKey(
        HistogramBounds, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    window = ArrayField(models.BigIntegerField())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["series", "hour", "measure", "bounds"],
                name="one_histogram_per_series_hour_and_bounds",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.series_id} {self.hour:%Y-%m-%d %H}:00 measure {self.measure}"
