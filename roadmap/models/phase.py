"""One step of a roadmap, run as a project, and the notes that mark its charts."""

from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateRangeField, RangeBoundary, RangeOperators
from django.db import models
from django.db.models import F, Func, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy

from roadmap.models.roadmap import Roadmap


class DateRange(Func):
    """The database's `daterange` over two date columns, the end included."""

    function = "daterange"
    output_field = DateRangeField()


class Phase(models.Model):
    """Planned and actual start and end, owner, budget. Its window: `started_on` to `ended_on`, both included."""

    class Kind(models.TextChoices):
        """The three phases of the founding article."""

        POC = "poc", gettext_lazy("PoC")
        SCALE_UP = "scale_up", gettext_lazy("Scale-up")
        OPTIMISE = "optimise", gettext_lazy("Optimise")

    class State(models.TextChoices):
        """Follows from its dates and its gate's decision."""

        PLANNED = "planned", gettext_lazy("Planned")
        ACTIVE = "active", gettext_lazy("Active")
        CLOSED = "closed", gettext_lazy("Closed")

    roadmap = models.ForeignKey(Roadmap, on_delete=models.CASCADE, related_name="phases")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    position = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=16, choices=State.choices, default=State.PLANNED)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="owned_phases")
    planned_start_on = models.DateField()
    planned_end_on = models.DateField()
    # As first promised; never changed after the roadmap was made.
    baseline_start_on = models.DateField()
    baseline_end_on = models.DateField()
    started_on = models.DateField(null=True, blank=True)
    ended_on = models.DateField(null=True, blank=True)
    budget_amount = models.DecimalField(max_digits=20, decimal_places=2, null=True, blank=True)
    budget_currency = models.CharField(max_length=3)
    budget_owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    growth_percent_per_month = models.DecimalField(max_digits=6, decimal_places=2, null=True, blank=True)
    growth_set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    growth_set_on = models.DateField(null=True, blank=True)

    class Meta:
        ordering = ["roadmap_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["roadmap", "kind"], name="one_phase_per_kind"),
            models.UniqueConstraint(fields=["roadmap", "position"], name="one_phase_per_position"),
            models.UniqueConstraint(
                fields=["roadmap"], condition=Q(state="active"), name="one_active_phase_per_roadmap"
            ),
            models.CheckConstraint(
                condition=Q(planned_end_on__gte=F("planned_start_on")), name="phase_planned_end_after_start"
            ),
            models.CheckConstraint(
                condition=Q(ended_on__isnull=True) | Q(ended_on__gte=F("started_on")), name="phase_end_after_start"
            ),
            ExclusionConstraint(
                name="phase_windows_do_not_overlap",
                expressions=[
                    (DateRange("started_on", "ended_on", RangeBoundary(inclusive_upper=True)), RangeOperators.OVERLAPS),
                    ("roadmap", RangeOperators.EQUAL),
                ],
                condition=Q(started_on__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.roadmap}: {self.get_kind_display()}"

    def get_absolute_url(self) -> str:
        return reverse("phase", args=[self.roadmap.slug, self.kind])


class Annotation(models.Model):
    """A typed note that marks every chart of a phase on one day: 'TensorRT build'."""

    phase = models.ForeignKey(Phase, on_delete=models.CASCADE, related_name="annotations")
    on = models.DateField()
    text = models.CharField(max_length=120)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["on", "id"]

    def __str__(self) -> str:
        return f"{self.on}: {self.text}"
