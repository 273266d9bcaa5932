"""In which language a report is asked for, and in which it can be had."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.utils import translation

from roadmap.reports.document import Json
from roadmap.reports.documents import ENGLISH_ONLY


def language_asked(request: HttpRequest) -> str:
    """'en' or 'nl': what `?lang=` asks for where it is spoken here, else the reader's own language."""
    wanted = request.GET.get("lang", "").lower()
    spoken = dict(_spoken())
    return wanted if wanted in spoken else (translation.get_language() or "en").partition("-")[0]


def languages_of(payload: Json) -> list[tuple[str, str]]:
    """(code, own name) of each language that the payload's schema version can be put into."""
    if payload["schema_version"] in ENGLISH_ONLY:
        return [pair for pair in _spoken() if pair[0] == "en"]
    return _spoken()


def _spoken() -> list[tuple[str, str]]:
    return [(code.partition("-")[0], name) for code, name in settings.LANGUAGES]
