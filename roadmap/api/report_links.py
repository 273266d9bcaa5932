"""Private links to a report over REST, by its page's rules. A link's address is in the answer to making it alone."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import asker_of
from roadmap.actions.report_links import make_report_link, revoke_report_link
from roadmap.api.rows import Input
from roadmap.models import Report, ReportLink
from roadmap.queries.report_links import links_of, may_link
from roadmap.queries.reports import visible_reports
from web.pagination import CursorPagination


class ReportLinkOut(serializers.ModelSerializer[ReportLink]):
    """A private link without its address."""

    state = serializers.SerializerMethodField()
    created_by = serializers.CharField(source="created_by.username")
    revoked_by = serializers.CharField(source="revoked_by.username", default=None)

    class Meta:
        model = ReportLink
        fields = (
            *("id", "label", "state", "created_at", "created_by", "expires_at", "revoked_at", "revoked_by"),
            *("uses", "last_used_at"),
        )

    @extend_schema_field(serializers.ChoiceField(choices=ReportLink.State.choices))
    def get_state(self, link: ReportLink) -> str:
        return link.state_at(timezone.now()).value


class MadeReportLinkOut(ReportLinkOut):
    """A new link with its address, shown this once."""

    url = serializers.URLField(read_only=True)

    class Meta(ReportLinkOut.Meta):
        fields = (*ReportLinkOut.Meta.fields, "url")  # type: ignore[assignment]


class ReportLinkIn(Input):
    """For whom the link is, and until when it works: REPORT_LINK_DAYS unless said."""

    label = serializers.CharField(max_length=100)  # type: ignore[assignment]
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class ReportLinkList(APIView):
    """Links to one revision."""

    @extend_schema(
        operation_id="list_report_links",
        tags=["reports"],
        summary="Private links to a report, newest first",
        responses=ReportLinkOut(many=True),
    )
    def get(self, request: Request, uuid: UUID) -> Response:
        pages = CursorPagination()
        page = pages.paginate_queryset(links_of(_report(request, uuid)), request, view=self) or []
        return pages.get_paginated_response(ReportLinkOut(page, many=True).data)

    @extend_schema(
        operation_id="make_report_link",
        tags=["reports"],
        summary="Make a private link to a report",
        request=ReportLinkIn,
        responses={201: MadeReportLinkOut},
    )
    def post(self, request: Request, uuid: UUID) -> Response:
        """Who knows the address reads this revision without signing in, until the link ends or is revoked."""
        report = _report(request, uuid)
        given = ReportLinkIn(data=request.data)
        given.is_valid(raise_exception=True)
        values: dict[str, Any] = dict(given.validated_data)
        link, secret = make_report_link(
            asker_of(request), report, label=values["label"], expires_at=values.get("expires_at")
        )
        link.url = settings.BASE_URL + reverse("linked_report", args=[secret])  # type: ignore[attr-defined]
        return Response(MadeReportLinkOut(link).data, status=201, headers={"Cache-Control": "no-store"})


class ReportLinkDetail(APIView):
    """One link."""

    @extend_schema(
        operation_id="revoke_report_link", tags=["reports"], summary="Revoke a private link", responses={204: None}
    )
    def delete(self, request: Request, uuid: UUID, pk: int) -> Response:
        links = links_of(_report(request, uuid)).select_related("report__roadmap__workload")
        revoke_report_link(asker_of(request), get_object_or_404(links, pk=pk))
        return Response(status=204)


def _report(request: Request, uuid: UUID) -> Report:
    """A report whose links the asker keeps: 404 where they do not see it, 403 where they only read it."""
    asker = asker_of(request)
    found = get_object_or_404(visible_reports(asker).defer("payload"), uuid=uuid)
    if not may_link(asker, found):
        raise PermissionDenied("Only managers of the roadmap, and for other reports admins, keep private links.")
    return found
