"""From one address to Django's settings of mail. A wrong address is a system check, never an import that fails."""

from __future__ import annotations

from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

# Where none is given: relaying, submission with STARTTLS, submission over TLS (RFC 8314).
PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 587, "smtp+ssl": 465}
CONSOLE = "django.core.mail.backends.console.EmailBackend"
LONGEST_WAIT_SECONDS = 20


def mail_settings(url: str) -> dict[str, Any]:
    """Django's EMAIL_* settings for an address like smtp+tls://user:password@host:587. Raises ValueError."""
    scheme = url.partition(":")[0]
    try:
        found = environ.Env.email_url_config(url)
    except (ImproperlyConfigured, ValueError):
        raise ValueError("it is not an address of a mail server") from None
    if scheme in PORTS:
        if not found["EMAIL_HOST"]:
            raise ValueError("it names no server")
        found["EMAIL_PORT"] = found["EMAIL_PORT"] or PORTS[scheme]
    # What is not given stays away, so that Django's own defaults hold.
    found.pop("OPTIONS", None)
    return {name: value for name, value in found.items() if value not in (None, "")}
