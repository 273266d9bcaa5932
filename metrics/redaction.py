"""Taking secrets out of texts that people and logs get to see. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, quote_plus, urlsplit


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return the text without any of the secrets."""
    for secret in secrets:
        text = text.replace(secret, "•••")
    return text


def all_spellings(secrets: Iterable[str]) -> tuple[str, ...]:
    """Return the secrets as they are and as addresses spell them, longest first, so that none leaves a rest."""
    spellings = {form for secret in secrets if secret for form in (secret, quote(secret, safe=""), quote_plus(secret))}
    return tuple(sorted(spellings, key=len, reverse=True))


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
