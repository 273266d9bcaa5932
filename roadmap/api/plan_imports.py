"""A plan from a spreadsheet over REST: what it would change, or changing it."""

from __future__ import annotations

import json
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from accounts.authentication import asker_of
from metrics.errors import RuleViolation
from roadmap.api.rows import PROBLEM, PROBLEMS, Input
from roadmap.imports.cells import Choices
from roadmap.imports.run import BY_NAME, run_import
from roadmap.imports.tables import ENCODINGS, MAX_BYTES, too_large
from roadmap.imports.telling import document_of
from roadmap.imports.uploads import import_at_once, require_may_import
from web.problems import CONTENT_TYPE, problem


class PlanImportIn(Input):
    """A spreadsheet, and how it is read where it does not say."""

    file = serializers.FileField(
        help_text="XLSX with the sheets Roadmaps, Milestones, KPIs, Readings, Cost entries; or a CSV."
    )
    dry_run = serializers.BooleanField(default=False, help_text="Say what would change, and change nothing.")
    take_part = serializers.BooleanField(
        default=False,
        help_text="Import the other rows where some are refused. Without it a refused row stops everything.",
    )
    kind = serializers.CharField(required=False, help_text=f"What a CSV holds: {', '.join(BY_NAME)}.")
    encoding = serializers.CharField(
        required=False, help_text=f"Of a CSV that is neither UTF-8 nor UTF-16: {', '.join(ENCODINGS)}."
    )
    date_order = serializers.CharField(required=False, help_text="dmy or mdy, for days such as 03/04/2026.")
    decimal_mark = serializers.CharField(required=False, help_text="A point or a comma.")
    mapping = serializers.CharField(
        required=False,
        help_text='Your columns as JSON by kind: {"milestones": {"Fällig": "due_on", "Sprint": ""}}; empty: left out.',
    )


class ChangeOut(serializers.Serializer[Any]):
    """A field's value before and after, as text; empty for none."""

    column = serializers.CharField()
    before = serializers.CharField()
    after = serializers.CharField()


class RefusalOut(serializers.Serializer[Any]):
    """Why a row is refused; `column` is empty where it is the row."""

    column = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()


class PlanRowOut(serializers.Serializer[Any]):
    """A row; `line` as the spreadsheet numbers it, `place` where it belongs."""

    line = serializers.IntegerField()
    name = serializers.CharField()
    place = serializers.CharField()
    changes = ChangeOut(many=True)
    problems = RefusalOut(many=True)
    notes = serializers.ListField(child=serializers.CharField())


class PlanCountsOut(serializers.Serializer[Any]):
    """Rows by what became of them."""

    refused = serializers.IntegerField()
    added = serializers.IntegerField()
    changed = serializers.IntegerField()
    unchanged = serializers.IntegerField()


class PlanColumnOut(serializers.Serializer[Any]):
    """A column of the file; `field` is empty where it is left out, and `why` says why."""

    header = serializers.CharField()
    field = serializers.CharField()
    title = serializers.CharField()
    why = serializers.CharField()


class MissingOut(serializers.Serializer[Any]):
    """In Phaseline and in no row; it stays."""

    name = serializers.CharField()
    place = serializers.CharField()


class PlanSheetOut(serializers.Serializer[Any]):
    """A sheet. Unchanged rows are only counted; `missing` are the first 200 of `missing_count`."""

    kind = serializers.CharField()
    title = serializers.CharField()
    counts = PlanCountsOut()
    problem = RefusalOut(allow_null=True)
    columns = PlanColumnOut(many=True)
    refused = PlanRowOut(many=True)
    added = PlanRowOut(many=True)
    changed = PlanRowOut(many=True)
    noted = PlanRowOut(many=True)
    missing = MissingOut(many=True)
    missing_count = serializers.IntegerField()


class PlanImportOut(serializers.Serializer[Any]):
    """What was imported, or would be. `notes`: how the file was read; `left_out`: its sheets that are none of ours."""

    is_dry_run = serializers.BooleanField()
    words = serializers.CharField()
    counts = PlanCountsOut()
    notes = serializers.ListField(child=serializers.CharField())
    left_out = serializers.ListField(child=serializers.CharField())
    sheets = PlanSheetOut(many=True)


class PlanImports(APIView):
    """Importing a plan in one request."""

    parser_classes = (MultiPartParser, FormParser)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        require_may_import(asker_of(request))

    @extend_schema(
        operation_id="import_plan",
        tags=["roadmaps"],
        summary="Import a plan from a spreadsheet",
        description=(
            "Roadmaps, milestones, KPIs, readings and cost entries, found again by their keys: a second import changes "
            "and adds nothing twice. Each row needs the rights of its own address. 422 with `result` where a row is "
            "refused, and nothing is imported then, unless `take_part` is true."
        ),
        request={"multipart/form-data": PlanImportIn},
        responses={
            200: PlanImportOut,
            201: PlanImportOut,
            413: PROBLEM,
            (400, "application/problem+json"): OpenApiTypes.OBJECT,
            **PROBLEMS,
        },
    )
    def post(self, request: Request) -> Response:
        # A form, whose fields stand once each.
        form: Any = request.data
        serializer = PlanImportIn(data=form.dict())
        serializer.is_valid(raise_exception=True)
        data = serializer.validated_data
        asker, file = asker_of(request), data["file"]
        if file.size > MAX_BYTES:
            raise RuleViolation("too_large", too_large(), "file")
        choices = Choices.of(
            {name: data.get(name, "") for name in ("kind", "encoding", "date_order", "decimal_mark")}
            | {"columns": _mapping(data.get("mapping", ""))}
        )
        content = file.read()
        if data["dry_run"]:
            found = run_import(asker, content, choices, dry_run=True, name=file.name)
            return Response(PlanImportOut(document_of(found) | {"is_dry_run": True}).data)
        document, kept = import_at_once(
            asker, name=file.name, content=content, choices=choices, takes_part=data["take_part"]
        )
        told = dict(PlanImportOut(document | {"is_dry_run": kept is None}).data)
        if kept is None:
            return _refused(told)
        see = reverse("plan_import", args=[kept.uuid], request=request)
        return Response(told, status=201, headers={"Location": see})


def _mapping(text: str) -> Any:
    if not text:
        return {}
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise RuleViolation("not_a_mapping", "mapping: this is not JSON.", "mapping") from None


def _refused(told: Any) -> Response:
    """422 with each refusal by sheet and line, and what would have happened."""
    errors = [
        {
            "pointer": f"/{sheet['kind']}/{row['line']}" + (f"/{why['column']}" if why["column"] else ""),
            "code": why["code"],
            "detail": why["message"],
        }
        for sheet in told["sheets"]
        for row in sheet["refused"]
        for why in row["problems"]
    ]
    errors += [
        {"pointer": f"/{sheet['kind']}", "code": sheet["problem"]["code"], "detail": sheet["problem"]["message"]}
        for sheet in told["sheets"]
        if sheet["problem"]
    ]
    detail = (
        f"{told['counts']['refused']} rows are refused, so nothing is imported. Put them right, or send take_part=true."
    )
    return Response(
        problem(422, "rows_refused", detail, errors=errors, result=told), status=422, content_type=CONTENT_TYPE
    )
