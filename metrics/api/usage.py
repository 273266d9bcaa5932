"""`POST /api/v1/usage`: push usage records. A plain view: the body is decoded by msgspec, not by serializers."""

from __future__ import annotations

import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from django.conf import settings
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from drf_spectacular.utils import extend_schema
from gunicorn.http.errors import ParseException
from rest_framework.exceptions import APIException, NotAuthenticated, UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.access import Asker
from accounts.authentication import TokenAuthentication
from accounts.models import Token
from accounts.permissions import HasScope
from metrics.actions.usage import NothingAccepted, PushAnswer, accept_usage, note_problem, rejected_rows
from metrics.api.usage_schema import PUSH_SCHEMA
from metrics.errors import RuleViolation
from metrics.format import Unreadable
from metrics.formats import DECODERS
from metrics.push_keys import KeyViolation
from web.problems import CONTENT_TYPE as PROBLEM_TYPE
from web.problems import RETRY_AFTER_SECONDS, problem

KEY_RETRY_SECONDS = 1
CHANGED = "What this push belongs to was changed or deleted meanwhile. Send the same again."
# Of one token in one process: more than that many only wait for one another in the database.
MAX_IN_FLIGHT = 8
# Decompressed in pieces, so that a small body that expands to gigabytes is refused after the first 16 MiB.
_PIECE = 1024 * 1024
# Keys hold per token and path, whether or not the address was written with a slash at its end.
PATH = "/api/v1/usage"


class StorageDown(APIException):
    """The database does not answer: 503, never 500."""

    status_code = 503
    default_code = "storage_down"
    default_detail = "The database does not answer. Send the same again."
    wait = RETRY_AFTER_SECONDS


class TooFast(APIException):
    """The token has as many pushes in flight as one may have."""

    status_code = 429
    default_code = "too_fast"
    default_detail = "This token has too many pushes in flight. Send fewer at once, or larger batches."
    wait = 1


class UsageView(APIView):
    """Push usage records. The answer is sent after the commit: what was acknowledged is kept."""

    authentication_classes = (TokenAuthentication,)
    permission_classes = (HasScope,)
    scope = "push"

    @extend_schema(**PUSH_SCHEMA)
    def post(self, request: Request) -> HttpResponse:
        token = request.auth
        if not isinstance(token, Token):
            raise NotAuthenticated
        content_type = _content_type(request)
        with in_flight(token.pk):
            try:
                body = _body(request)
                answer = accept_usage(
                    Asker(user=token.owner, token=token),
                    token=token,
                    body=body,
                    content_type=content_type,
                    path=PATH,
                    idempotency_key=request.headers.get("Idempotency-Key"),
                    see=lambda slug: request.build_absolute_uri(address_of(slug)),
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
        return _answer(answer)


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


# --- The body


def _content_type(request: Request) -> str:
    content_type = (request.content_type or "").partition(";")[0].strip().lower()
    if content_type not in DECODERS:
        raise UnsupportedMediaType(
            content_type, detail=f"Send {' or '.join(DECODERS)}, not '{content_type or 'no content type'}'."
        )
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise UnsupportedMediaType(encoding, detail=f"Content-Encoding is gzip or none, not '{encoding}'.")
    return content_type


def _body(request: Request) -> bytes:
    """The decoded body. Raises Unreadable."""
    limit = settings.PUSH_MAX_BYTES
    raw: HttpRequest = request._request  # before any parser of the framework touches it
    try:
        length = int(raw.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    if length > limit:
        raise _too_large(limit)
    try:
        if not length and "chunked" in request.headers.get("Transfer-Encoding", "").lower():
            # Django reads as far as Content-Length says; the server behind it has put the pieces together.
            body = raw.META["wsgi.input"].read(limit + 1)
        else:
            body = raw.read(limit + 1)
    except (OSError, ParseException):
        # A piece that is none, a line that was cut, a client that fell silent.
        raise _cut() from None
    if len(body) > limit:
        raise _too_large(limit)
    if length and len(body) < length:
        raise _cut()
    if request.headers.get("Content-Encoding", "").strip().lower() == "gzip":
        body = _unzip(body, limit)
    return body


def _unzip(body: bytes, limit: int) -> bytes:
    unzip = zlib.decompressobj(wbits=31)
    pieces: list[bytes] = []
    size = 0
    left = body
    try:
        while True:
            piece = unzip.decompress(left, _PIECE)
            size += len(piece)
            pieces.append(piece)
            if size > limit:
                raise _too_large(limit)
            left = unzip.unconsumed_tail
            if unzip.eof:
                # A gzip file may have several members, one after the other.
                left = unzip.unused_data
                if not left:
                    return b"".join(pieces)
                unzip = zlib.decompressobj(wbits=31)
            elif not left and not piece:
                break
    except zlib.error:
        raise Unreadable(400, "broken_gzip", "The body is said to be gzip and is not, or is damaged.") from None
    raise Unreadable(400, "broken_gzip", "The gzip body ends too early.")


def _cut() -> Unreadable:
    return Unreadable(400, "truncated", "The connection ended before the whole body was here. Send the same again.")


def _too_large(limit: int) -> Unreadable:
    return Unreadable(413, "too_large", f"At most {limit // 2**20} MiB decoded a request; send several requests.")


# --- Pushes in flight

_in_flight: Counter[int] = Counter()
_lock = threading.Lock()


@contextmanager
def in_flight(token_id: int) -> Iterator[None]:
    """Counts a push of this token in this process while it is worked on. Raises TooFast."""
    with _lock:
        if _in_flight[token_id] >= MAX_IN_FLIGHT:
            raise TooFast
        _in_flight[token_id] += 1
    try:
        yield
    finally:
        with _lock:
            _in_flight[token_id] -= 1
            if not _in_flight[token_id]:
                del _in_flight[token_id]
