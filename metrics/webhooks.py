"""Posting documents to addresses that people gave: kept encrypted, checked like every other, never shown again.

Whoever knows such an address may post there, so nothing but its host gets into a message, a log or a page. Private
addresses inside OUTBOUND_ALLOW are for admins, who alone say what this installation calls; everybody else's are public.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from metrics.errors import ConnectorError, RuleViolation
from metrics.http import HttpClient, OutboundPolicy
from metrics.redaction import all_spellings, redact, shown_address
from metrics.secrets import open_sealed, seal
from metrics.sources import outbound_policy
from metrics.words import N_

LONGEST_ADDRESS = 2_000
# What can be told from a slow network in one go; more attempts are made by whoever keeps the message.
READ_SECONDS, TOTAL_SECONDS = 15.0, 20.0


def seal_address(url: str, *, secret: str = "", may_be_private: bool) -> tuple[bytes, str]:
    """Return an address encrypted, and its host to show. Raises RuleViolation where it would not be called."""
    url = url.strip()
    if not url or len(url) > LONGEST_ADDRESS or any(letter.isspace() or not letter.isprintable() for letter in url):
        raise RuleViolation("invalid", N_("Paste the whole address, https:// and all, without blanks."), "address")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise RuleViolation("invalid", N_("This is not an address. It begins with https://."), "address") from None
    if parts.username is not None or parts.password is not None:
        raise RuleViolation("invalid", N_("An address with user and password in front is not called."), "address")
    default = 443 if parts.scheme == "https" else 80
    try:
        _policy(may_be_private=may_be_private).checked_addresses(scheme=parts.scheme, host=host, port=port or default)
    except ConnectorError as error:
        raise RuleViolation("not_callable", _said(error, may_be_private=may_be_private), "address") from None
    sealed = seal({"url": url, "secret": secret})
    if sealed is None:
        raise RuleViolation("missing", N_("Give an address."), "address")
    return sealed, host


def secret_of(sealed: bytes | memoryview) -> str:
    """Return the secret that was sealed with an address; empty where there is none. Raises ConnectorError."""
    return str(open_sealed(sealed).get("secret", ""))


def post_document(
    sealed: bytes | memoryview,
    document: bytes,
    *,
    headers: Mapping[str, str],
    may_be_private: bool,
    hints: Mapping[int, str] | None = None,
) -> None:
    """POST a document once. Raises ConnectorError, in which the address is its host alone."""
    opened = open_sealed(sealed)
    url, secret = str(opened.get("url", "")), str(opened.get("secret", ""))
    try:
        with HttpClient(_policy(may_be_private=may_be_private), secrets=[secret] if secret else []) as http:
            http.with_limits(attempts=1, read_seconds=READ_SECONDS, total_seconds=TOTAL_SECONDS).send(
                "POST", url, content=document, headers=headers, hints=hints or {}
            )
    except ConnectorError as error:
        raise ConnectorError(
            _host_only(error.message, url),
            permanent=error.permanent,
            hint=_host_only(_hint(error, may_be_private=may_be_private), url),
            retry_after_seconds=error.retry_after_seconds,
        ) from None


def _policy(*, may_be_private: bool) -> OutboundPolicy:
    policy = outbound_policy()
    return policy if may_be_private else replace(policy, allow=())


def _said(error: ConnectorError, *, may_be_private: bool) -> str:
    return " ".join(part for part in (error.message, _hint(error, may_be_private=may_be_private)) if part)


def _hint(error: ConnectorError, *, may_be_private: bool) -> str:
    """The operator's line for .env helps nobody whose addresses it does not open."""
    if "OUTBOUND_ALLOW" in error.hint and not may_be_private:
        return "Private addresses are for admins; use one that the internet reaches over https."
    return error.hint


def _host_only(text: str, url: str) -> str:
    parts = urlsplit(url)
    text = text.replace(url, parts.netloc).replace(shown_address(url), parts.netloc)
    words = [word for part in (parts.path, parts.query) for word in part.replace("=", "/").replace("&", "/").split("/")]
    return redact(text, all_spellings(word for word in [parts.path, parts.query, *words] if len(word) > 7))
