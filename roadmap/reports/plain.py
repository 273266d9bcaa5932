"""Texts that people typed, without what turns the writing around them. Pure: no Django, no clock, no settings."""

from __future__ import annotations

import re
from typing import Any

# Marks, embeddings, overrides and isolates of direction: one in a name would turn the title, the subject and the file's
# head behind it. What is written from right to left needs none of them.
_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def plain(kept: Any) -> Any:
    """The JSON value with its texts as they can be shown; the payload itself stays as it was typed."""
    if isinstance(kept, str):
        return _DIRECTIONS.sub("", kept)
    if isinstance(kept, dict):
        return {name: plain(value) for name, value in kept.items()}
    return [plain(value) for value in kept] if isinstance(kept, list) else kept
