"""Billing files: who sends bills, the files, the periods they state, and the charges in them."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy

from accounts.models import Token
from metrics.models.backend import Backend
from metrics.models.ledger import Receipt


class BillingSource(models.Model):
    """Where a kind of billing file comes from. Its backend carries what the files state and no other source counts."""

    backend = models.OneToOneField(Backend, on_delete=models.CASCADE, related_name="billing_source")
    # Backends whose traffic this bill pays for: its money is spread over their usage, and their own statements of the
    # days that it covers do not count (metrics.billed_elsewhere).
    pays_for = models.ManyToManyField(Backend, related_name="paid_by", blank=True)
    # Whether a person has said what it pays for, be it nothing that is known here.
    is_decided = models.BooleanField(default=False)
    # What was said of the last file, to begin with at the next: a column mapping, {"chosen": [], "refused": []}.
    mapping = models.JSONField(default=dict, blank=True)
    services = models.JSONField(default=dict, blank=True)
    cost = models.CharField(max_length=16, default="billed")

    def __str__(self) -> str:
        return f"bill {self.backend}"


class BillingImport(models.Model):
    """One billing file on its way in, and what became of it. Long work is this row with `rows_read` as its cursor."""

    class State(models.TextChoices):
        """How far it is. `mapping` and `ready` wait for a person, `reading` and `posting` for a worker."""

        MAPPING = "mapping", gettext_lazy("Columns to be mapped")
        READING = "reading", gettext_lazy("Being read")
        READY = "ready", gettext_lazy("Read, to be confirmed")
        POSTING = "posting", gettext_lazy("Being counted")
        DONE = "done", gettext_lazy("Imported")
        FAILED = "failed", gettext_lazy("Cannot be read")
        DISCARDED = "discarded", gettext_lazy("Discarded")
        TAKEN_BACK = "taken_back", gettext_lazy("Taken back")

    class Mode(models.TextChoices):
        """What happens to earlier files of the same source, account and billing period."""

        REPLACE = "replace", gettext_lazy("Replaces them")
        ADD = "add", gettext_lazy("Adds to them")

    LIVE = (State.MAPPING, State.READING, State.READY, State.POSTING, State.DONE)
    AT_WORK = (State.READING, State.POSTING)

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    source = models.ForeignKey(BillingSource, on_delete=models.CASCADE, related_name="imports")
    created_at = models.DateTimeField(auto_now_add=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    token = models.ForeignKey(Token, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    name = models.CharField(max_length=200)
    size = models.BigIntegerField()
    # SHA-256 of the file as it came.
    digest = models.BinaryField(max_length=32)
    state = models.CharField(max_length=16, choices=State.choices, default=State.READING)
    # Whether it is counted as soon as it is read, as the API does unless told otherwise.
    is_confirmed = models.BooleanField(default=False)
    container = models.CharField(max_length=100, blank=True, default="")
    layout = models.CharField(max_length=60, blank=True, default="")
    # Empty: a plain file, read by `mapping`.
    focus_version = models.CharField(max_length=10, blank=True, default="")
    columns = models.JSONField(default=list, blank=True)
    mapping = models.JSONField(default=dict, blank=True)
    # The first rows as text, for the preview: {"names": [...], "rows": [[...]]}.
    sample = models.JSONField(default=dict, blank=True)
    has_effective = models.BooleanField(default=False)
    mode = models.CharField(max_length=16, choices=Mode.choices, default=Mode.REPLACE)
    cost = models.CharField(max_length=16, default="billed")
    # The services whose charges count; null: all of them.
    services = models.JSONField(null=True, blank=True)
    rows_read = models.BigIntegerField(default=0)
    read_share = models.FloatField(default=0)
    rows_accepted = models.BigIntegerField(default=0)
    rows_repeated = models.BigIntegerField(default=0)
    # [{"index", "code", "detail"}], at most 100; `rows_rejected` counts all. The index is the row in a spreadsheet.
    rejected = models.JSONField(default=list, blank=True)
    rows_rejected = models.BigIntegerField(default=0)
    notes = models.JSONField(default=dict, blank=True)
    # What was read and does not count: tax, and services that were not chosen. [{"what", "currency", "amount", "rows"}]
    left_out = models.JSONField(default=list, blank=True)
    problem = models.TextField(blank=True, default="")
    receipt = models.OneToOneField(
        Receipt, on_delete=models.SET_NULL, null=True, blank=True, related_name="billing_import"
    )
    posted_at = models.DateTimeField(null=True, blank=True)
    # When a worker last came forward; one that is at work and silent for long was killed.
    touched_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["digest"],
                condition=Q(state__in=["mapping", "reading", "ready", "posting", "done"]),
                name="one_live_import_per_digest",
            )
        ]

    def __str__(self) -> str:
        return self.name


class ImportChunk(models.Model):
    """A piece of an uploaded file, kept until it is imported or discarded: web and worker may be different machines."""

    billing_import = models.ForeignKey(BillingImport, on_delete=models.CASCADE, related_name="chunks")
    number = models.IntegerField()
    content = models.BinaryField()

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["billing_import", "number"], name="one_chunk_per_number")]

    def __str__(self) -> str:
        return f"{self.billing_import_id} {self.number}"


class ImportPeriod(models.Model):
    """A billing period of an account that a file states; a newer file of the same one replaces it, or adds to it."""

    billing_import = models.ForeignKey(BillingImport, on_delete=models.CASCADE, related_name="periods")
    account = models.CharField(max_length=200, blank=True)
    account_name = models.CharField(max_length=200, blank=True)
    start = models.DateTimeField()
    end = models.DateTimeField()
    # The end of its last charge, corrections of earlier periods aside.
    charged_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["billing_import", "account", "start", "end"], name="one_row_per_import_and_period"
            )
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.start:%Y-%m-%d} to {self.end:%Y-%m-%d}"


class ImportedCharge(models.Model):
    """Rows of a file that say the same, added up; kept, so that money can be spread over usage that comes late."""

    period = models.ForeignKey(ImportPeriod, on_delete=models.CASCADE, related_name="charges", db_index=False)
    # 16 bytes over everything that tells it from others of its period.
    digest = models.BinaryField(max_length=16)
    start = models.DateTimeField()
    end = models.DateTimeField()
    provider = models.CharField(max_length=60)
    model = models.CharField(max_length=200, blank=True)
    service = models.CharField(max_length=100, blank=True)
    service_category = models.CharField(max_length=60, blank=True)
    service_tier = models.CharField(max_length=40)
    labels = models.JSONField(default=dict)
    category = models.CharField(max_length=16)
    is_correction = models.BooleanField(default=False)
    currency = models.CharField(max_length=3)
    # Exact: sums are rounded where they are posted.
    billed = models.DecimalField(max_digits=50, decimal_places=20)
    effective = models.DecimalField(max_digits=50, decimal_places=20, null=True)
    input_tokens = models.DecimalField(max_digits=40, decimal_places=6, null=True)
    cached_input_tokens = models.DecimalField(max_digits=40, decimal_places=6, null=True)
    cache_write_input_tokens = models.DecimalField(max_digits=40, decimal_places=6, null=True)
    output_tokens = models.DecimalField(max_digits=40, decimal_places=6, null=True)
    requests = models.DecimalField(max_digits=40, decimal_places=6, null=True)
    rows = models.BigIntegerField(default=1)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["period", "digest"], name="one_charge_per_period_and_digest")]

    def __str__(self) -> str:
        return f"{self.service} {self.model} {self.start:%Y-%m-%d} {self.billed} {self.currency}"


class UncountedStatement(models.Model):
    """What a backend itself states of a day that a billing file covers: shown beside it, in no total."""

    backend = models.ForeignKey(Backend, on_delete=models.CASCADE, related_name="uncounted_statements")
    day = models.DateField()
    currency = models.CharField(max_length=3)
    amount = models.DecimalField(max_digits=30, decimal_places=10)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["backend", "day", "currency"], name="one_uncounted_statement_per_day")
        ]

    def __str__(self) -> str:
        return f"{self.backend_id} {self.day} {self.amount} {self.currency}"
