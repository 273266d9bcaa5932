"""Series and whose they are, over REST."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import Prefetch
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import visible_workloads
from metrics.actions.allocations import THE_BEGINNING, allocate, allocate_by_rules
from metrics.actions.links import decide_look_alike, link_push
from metrics.api.backends import REFUSED
from metrics.api.rows import BackendsView, Input, workload_of
from metrics.backends import open_look_alikes
from metrics.errors import RuleViolation
from metrics.models import Allocation, LookAlike, Series
from metrics.visible import visible_backends, visible_series


class AllocationOut(serializers.ModelSerializer[Allocation]):
    """A share of a series."""

    roadmap = serializers.CharField(source="workload.slug")
    share = serializers.DecimalField(source="share_ratio", max_digits=12, decimal_places=10)

    class Meta:
        model = Allocation
        fields = ("roadmap", "share", "valid_from_on", "valid_until_on", "source", "rule")


class SeriesOut(serializers.ModelSerializer[Series]):
    """One stream of usage with its allocations."""

    backend = serializers.CharField(source="backend.slug")
    through = serializers.CharField(source="through.slug", default=None)
    allocations = AllocationOut(many=True, source="seen_allocations")

    class Meta:
        model = Series
        fields = (
            "id",
            "kind",
            "backend",
            "provider",
            "model",
            "operation",
            "service_tier",
            "labels",
            "is_pushed",
            "measured_at",
            "through",
            "uncounted_from_on",
            "allocations",
        )


class ShareIn(Input):
    """A roadmap and its share, above 0 and at most 1."""

    roadmap = serializers.CharField()
    share = serializers.DecimalField(max_digits=12, decimal_places=10, min_value=Decimal(0), max_value=Decimal(1))


class AllocationIn(Input):
    """Whose the series is from a day on (from the beginning unless given). No shares: nobody's."""

    shares = ShareIn(many=True, allow_empty=True)
    from_on = serializers.DateField(required=False, allow_null=True)


class ThroughIn(Input):
    """The backend that a push's traffic goes through, null for none."""

    backend = serializers.CharField(allow_null=True)


class LookAlikeOut(serializers.ModelSerializer[LookAlike]):
    """Two sources that look like the same traffic."""

    class Meta:
        model = LookAlike
        fields = ("id", "first", "second", "model", "on", "first_tokens", "second_tokens", "decision")


class DecisionIn(Input):
    """'linked' or 'different'."""

    decision = serializers.ChoiceField([LookAlike.Decision.LINKED, LookAlike.Decision.DIFFERENT])


class SeriesOf(BackendsView):
    """Series that the asker may see, with the allocations to workloads that they may see."""

    def series(self) -> Any:
        seen = Allocation.objects.filter(workload__in=visible_workloads(self.asker)).select_related("workload")
        return (
            visible_series(self.asker)
            .select_related("backend")
            .prefetch_related(
                Prefetch("allocations", queryset=seen, to_attr="seen_allocations"),
                Prefetch("through", queryset=visible_backends(self.asker)),
            )
        )


class SeriesListView(SeriesOf):
    """Every series; `?backend=slug` those of one backend."""

    @extend_schema(operation_id="list_series", tags=["series"], responses={200: SeriesOut(many=True)})
    def get(self, request: Request) -> Response:
        rows = self.series()
        if slug := request.query_params.get("backend"):
            rows = rows.none() if "\0" in slug else rows.filter(backend__slug=slug)
        return self.page(rows, SeriesOut)


class AllocationView(SeriesOf):
    """Whose a series is."""

    @extend_schema(
        operation_id="allocate_series", tags=["series"], request=AllocationIn, responses={200: SeriesOut, **REFUSED}
    )
    def post(self, request: Request, pk: int) -> Response:
        series = get_object_or_404(visible_series(self.asker), pk=pk)
        data = self.read(AllocationIn)
        shares = []
        for row in data["shares"]:
            workload = workload_of(self.asker, row["roadmap"], "shares")
            if workload is not None:
                shares.append((workload, row["share"]))
        from_on: date = data.get("from_on") or THE_BEGINNING
        allocate(self.asker, series, shares=shares, from_on=from_on)
        return Response(SeriesOut(self.series().get(pk=pk)).data)


class AllocationByRulesView(SeriesOf):
    """Whose a series is, left to the rules again."""

    @extend_schema(
        operation_id="allocate_series_by_rules", tags=["series"], request=None, responses={200: SeriesOut, **REFUSED}
    )
    def post(self, request: Request, pk: int) -> Response:
        allocate_by_rules(self.asker, get_object_or_404(visible_series(self.asker), pk=pk))
        return Response(SeriesOut(self.series().get(pk=pk)).data)


class ThroughView(SeriesOf):
    """What a push goes through."""

    @extend_schema(operation_id="link_push", tags=["series"], request=ThroughIn, responses={200: SeriesOut, **REFUSED})
    def post(self, request: Request, pk: int) -> Response:
        series = get_object_or_404(visible_series(self.asker), pk=pk)
        slug = self.read(ThroughIn)["backend"]
        backend = visible_backends(self.asker).filter(slug=slug).first() if slug else None
        if slug and backend is None:
            raise RuleViolation("unknown_backend", f"There is no backend '{slug}'.", "backend")
        link_push(self.asker, series, backend=backend)
        return Response(SeriesOut(self.series().get(pk=pk)).data)


class LookAlikeListView(SeriesOf):
    """Pairs that need a decision."""

    @extend_schema(operation_id="list_look_alikes", tags=["series"], responses={200: LookAlikeOut(many=True)})
    def get(self, request: Request) -> Response:
        return self.page(open_look_alikes(self.asker), LookAlikeOut)


class LookAlikeView(SeriesOf):
    """Decide about a pair."""

    @extend_schema(
        operation_id="decide_look_alike", tags=["series"], request=DecisionIn, responses={200: LookAlikeOut, **REFUSED}
    )
    def post(self, request: Request, pk: int) -> Response:
        found = get_object_or_404(LookAlike, pk=pk)
        decided = decide_look_alike(self.asker, found, decision=self.read(DecisionIn)["decision"])
        return Response(LookAlikeOut(decided).data)
