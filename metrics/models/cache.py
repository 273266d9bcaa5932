"""Caches over the hours, in local days of the reporting zone. Dropping all of them changes no figure."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from metrics.models.ledger import HistogramBounds
from metrics.models.measures import AdditiveMeasures
from metrics.models.series import Series


class UsageDay(AdditiveMeasures):
    """The hours of a local day in which the same measures were known, summed.

    `known_mask` has the bits `metrics.usage.KNOWN_BIT` of the measures known in these hours (over all of the hour's
    currencies), so that a ratio can be taken over the hours in which both sides are known. `unsettled_cost` is the
    estimated cost of those hours that no statement covers: spend is billed + unsettled.
    """

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="days", db_index=False)
    day = models.DateField()
    currency = models.CharField(max_length=3, blank=True, default="")
    known_mask = models.BigIntegerField()
    hours = models.SmallIntegerField()
    unsettled_cost = models.DecimalField(max_digits=30, decimal_places=10, null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["series", "day", "currency", "known_mask"], name="one_usage_day_per_series_currency_and_mask"
            )
        ]
        indexes = [models.Index(fields=["day"])]

    def __str__(self) -> str:
        return f"{self.series_id} {self.day}"


class HistogramDay(models.Model):
    """Merged bucket counts of a local day."""

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="+", db_index=False)
    day = models.DateField()
    measure = models.SmallIntegerField()
    bounds = models.ForeignKey(
        HistogramBounds, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    window = ArrayField(models.BigIntegerField())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["series", "day", "measure", "bounds"],
                name="one_histogram_per_series_day_and_bounds",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.series_id} {self.day} measure {self.measure}"


class UsageMonth(AdditiveMeasures):
    """The days of a complete local month in which the same measures were known, summed; `month` is its first day."""

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="+", db_index=False)
    month = models.DateField()
    currency = models.CharField(max_length=3, blank=True, default="")
    known_mask = models.BigIntegerField()
    hours = models.IntegerField()
    unsettled_cost = models.DecimalField(max_digits=30, decimal_places=10, null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["series", "month", "currency", "known_mask"], name="one_month_per_series_currency_and_mask"
            )
        ]

    def __str__(self) -> str:
        return f"{self.series_id} {self.month}"


class HistogramMonth(models.Model):
    """Merged bucket counts of a complete local month; `month` is its first day."""

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="+", db_index=False)
    month = models.DateField()
    measure = models.SmallIntegerField()
    bounds = models.ForeignKey(
        HistogramBounds, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    window = ArrayField(models.BigIntegerField())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["series", "month", "measure", "bounds"],
                name="one_histogram_per_series_month_and_bounds",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.series_id} {self.month} measure {self.measure}"


class HistogramWeek(models.Model):
    """Merged bucket counts of a complete local week; `week` is its Monday."""

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="+", db_index=False)
    week = models.DateField()
    measure = models.SmallIntegerField()
    bounds = models.ForeignKey(
        HistogramBounds, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    window = ArrayField(models.BigIntegerField())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["series", "week", "measure", "bounds"],
                name="one_histogram_per_series_week_and_bounds",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.series_id} {self.week} measure {self.measure}"


class SeriesBuild(models.Model):
    """How often days of a series were built. What was computed from its days holds for as long as this stays."""

    series = models.OneToOneField(Series, on_delete=models.CASCADE, primary_key=True, related_name="+")
    number = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.series_id} built {self.number} times"


class StaleDay(models.Model):
    """A local day of a series whose caches must be built again before they are read."""

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="+", db_index=False)
    day = models.DateField()
    touched_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["series", "day"], name="one_stale_day_per_series")]
        indexes = [models.Index(fields=["day"])]

    def __str__(self) -> str:
        return f"{self.series_id} {self.day}"


class DayZone(models.Model):
    """The one row that says in which reporting zone the caches were built. Another zone in the settings drops them."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    zone = models.CharField(max_length=64)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_day_zone")]

    def __str__(self) -> str:
        return self.zone
