"""What usage and capacity cost, where no provider's statement says so."""

from django.db import models
from django.utils.translation import gettext_lazy

from metrics.models.backend import Backend


class RateCard(models.Model):
    """What a backend's GPUs or reserved capacity cost, valid from a local day (until the day before `valid_until_on`).

    `rented`: `rate_per_unit_hour` x units for every held hour. `owned`: `purchase_amount` of all units spread evenly
    over the hours from `purchased_on` over `amortisation_months`, plus energy (measured, else `rated_watts` x units x
    held hours) times `pue` times `price_per_kwh`. `reserved`: as rented, for throughput of an API, of one model or all;
    it costs until the end of its minimum term. Tokens that it serves are not priced again.
    """

    class Kind(models.TextChoices):
        """How the capacity is paid."""

        RENTED = "rented", gettext_lazy("Rented by the hour")
        OWNED = "owned", gettext_lazy("Owned")
        RESERVED = "reserved", gettext_lazy("Reserved at an API (provisioned throughput)")

    backend = models.ForeignKey(Backend, on_delete=models.CASCADE, related_name="rate_cards")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    units = models.DecimalField(max_digits=10, decimal_places=2)
    unit_name = models.CharField(max_length=60, default="GPU")
    # Of reserved capacity: the model that it serves; empty: every one of the backend.
    model = models.CharField(max_length=200, blank=True, default="")
    minimum_term_months = models.PositiveIntegerField(null=True, blank=True)
    currency = models.CharField(max_length=3)
    rate_per_unit_hour = models.DecimalField(max_digits=20, decimal_places=10, null=True, blank=True)
    purchase_amount = models.DecimalField(max_digits=20, decimal_places=2, null=True, blank=True)
    purchased_on = models.DateField(null=True, blank=True)
    amortisation_months = models.PositiveIntegerField(null=True, blank=True)
    rated_watts = models.DecimalField(max_digits=10, decimal_places=2, null=True, blank=True)
    pue = models.DecimalField(max_digits=5, decimal_places=3, default=1)
    price_per_kwh = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)
    # Costs only in hours in which the server was seen up.
    while_up = models.BooleanField(default=False)
    valid_from_on = models.DateField()
    valid_until_on = models.DateField(null=True, blank=True)

    class Meta:
        ordering = ["backend_id", "valid_from_on"]
        constraints = [
            models.UniqueConstraint(fields=["backend", "model", "valid_from_on"], name="one_rate_card_per_day")
        ]

    def __str__(self) -> str:
        return f"{self.backend}: {self.units:f} {self.unit_name} from {self.valid_from_on}"


class OwnPrice(models.Model):
    """A negotiated price per million tokens; wins over the price list from its day on. No backend: every one."""

    backend = models.ForeignKey(Backend, on_delete=models.CASCADE, null=True, blank=True, related_name="own_prices")
    provider = models.CharField(max_length=60)
    model = models.CharField(max_length=200)
    service_tier = models.CharField(max_length=40, default="standard")
    currency = models.CharField(max_length=3)
    input_per_million = models.DecimalField(max_digits=20, decimal_places=10)
    cached_input_per_million = models.DecimalField(max_digits=20, decimal_places=10, null=True, blank=True)
    cache_write_input_per_million = models.DecimalField(max_digits=20, decimal_places=10, null=True, blank=True)
    output_per_million = models.DecimalField(max_digits=20, decimal_places=10)
    valid_from_on = models.DateField()

    class Meta:
        ordering = ["provider", "model", "-valid_from_on"]

    def __str__(self) -> str:
        return f"{self.provider} {self.model} from {self.valid_from_on}"


class ExchangeRate(models.Model):
    """Units of `currency` for one euro on a day (the European Central Bank's way of quoting)."""

    currency = models.CharField(max_length=3)
    on = models.DateField()
    per_euro = models.DecimalField(max_digits=20, decimal_places=10)
    source = models.CharField(max_length=60, default="ECB")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["currency", "on"], name="one_exchange_rate_per_day")]

    def __str__(self) -> str:
        return f"{self.per_euro} {self.currency} for 1 EUR on {self.on}"
