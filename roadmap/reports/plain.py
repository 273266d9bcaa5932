"""Texts that people typed, without what turns the writing around them or fits in no file. Pure."""

from __future__ import annotations

import re
from typing import Any

# Marks, embeddings, overrides and isolates of direction: one in a name would turn the title, the subject and the file's
# head behind it. What is written from right to left needs none of them.
_DIRECTIONS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
# What XML has no way to write, so that a workbook with it would not open: control characters, halves of characters.
_NOT_XML = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff"
_LEFT_OUT = re.compile(f"[{_DIRECTIONS}{_NOT_XML}]")


def plain(kept: Any) -> Any:
    """The JSON value with its texts as they can be shown; the payload itself stays as it was typed."""
    if isinstance(kept, str):
        return _LEFT_OUT.sub("", kept)
    if isinstance(kept, dict):
        return {name: plain(value) for name, value in kept.items()}
    return [plain(value) for value in kept] if isinstance(kept, list) else kept
