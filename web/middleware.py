"""What every answer passes through."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.utils.translation import gettext as _
from django_htmx.http import HttpResponseClientRedirect

from web import wording
from web.problems import is_api, problem_response

MEBIBYTE = 1024 * 1024


def _declared(request: HttpRequest) -> int:
    """The bytes that the request says its body has; 0 where it says nothing, or nothing that is a number."""
    length = request.META.get("CONTENT_LENGTH") or ""
    return int(length) if length.isascii() and length.isdigit() and len(length) < 19 else 0


class ReadsToTheEnd:
    """Whatever of a small body nobody read, an answer like 429 given before, is read now and thrown away.

    A connection with a rest in it cannot take the next request. Gunicorn throws 64 KiB away by itself, closes without
    a word and waits in its only dispatching thread, up to two seconds, for a client that does not know it: all others
    of the process wait along. What is larger than `MOST` was refused for its size, and its connection ends.
    """

    MOST = 17 * MEBIBYTE
    PIECE = 64 * 1024

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        source, length = request.META.get("wsgi.input"), _declared(request)
        if source is not None and request.method not in ("GET", "HEAD") and length <= self.MOST:
            # A client that fell silent or sent rubbish is the server's to close.
            with suppress(Exception):
                is_chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
                self._drain(source, self.MOST if is_chunked else length)
        return response

    def _drain(self, source: Any, most: int) -> None:
        left = most
        while left > 0:
            piece = source.read(min(self.PIECE, left))
            if not piece:
                return
            left -= len(piece)


class SignInAgain:
    """A session that ended while a page was open: htmx is sent to sign in, else it swaps that page into a table."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        details = getattr(request, "htmx", None)
        if not details or response.status_code != 302:
            return response
        sign_in = resolve_url(settings.LOGIN_URL)
        if not response.headers.get("Location", "").startswith(sign_in):
            return response
        back = details.current_url_abs_path or "/"
        return HttpResponseClientRedirect(f"{sign_in}?{urlencode({'next': back})}")


class UploadsAreBounded:
    """A form with files is answered 413 by its declared length, before anything of it is read.

    Django writes files to disk while it looks for the CSRF token, which is before any page asks who is there, and its
    own limit leaves files out. So without this anybody could fill the disk. WSGI reads no further than was declared.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        most = self._most(request)
        if most is None:
            return self.get_response(request)
        may_be_large = request.path_info in settings.UPLOAD_MAX_BYTES
        hint = settings.UPLOAD_TOO_LARGE_HINT if may_be_large else _("Send a smaller file.")
        detail = (
            _("What was sent is larger than %(most)s MiB.") % {"most": wording.count(most // MEBIBYTE)} + f" {hint}"
        )
        if is_api(request):
            return problem_response(413, "too_large", detail)
        return render(request, "413.html", {"detail": detail}, status=413)

    def _most(self, request: HttpRequest) -> int | None:
        """The bytes that may be sent here, where it is more than that."""
        size = _declared(request)
        if request.content_type != "multipart/form-data" or size <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            return None
        most = int(settings.UPLOAD_MAX_BYTES.get(request.path_info, 0))
        # An address of the API asks who is there before it reads.
        if not is_api(request) and not request.user.is_authenticated:
            most = 0
        most = max(most, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        return most if size > most else None
