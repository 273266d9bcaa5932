"""Patterns with `*` for any characters, as people write them in rules and settings."""

from __future__ import annotations

import re
from collections.abc import Iterable


def expression(pattern: str) -> str:
    """Return the regular expression of a pattern, for `fullmatch` with DOTALL.

    The first place where a piece fits is the best one, so none is tried again: the time grows with the text's length
    alone, however many `*` there are and whatever a sender calls its models.
    """
    first, *others = pattern.split("*")
    if not others:
        return re.escape(first)
    *middle, last = others
    pieces = "".join(f"(?>.*?{re.escape(piece)})" for piece in middle if piece)
    return f"{re.escape(first)}{pieces}.*{re.escape(last)}"


def any_of(patterns: Iterable[str]) -> str:
    """Return the expression that fits what one of the patterns fits."""
    return "|".join(f"(?:{expression(pattern)})" for pattern in patterns)
