"""Percentiles as their sources state them. Only `metrics.percentiles` writes here, within a pull."""

from django.db import models

from metrics.models.ledger import Feed
from metrics.models.series import Series


class StatedPercentile(models.Model):
    """What a source states last of one percentile of a series in the period [start, end).

    It is the source's own figure: nothing is added to it, and nothing is made of several of them. A source that states
    it anew replaces it, so that there is one row for what is shown (docs/adr/0008-stated-percentiles.md).
    """

    feed = models.ForeignKey(Feed, on_delete=models.CASCADE, related_name="+", db_index=False)
    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="+", db_index=False)
    start = models.DateTimeField()
    end = models.DateTimeField()
    # As in histograms (metrics.rows.HISTOGRAM_NUMBER).
    measure = models.SmallIntegerField()
    percent = models.DecimalField(max_digits=6, decimal_places=3)
    value_ms = models.DecimalField(max_digits=20, decimal_places=6)
    # The requests that it rests on, None where the source does not say.
    count = models.BigIntegerField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["feed", "start"])]
        constraints = [
            models.UniqueConstraint(
                fields=["series", "start", "end", "measure", "percent"], name="one_stated_percentile_per_period"
            ),
            models.CheckConstraint(condition=models.Q(end__gt=models.F("start")), name="percentile_period_not_empty"),
            models.CheckConstraint(
                condition=models.Q(percent__gt=0, percent__lt=100, value_ms__gte=0), name="percentile_in_range"
            ),
        ]

    def __str__(self) -> str:
        return f"p{self.percent:f} of series {self.series_id} from {self.start:%Y-%m-%d %H}:00"
