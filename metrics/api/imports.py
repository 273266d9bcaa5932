"""Billing files over REST: send one, see what became of it, let it count, discard it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from metrics.actions import imports as actions
from metrics.api.rows import BackendsView, Input, workload_of
from metrics.api.usage_schema import problem_answer
from metrics.bills import can_see_imports, import_page, visible_imports
from metrics.errors import RuleViolation
from metrics.models import Backend, BillingImport, BillingSource
from metrics.tasks import enqueue_on_commit, post_import, read_import
from metrics.visible import visible_backends
from web.pagination import CursorPagination

if TYPE_CHECKING:
    from django.http import QueryDict

State = BillingImport.State
REFUSED = {
    403: problem_answer("Only admins import billing files; admins and executives see them."),
    404: problem_answer("None that you may see."),
    422: problem_answer("The file cannot be read, or something that was said cannot be."),
}


class ChoicesIn(Input):
    """What of a file counts. Left out: as with the last file of this account, else what fits most."""

    services = serializers.ListField(
        child=serializers.CharField(allow_blank=True, max_length=100),
        required=False,
        help_text="Services whose charges count, ['*'] for all. Else those of the category AI and Machine Learning, "
        "where the file has any.",
    )
    mode = serializers.ChoiceField(
        BillingImport.Mode.choices,
        required=False,
        help_text="Whether it replaces earlier files of the same account and billing period, or is a part of one.",
    )
    cost = serializers.ChoiceField([(cost, cost) for cost in actions.COSTS], required=False)
    pays_for = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="Slugs of the backends whose traffic this bill pays for, [] for none that is known here.",
    )


class ImportIn(ChoicesIn):
    """A billing file. It counts as soon as it is read, unless `preview` is true."""

    file = serializers.FileField(
        help_text="FOCUS 1.0 to 1.4 as CSV or Parquet, or any CSV with a mapping; gzip is fine."
    )
    backend = serializers.CharField(
        required=False, help_text="Slug of the account of bills; else by the file's account."
    )
    name = serializers.CharField(required=False, max_length=200, help_text="The name of a new account of bills.")
    roadmap = serializers.CharField(required=False, help_text="To whom a new account's spend belongs.")
    mapping = serializers.JSONField(
        required=False,
        help_text='Of a file that is not FOCUS: {"columns": {"time": "Day", "amount": "Cost", "model": ...}, '
        '"currency": "USD", "provider": "openai", "date_order": "ymd", "decimal_mark": "."}.',
    )
    preview = serializers.BooleanField(required=False, default=False)


class RejectedOut(serializers.Serializer[Any]):
    """A row that does not count; the index is its row in a spreadsheet."""

    index = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()


class ImportTotalOut(serializers.Serializer[Any]):
    """A month's money of the file, without tax, and what the account counts without and with it."""

    month = serializers.DateField()
    currency = serializers.CharField()
    amount = serializers.DecimalField(max_digits=50, decimal_places=20)
    before = serializers.DecimalField(max_digits=50, decimal_places=20)
    after = serializers.DecimalField(max_digits=50, decimal_places=20)


class ImportServiceOut(serializers.Serializer[Any]):
    """A service in the file and whether its charges count."""

    service = serializers.CharField()
    category = serializers.CharField()
    is_chosen = serializers.BooleanField()
    rows = serializers.IntegerField()


class ImportListedOut(serializers.Serializer[Any]):
    """A billing file and what became of it."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    backend = serializers.CharField()
    state = serializers.ChoiceField(State.choices)
    format = serializers.CharField()
    focus_version = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    rows_read = serializers.IntegerField()
    rows_accepted = serializers.IntegerField()
    rows_rejected = serializers.IntegerField()
    rows_repeated = serializers.IntegerField()
    rejected = RejectedOut(many=True)
    notes = serializers.DictField(child=serializers.IntegerField())
    problem = serializers.CharField(allow_null=True)
    receipt = serializers.UUIDField(allow_null=True)
    see = serializers.CharField()


class ImportOut(ImportListedOut):
    """A billing file with its sums."""

    is_repeat = serializers.BooleanField(help_text="These bytes were here already; nothing was added.")
    months = ImportTotalOut(many=True)
    services = ImportServiceOut(many=True)


class ImportsView(BackendsView):
    """What all of them share: who may, finding one, showing it."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not can_see_imports(self.asker):
            raise PermissionDenied("Billing files show everyone's spend: admins and executives see them.")

    def find(self, uuid: UUID) -> BillingImport:
        one = visible_imports(self.asker).filter(uuid=uuid).first()
        if one is None:
            raise Http404
        return one

    def choices(self, data: dict[str, Any]) -> actions.Choices:
        return actions.Choices(
            mapping=data.get("mapping"),
            services=data.get("services"),
            mode=data.get("mode"),
            cost=data.get("cost"),
            pays_for=self._backends(data["pays_for"]) if "pays_for" in data else None,
        )

    def _backends(self, slugs: list[str]) -> list[Backend]:
        found = {one.slug: one for one in visible_backends(self.asker).filter(slug__in=slugs)}
        for slug in slugs:
            if slug not in found:
                raise RuleViolation("unknown_backend", f"There is no backend '{slug}'.", "pays_for")
        return [found[slug] for slug in slugs]

    def listed(self, one: BillingImport) -> dict[str, Any]:
        """What a list shows of a file, without asking the database again."""
        return {
            "id": one.uuid,
            "name": one.name,
            "backend": one.source.backend.slug,
            "state": one.state,
            "format": f"{one.layout or 'Plain file'}, {one.container}",
            "focus_version": one.focus_version or None,
            "created_at": one.created_at,
            "rows_read": one.rows_read,
            "rows_accepted": one.rows_accepted,
            "rows_rejected": one.rows_rejected,
            "rows_repeated": one.rows_repeated,
            "rejected": one.rejected,
            "notes": one.notes,
            "problem": one.problem or None,
            "receipt": one.receipt.uuid if one.receipt else None,
            "see": self.request.build_absolute_uri(reverse("import", args=[one.uuid])),
        }

    def row(self, one: BillingImport, *, is_repeat: bool = False) -> dict[str, Any]:
        """A file with its sums."""
        page = import_page(self.asker, one)
        told = {**self.listed(one), "is_repeat": is_repeat, "months": page.months, "services": page.services}
        return dict(ImportOut(told).data)


