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


# Where something listens, as messages name it: an address, a name or number with a port, a bare number.
_NETWORK_PLACE = re.compile(
    r"[a-z][a-z0-9+.-]*://[^\s'\"<>()]*[^\s'\"<>().,;:]"
    r"|\[[0-9a-f:.%]*:[0-9a-f:.%]*\](?::\d+)?"
    r"|(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?:[:/]\d+)?(?![\w.]\d)"
    r"|(?<![\w:])(?=[0-9a-f:]*::|(?:[0-9a-f]+:){7})[0-9a-f:]+[0-9a-f](?:/\d+)?(?![\w:])"
    # Not a moment like 2026-11-22T14:00.
    r"|(?<![\w.-])(?!\d{4}-\d\d-)(?=[\w.-]*[a-z])[\w-]+(?:\.[\w-]+)*:\d{2,5}\b",
    re.IGNORECASE,
)
AN_ADDRESS = "(address)"


def without_addresses(text: str, parameters: Mapping[str, object]) -> str:
    """Return a message without where things listen, for those who are shown no addresses.

    `parameters`: of the backend that it is about; the hosts in them are taken out by name as well.
    """
    found = _NETWORK_PLACE.sub(AN_ADDRESS, text)
    values = [value for given in parameters.values() for value in (given if isinstance(given, list) else [given])]
    hosts = {urlsplit(value).hostname for value in values if isinstance(value, str) and "://" in value}
    for host in sorted((host for host in hosts if host), key=len, reverse=True):
        found = re.sub(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", AN_ADDRESS, found, flags=re.IGNORECASE)
    return found
