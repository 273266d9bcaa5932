"""`GET /api/v1/spend`: the Spend page's figures as rows: JSON, CSV or FOCUS 1.2. One address serves a BI tool.

Amounts are decimal strings at 10 places that add up to `total` exactly; null is unknown. What is special (unallocated,
idle, entered by hand, ...) has null and a name. Windows are local days.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import can_see_spend
from accounts.authentication import asker_of
from roadmap.queries.spend import SpendView, spend_view
from roadmap.queries.spend_exports import SpendRow, csv_rows, focus_csv, spend_rows
from roadmap.queries.spend_filters import DEFAULT_BY, DIMENSIONS, FILTERS, SpendFilters
from roadmap.queries.spend_lines import Reading
from roadmap.rules.spending import Cell, Key, Member
from web.spreadsheets import amount_text, attachment

PAGE_SIZE, MOST_ROWS = 1_000, 10_000
FORMATS = ("json", "csv", "focus")
GRAINS = ("day", "month")
EXPLAINED = {
    "roadmap": "A roadmap's slug.",
    "phase": "A phase's kind: poc, scale_up, optimise; ~outside: outside any phase.",
    "business_unit": "A business unit's name; ~none: roadmaps without one.",
    "programme": "A programme's name; ~none: roadmaps without one.",
    "provider": "A provider's name; ~entered: entered by hand.",
    "backend": "A backend's slug; ~entered: entered by hand.",
    "model": "A model's name; ~idle, ~other, ~entered: what has none.",
    "team": "The value of the label `team`; ~none: usage without it.",
    "category": "usage, idle, other_charges, credit, adjustment, or a cost entry's category.",
    "basis": "billed, estimated, entered; ~not_priced.",
}


class AsText(JSONRenderer):
    """A file in an accepted media type; the files go out as streams, so that only problems are rendered: as JSON."""


class CsvText(AsText):
    """`Accept: text/csv` or `format=csv`."""

    media_type = "text/csv"
    format = "csv"


class FocusText(AsText):
    """`format=focus`."""

    media_type = "text/csv"
    format = "focus"


WINDOW_PARAMETERS = [
    OpenApiParameter("from", OpenApiTypes.DATE, description="First local day; default: twelve months ago."),
    OpenApiParameter("to", OpenApiTypes.DATE, description="Last local day, included; default: today."),
]


def by_parameter(names: Sequence[str], default: Sequence[str]) -> OpenApiParameter:
    """`by`: a list of dimensions."""
    return OpenApiParameter(
        "by",
        {"type": "array", "items": {"type": "string", "enum": list(names)}},
        explode=False,
        description=f"Dimensions, separated by commas. Default: {','.join(default)}.",
    )


def filter_parameters(names: Sequence[str]) -> list[OpenApiParameter]:
    """The filters, each explained."""
    return [OpenApiParameter(name, OpenApiTypes.STR, description=EXPLAINED[name]) for name in names]


PAGE_PARAMETERS = [
    OpenApiParameter("cursor", OpenApiTypes.STR, description="Where the last page ended: take it from `next`."),
    OpenApiParameter("page_size", OpenApiTypes.INT, description=f"Rows a page, 1 to {MOST_ROWS:,}; JSON only."),
]


class SpendWindowSerializer(serializers.Serializer[Any]):
    """Local days of the reporting zone, the end excluded."""

    start_on = serializers.DateField()
    end_before = serializers.DateField()


class NotPricedSerializer(serializers.Serializer[Any]):
    """Usage without a price; in no amount."""

    tokens = serializers.IntegerField()
    requests = serializers.IntegerField()


class PartSerializer(serializers.Serializer[Any]):
    """A part of the total."""

    name = serializers.CharField()
    title = serializers.CharField()
    amount = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)


class SpendSerializer(serializers.Serializer[Any]):
    """A spend view. Each row has, for every dimension of `by`, its id and (but for months) its name, and its amount."""

    currency = serializers.CharField()
    zone = serializers.CharField()
    window = SpendWindowSerializer()
    by = serializers.ListField(child=serializers.ChoiceField(list(DIMENSIONS)))
    filters = serializers.DictField(child=serializers.CharField())
    is_demo = serializers.BooleanField(help_text="There is nothing but the demo, so the figures are the demo's.")
    total = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    unallocated = serializers.DecimalField(
        max_digits=None, decimal_places=None, allow_null=True, help_text="Null also where it is not the asker's to see."
    )
    unallocated_share = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    not_priced = NotPricedSerializer()
    billed_minus_estimated = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    by_category = PartSerializer(many=True)
    by_basis = PartSerializer(many=True)
    no_rate = serializers.ListField(child=serializers.CharField())
    rows_in_all = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)
    rows = serializers.ListField(child=serializers.DictField())


class SpendReadView(APIView):
    """Spend by any dimensions."""

    renderer_classes: ClassVar[list[type[BaseRenderer]]] = [JSONRenderer, CsvText, FocusText]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:  # noqa: FBT001, FBT002 - DRF's
        wanted = request.query_params.get("format")
        if wanted and wanted not in FORMATS and not force:
            raise ValidationError({"format": [f"There is no format '{wanted[:40]}'. There is: {', '.join(FORMATS)}."]})
        return super().perform_content_negotiation(request, force)

    @extend_schema(
        tags=["spend"],
        summary="Spend by any dimensions",
        operation_id="spend",
        parameters=[
            *WINDOW_PARAMETERS,
            by_parameter(list(DIMENSIONS), DEFAULT_BY),
            *filter_parameters(list(FILTERS)),
            OpenApiParameter("format", OpenApiTypes.STR, enum=list(FORMATS)),
            OpenApiParameter(
                "grain", OpenApiTypes.STR, enum=list(GRAINS), description="Charge periods of `format=focus`."
            ),
            *PAGE_PARAMETERS,
        ],
        responses={
            (200, "application/json"): SpendSerializer,
            (200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, "The rows, or with `format=focus` FOCUS 1.2."),
        },
    )
    def get(self, request: Request) -> Any:
        view = asked_view(request, known=("format", "grain", "cursor", "page_size"))
        grain = request.query_params.get("grain") or "day"
        if grain not in GRAINS:
            raise ValidationError({"grain": [f"There is no grain '{grain[:40]}'. There is: {', '.join(GRAINS)}."]})
        if request.accepted_renderer.format == "focus":
            return attachment(focus_csv(view, grain=grain), file_name(view.filters, "focus"), "text/csv; charset=utf-8")
        cells, reading = view.reader.cells(view.filters.by)
        if request.accepted_renderer.format == "csv":
            return attachment(csv_rows(view, cells), file_name(view.filters, "spend"), "text/csv; charset=utf-8")
        every = spend_rows(cells)
        rows, following = page_of(request, every, [row.members for row in every])
        return Response(
            {
                **frame_of(view),
                **figures_of(view, reading),
                "rows_in_all": len(cells),
                "next": following,
                "rows": [_row(view.filters.by, row) for row in rows],
            }
        )


def asked_view(request: Request, *, known: Sequence[str], **options: Any) -> SpendView:
    """The view that a request asks for. Raises what REST framework makes a problem document of."""
    asker = asker_of(request)
    if not can_see_spend(asker):
        raise PermissionDenied("Spend is read by admins, executives, and those who manage or contribute to a roadmap.")
    view = spend_view(asker, request.query_params, most=None, known=known, **options)
    if view.filters.problems:
        fields: dict[str, list[str]] = {}
        for problem in view.filters.problems:
            fields.setdefault(problem.field, []).append(problem.message)
        raise ValidationError(fields)
    return view


def file_name(filters: SpendFilters, kind: str) -> str:
    """'spend-2026-01-01-to-2026-11-26.csv'."""
    return f"{kind}-{filters.start_on.isoformat()}-to-{filters.last_on.isoformat()}.csv"


def frame_of(view: SpendView) -> dict[str, Any]:
    """What every answer says of itself."""
    filters = view.filters
    return {
        "currency": view.currency,
        "zone": settings.REPORTING_TIME_ZONE,
        "window": {"start_on": filters.start_on, "end_before": filters.end_on},
        "by": list(filters.by),
        "filters": {name: value for name, value in filters.values.items() if value},
        "is_demo": view.demo_is_in_totals,
    }


def figures_of(view: SpendView, reading: Reading) -> dict[str, Any]:
    """The page's four figures and what the total is made of."""
    parts = reading.parts
    mine = view.plan.sees_all
    return {
        "total": text_of(parts.total.amount),
        "unallocated": text_of(parts.unallocated.amount or Decimal(0)) if mine else None,
        "unallocated_share": text_of(parts.unallocated_share) if mine else None,
        "not_priced": {"tokens": int(parts.total.tokens), "requests": int(parts.total.requests)},
        "billed_minus_estimated": text_of(parts.gap),
        "by_category": _parts(parts.by_category),
        "by_basis": _parts(parts.by_basis),
        "no_rate": sorted(reading.no_rate),
    }


