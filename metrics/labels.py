"""Which labels of a record are kept: those on the operator's list, and never one that names a person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from django.conf import settings

from metrics.format import MAX_LABEL_CHARACTERS, MAX_LABELS, Batch, label_values

# What names a person, a place on the net or a session is dropped, whatever the operator's list says (architecture.md).
_PERSONAL_NAME = re.compile(
    r"(^|[._-])(end)?(user|users|username|userid|e?mail|mail|ip|ipaddr|addr|address|session|sessionid|conversation|thread"
    r"|customer|client|person|phone|device|cookie)([._-]?(id|name|ip|address|addr|key|agent))?($|[._-])",
    re.IGNORECASE,
)
_PERSONAL_VALUE = re.compile(
    r"[^@\s]+@[^@\s]+\.[^@\s]+|^\d{1,3}(\.\d{1,3}){3}$|^[0-9a-f]{0,4}(:[0-9a-f]{0,4}){3,7}$", re.I
)

# Labels are short; JSON may have any number of spaces between them, and what is remembered is the text.
MAX_REMEMBERED_BYTES = 2_000


def kept_labels(text: bytes, batch: Batch, records: int) -> tuple[tuple[str, str], ...]:
    """(name, value) pairs sorted by name; a warning for each kind of label dropped from so many records."""
    sift = _sift if len(text) <= MAX_REMEMBERED_BYTES else _sift.__wrapped__
    kept, dropped = sift(text, tuple(settings.KEPT_LABELS))
    for code, detail in dropped:
        batch.warn(code, detail, records)
    return kept


def kept_tags(tags: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the tags of a billing file that are kept as labels, sorted by name; 'Team' is the operator's 'team'."""
    allowed = _allowed(tuple(settings.KEPT_LABELS))
    kept = {}
    for name, value in tags.items():
        known = allowed.get(name.lower())
        if known is not None and value.strip() and "\0" not in value and not _is_personal(name, value):
            kept[known] = " ".join(value.split())[:MAX_LABEL_CHARACTERS]
    return tuple(sorted(kept.items())[:MAX_LABELS])


@lru_cache(maxsize=10)
def _allowed(names: tuple[str, ...]) -> dict[str, str]:
    return {name.lower(): name for name in names}


def _is_personal(name: str, value: str) -> bool:
    return bool(_PERSONAL_NAME.search(name) or _PERSONAL_VALUE.search(value))


@lru_cache(maxsize=10_000)
def _sift(text: bytes, allowed: tuple[str, ...]) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """The labels that are kept, sorted by name, and a warning for each of the others."""
    kept, dropped = [], []
    for name, value in sorted(label_values(text).items()):
        if _is_personal(name, value):
            dropped.append(("personal_label", f"Label '{name[:60]}' names a person, an address or a session; dropped."))
        elif name not in allowed:
            dropped.append(("label_not_kept", f"Label '{name[:60]}' is not on this server's list; dropped."))
        else:
            kept.append((name, value))
    return tuple(kept), tuple(dropped)