class ImportListView(ImportsView):
    """Sending a file, and all of them."""

    parser_classes = (MultiPartParser, FormParser)

    @extend_schema(operation_id="list_imports", tags=["imports"], responses={200: ImportListedOut(many=True)})
    def get(self, request: Request) -> Response:
        pages = CursorPagination()
        found: list[BillingImport] = pages.paginate_queryset(visible_imports(self.asker), request, view=self) or []
        rows = [self.listed(one) for one in found]
        return pages.get_paginated_response(ImportListedOut(rows, many=True).data)

    @extend_schema(
        operation_id="import_billing_file",
        tags=["imports"],
        summary="Import a billing file",
        description=(
            "FOCUS 1.0 to 1.4 (CSV, gzip, Parquet), or any CSV with a `mapping`. It is read and counted by a worker: "
            "ask `Location` for `state` 'done'. The same bytes again answer 200 with the import that has them. "
            "Take it back with its receipt."
        ),
        request={"multipart/form-data": ImportIn},
        responses={
            201: ImportOut,
            200: ImportOut,
            413: problem_answer("Larger than IMPORT_MAX_MIB."),
            (400, "application/problem+json"): OpenApiTypes.OBJECT,
            **REFUSED,
        },
    )
    def post(self, request: Request) -> Response:
        data = self.read_form()
        source = None
        if data.get("backend"):
            source = BillingSource.objects.select_related("backend").filter(backend__slug=data["backend"]).first()
            if source is None:
                raise RuleViolation("unknown_backend", f"There are no bills of '{data['backend']}'.", "backend")
        file = data["file"]
        found = actions.upload(
            self.asker,
            pieces=file.chunks(),
            name=file.name,
            source=source,
            source_name=data.get("name", ""),
            workload=workload_of(self.asker, data.get("roadmap")),
            choices=self.choices(data),
            is_confirmed=not data["preview"],
        )
        one = self.find(found.one.uuid)
        if not found.is_repeat and one.state == State.READING:
            enqueue_on_commit(read_import, one.pk)
        return Response(
            self.row(one, is_repeat=found.is_repeat),
            status=200 if found.is_repeat else 201,
            headers={"Location": reverse("api_import", args=[one.uuid])},
        )

    def read_form(self) -> dict[str, Any]:
        """The form, lists and the mapping in whichever way it carries them. Raises ValidationError."""
        given: dict[str, Any] = {}
        sent = cast("QueryDict", self.request.data)
        for name in sent:
            values = sent.getlist(name)
            given[name] = values[-1]
            if name in ("services", "pays_for"):
                given[name] = [value for value in values if value or name == "services"]
                if len(values) == 1 and str(values[0]).startswith("["):
                    given[name] = _json(name, values[0])
            elif name == "mapping":
                given[name] = _json(name, values[-1])
        serializer = ImportIn(data=given)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)


class ImportView(ImportsView):
    """One file."""

    parser_classes = (JSONParser,)

    @extend_schema(operation_id="read_import", tags=["imports"], responses={200: ImportOut, **REFUSED})
    def get(self, request: Request, uuid: UUID) -> Response:
        return Response(self.row(self.find(uuid)))

    @extend_schema(
        operation_id="discard_import",
        tags=["imports"],
        summary="Discard a file that does not count",
        responses={204: None, **REFUSED},
    )
    def delete(self, request: Request, uuid: UUID) -> Response:
        actions.discard(self.asker, self.find(uuid))
        return Response(status=204)


class ImportConfirmView(ImportsView):
    """Letting a file count that was sent with `preview`."""

    parser_classes = (JSONParser,)

    @extend_schema(
        operation_id="confirm_import", tags=["imports"], request=ChoicesIn, responses={202: ImportOut, **REFUSED}
    )
    def post(self, request: Request, uuid: UUID) -> Response:
        one = self.find(uuid)
        actions.confirm(self.asker, one, self.choices(self.read(ChoicesIn)))
        enqueue_on_commit(post_import, one.pk)
        return Response(self.row(self.find(uuid)), status=202)


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise serializers.ValidationError({name: "This is not JSON."}) from None
