"""Two reports of the same thing against each other, over REST."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import asker_of
from roadmap.models import Report
from roadmap.queries.report_comparison import two_reports
from roadmap.reports.comparisons.rows import Change
from roadmap.views.comparison_files import comparison_content, comparison_response
from roadmap.views.report_languages import language_asked

CHANGES = [(change.value, change.value) for change in Change]
WHICH = [
    OpenApiParameter("a", OpenApiTypes.UUID, required=True, description="The first report."),
    OpenApiParameter("b", OpenApiTypes.UUID, required=True, description="The second one, of the same thing."),
]


class WhichIn(serializers.Serializer[Any]):
    """The two reports."""

    a = serializers.UUIDField()
    b = serializers.UUIDField()


class ComparedReportOut(serializers.Serializer[Any]):
    """One of the two."""

    id = serializers.UUIDField()
    month = serializers.DateField()
    revision = serializers.IntegerField()
    schema_version = serializers.IntegerField()
    sha256 = serializers.CharField()


class ComparedValueOut(serializers.Serializer[Any]):
    """What one report says; `value` null is unknown, with `low` and `high` where an interval is known."""

    value = serializers.CharField(allow_null=True)
    low = serializers.CharField(allow_null=True)
    high = serializers.CharField(allow_null=True)
    unit = serializers.CharField()


class ComparedFigureOut(serializers.Serializer[Any]):
    """A figure of both; null where a report has it not. No difference where one of the two is not known."""

    section = serializers.CharField()
    key = serializers.CharField()
    name = serializers.CharField()
    unit = serializers.CharField()
    first = ComparedValueOut(allow_null=True)
    second = ComparedValueOut(allow_null=True)
    difference = serializers.CharField(allow_null=True, help_text="The second less the first.")
    ratio = serializers.CharField(allow_null=True, help_text="The difference as a share of the first.")
    change = serializers.ChoiceField(choices=CHANGES)


class ComparedLightOut(serializers.Serializer[Any]):
    """A light's tone in either."""

    key = serializers.CharField()
    name = serializers.CharField()
    first = serializers.CharField(allow_null=True)
    second = serializers.CharField(allow_null=True)
    change = serializers.ChoiceField(choices=CHANGES)


class ComparedDayOut(serializers.Serializer[Any]):
    """When it is due and when it was done or decided."""

    due_on = serializers.DateField()
    done_on = serializers.DateField(allow_null=True)


class ComparedDateOut(serializers.Serializer[Any]):
    """A gate or milestone of both."""

    key = serializers.CharField()
    name = serializers.CharField()
    first = ComparedDayOut(allow_null=True)
    second = ComparedDayOut(allow_null=True)
    days = serializers.IntegerField(help_text="By how many days its date moved.")
    change = serializers.ChoiceField(choices=CHANGES)


class ComparedRiskOut(serializers.Serializer[Any]):
    """A risk's score in either."""

    key = serializers.CharField()
    first = serializers.IntegerField(allow_null=True)
    second = serializers.IntegerField(allow_null=True)
    change = serializers.ChoiceField(choices=CHANGES)


class ComparisonOut(serializers.Serializer[Any]):
    """Two reports against each other, from their frozen documents alone."""

    first = ComparedReportOut()
    second = ComparedReportOut()
    figures = ComparedFigureOut(many=True)
    lights = ComparedLightOut(many=True)
    gates = ComparedDateOut(many=True)
    milestones = ComparedDateOut(many=True)
    risks = ComparedRiskOut(many=True)


class ReportComparison(APIView):
    """Two reports side by side."""

    @extend_schema(
        operation_id="compare_reports",
        tags=["reports"],
        summary="Compare two reports of the same roadmap, programme or portfolio",
        parameters=WHICH,
        responses=ComparisonOut,
    )
    def get(self, request: Request) -> Response:
        return Response(comparison_content(*_both(request)))


class ReportComparisonFile(APIView):
    """The same as a file."""

    @extend_schema(
        operation_id="compare_reports_as_file",
        tags=["reports"],
        summary="A comparison as a file",
        description="`pdf`, `xlsx`, `csv` or `json`.",
        parameters=[*WHICH, OpenApiParameter("lang", str, description="`en` or `nl`.")],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, kind: str) -> HttpResponseBase:
        return comparison_response(*_both(request), kind, language_asked(request))


def _both(request: Request) -> tuple[Report, Report]:
    """The two that are asked for; 404 where the asker does not see one of them."""
    given = WhichIn(data=request.query_params)
    given.is_valid(raise_exception=True)
    first: UUID = given.validated_data["a"]
    both = two_reports(asker_of(request), first, given.validated_data["b"])
    if both is None:
        raise Http404
    return both
