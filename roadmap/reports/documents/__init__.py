"""From a frozen payload to the document that its reader meets; each schema version keeps the one it was made with."""

from __future__ import annotations

from collections.abc import Callable

from django.utils import translation

from roadmap.reports.document import Document, Json
from roadmap.reports.documents import v1, v2
from roadmap.reports.plain import plain

DOCUMENTS: dict[int, Callable[[Json, str], Document]] = {1: lambda payload, _: v1.document(payload), 2: v2.document}
# Schema version 1 holds English sentences.
ENGLISH_ONLY = frozenset({1})


def document_of(payload: Json, language: str = "en") -> Document:
    """The document of a frozen payload in a language, from the payload alone; `document.language` says in which.

    A payload of schema version 1 is in English whatever was asked for. KeyError for an unknown schema version.
    """
    version = payload["schema_version"]
    spoken = "en" if version in ENGLISH_ONLY else language
    with translation.override(spoken):
        return DOCUMENTS[version](plain(payload), spoken)
