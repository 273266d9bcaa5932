"""`POST /otlp/v1/metrics`, `/otlp/v1/traces`, `/otlp/v1/logs`: OpenTelemetry's protocol over HTTP.

Errors are `google.rpc.Status` in the encoding of the request. Clients send again after 429, 502, 503 and 504 and drop
everything else, so that whatever is no fault of theirs is 503, and nothing is ever 500.
"""

from __future__ import annotations

import logging
import traceback
from typing import Any

from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import APIException, NotAuthenticated, UnsupportedMediaType
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.access import Asker
from accounts.authentication import TokenAuthentication
from accounts.models import Token
from accounts.permissions import HasScope
from metrics.actions.otlp import accept_export
from metrics.actions.usage import note_problem
from metrics.api.intake import StorageDown, body_of, in_flight
from metrics.errors import RuleViolation
from metrics.format import Unreadable
from metrics.otlp_messages import JSON, PROTOBUF, Signal, response_of, status_of
from metrics.push_keys import KeyViolation

logger = logging.getLogger(__name__)

KEY_RETRY_SECONDS = 1
_BODY = {(200, PROTOBUF): OpenApiTypes.BINARY, (200, JSON): OpenApiTypes.OBJECT}
_SAYS = {
    Signal.METRICS: "GenAI metrics: tokens, requests, errors and latencies. docs/push.md, OpenTelemetry.",
    Signal.TRACES: "Spans of inference and of the steps of agents. docs/push.md, OpenTelemetry.",
    Signal.LOGS: "Acknowledged and thrown away unread.",
}


class _AsAsked(BaseContentNegotiation):
    """The answer has the request's encoding, whatever it says that it accepts."""

    def select_parser(self, request: Request, parsers: list[BaseParser]) -> BaseParser:  # type: ignore[override]
        return parsers[0]

    def select_renderer(  # type: ignore[override]
        self, request: Request, renderers: list[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type or JSON


class ExportView(APIView):
    """Takes one signal. The answer is sent after the commit: what was acknowledged is kept."""

    authentication_classes = (TokenAuthentication,)
    permission_classes = (HasScope,)
    content_negotiation_class = _AsAsked
    scope = "push"
    signal = Signal.METRICS

    def post(self, request: Request) -> HttpResponse:
        token = request.auth
        if not isinstance(token, Token):
            raise NotAuthenticated
        content_type = _encoding(request)
        if content_type is None:
            raise UnsupportedMediaType(
                request.content_type or "", detail=f"Send {PROTOBUF} or {JSON} (OTEL_EXPORTER_OTLP_PROTOCOL)."
            )
        if self.signal is Signal.LOGS:
            return _answer(response_of(self.signal, content_type), content_type)
        with in_flight(token.pk):
            try:
                taken = accept_export(
                    Asker(user=token.owner, token=token),
                    token=token,
                    signal=self.signal,
                    body=body_of(request._request),
                    content_type=content_type,
                    path=f"/otlp/v1/{self.signal}",
                )
            except Unreadable as error:
                note_problem(token, code=error.code, detail=error.message)
                raise
        body = response_of(self.signal, content_type, rejected=taken.rejected, message=taken.message)
        return _answer(body, content_type)

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]
        """What went wrong as a google.rpc.Status. Nothing that was sent is logged."""
        content_type = _encoding(self.request) or JSON
        status, sentence, wait = _refusal(exc)
        headers = {"Retry-After": str(wait)} if wait else {}
        if status == NotAuthenticated.status_code:
            headers["WWW-Authenticate"] = "Bearer"
        return _answer(status_of(content_type, status, sentence), content_type, status, headers)


def _refusal(exc: Exception) -> tuple[int, str, int]:
    """Status, sentence, and the seconds to wait before it is sent again (0: never)."""
    if isinstance(exc, OperationalError | InterfaceError):
        exc = StorageDown()
    if isinstance(exc, APIException):
        return exc.status_code, str(exc.detail), round(getattr(exc, "wait", None) or 0)
    if isinstance(exc, Unreadable):
        return exc.status, exc.message, 0
    if isinstance(exc, KeyViolation | IntegrityError):
        # The same export is being counted in another request, or what it belongs to is being deleted.
        return 503, "The same is being worked on. Send it again in a second.", KEY_RETRY_SECONDS
    if isinstance(exc, RuleViolation):
        return 400, exc.message, 0
    if isinstance(exc, DataError):
        return 400, "The sums that this adds up to are too large to keep.", 0
    frames = traceback.extract_tb(exc.__traceback__)
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"
    # Not the exception's own text: it may quote what was sent.
    logger.error("An OTLP export failed with %s at %s", type(exc).__name__, where)
    return 503, "This export cannot be counted now. Send it again.", StorageDown.wait


def _encoding(request: Any) -> str | None:
    content_type = (request.META.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()
    return content_type if content_type in (PROTOBUF, JSON) else None


def _answer(body: bytes, content_type: str, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(body, status=status, content_type=content_type, headers=headers)


def export_view(signal: Signal) -> type[ExportView]:
    """The view that takes this signal."""

    @extend_schema(
        operation_id=f"otlp_{signal}",
        tags=["otlp"],
        description=_SAYS[signal],
        request={PROTOBUF: OpenApiTypes.BINARY, JSON: OpenApiTypes.OBJECT},
        responses={
            **_BODY,
            (400, JSON): OpenApiResponse(OpenApiTypes.OBJECT, "google.rpc.Status, in the request's encoding"),
        },
    )
    def post(self: ExportView, request: Request) -> HttpResponse:
        return ExportView.post(self, request)

    return type(f"{signal.capitalize()}ExportView", (ExportView,), {"signal": signal, "post": post})
