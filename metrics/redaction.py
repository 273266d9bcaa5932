"""Taking secrets out of texts that people and logs get to see. Pure."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus, urlsplit

# Shorter words of a header are schemes and the like ('Bearer').
SHORTEST_SECRET = 7


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return the text without any of the secrets."""
    for secret in secrets:
        text = text.replace(secret, "•••")
    return text


def all_spellings(secrets: Iterable[str]) -> tuple[str, ...]:
    """Return the secrets as they are and as addresses, JSON and Basic authentication spell them, longest first.

    So none leaves a rest.
    """
    spellings: set[str] = set()
    for secret in secrets:
        if secret:
            spellings |= {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
            spellings |= {json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
            spellings.add(b64encode(secret.encode()).decode())
    return tuple(sorted(spellings, key=len, reverse=True))


def secrets_in(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return what headers carry that is nobody's business: each long word of those that sign in."""
    return tuple(
        word
        for name, value in headers.items()
        if re.search("auth|key|token|secret|cookie|signature", name, re.IGNORECASE)
        for word in value.split()
        if len(word) > SHORTEST_SECRET
    )


def shown_address(url: str) -> str:
    """Return the address without user, query and fragment."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "the address"
    if not parts.hostname:
        return parts.path
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}{parts.path}"
