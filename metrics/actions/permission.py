"""Who may change backends, in one place for all actions here."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied

from accounts.access import Asker, can_change_backends


def require_backend_admin(asker: Asker) -> None:
    """Raise PermissionDenied unless the asker may change backends, their series and prices."""
    if not can_change_backends(asker):
        raise PermissionDenied("Only admins add and change backends.")
