"""Reports over REST: the frozen document and its hash."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.authentication import asker_of
from roadmap.models import Report
from roadmap.queries.reports import visible_reports
from roadmap.reports.document import Json
from roadmap.views.report_files import file_response, shown_payload


class ReportSerializer(serializers.ModelSerializer[Report]):
    """A report in a list: what it is about, and its hash."""

    id = serializers.UUIDField(source="uuid")
    roadmap = serializers.CharField(source="roadmap.slug", default=None, help_text="Slug; null for other scopes.")
    programme = serializers.CharField(source="programme.name", default=None, help_text="Name; null for other scopes.")
    gaps = serializers.ListField(
        child=serializers.DictField(child=serializers.CharField(allow_null=True)),
        help_text="Of a draft: each `source` that does not reach the month's end, with its last whole day in `until`; "
        "each `roadmap` whose report is a draft.",
    )

    class Meta:
        model = Report
        fields = [
            "id",
            "scope",
            "roadmap",
            "programme",
            "month",
            "revision",
            "why",
            "state",
            "gaps",
            "schema_version",
            "sha256",
            "published_at",
            "is_demo",
        ]
        read_only_fields = fields


class ReportDetailSerializer(ReportSerializer):
    """The whole document. `sha256` is over its canonical JSON (sorted keys, no spaces, UTF-8).

    Of what is not published it is what is known now, and `sha256` is empty.
    """

    payload = serializers.SerializerMethodField()

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_payload(self, report: Report) -> Json:
        return shown_payload(report)

    class Meta(ReportSerializer.Meta):
        fields = [*ReportSerializer.Meta.fields, "payload"]
        read_only_fields = fields


class ReportQuery(serializers.Serializer[Any]):
    """Which reports."""

    month = serializers.DateField(required=False, help_text="The first day of the month.")
    scope = serializers.ChoiceField(Report.Scope.choices, required=False)
    state = serializers.ChoiceField(Report.State.choices, required=False)
    roadmap = serializers.SlugField(required=False)


@extend_schema(tags=["reports"], summary="Reports, newest first", parameters=[ReportQuery])
class ReportList(ListAPIView[Report]):
    """Reports of the roadmaps that the asker sees."""

    serializer_class = ReportSerializer

    def get_queryset(self) -> QuerySet[Report]:
        asked = ReportQuery(data=self.request.query_params)
        asked.is_valid(raise_exception=True)
        wanted = dict(asked.validated_data)
        if "roadmap" in wanted:
            wanted["roadmap__workload__slug"] = wanted.pop("roadmap")
        return visible_reports(asker_of(self.request)).filter(**wanted).defer("payload")


@extend_schema(tags=["reports"], summary="One report with its frozen document")
class ReportDetail(RetrieveAPIView[Report]):
    """One revision."""

    serializer_class = ReportDetailSerializer
    lookup_field = "uuid"

    def get_queryset(self) -> QuerySet[Report]:
        return visible_reports(asker_of(self.request))


@extend_schema(
    tags=["reports"],
    summary="One report as a file",
    description="`pdf` as it was published, `xlsx`, `csv`, or `json`: the bytes that `sha256` is over.",
    responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
)
class ReportFileView(APIView):
    """One revision as PDF, workbook, CSV or canonical JSON."""

    def get(self, request: Request, uuid: UUID, kind: str) -> HttpResponseBase:
        """The file; 404 for a report that the asker does not see, or a kind that there is none of."""
        return file_response(get_object_or_404(visible_reports(asker_of(request)), uuid=uuid), kind)