def _parts(cells: dict[Member, Cell]) -> list[dict[str, Any]]:
    return [
        {"name": one.id, "title": one.name, "amount": text_of(cell.amount)}
        for one, cell in sorted(cells.items())
        if cell.amount is not None
    ]


def text_of(amount: Decimal | None) -> str | None:
    """A decimal as text without an exponent; null where it is unknown."""
    return None if amount is None else amount_text(amount)


def member_fields(by: Sequence[str], members: Key) -> dict[str, Any]:
    """Id and name of each dimension."""
    found: dict[str, Any] = {}
    for name, one in zip(by, members, strict=True):
        found[name] = one.value
        if name != "month":
            found[f"{name}_name"] = one.name
    return found


def _row(by: Sequence[str], row: SpendRow) -> dict[str, Any]:
    return {
        **member_fields(by, row.members),
        "amount": text_of(row.amount),
        "not_priced_tokens": int(row.tokens),
        "not_priced_requests": int(row.requests),
    }


def page_of(request: Request, rows: Sequence[Any], keys: Sequence[Key]) -> tuple[Sequence[Any], str | None]:
    """The rows after the cursor, and the address of the next page. A row that was added meanwhile is not lost."""
    size = _page_size(request.query_params.get("page_size"))
    start = bisect_right(keys, _key_of(request.query_params.get("cursor")))
    shown = rows[start : start + size]
    if start + size >= len(rows) or not shown:
        return shown, None
    told = json.dumps([list(one) for one in keys[start + size - 1]])
    cursor = base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")
    parameters = request.query_params.copy()
    parameters["cursor"] = cursor
    return shown, request.build_absolute_uri(f"{request.path}?{parameters.urlencode()}")


def _page_size(text: str | None) -> int:
    if not text:
        return PAGE_SIZE
    # A text of thousands of digits is no number to Python either.
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= MOST_ROWS:
        raise ValidationError({"page_size": [f"Give a number from 1 to {MOST_ROWS:,}."]})
    return int(text)


def _key_of(cursor: str | None) -> Key:
    if not cursor:
        return ()
    try:
        told = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return tuple(Member(int(rank), str(sort), str(one), str(name)) for rank, sort, one, name in told)
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error) as error:
        raise ValidationError({"cursor": ["This cursor is not one of ours. Begin again without it."]}) from error
