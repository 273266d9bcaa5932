"""Allocation rules over REST: list, add, change, remove, put in order, and try before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import can_allocate, can_see_rules
from metrics.actions.rule_preview import MovedMonth, preview_change
from metrics.actions.rules import (
    MATCHED_BY,
    Change,
    RuleFields,
    adding,
    change_rules,
    changing,
    fields_of,
    ordering,
    removing,
)
from metrics.api.backends import REFUSED
from metrics.api.rows import Input, PlainView, workload_of
from metrics.api.series import ShareIn
from metrics.errors import RuleViolation
from metrics.models import AllocationRule, RuleShare
from metrics.visible import visible_backends

TEXT: dict[str, Any] = {"required": False, "allow_blank": True}
MONEY: dict[str, Any] = {"max_digits": 40, "decimal_places": 20, "allow_null": True}


class RuleShareOut(serializers.ModelSerializer[RuleShare]):
    """A roadmap's share of what the rule places."""

    roadmap = serializers.CharField(source="workload.slug")
    share = serializers.DecimalField(source="share_ratio", max_digits=12, decimal_places=10)

    class Meta:
        model = RuleShare
        fields = ("roadmap", "share")


class AllocationRuleOut(serializers.ModelSerializer[AllocationRule]):
    """A rule. Empty fields match everything; `valid_from_on` null: from the beginning."""

    backend = serializers.CharField(source="backend.slug", default=None)
    shares = RuleShareOut(many=True)

    class Meta:
        model = AllocationRule
        fields = ("id", "position", "backend", *MATCHED_BY, "valid_from_on", "note", "shares")


class AllocationRuleIn(Input):
    """What a rule matches and whose that is. No shares: what it matches stays unallocated."""

    backend = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    provider = serializers.CharField(max_length=60, **TEXT)
    model = serializers.CharField(max_length=200, **TEXT)
    label_name = serializers.CharField(max_length=60, **TEXT)
    label_value = serializers.CharField(max_length=200, **TEXT)
    api_key = serializers.CharField(max_length=200, **TEXT)
    project = serializers.CharField(max_length=200, **TEXT)
    valid_from_on = serializers.DateField(required=False, allow_null=True)
    note = serializers.CharField(max_length=200, **TEXT)
    shares = ShareIn(many=True, required=False, allow_empty=True)
    position = serializers.IntegerField(required=False, min_value=1, help_text="Of a new rule; the last unless given.")


class OrderIn(Input):
    """The ids of all rules, in the order in which they are tried."""

    rules = serializers.ListField(child=serializers.IntegerField(), max_length=1_000)


class PreviewIn(AllocationRuleIn):
    """A change to try. `do`: add, change (`rule` and fields), remove (`rule`), order (`rules`)."""

    do = serializers.ChoiceField(["add", "change", "remove", "order"])
    rule = serializers.IntegerField(required=False)
    rules = serializers.ListField(child=serializers.IntegerField(), max_length=1_000, required=False)


class MovedMonthOut(serializers.Serializer[MovedMonth]):
    """A roadmap (null: unallocated) in a month, before and after; money in the reporting currency, null unknown."""

    month = serializers.DateField()
    roadmap = serializers.CharField(source="slug", allow_null=True)
    spend_before = serializers.DecimalField(**MONEY)
    spend_after = serializers.DecimalField(**MONEY)
    tokens_before = serializers.DecimalField(**MONEY)
    tokens_after = serializers.DecimalField(**MONEY)


class RulePreviewOut(serializers.Serializer[Any]):
    """What the change would move."""

    series = serializers.IntegerField(help_text="Series that are placed otherwise.")
    since = serializers.DateField(allow_null=True, help_text="First day of it; null: the beginning, or nothing.")
    spend_moved = serializers.DecimalField(**MONEY)
    no_rate = serializers.ListField(child=serializers.CharField())
    rows = MovedMonthOut(many=True)


