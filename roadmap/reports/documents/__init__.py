"""From a frozen payload to the document that its reader meets; each schema version keeps the one it was made with."""

from __future__ import annotations

from collections.abc import Callable

from roadmap.reports.document import Document, Json
from roadmap.reports.documents import v1

DOCUMENTS: dict[int, Callable[[Json], Document]] = {1: v1.document}


def document_of(payload: Json) -> Document:
    """The document of a frozen payload, from the payload alone. KeyError for an unknown schema version."""
    return DOCUMENTS[payload["schema_version"]](payload)
