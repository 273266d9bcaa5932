"""The additive measures as columns, the same for ledger entries, hours and days. NULL is unknown."""

from django.db import models


class AdditiveMeasures(models.Model):
    """One column for each name in `metrics.usage.ADDITIVE_MEASURES`; signed, so that a correction is a row too."""

    requests = models.BigIntegerField(null=True)
    errors = models.BigIntegerField(null=True)
    input_tokens = models.BigIntegerField(null=True)
    cached_input_tokens = models.BigIntegerField(null=True)
    cache_write_input_tokens = models.BigIntegerField(null=True)
    output_tokens = models.BigIntegerField(null=True)
    quality_count = models.BigIntegerField(null=True)
    blocked = models.BigIntegerField(null=True)
    overridden = models.BigIntegerField(null=True)
    false_alarms = models.BigIntegerField(null=True)
    duration_count = models.BigIntegerField(null=True)
    time_to_first_token_count = models.BigIntegerField(null=True)
    inter_token_count = models.BigIntegerField(null=True)
    units = models.DecimalField(max_digits=30, decimal_places=6, null=True)
    gpu_busy_seconds = models.DecimalField(max_digits=30, decimal_places=6, null=True)
    gpu_held_seconds = models.DecimalField(max_digits=30, decimal_places=6, null=True)
    energy_wh = models.DecimalField(max_digits=30, decimal_places=6, null=True)
    quality_sum = models.DecimalField(max_digits=30, decimal_places=6, null=True)
    duration_sum_ms = models.DecimalField(max_digits=30, decimal_places=6, null=True)
    time_to_first_token_sum_ms = models.DecimalField(max_digits=30, decimal_places=6, null=True)
    inter_token_sum_ms = models.DecimalField(max_digits=30, decimal_places=6, null=True)
    estimated_cost = models.DecimalField(max_digits=30, decimal_places=10, null=True)
    billed_cost = models.DecimalField(max_digits=30, decimal_places=10, null=True)

    class Meta:
        abstract = True
