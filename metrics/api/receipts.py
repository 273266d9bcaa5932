"""Receipts of pushes and imports: list, read, take back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Q
from django.http import Http404
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import asker_of
from accounts.models import Token
from accounts.permissions import HasScope
from metrics.actions.usage import reverse_receipt, visible_receipts
from metrics.api.usage_schema import ReceiptSerializer, problem_answer
from metrics.models import Receipt
from web.pagination import CursorPagination


def receipt_row(receipt: Receipt) -> dict[str, Any]:
    """A receipt as the API shows it; needs `workload`, `token`, `user`, `reverses` and `reversed_by` at hand."""
    reversal = getattr(receipt, "reversed_by", None)
    return {
        "receipt": str(receipt.uuid),
        "kind": receipt.kind,
        "created_at": receipt.created_at,
        "roadmap": receipt.workload.slug if receipt.workload is not None else None,
        "token": receipt.token.name if receipt.token is not None else None,
        "sent_by": receipt.user.display_name if receipt.user is not None else None,
        "first_timestamp": receipt.window_start,
        "last_timestamp": receipt.window_end,
        "stands_for": receipt.stands_for,
        "accepted": receipt.accepted,
        "duplicates": receipt.duplicates,
        "rejected": receipt.rejected,
        "rejected_count": receipt.rejected_count,
        "warnings": receipt.warnings,
        "not_priced": receipt.not_priced,
        "note": receipt.note,
        "reverses": str(receipt.reverses.uuid) if receipt.reverses is not None else None,
        "reversed_by": str(reversal.uuid) if reversal is not None else None,
    }


def receipts_of(request: Request) -> Any:
    """The receipts that the asker may read, with what a row shows."""
    receipts = visible_receipts(asker_of(request))
    token = request.auth
    if isinstance(token, Token) and not {"read", "manage"} & set(token.scopes):
        receipts = receipts.filter(Q(token=token) | Q(reverses__token=token))
    return receipts.select_related("workload", "token", "user", "reverses", "reversed_by")


def find_receipt(request: Request, uuid: UUID) -> Receipt:
    """Raises Http404 for one that is not there, or that the asker may not see."""
    receipt: Receipt | None = receipts_of(request).filter(uuid=uuid).first()
    if receipt is None:
        raise Http404
    return receipt


class MayReadReceipts(HasScope):
    """As every reader; and a token that pushes may read what became of its own pushes."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        token = request.auth
        if request.method in SAFE_METHODS and isinstance(token, Token) and "push" in token.scopes:
            return True
        return super().has_permission(request, view)


class ReceiptListView(APIView):
    """The receipts of pushes and imports, newest first."""

    permission_classes = (MayReadReceipts,)
    pagination_class = CursorPagination

    @extend_schema(operation_id="list_receipts", tags=["usage"], responses={200: ReceiptSerializer(many=True)})
    def get(self, request: Request) -> Response:
        pages = CursorPagination()
        page: list[Receipt] = pages.paginate_queryset(receipts_of(request), request, view=self) or []
        return pages.get_paginated_response([receipt_row(receipt) for receipt in page])


class ReceiptView(APIView):
    """One receipt."""

    permission_classes = (MayReadReceipts,)

    @extend_schema(
        operation_id="read_receipt",
        tags=["usage"],
        responses={200: ReceiptSerializer, 404: problem_answer("None that you may see.")},
    )
    def get(self, request: Request, uuid: UUID) -> Response:
        return Response(receipt_row(find_receipt(request, uuid)))


class ReceiptReverseView(APIView):
    """Take a push or an import back."""

    scope = "push"

    @extend_schema(
        operation_id="reverse_receipt",
        tags=["usage"],
        summary="Take a push or an import back",
        description=(
            "Once, within 35 days: a new receipt with the opposite signs. It releases ids, key and digest, so that a "
            "corrected push counts."
        ),
        request=None,
        responses={
            201: ReceiptSerializer,
            403: problem_answer("Not a contributor of its roadmap."),
            404: problem_answer("None that you may see."),
            409: problem_answer("Taken back already."),
            422: problem_answer("Too old, or not a push or import."),
        },
    )
    def post(self, request: Request, uuid: UUID) -> Response:
        receipt = find_receipt(request, uuid)
        reversal = reverse_receipt(asker_of(request), receipt)
        row = receipt_row(receipts_of(request).get(pk=reversal.pk))
        return Response(row, status=201, headers={"Location": reverse("api_receipt", args=[reversal.uuid])})
