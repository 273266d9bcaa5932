"""Errors of the REST API as RFC 9457 problem documents.

`type` is `urn:phaseline:<code>` (stable, for machines), `detail` a sentence, `errors` one row per field with a JSON
pointer. A `RuleViolation` of any app is known by its shape (`code`, `message`, `field`), since web/ stands below them.
"""

import logging
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from psycopg.errors import ReadOnlySqlTransaction, UndefinedColumn, UndefinedFunction, UndefinedTable
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
TITLES = {
    400: "Bad request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    413: "Too large",
    415: "Unsupported content type",
    422: "Not accepted",
    429: "Too many requests",
    500: "Server error",
    503: "Storage not available",
}
# How long a client waits when the database does not answer; a restart takes less.
RETRY_AFTER_SECONDS = 5
_STORAGE_DOWN = (OperationalError, InterfaceError)
STORAGE_DOWN_DETAIL = "The database does not answer. Send the same again."
_OTHER_VERSION = (UndefinedColumn, UndefinedFunction, UndefinedTable)
BEING_UPDATED_DETAIL = "This server and its database are being updated. Send the same again."


def problem(
    status_code: int,
    code: str,
    detail: str,
    *,
    errors: list[dict[str, str]] | None = None,
    **members: Any,
) -> dict[str, Any]:
    """The document: type, title, status, detail, and `errors` with a pointer per field where there are any."""
    document = {
        "type": f"urn:phaseline:{code}",
        "title": TITLES.get(status_code, "Error"),
        "status": status_code,
        "detail": detail,
        "code": code,
        **members,
    }
    if errors:
        document["errors"] = errors
    return document


def problem_response(
    status_code: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
) -> JsonResponse:
    """The document as a plain Django answer, for views outside the REST framework."""
    response = JsonResponse(problem(status_code, code, detail, **members), status=status_code, headers=headers)
    response.headers["Content-Type"] = CONTENT_TYPE
    return response


def is_storage_down(exc: BaseException | None) -> bool:
    """Whether the database failed, not what was asked of it. A stand-in that takes no writes yet is down as well."""
    return isinstance(exc, _STORAGE_DOWN) or isinstance(getattr(exc, "__cause__", None), ReadOnlySqlTransaction)


def is_being_updated(exc: BaseException | None) -> bool:
    """Whether the database lacks what this program asks for: it is migrated meanwhile, before or after the program."""
    return isinstance(getattr(exc, "__cause__", None), _OTHER_VERSION)


def is_api(request: HttpRequest) -> bool:
    """Whether the address belongs to the REST API, so that errors are documents and not pages."""
    return request.path.startswith("/api/")


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's exception handler. What is not known here is a 500 that Django reports."""
    if isinstance(exc, Http404):
        exc = exceptions.NotFound()
    elif isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied()
    if isinstance(exc, exceptions.APIException):
        response = _from_api_exception(exc)
    elif _is_violation(exc):
        response = _from_violation(exc)
    elif is_storage_down(exc):
        logger.error("The database does not answer: %s", exc)
        response = _respond(
            problem(503, "storage_down", STORAGE_DOWN_DETAIL),
            {"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    elif is_being_updated(exc):
        logger.error("The database is of another version: %s", exc)
        response = _respond(
            problem(503, "being_updated", BEING_UPDATED_DETAIL),
            {"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    else:
        return None
    set_rollback()
    return response


def _respond(document: dict[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    return Response(document, status=document["status"], headers=dict(headers or {}), content_type=CONTENT_TYPE)


def _is_violation(exc: Exception) -> bool:
    return all(hasattr(exc, name) for name in ("code", "message", "field"))


def _from_violation(exc: Any) -> Response:
    """409 where the state of things forbids it (`already_...`, `conflict...`), 422 where the input does."""
    status_code = getattr(exc, "status", None)
    if status_code is None:
        status_code = 409 if str(exc.code).startswith(("already_", "conflict")) else 422
    errors = [{"pointer": pointer(exc.field), "code": exc.code, "detail": exc.message}] if exc.field else None
    return _respond(problem(status_code, exc.code, exc.message, errors=errors))


def _from_api_exception(exc: exceptions.APIException) -> Response:
    headers = {}
    if header := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if wait := getattr(exc, "wait", None):
        headers["Retry-After"] = str(max(1, round(wait)))
    if isinstance(exc, exceptions.ValidationError):
        rows = field_errors(exc.detail)
        detail = rows[0]["detail"] if len(rows) == 1 else f"{len(rows)} fields are not accepted."
        return _respond(problem(422, "invalid", detail, errors=rows), headers)
    code = exc.get_codes()
    text = exc.detail if isinstance(exc.detail, str) else exc.default_detail
    return _respond(problem(exc.status_code, code if isinstance(code, str) else "error", str(text)), headers)


def field_errors(detail: Any, path: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """REST framework's nested errors as rows of pointer, code and detail."""
    if isinstance(detail, Mapping):
        return [row for key, value in detail.items() for row in field_errors(value, _below(path, str(key)))]
    if isinstance(detail, list | tuple):
        nested = any(isinstance(item, Mapping | list) for item in detail)
        return [
            row
            for index, item in enumerate(detail)
            for row in field_errors(item, _below(path, str(index)) if nested else path)
        ]
    return [{"pointer": pointer(*path), "code": getattr(detail, "code", "invalid"), "detail": str(detail)}]


def _below(path: tuple[str, ...], key: str) -> tuple[str, ...]:
    return path if key == "non_field_errors" else (*path, key)


def pointer(*path: str) -> str:
    """A JSON pointer (RFC 6901) as a fragment: '#/milestones/0/due_on'; the document itself is '#'."""
    return "#" + "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)
