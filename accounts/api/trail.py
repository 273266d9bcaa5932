"""The audit trail over REST. Rows are read only: nothing changes or deletes them."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import can_read_trail
from accounts.authentication import asker_of
from accounts.models import AuditEvent
from accounts.trail import FIELDS, parse_trail_filters, trail
from web.pagination import CursorPagination

WHAT = {
    "person": "Part of the name of who did it (a person, token or command), or a user name.",
    "roadmap": "Slug of a roadmap.",
    "action": "One action, like change_milestone.",
    "subject": "One kind of subject, like roadmap.milestone.",
    "from": "First day, in the reporting zone.",
    "to": "Last day.",
    "text": "Part of a subject's name, of a value before or after, or of where it came from.",
}


class AuditEventSerializer(serializers.ModelSerializer[AuditEvent]):
    """One change: who, from where, what, and the changed fields as text before and after."""

    who = serializers.CharField(source="actor_name")
    from_where = serializers.CharField(source="origin")
    roadmap = serializers.CharField(source="workload_name", help_text="Its name when the change was made.")
    before = serializers.DictField(child=serializers.CharField(allow_null=True), allow_null=True)
    after = serializers.DictField(child=serializers.CharField(allow_null=True), allow_null=True)

    class Meta:
        model = AuditEvent
        fields = (
            "id",
            "at",
            "who",
            "from_where",
            "action",
            "subject_type",
            "subject_id",
            "subject_name",
            "roadmap",
            "before",
            "after",
            "is_demo",
        )


class NewestFirst(CursorPagination):
    """By moment, and by number within it."""

    ordering = ("-at", "-id")  # type: ignore[assignment]


class AuditTrailView(APIView):
    """The audit trail as far as the asker may read it."""

    @extend_schema(
        operation_id="list_audit_events",
        tags=["audit"],
        parameters=[OpenApiParameter(name, str, description=WHAT[name]) for name in FIELDS],
        responses=AuditEventSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        asker = asker_of(request)
        if not can_read_trail(asker):
            raise PermissionDenied
        filters = parse_trail_filters(request.query_params)
        if filters.problems:
            found: dict[str, Any] = {problem.field: [problem.message] for problem in filters.problems}
            raise ValidationError(found)
        pages = NewestFirst()
        page = pages.paginate_queryset(trail(asker, filters), request, view=self) or []
        return pages.get_paginated_response(AuditEventSerializer(page, many=True).data)
