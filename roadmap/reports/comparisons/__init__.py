"""Two reports of the same thing beside each other (roadmap.reports.comparison is the way in).

One reader for each schema version, so that reports of different versions are compared by the keys that both have.
"""

from __future__ import annotations

from collections.abc import Callable

from roadmap.reports.comparisons import v1, v2
from roadmap.reports.comparisons.side import Side
from roadmap.reports.document import Json
from roadmap.reports.plain import plain

READERS: dict[int, Callable[[Json], Side]] = {1: v1.side_of, 2: v2.side_of}


def side_of(payload: Json) -> Side:
    """One side, with labels in the language in force. KeyError for an unknown schema version."""
    return READERS[payload["schema_version"]](plain(payload))
