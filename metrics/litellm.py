"""LiteLLM's words in ours: names of operations, of service tiers, of teams and keys, and what its input tokens contain.

Shared by what is asked of a proxy (`connectors/litellm.py`) and what a proxy posts (`formats/litellm_callback.py`).
Holds no Django, no clock and no settings.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

# LiteLLM's call types by the operation names of OpenTelemetry; the asynchronous ones begin with an 'a'.
OPERATIONS = {
    "completion": "chat",
    "responses": "chat",
    "anthropic_messages": "chat",
    "text_completion": "text_completion",
    "generate_content": "generate_content",
    "generate_content_stream": "generate_content",
    "embedding": "embeddings",
    "image_generation": "image_generation",
    "image_edit": "image_generation",
    "transcription": "transcription",
    "speech": "text_to_speech",
    "moderation": "moderation",
    "rerank": "rerank",
}
STANDARD_TIERS = {"", "none", "auto", "default", "standard"}
# Unset values arrive as the text 'None' where they went through a label.
UNSET = {"", "none", "null"}
# A key's alias may be a person's address; then the key's number stands for it.
PERSONAL = re.compile(r"[^@\s]+@[^@\s]+")
# The first token and the end are the same moment where they are no further apart.
SAME_MOMENT_MS, SAME_MOMENT_SHARE = 5.0, 0.01


def text_of(value: Any) -> str:
    """The text, empty for what LiteLLM writes where there is none."""
    text = value.strip() if isinstance(value, str) else ""
    return "" if text.lower() in UNSET else text


def name_of(alias: Any, identity: Any, *, what: str = "") -> str:
    """The alias, else the beginning of the id: 'key 0e7cdb9d'. Never a person's address."""
    name, number = text_of(alias), text_of(identity)
    if name and not PERSONAL.search(name):
        return name[:100]
    if what and number:
        return f"{what} {number[:8]}"
    return "" if PERSONAL.search(number) else number[:100]


def operation_of(call_type: str) -> str:
    """OpenTelemetry's name of a call type; LiteLLM's own where there is none."""
    name = call_type.lower()
    return OPERATIONS.get(name) or OPERATIONS.get(name.removeprefix("a")) or name[:50] or "chat"


def tier_of(text: str) -> str:
    """The service tier, empty for the one that everybody gets."""
    tier = text.lower()
    return "" if tier in STANDARD_TIERS else tier[:40]


def model_and_provider(model: str, provider: str) -> tuple[str, str]:
    """'openai/gpt-x' is gpt-x of openai, whichever of the two LiteLLM names; 'unknown' for what it names neither of."""
    prefix, slash, rest = model.partition("/")
    if slash and rest and (not provider or prefix == provider):
        provider, model = prefix, rest
    return model[:200] or "unknown", provider or "unknown"


def include_cache(sums: MutableMapping[str, Any]) -> None:
    """Input contains cached and cache-write tokens; where they are more than it, it did not."""
    cached = (sums.get("cached_input_tokens") or 0) + (sums.get("cache_write_input_tokens") or 0)
    if sums.get("input_tokens") is not None and cached > sums["input_tokens"]:
        sums["input_tokens"] += cached


def first_token_ms(duration_ms: float, first_ms: float) -> float | None:
    """The time to the first token; None of an answer in one piece, whose first token is its end, give or take the
    moment that lies between LiteLLM's two readings of the clock.
    """
    is_stream = 0 < first_ms < duration_ms - max(SAME_MOMENT_MS, duration_ms * SAME_MOMENT_SHARE)
    return first_ms if is_stream else None
