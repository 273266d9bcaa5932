"""Changing the key under which secrets are kept: of backends, and people's addresses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import InvalidToken
from django.db import transaction
from django.db.models import Model

from accounts.audit import record
from accounts.models import PersonAddress
from metrics.models import Backend
from metrics.secrets import is_under_first_key, rotate


@dataclass(frozen=True, slots=True)
class Rotation:
    """`rotated`: under an older key before. `unreadable`: names of what holds secrets that no key fits."""

    rotated: int
    current: int
    unreadable: tuple[str, ...]


def rotate_secrets(*, is_check: bool = False) -> Rotation:
    """Encrypt each stored secret with the first key. `is_check` only counts. Raises ValueError without a key."""
    rotated, current, unreadable = 0, 0, []
    for model, column, pk in _sealed():
        # Row by row: a person who changes one meanwhile waits for a moment, and is not overwritten.
        with transaction.atomic():
            row: Any = model._default_manager.select_for_update().filter(pk=pk).first()
            held = getattr(row, column) if row is not None else None
            if held is None:
                continue
            if is_under_first_key(held):
                current += 1
                continue
            try:
                sealed = rotate(held)
            except InvalidToken:
                unreadable.append(str(row))
                continue
            rotated += 1
            if not is_check:
                setattr(row, column, sealed)
                row.save(update_fields=[column])
                record("command rotate_secrets", action="rotate_secrets", subject=row)
    return Rotation(rotated, current, tuple(unreadable))


def _sealed() -> Iterator[tuple[type[Model], str, int]]:
    """(model, column, key of the row) of everything that is kept encrypted."""
    for pk in Backend.objects.exclude(secrets=None).order_by("name", "pk").values_list("pk", flat=True):
        yield Backend, "secrets", pk
    for pk in PersonAddress.objects.order_by("pk").values_list("pk", flat=True):
        yield PersonAddress, "sealed", pk
