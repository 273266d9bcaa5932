"""The language that a person reads: pages by the request, mails and jobs by the person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery.signals import task_prerun
from django.conf import settings
from django.core.signals import request_finished
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers

from accounts.models import User
from web.local_forms import ENGLISH

# Tables as files: a program that reads them finds the same words and figures whoever fetched them. A report's are in
# the language that is asked of them.
FILES = (".csv", ".xlsx")
REPORTS = ("/reports/", "/r/")
# What programs ask: always English, and the same for everyone.
FOR_PROGRAMS = ("/api/", "/otlp/", "/metrics", "/healthz", "/readyz", "/static/")


def language_of(person: User) -> str:
    """What a mail to this person is written in: the language chosen, else the organisation's."""
    return person.language if person.language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE


class SpeaksTheirLanguage:
    """Activates the language of who asks: the one chosen, else the cookie's, the browser's, the organisation's.

    It stays until the answer is sent, so that a file that is written as it goes out is in one language.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if _is_for_programs(request.path_info):
            translation.activate(ENGLISH)
            return self.get_response(request)
        chosen = getattr(request.user, "language", "")
        is_chosen = chosen in dict(settings.LANGUAGES)
        translation.activate(chosen if is_chosen else translation.get_language_from_request(request))
        response = self.get_response(request)
        response.headers.setdefault("Content-Language", translation.get_language() or ENGLISH)
        patch_vary_headers(response, ["Cookie"] if is_chosen else ["Accept-Language", "Cookie"])
        return response


def _is_for_programs(path: str) -> bool:
    return path.startswith(FOR_PROGRAMS) or (path.endswith(FILES) and not path.startswith(REPORTS))


def start_in_english(**told: Any) -> None:
    """Commands and jobs begin in English, whatever DEFAULT_LANGUAGE is: their words are for logs and operators."""
    translation.activate(ENGLISH)


def _forget(**told: Any) -> None:
    translation.deactivate()


request_finished.connect(_forget)
task_prerun.connect(start_in_english)
