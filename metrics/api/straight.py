"""The straight way for pushes: what an answer passes through that a push has no use for, it does not pass through.

Sessions, CSRF, messages, htmx, templates and the REST framework take a sixth of the time of a push of 1,000 records, to
find that there is nothing to do. Here a push by a token that may push goes to its view at once. Everything else, a
request that is refused before its body is read above all, goes the usual way and is answered there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from csp.middleware import CSPMiddleware
from django.core.exceptions import DisallowedHost
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils import translation
from rest_framework.exceptions import APIException

from accounts.middleware import SaysFromWhere
from accounts.models import Token
from accounts.permissions import HasScope
from accounts.tokens import find_token
from metrics.api.usage import PushView, UsageView
from web.local_forms import ENGLISH
from web.problems import CONTENT_TYPE as PROBLEM_TYPE
from web.problems import exception_handler

VIEWS: dict[str, type[PushView]] = {UsageView.path: UsageView}
# What a client that takes JSON says; of others the framework finds out.
_ACCEPTED = (None, "*/*", "application/json")
# What the REST framework says of these addresses. They answer a session differently when they are read.
_HEADERS = {"Allow": "GET, POST, HEAD, OPTIONS", "Vary": "Accept, Cookie"}


class PushesStraight:
    """Answers pushes that a token may send; the headers are those of the usual way."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._usual = get_response
        self._straight = SaysFromWhere(self._answer)
        self._security = SecurityMiddleware(get_response)  # type: ignore[arg-type]
        self._frames = XFrameOptionsMiddleware(get_response)  # type: ignore[arg-type]
        self._policy = CSPMiddleware(get_response)  # type: ignore[arg-type]
        self._policies: dict[str, str] | None = None

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST" or request.path_info not in VIEWS:
            return self._usual(request)
        try:
            request.get_host()
        except DisallowedHost:
            return self._usual(request)
        if self._security.process_request(request) is not None or request.META.get("HTTP_ACCEPT") not in _ACCEPTED:
            return self._usual(request)
        try:
            token = _token_that_may_push(request)
        except (OperationalError, InterfaceError) as error:
            return self._with_headers(request, _refused(error))
        if token is None:
            return self._usual(request)
        request.token = token  # type: ignore[attr-defined]
        return self._with_headers(request, self._straight(request))

    def _answer(self, request: Any) -> HttpResponse:
        translation.activate(ENGLISH)
        try:
            return VIEWS[request.path_info].accept_from(request.token, request)
        except APIException as error:
            return _refused(error)

    def _with_headers(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if self._policies is None:
            # The same for each answer: no page's script is in it.
            bare = self._policy.process_response(request, HttpResponse())
            self._policies = {name: value for name, value in bare.items() if name != "Content-Type"}
        for name, value in (*_HEADERS.items(), *self._policies.items()):
            response.headers.setdefault(name, value)
        response.headers["Content-Length"] = str(len(response.content))
        self._frames.process_response(request, response)
        return self._security.process_response(request, response)  # type: ignore[return-value]


def _token_that_may_push(request: HttpRequest) -> Token | None:
    """The token; None where the usual way says what is wrong."""
    kind, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if kind.lower() != "bearer" or not text.isascii() or not text or text != text.strip() or " " in text:
        return None
    token = find_token(text)
    if token is None or not any(scope in token.scopes for scope in HasScope.implied[PushView.scope]):
        return None
    return token


def _refused(error: Exception) -> HttpResponse:
    """As the REST framework answers it."""
    refused = exception_handler(error, {})
    if refused is None:
        raise error
    response = HttpResponse(msgspec.json.encode(refused.data), status=refused.status_code, content_type=PROBLEM_TYPE)
    for name, value in refused.items():
        if name != "Content-Type":
            response.headers[name] = value
    return response
