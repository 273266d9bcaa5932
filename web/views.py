"""Pages of errors, in words: what happened, and what to do next. Under /api/ they are problem documents."""

import sys

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template import loader
from django.views.decorators.csrf import requires_csrf_token

from web.problems import (
    BEING_UPDATED_DETAIL,
    RETRY_AFTER_SECONDS,
    STORAGE_DOWN_DETAIL,
    is_api,
    is_being_updated,
    is_storage_down,
    problem_response,
)


@requires_csrf_token
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400."""
    if is_api(request):
        return problem_response(400, "bad_request", "The request cannot be read.")
    return render(request, "400.html", status=400)


@requires_csrf_token
def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403, with the reason where the view gave one."""
    if is_api(request):
        return problem_response(403, "permission_denied", str(exception) or "You may not do this.")
    return render(request, "403.html", {"reason": str(exception)}, status=403)


@requires_csrf_token
def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404, the same for what is not there and for what the asker may not see."""
    if is_api(request):
        return problem_response(404, "not_found", "There is nothing at this address that you may see.")
    return render(request, "404.html", status=404)


@requires_csrf_token
def server_error(request: HttpRequest) -> HttpResponse:
    """500, drawn without the database, since that may be what failed: then 503, which says when to come back."""
    error = sys.exc_info()[1]
    if is_storage_down(error):
        return _storage_down(request)
    if is_api(request):
        if is_being_updated(error):
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            return problem_response(503, "being_updated", BEING_UPDATED_DETAIL, headers=headers)
        return problem_response(500, "server_error", "Something went wrong here. It was written to the log.")
    return HttpResponse(loader.get_template("500.html").render(), status=500)


def _storage_down(request: HttpRequest) -> HttpResponse:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    if is_api(request):
        return problem_response(503, "storage_down", STORAGE_DOWN_DETAIL, headers=headers)
    return HttpResponse(loader.get_template("503.html").render(), status=503, headers=headers)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 of a form that was sent without its token: an old tab, cookies switched off, or another site."""
    return render(request, "403_csrf.html", status=403)
