"""Reports over REST: the frozen document and its hash."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView, RetrieveAPIView

from accounts.authentication import asker_of
from roadmap.models import Report
from roadmap.queries.reports import visible_reports


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
