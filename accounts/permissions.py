"""Scopes of tokens. What a person may do for a workload is decided in `accounts.access`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts.models import Token

if TYPE_CHECKING:
    # DRF reads its settings, and so this module, while its views are being imported.
    from rest_framework.views import APIView


class HasScope(BasePermission):
    """Signed in; a token holds `read` for safe methods, else what the view names in `scope` ('manage' if nothing).

    `manage` includes `read`.
    """

    implied: ClassVar[dict[str, tuple[str, ...]]] = {
        "read": ("read", "manage"),
        "push": ("push",),
        "manage": ("manage",),
    }

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not request.user or not request.user.is_authenticated:
            return False
        token = request.auth
        if not isinstance(token, Token):
            return True
        needed = "read" if request.method in SAFE_METHODS else getattr(view, "scope", "manage")
        self.message = f"This token lacks the scope '{needed}'. Make one that has it, under Send data or Tokens."
        return any(scope in token.scopes for scope in self.implied[needed])
