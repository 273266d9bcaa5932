"""`POST /api/v1/usage` and its sisters: push usage records. Plain views: msgspec decodes the body, no serializer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

import msgspec
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotAuthenticated, UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.access import Asker
from accounts.authentication import TokenAuthentication
from accounts.models import Token
from accounts.permissions import HasScope
from metrics import usage_files
from metrics.actions.counts import NothingAccepted, rejected_rows
from metrics.actions.usage import PushAnswer, accept_usage, note_problem
from metrics.api.intake import NoRoom, StorageDown, TooFast, body_of, in_flight
from metrics.api.usage_schema import LITELLM_SCHEMA, PUSH_SCHEMA
from metrics.errors import RuleViolation
from metrics.format import Unreadable
from metrics.formats import DECODERS, LITELLM_DECODERS, Decoder
from metrics.push_keys import KeyViolation
from metrics.usage import MeasuredAt
from web.problems import CONTENT_TYPE as PROBLEM_TYPE
from web.problems import problem

logger = logging.getLogger(__name__)

KEY_RETRY_SECONDS = 1
CHANGED = "What this push belongs to was changed or deleted meanwhile. Send the same again."
CHANGED_OR_HELD = "The same post is being worked on, or what it belongs to has just changed. Send the same again."


class PushView(APIView):
    """What every address that takes records does. The answer is sent after the commit: acknowledged is kept."""

    authentication_classes = (TokenAuthentication,)
    permission_classes = (HasScope,)
    scope = "push"
    # Keys hold per token and path, whether or not the address was written with a slash at its end.
    path: ClassVar[str]
    decoders: ClassVar[Mapping[str, Decoder]]
    measured_at: ClassVar[MeasuredAt | None] = None

    def accept(self, request: Request) -> HttpResponse:
        """The answer to a push."""
        if not isinstance(request.auth, Token):
            raise NotAuthenticated
        return self.accept_from(request.auth, request._request)

    @classmethod
    def accept_from(cls, token: Token, request: HttpRequest) -> HttpResponse:
        """The answer to a push with this token, which may push. Nobody has read of the request's body yet.

        Raises exceptions of the framework where what is wrong is not the body's.
        """
        content_type = cls._content_type(request)
        with in_flight(token.pk):
            try:
                body = body_of(request)
                answer = accept_usage(
                    Asker(user=token.owner, token=token),
                    token=token,
                    body=body,
                    decode=cls.decoders[content_type],
                    path=cls.path,
                    idempotency_key=request.headers.get("Idempotency-Key"),
                    see=lambda slug: request.build_absolute_uri(address_of(slug)),
                    measured_at=cls.measured_at,
                )
            except Unreadable as error:
                note_problem(token, code=error.code, detail=error.message)
                return _problem(error.status, error.code, error.message)
            except NothingAccepted as error:
                note_problem(token, code=error.rejections[0].code, detail=error.message)
                return _nothing_accepted(error)
            except KeyViolation as error:
                headers = {"Retry-After": str(KEY_RETRY_SECONDS)} if error.status == 409 else {}
                return _problem(error.status, error.code, error.message, headers)
            except RuleViolation as error:
                return _problem(400, error.code, error.message)
            except IntegrityError:
                # What it is posted to was deleted while it was posted, twice; the next attempt is told what is missing.
                return _problem(409, "changed_meanwhile", CHANGED, {"Retry-After": str(KEY_RETRY_SECONDS)})
            except DataError:
                return _problem(422, "sum_out_of_range", "The sums that these records add up to are too large to keep.")
            except (OperationalError, InterfaceError) as error:
                raise StorageDown from error
            except OSError as error:
                logger.exception("A push found no room on the disk")
                raise NoRoom from error
        return _answer(answer)

    @classmethod
    def _content_type(cls, request: HttpRequest) -> str:
        content_type = (request.META.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()
        if content_type not in cls.decoders:
            raise UnsupportedMediaType(
                content_type, detail=f"Send {' or '.join(cls.decoders)}, not '{content_type or 'no content type'}'."
            )
        return content_type


class UsageView(PushView):
    """Push usage records."""

    path = "/api/v1/usage"
    # CSV is read with the containers of billing files, which no format knows.
    decoders = {**DECODERS, "text/csv": usage_files.decode}  # noqa: RUF012 - ClassVar in the base

    @extend_schema(**PUSH_SCHEMA)
    def post(self, request: Request) -> HttpResponse:
        return self.accept(request)


class LiteLLMView(PushView):
    """What a LiteLLM proxy's `generic_api` callback posts."""

    path = "/api/v1/usage/litellm"
    decoders = LITELLM_DECODERS
    # Whatever the token says: it is a gateway.
    measured_at = MeasuredAt.GATEWAY

    @extend_schema(**LITELLM_SCHEMA)
    def post(self, request: Request) -> HttpResponse:
        try:
            answer = self.accept(request)
        except TooFast as error:
            raise StorageDown(str(error.detail)) from error
        if answer.status_code == 409:
            # LiteLLM repeats nothing below 500, and drops the requests instead.
            return _problem(503, "try_again", CHANGED_OR_HELD, {"Retry-After": str(KEY_RETRY_SECONDS)})
        return answer


@lru_cache(maxsize=1_000)
def address_of(slug: str | None) -> str:
    """The page where the figures of this roadmap show; the Send data page where there is none, or several."""
    if slug is not None:
        try:
            return reverse("roadmap_dashboard", args=[slug])
        except NoReverseMatch:
            pass
    return reverse("send_data")


def _answer(answer: PushAnswer) -> HttpResponse:
    receipt = answer.document["receipt"]
    response = _json(answer.document, answer.status)
    response.headers["Location"] = reverse("api_receipt", args=[receipt])
    if answer.is_replay:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def _nothing_accepted(error: NothingAccepted) -> HttpResponse:
    rejected = rejected_rows(error.rejections)
    errors = [
        {"pointer": f"#/records/{row['index']}", "code": row["code"], "detail": row["detail"]} for row in rejected
    ]
    document = problem(
        422, error.code, error.message, errors=errors, receipt=None, accepted=0, duplicates=0, rejected=rejected
    )
    return _json(document, 422, PROBLEM_TYPE)


def _problem(status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> HttpResponse:
    response = _json(problem(status, code, detail), status, PROBLEM_TYPE)
    for name, value in (headers or {}).items():
        response.headers[name] = value
    return response


def _json(document: dict[str, Any], status: int, content_type: str = "application/json") -> HttpResponse:
    return HttpResponse(msgspec.json.encode(document), status=status, content_type=content_type)
