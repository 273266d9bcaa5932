"""`GET /api/v1/fiscal-year`: spend, plan, share of plan and forecast of a fiscal year, by month, roadmap and provider.

Amounts are decimal strings in the reporting currency; null is unknown. Days are local, `end_before` is the day after
the last.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import asker_of
from roadmap.api.spend import text_of
from roadmap.queries.fiscal_year_page import month_state, year_page
from roadmap.rules.fiscal_year import Held, Share


class HeldSerializer(serializers.Serializer[Any]):
    """Spend against its plan over one window."""

    spent = serializers.CharField(allow_null=True, help_text="billed + estimated + entered, as far as known.")
    billed = serializers.CharField(allow_null=True)
    estimated = serializers.CharField(allow_null=True)
    entered = serializers.CharField(allow_null=True)
    not_priced_requests = serializers.IntegerField()
    not_priced_tokens = serializers.IntegerField()
    plan = serializers.CharField(allow_null=True, help_text="Budgets by the day; null where no budget lies there.")
    share_of_plan = serializers.CharField(
        allow_null=True, help_text="Spend / plan over the roadmaps with a plan; null under half of the spend."
    )
    coverage = serializers.CharField(allow_null=True, help_text="The part of the spend that has a plan, 0 to 1.")


class YearMonthSerializer(HeldSerializer):
    """A month. `forecast`: what it is expected to end at; null once it is over, or with too little data."""

    month = serializers.DateField()
    state = serializers.CharField(help_text="over, running or ahead.")
    forecast = serializers.CharField(allow_null=True)


class YearOutlookSerializer(serializers.Serializer[Any]):
    """The forecast to the year's end, by the run rate of the days used."""

    total = serializers.CharField(allow_null=True)
    low = serializers.CharField(allow_null=True)
    high = serializers.CharField(allow_null=True)
    days_used = serializers.IntegerField()
    share_of_plan = serializers.CharField(allow_null=True)
    coverage = serializers.CharField(allow_null=True)


class YearRoadmapSerializer(serializers.Serializer[Any]):
    """A roadmap's part; `roadmap` null: usage that is unallocated, or of a workload without a roadmap."""

    roadmap = serializers.CharField(allow_null=True)
    name = serializers.CharField()
    is_unallocated = serializers.BooleanField()
    month = HeldSerializer()
    to_date = HeldSerializer()
    plan_of_year = serializers.CharField(allow_null=True)


class YearProviderSerializer(serializers.Serializer[Any]):
    """A provider's part; `provider` null: entered by hand."""

    provider = serializers.CharField(allow_null=True)
    month = serializers.CharField(allow_null=True)
    to_date = serializers.CharField(allow_null=True)


class YearRestatedSerializer(serializers.Serializer[Any]):
    """What the published reports of an earlier month add up to, and what that month is by now."""

    month = serializers.DateField()
    published = serializers.CharField()
    now = serializers.CharField()


class FiscalYearSerializer(serializers.Serializer[Any]):
    """A fiscal year of what the asker sees."""

    year = serializers.CharField()
    start_on = serializers.DateField()
    end_before = serializers.DateField()
    until = serializers.DateField(help_text="The day after the last one that counts.")
    currency = serializers.CharField()
    zone = serializers.CharField()
    is_demo = serializers.BooleanField()
    this_month = HeldSerializer()
    to_date = HeldSerializer()
    plan_of_year = serializers.CharField(allow_null=True)
    forecast = YearOutlookSerializer(allow_null=True)
    months = YearMonthSerializer(many=True)
    by_roadmap = YearRoadmapSerializer(many=True)
    by_provider = YearProviderSerializer(many=True)
    without_plan = serializers.ListField(child=serializers.CharField())
    restated = YearRestatedSerializer(many=True)
    no_rate = serializers.ListField(child=serializers.CharField())


class FiscalYearView(APIView):
    """The fiscal year of the roadmaps that the asker sees."""

    @extend_schema(
        tags=["reports"],
        summary="A fiscal year: spend, plan, share of plan, forecast",
        operation_id="fiscal_year_retrieve",
        parameters=[
            OpenApiParameter(
                "year",
                OpenApiTypes.INT,
                description="The calendar year in which it begins; the present one unless set.",
            ),
            OpenApiParameter("roadmap", OpenApiTypes.STR, description="A roadmap's slug."),
            OpenApiParameter("programme", OpenApiTypes.STR, description="A programme's name."),
        ],
        responses=FiscalYearSerializer,
    )
    def get(self, request: Request) -> Response:
        """The year's figures; 400 for a year, roadmap or programme that there is none of."""
        page = year_page(asker_of(request), request.query_params)
        if page.filters.problems:
            raise ValidationError({one.field: [one.message] for one in page.filters.problems})
        facts, outlook = page.facts, page.facts.outlook
        return Response(
            {
                "year": facts.year.name,
                "start_on": facts.year.start_on,
                "end_before": facts.year.end_on,
                "until": facts.until,
                "currency": page.currency,
                "zone": page.zone,
                "is_demo": page.is_demo,
                "this_month": _held(facts.this_month),
                "to_date": _held(facts.to_date),
                "plan_of_year": text_of(facts.plan_of_year),
                "forecast": None
                if outlook is None
                else {
                    "total": text_of(outlook.total),
                    "low": text_of(outlook.low),
                    "high": text_of(outlook.high),
                    "days_used": outlook.days_used,
                    **_share(outlook.share),
                },
                "months": [
                    {
                        "month": line.month,
                        "state": month_state(line, facts),
                        **_held(line.held),
                        "forecast": text_of(line.forecast),
                    }
                    for line in facts.months
                ],
                "by_roadmap": [
                    {
                        "roadmap": line.slug or None,
                        "name": line.name,
                        "is_unallocated": line.is_unallocated,
                        "month": _held(line.month),
                        "to_date": _held(line.to_date),
                        "plan_of_year": text_of(line.plan_of_year),
                    }
                    for line in facts.by_roadmap
                ],
                "by_provider": [
                    {"provider": line.provider or None, "month": text_of(line.month), "to_date": text_of(line.to_date)}
                    for line in facts.by_provider
                ],
                "without_plan": list(facts.without_plan),
                "restated": [
                    {"month": one.month, "published": text_of(one.published), "now": text_of(one.now)}
                    for one in facts.restated
                ],
                "no_rate": sorted(facts.no_rate),
            }
        )


def _held(held: Held) -> dict[str, Any]:
    spent = held.spent
    return {
        "spent": text_of(spent.total),
        "billed": text_of(spent.billed),
        "estimated": text_of(spent.estimated),
        "entered": text_of(spent.entered),
        "not_priced_requests": int(spent.not_priced_requests),
        "not_priced_tokens": int(spent.not_priced_tokens),
        "plan": text_of(held.plan),
        **_share(held.share),
    }


def _share(share: Share) -> dict[str, Any]:
    return {"share_of_plan": text_of(share.value), "coverage": text_of(share.coverage)}
