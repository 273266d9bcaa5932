"""KPIs and their readings over REST."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.models import Role
from roadmap.actions.kpis import (
    MAX_READINGS,
    MAX_SAMPLE,
    NewReading,
    Recorded,
    add_kpi,
    change_kpi,
    delete_kpi,
    record_readings,
)
from roadmap.api.rows import PROBLEMS, Input, ListView, MayRecord, PlanView, check_people, described, person_field
from roadmap.imports.kpi_readings import ReadingRows, csv_readings, ndjson_readings, record_rows
from roadmap.imports.tables import MAX_BYTES
from roadmap.models import Kpi, Reading

FIGURE: dict[str, Any] = {"max_digits": 30, "decimal_places": 6}
# Of lines that cannot be recorded.
MAX_LISTED = 100
OPTIONAL: dict[str, Any] = {"required": False, "allow_null": True}


class KpiOut(serializers.ModelSerializer[Kpi]):
    """A KPI. `measure` names what a computed one is computed from; `window_days` null: the phase to date."""

    roadmap = serializers.CharField(source="phase.roadmap.slug")
    phase = serializers.IntegerField(source="phase_id")
    rate_owner = serializers.CharField(source="rate_owner.username", default=None)
    carried_from = serializers.IntegerField(source="carried_from_id", default=None)

    class Meta:
        model = Kpi
        fields = (
            "id",
            "roadmap",
            "phase",
            "key",
            "name",
            "unit",
            "direction",
            "source",
            "measure",
            "formula",
            "window_days",
            "combine",
            "minimum_sample",
            "baseline",
            "target",
            "target_on",
            "is_value",
            "rate_amount",
            "rate_currency",
            "rate_source",
            "rate_owner",
            "carried_from",
        )


class KpiChange(Input):
    """What can be changed of a KPI. With a `measure` it is computed and takes its unit from it; a `formula` is over the
    `key`s of KPIs of the same phase: `hours_saved * 42.5 / spend`."""

    name = serializers.CharField(max_length=120, required=False)
    unit = serializers.CharField(max_length=40, required=False, allow_blank=True)
    direction = serializers.ChoiceField(Kpi.Direction.choices, required=False)
    source = serializers.ChoiceField(Kpi.Source.choices, required=False)  # type: ignore[assignment]
    measure = serializers.CharField(max_length=60, required=False, allow_blank=True)
    formula = serializers.CharField(max_length=300, required=False, allow_blank=True)
    window_days = serializers.IntegerField(min_value=1, max_value=366, **OPTIONAL)
    combine = serializers.ChoiceField(Kpi.Combine.choices, required=False)
    minimum_sample = serializers.IntegerField(min_value=0, max_value=2_000_000_000, required=False)
    baseline = serializers.DecimalField(**FIGURE, **OPTIONAL)
    target = serializers.DecimalField(**FIGURE, **OPTIONAL)
    target_on = serializers.DateField(**OPTIONAL)
    is_value = serializers.BooleanField(required=False)
    rate_amount = serializers.DecimalField(max_digits=20, decimal_places=6, **OPTIONAL)
    rate_currency = serializers.CharField(max_length=3, required=False, allow_blank=True)
    rate_source = serializers.CharField(max_length=200, required=False, allow_blank=True)
    rate_owner = person_field(**OPTIONAL)


class KpiIn(KpiChange):
    """A new KPI."""

    phase = serializers.IntegerField()
    name = serializers.CharField(max_length=120)


class KpiView(PlanView):
    """KPIs of the roadmaps that the asker sees."""

    model = Kpi
    roadmap_path = "phase__roadmap"
    phase_path = "phase_id"
    related = ("rate_owner",)
    serializer_class: Any = KpiOut


@described(KpiOut, KpiIn, tag="kpis", list="KPIs", post="Add a KPI")
class KpiList(KpiView, ListView):
    """KPIs."""

    def post(self, request: Request) -> Response:
        data = self.read(KpiIn)
        phase = self.phase(data.pop("phase"))
        self.allow(Role.MANAGER, phase.roadmap)
        check_people(phase.roadmap, data)
        made = add_kpi(self.asker, phase, **data)
        response = self.answer(self.row(made.pk), 201)
        response["Location"] = reverse("api_kpi", args=[made.pk], request=request)
        return response


@described(KpiOut, KpiChange, tag="kpis", get="One KPI", patch="Change a KPI", delete="Delete a KPI with its readings")
class KpiDetail(KpiView):
    """One KPI."""

    def get(self, request: Request, pk: int) -> Response:
        return self.answer(self.row(pk))

    def patch(self, request: Request, pk: int) -> Response:
        found = self.row(pk)
        self.allow(Role.MANAGER, found.phase.roadmap)
        data = self.read(KpiChange, partial=True)
        check_people(found.phase.roadmap, data)
        change_kpi(self.asker, found, **data)
        return self.answer(self.row(pk))

    def delete(self, request: Request, pk: int) -> Response:
        delete_kpi(self.asker, self.row(pk))
        return Response(status=204)


class ReadingOut(serializers.ModelSerializer[Reading]):
    """One value at one time."""

    author = serializers.CharField(source="author.username", default=None)

    class Meta:
        model = Reading
        fields = ("id", "at", "value", "sample_count", "note", "author", "recorded_at")


class ReadingIn(Input):
    """One value at one time; the same time again replaces."""

    at = serializers.DateTimeField(help_text="RFC 3339 with offset.")
    value = serializers.DecimalField(**FIGURE)
    sample_count = serializers.IntegerField(min_value=0, max_value=MAX_SAMPLE, **OPTIONAL)
    note = serializers.CharField(max_length=300, default="", allow_blank=True)


class ReadingsIn(Input):
    """Many readings."""

    readings = ReadingIn(many=True, allow_empty=False, max_length=MAX_READINGS)  # type: ignore[call-arg]


class RecordedOut(serializers.Serializer[Any]):
    """How many were new, took the place of one at the same time, or were there already as they are."""

    added = serializers.IntegerField()
    replaced = serializers.IntegerField()
    unchanged = serializers.IntegerField()


class RawBody(BaseParser):
    """The body as it came, up to what a file may hold and a byte more."""

    def parse(  # type: ignore[override]
        self, stream: Any, media_type: str | None = None, parser_context: Any = None
    ) -> bytes:
        """The bytes."""
        return bytes(stream.read(MAX_BYTES + 1))


class CsvBody(RawBody):
    """Rows of a table."""

    media_type = "text/csv"


class LinesBody(RawBody):
    """One JSON object a line."""

    media_type = "application/x-ndjson"


@extend_schema_view(
    get=extend_schema(
        tags=["kpis"], summary="Readings of a KPI, newest first", responses={200: ReadingOut(many=True), **PROBLEMS}
    ),
    post=extend_schema(
        tags=["kpis"],
        summary="Record one or many readings",
        description="One reading, a list of them, or an object with `readings`; or rows of `text/csv`, or one object a "
        "line as `application/x-ndjson`, both with `at` (or `day`), `value`, and as they please `sample_count`, `note` "
        "and `kpi`, the key or id of a KPI of the same phase. All are recorded, or none: `errors` has the lines that "
        "cannot be. The same reading again changes nothing. A token needs the scope `push` or `manage`.",
        request={
            "application/json": PolymorphicProxySerializer(
                "ReadingOrReadings", [ReadingIn, ReadingsIn], resource_type_field_name=None, many=False
            ),
            "text/csv": OpenApiTypes.STR,
            "application/x-ndjson": OpenApiTypes.STR,
        },
        responses={201: RecordedOut, **PROBLEMS},
    ),
)
class Readings(KpiView):
    """Readings of a KPI."""

    serializer_class = ReadingOut
    permission_classes = (MayRecord,)
    parser_classes = (JSONParser, CsvBody, LinesBody)
    scope = "push"

    def get(self, request: Request, pk: int) -> Response:
        rows = self.paginate_queryset(self.row(pk).readings.select_related("author"))
        return self.get_paginated_response(ReadingOut(rows, many=True).data)

    def post(self, request: Request, pk: int) -> Response:
        found = self.row(pk)
        self.allow(Role.CONTRIBUTOR, found.phase.roadmap)
        body = request.data
        kind = (request.content_type or "").partition(";")[0].strip().lower()
        if kind in (CsvBody.media_type, LinesBody.media_type):
            # An empty body is never parsed.
            read = csv_readings if kind == CsvBody.media_type else ndjson_readings
            rows = read(found, body if isinstance(body, bytes) else b"")
            return Response(RecordedOut(self._in_bulk(rows)).data, status=201)
        many = {"readings": body} if isinstance(body, list) else body
        if isinstance(many, dict) and "readings" in many:
            serializer: Any = ReadingsIn(data=many)
            serializer.is_valid(raise_exception=True)
            given = serializer.validated_data["readings"]
        else:
            given = [self.read(ReadingIn)]
        recorded = record_readings(self.asker, found, [NewReading(**row) for row in given])
        return Response(RecordedOut(recorded).data, status=201)

    def _in_bulk(self, rows: ReadingRows) -> Recorded:
        problems = [(row.line, row.problem) for row in rows.rows if row.problem is not None]
        if problems:
            raise serializers.ValidationError(
                {
                    "lines": {
                        str(line): {problem.column or "line": [ErrorDetail(problem.message, problem.code)]}
                        for line, problem in problems[:MAX_LISTED]
                    }
                }
            )
        return record_rows(self.asker, rows)
