"""Secrets at rest: encrypted with Fernet, the first of `settings.ENCRYPTION_KEYS` encrypts and every one decrypts.

A secret is decrypted only to be handed to a connector; it is never shown, logged, audited or put into a message.
"""

from __future__ import annotations

import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.utils.translation import gettext

from metrics.errors import ConnectorError, RuleViolation

SHOWN_INSTEAD = "•••"


def seal(values: dict[str, Any]) -> bytes | None:
    """Return the values encrypted; None where there are none. Raises RuleViolation without a usable key."""
    kept = {name: value for name, value in values.items() if value not in (None, "", [])}
    if not kept:
        return None
    try:
        box = _box()
    except ValueError:
        raise RuleViolation(
            "no_encryption_key",
            gettext(
                "This installation has no usable encryption key, so secrets cannot be kept. "
                "Set PHASELINE_ENCRYPTION_KEYS and restart."
            ),
        ) from None
    return box.encrypt(json.dumps(kept).encode())


def open_sealed(sealed: bytes | memoryview | None) -> dict[str, Any]:
    """Return what `seal` was given. Raises ConnectorError (permanent) where no key of this installation fits."""
    if not sealed:
        return {}
    try:
        return dict(json.loads(_box().decrypt(bytes(sealed))))
    except (InvalidToken, ValueError):
        raise ConnectorError(
            gettext("The stored secret cannot be decrypted with the keys of this installation."),
            permanent=True,
            hint=gettext("Put the former key back into PHASELINE_ENCRYPTION_KEYS, or enter the secret again."),
        ) from None


def rotate(sealed: bytes | memoryview) -> bytes:
    """Return the same secret under the first key. Raises InvalidToken, ValueError."""
    return _box().rotate(bytes(sealed))


def is_under_first_key(sealed: bytes | memoryview) -> bool:
    """Whether the first key alone opens it. Raises ValueError without a usable key."""
    _box()
    try:
        Fernet(settings.ENCRYPTION_KEYS[0]).decrypt(bytes(sealed))
    except InvalidToken:
        return False
    return True


def _box() -> MultiFernet:
    keys = [Fernet(key) for key in settings.ENCRYPTION_KEYS]
    if not keys:
        raise ValueError("no encryption keys")
    return MultiFernet(keys)
