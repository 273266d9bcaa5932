"""Changing the key under which secrets are kept."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.fernet import InvalidToken
from django.db import transaction

from accounts.audit import record
from metrics.models import Backend
from metrics.secrets import is_under_first_key, rotate


@dataclass(frozen=True, slots=True)
class Rotation:
    """`rotated`: under an older key before. `unreadable`: names of backends whose secrets no key fits."""

    rotated: int
    current: int
    unreadable: tuple[str, ...]


def rotate_secrets(*, is_check: bool = False) -> Rotation:
    """Encrypt each backend's secrets with the first key. `is_check` only counts. Raises ValueError without a key."""
    rotated, current, unreadable = 0, 0, []
    for pk in Backend.objects.exclude(secrets=None).order_by("name", "pk").values_list("pk", flat=True):
        # Row by row: a person who changes one meanwhile waits for a moment, and is not overwritten.
        with transaction.atomic():
            backend = Backend.objects.select_for_update().filter(pk=pk).exclude(secrets=None).first()
            if backend is None or backend.secrets is None:
                continue
            if is_under_first_key(backend.secrets):
                current += 1
                continue
            try:
                sealed = rotate(backend.secrets)
            except InvalidToken:
                unreadable.append(backend.name)
                continue
            rotated += 1
            if not is_check:
                backend.secrets = sealed
                backend.save(update_fields=["secrets"])
                record("command rotate_secrets", action="rotate_secrets", subject=backend)
    return Rotation(rotated, current, tuple(unreadable))
