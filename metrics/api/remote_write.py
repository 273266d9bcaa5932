"""`POST /api/v1/prometheus/write`: Prometheus' remote write 1.0.

A sender drops what is answered 4xx, 429 too unless it is told otherwise, and repeats what is answered 5xx: whatever is
no fault of the body's is 503 here.
"""

from __future__ import annotations

import logging
import traceback

from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import APIException, NotAuthenticated, UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.access import Asker
from accounts.authentication import TokenAuthentication
from accounts.models import Token
from accounts.permissions import HasScope
from metrics.actions.remote_write import accept_write, target_of
from metrics.actions.usage import note_problem
from metrics.api.intake import StorageDown, TooFast, in_flight, snappy_body_of
from metrics.errors import RuleViolation
from metrics.format import Unreadable
from web.problems import problem_response

logger = logging.getLogger(__name__)

PROTOBUF = "application/x-protobuf"
MESSAGE = "prometheus.writerequest"
NOT_ALLOWED = "roadmap_not_allowed"
TRY_AGAIN = "What this belongs to has just changed. Send the same again."


class RemoteWriteView(APIView):
    """Takes a WriteRequest. The answer is sent after the commit: what was acknowledged is kept."""

    authentication_classes = (TokenAuthentication,)
    permission_classes = (HasScope,)
    scope = "push"

    @extend_schema(
        operation_id="prometheus_write",
        tags=["usage"],
        description="Prometheus' remote write 1.0 (snappy, protobuf). docs/push.md, 'From a Prometheus'.",
        parameters=[
            OpenApiParameter("preset", str, required=True, description="Which servers write: vllm, sglang, ..."),
            OpenApiParameter("backend", str, description="Slug of a backend that is pushed to."),
            OpenApiParameter("model", str, description="The model's name, where the servers tell none."),
        ],
        request={PROTOBUF: OpenApiTypes.BINARY},
        responses={
            204: OpenApiResponse(description="Counted, as far as there was something to count."),
            400: OpenApiResponse(OpenApiTypes.OBJECT, "What can never be taken: do not send it again."),
            413: OpenApiResponse(OpenApiTypes.OBJECT, "Larger than what is read at once."),
            415: OpenApiResponse(OpenApiTypes.OBJECT, "Not remote write 1.0, or not snappy."),
            503: OpenApiResponse(OpenApiTypes.OBJECT, "Send the same again."),
        },
    )
    def post(self, request: Request) -> HttpResponse:
        token = request.auth
        if not isinstance(token, Token):
            raise NotAuthenticated
        _refuse_other_versions(request)
        try:
            with in_flight(token.pk):
                return _accept(token, request)
        except TooFast as error:
            raise StorageDown(str(error.detail)) from error

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]
        """A defect is no fault of what was sent, and is logged without it."""
        if isinstance(exc, OperationalError | InterfaceError):
            exc = StorageDown()
        if isinstance(exc, APIException):
            return super().handle_exception(exc)
        frames = traceback.extract_tb(exc.__traceback__)
        where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"
        logger.error("A remote write failed with %s at %s", type(exc).__name__, where)
        detail = "This cannot be counted now. Send the same again."
        return problem_response(503, "try_again", detail, headers={"Retry-After": str(StorageDown.wait)})


def _accept(token: Token, request: Request) -> HttpResponse:
    try:
        preset, model, backend = (request.GET.get(name, "") for name in ("preset", "model", "backend"))
        target = target_of(preset, model, backend)
        body = snappy_body_of(request._request)
        accept_write(Asker(user=token.owner, token=token), token=token, target=target, body=body)
    except Unreadable as error:
        note_problem(token, code=error.code, detail=error.message)
        return problem_response(error.status, error.code, error.message)
    except RuleViolation as error:
        note_problem(token, code=error.code, detail=str(error.message))
        return problem_response(403 if error.code == NOT_ALLOWED else 400, error.code, str(error.message))
    except IntegrityError:
        return problem_response(503, "try_again", TRY_AGAIN, headers={"Retry-After": "1"})
    except DataError:
        detail = "The sums that these samples add up to are too large to keep."
        return problem_response(400, "sum_out_of_range", detail)
    return HttpResponse(status=204)


def _refuse_other_versions(request: Request) -> None:
    """A receiver of 1.0 that took 2.0 would find nothing in it, and its sender would believe that it was counted."""
    media_type, *parameters = (part.strip().lower() for part in (request.META.get("CONTENT_TYPE") or "").split(";"))
    named = dict(part.partition("=")[::2] for part in parameters)
    version = request.headers.get("X-Prometheus-Remote-Write-Version", "0.1.0").strip()
    if media_type != PROTOBUF or named.get("proto", MESSAGE).strip('"') != MESSAGE or not version.startswith("0."):
        raise UnsupportedMediaType(
            media_type,
            detail=f"Send remote write 1.0: {PROTOBUF} holding prometheus.WriteRequest. Of 2.0 nothing is read.",
        )
