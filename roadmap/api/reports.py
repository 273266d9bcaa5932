"""Reports over REST: the frozen document and its hash."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.authentication import asker_of
from roadmap.models import Report
from roadmap.queries.reports import visible_reports
from roadmap.views.report_files import file_response


class ReportSerializer(serializers.ModelSerializer[Report]):
    """A report in a list: what it is about, and its hash."""

    id = serializers.UUIDField(source="uuid")
    roadmap = serializers.CharField(source="roadmap.slug", default=None, help_text="Slug; null for the portfolio.")

    class Meta:
        model = Report
        fields = [
            "id",
            "scope",
            "roadmap",
            "month",
            "revision",
            "state",
            "schema_version",
            "sha256",
            "published_at",
            "is_demo",
        ]
        read_only_fields = fields


class ReportDetailSerializer(ReportSerializer):
    """The whole frozen document. `sha256` is over its canonical JSON (sorted keys, no spaces, UTF-8)."""

    payload = serializers.JSONField()

    class Meta(ReportSerializer.Meta):
        fields = [*ReportSerializer.Meta.fields, "payload"]
        read_only_fields = fields


@extend_schema(tags=["reports"], summary="Reports, newest first")
class ReportList(ListAPIView[Report]):
    """Reports of the roadmaps that the asker sees."""

    serializer_class = ReportSerializer

    def get_queryset(self) -> QuerySet[Report]:
        return visible_reports(asker_of(self.request)).defer("payload")


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
