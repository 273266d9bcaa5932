"""`GET /api/v1/usage`: requests, errors, tokens and latency by the dimensions of spend. Pushing is `metrics.api.usage`.

One address, two doors: what is read by roadmaps and phases needs the plan, which lies above the usage that is pushed.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from metrics.api.usage import UsageView as PushView
from roadmap.api.spend import (
    PAGE_PARAMETERS,
    WINDOW_PARAMETERS,
    CsvText,
    SpendWindowSerializer,
    asked_view,
    by_parameter,
    file_name,
    filter_parameters,
    frame_of,
    member_fields,
    page_of,
    text_of,
)
from roadmap.queries.spend_filters import USAGE_DIMENSIONS, USAGE_FILTERS
from roadmap.queries.usage_rows import (
    COUNTS,
    DEFAULT_USAGE_BY,
    Timing,
    UsageTableRow,
    usage_columns,
    usage_table,
    usage_values,
)
from web.spreadsheets import attachment, csv_pieces

FORMATS = ("json", "csv")


class UsageReadSerializer(serializers.Serializer[Any]):
    """A usage view. Each row has, for every dimension of `by`, its id and name, its counts and its `latency`.

    Counts are null where unknown; shares can make them fractions, as decimal strings. `latency` is a list, one entry
    for each measure and place of measurement, which are never merged: percentiles in milliseconds, with `low_ms` and
    `high_ms` where only a source's own bucket is known, and a mean where one source alone gives it.
    """

    zone = serializers.CharField()
    window = SpendWindowSerializer()
    by = serializers.ListField(child=serializers.ChoiceField(list(USAGE_DIMENSIONS)))
    filters = serializers.DictField(child=serializers.CharField())
    is_demo = serializers.BooleanField()
    rows_in_all = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)
    rows = serializers.ListField(child=serializers.DictField())


class UsageView(PushView):
    """Push usage records, and read what usage did."""

    renderer_classes: ClassVar[list[type[BaseRenderer]]] = [JSONRenderer, CsvText]

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Reading is for the browser's session too; a push needs a token."""
        if getattr(self.request, "method", "") == "GET":
            return [found() for found in APIView.authentication_classes]
        return super().get_authenticators()

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:  # noqa: FBT001, FBT002 - DRF's
        wanted = request.query_params.get("format")
        if request.method == "GET" and wanted and wanted not in FORMATS and not force:
            raise ValidationError({"format": [f"There is no format '{wanted[:40]}'. There is: {', '.join(FORMATS)}."]})
        return super().perform_content_negotiation(request, force)

    @extend_schema(
        tags=["usage"],
        summary="Usage by any dimensions",
        operation_id="usage_read",
        parameters=[
            *WINDOW_PARAMETERS,
            by_parameter(list(USAGE_DIMENSIONS), DEFAULT_USAGE_BY),
            *filter_parameters(list(USAGE_FILTERS)),
            OpenApiParameter("format", OpenApiTypes.STR, enum=list(FORMATS)),
            *PAGE_PARAMETERS,
        ],
        responses={
            (200, "application/json"): UsageReadSerializer,
            (200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, "The rows."),
        },
    )
    def get(self, request: Request) -> Any:
        view = asked_view(
            request,
            known=("format", "cursor", "page_size"),
            dimensions=USAGE_DIMENSIONS,
            filters=USAGE_FILTERS,
            default_by=DEFAULT_USAGE_BY,
        )
        by = view.filters.by
        found = usage_table(view)
        if request.accepted_renderer.format == "csv":
            heads = [column.name for column in usage_columns(by)]
            pieces = csv_pieces(heads, (usage_values(by, row) for row in found))
            return attachment(pieces, file_name(view.filters, "usage"), "text/csv; charset=utf-8")
        rows, following = page_of(request, found, [row.members for row in found])
        frame = {name: value for name, value in frame_of(view).items() if name != "currency"}
        return Response(
            {
                **frame,
                "rows_in_all": len(found),
                "next": following,
                "rows": [_row(view.filters.by, row) for row in rows],
            }
        )


def _row(by: Any, row: UsageTableRow) -> dict[str, Any]:
    return {
        **member_fields(by, row.members),
        **{name: _count(row.counts[name]) for name in COUNTS},
        "latency": [_timing(timing) for timing in row.timings],
    }


def _count(value: Decimal | int | None) -> Any:
    """Whole numbers as numbers; fractions, which shares bring, as decimal strings."""
    if value is None or isinstance(value, int):
        return value
    return int(value) if value == value.to_integral() else text_of(value)


def _timing(timing: Timing) -> dict[str, Any]:
    found: dict[str, Any] = {
        "measure": timing.measure,
        "measured_at": timing.measured_at,
        "count": _count(timing.count),
        "mean_ms": None if timing.mean_ms is None else float(round(timing.mean_ms, 3)),
    }
    for percent, value in timing.percentiles.items():
        found[f"p{percent}"] = (
            {"low_ms": value.low_ms, "high_ms": value.high_ms} if value.is_interval else {"ms": value.ms}
        )
    return found
