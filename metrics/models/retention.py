"""How far each kind of upkeep has come, and what it did last; for `metrics.retention` and for Operations."""

from django.db import models


class RetentionJob(models.Model):
    """One kind of upkeep. Its cursor moves in the transaction of the work that it stands for."""

    name = models.CharField(max_length=32, primary_key=True)
    cursor = models.JSONField(default=dict)
    started_at = models.DateTimeField(null=True)
    # When it last found nothing left to do.
    done_at = models.DateTimeField(null=True)
    # Rows that it took away, in its last run and in all.
    last_removed = models.BigIntegerField(default=0)
    removed = models.BigIntegerField(default=0)
    problem = models.CharField(max_length=300, blank=True, default="")

    def __str__(self) -> str:
        return self.name