class RulesView(PlainView):
    """Reading for those who read everything, changing for admins."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not can_see_rules(self.asker):
            raise PermissionDenied("Allocation rules are shown to executives and admins.")
        if request.method not in ("GET", "HEAD", "OPTIONS") and not can_allocate(self.asker):
            raise PermissionDenied("Only admins change allocation rules.")

    def rules(self) -> Any:
        return AllocationRule.objects.select_related("backend").prefetch_related("shares__workload")

    def fields(self, data: Mapping[str, Any], before: RuleFields | None = None) -> RuleFields:
        """What was given, over what was there. Raises RuleViolation."""
        found = before or RuleFields()
        given = {name: data[name] for name in (*MATCHED_BY, "valid_from_on", "note") if name in data}
        if "backend" in data:
            slug = data["backend"]
            backend = visible_backends(self.asker).filter(slug=slug).first() if slug else None
            if slug and backend is None:
                raise RuleViolation("unknown_backend", f"There is no backend '{slug}'.", "backend")
            given["backend"] = backend
        if "shares" in data:
            shares: list[tuple[Any, Decimal]] = [
                (workload_of(self.asker, row["roadmap"], "shares"), row["share"]) for row in data["shares"]
            ]
            given["shares"] = [(workload, share) for workload, share in shares if workload is not None]
        return replace(found, **given)


class RuleListView(RulesView):
    """The rules in the order in which they are tried."""

    @extend_schema(operation_id="list_rules", tags=["rules"], responses={200: AllocationRuleOut(many=True)})
    def get(self, request: Request) -> Response:
        return self.page(self.rules(), AllocationRuleOut, ordering=("position", "id"))

    @extend_schema(
        operation_id="add_rule",
        tags=["rules"],
        request=AllocationRuleIn,
        responses={201: AllocationRuleOut, **REFUSED},
    )
    def post(self, request: Request) -> Response:
        data = self.read(AllocationRuleIn)
        rule, _ = change_rules(self.asker, adding(self.fields(data), position=data.get("position")))
        return Response(AllocationRuleOut(rule).data, status=201)


class RuleView(RulesView):
    """One rule."""

    @extend_schema(operation_id="read_rule", tags=["rules"], responses={200: AllocationRuleOut, **REFUSED})
    def get(self, request: Request, pk: int) -> Response:
        return Response(AllocationRuleOut(get_object_or_404(self.rules(), pk=pk)).data)

    @extend_schema(
        operation_id="change_rule",
        tags=["rules"],
        request=AllocationRuleIn,
        responses={200: AllocationRuleOut, **REFUSED},
    )
    def patch(self, request: Request, pk: int) -> Response:
        rule = get_object_or_404(self.rules(), pk=pk)
        data = self.read(AllocationRuleIn, partial=True)
        if "position" in data:
            raise RuleViolation("not_here", "The order is changed at /api/v1/rules/order.", "position")
        change_rules(self.asker, changing(rule, self.fields(data, fields_of(rule))))
        return Response(AllocationRuleOut(self.rules().get(pk=pk)).data)

    @extend_schema(operation_id="remove_rule", tags=["rules"], responses={204: None, **REFUSED})
    def delete(self, request: Request, pk: int) -> Response:
        change_rules(self.asker, removing(get_object_or_404(self.rules(), pk=pk)))
        return Response(status=204)


class RuleOrderView(RulesView):
    """The order of the rules: of those that match a series the first wins."""

    @extend_schema(
        operation_id="order_rules",
        tags=["rules"],
        request=OrderIn,
        responses={200: AllocationRuleOut(many=True), **REFUSED},
    )
    def post(self, request: Request) -> Response:
        change_rules(self.asker, ordering(self.read(OrderIn)["rules"]))
        return Response(AllocationRuleOut(self.rules(), many=True).data)


class RulePreviewView(RulesView):
    """What a change would move, by month and roadmap. Nothing of it stays."""

    @extend_schema(
        operation_id="preview_rules", tags=["rules"], request=PreviewIn, responses={200: RulePreviewOut, **REFUSED}
    )
    def post(self, request: Request) -> Response:
        preview = preview_change(self.asker, self._change(self.read(PreviewIn)))
        return Response(RulePreviewOut(preview).data)

    def _change(self, data: Mapping[str, Any]) -> Change:
        if data["do"] == "add":
            return adding(self.fields(data), position=data.get("position"))
        if data["do"] == "order":
            return ordering(data.get("rules") or [])
        if data.get("rule") is None:
            raise RuleViolation("required", "Name the rule by its id.", "rule")
        rule = get_object_or_404(self.rules(), pk=data["rule"])
        if data["do"] == "remove":
            return removing(rule)
        return changing(rule, self.fields(data, fields_of(rule)))
