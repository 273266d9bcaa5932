"""Adding a backend that cannot be asked: an edge or air-gapped server whose usage is pushed, with what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils.translation import gettext

from accounts.access import Asker
from accounts.audit import record
from accounts.models import Workload
from metrics import sources
from metrics.actions.backends import checked_name, free_slug
from metrics.actions.permission import require_backend_admin
from metrics.actions.prices import set_rate_card
from metrics.errors import RuleViolation
from metrics.identity import forget
from metrics.models import Backend
from metrics.usage import MeasuredAt

PROVIDER = "self-hosted"


@transaction.atomic
def add_pushed_backend(
    asker: Asker,
    *,
    name: str,
    provider: str = "",
    hardware: str = "",
    measured_at: str = "",
    default_workload: Workload | None = None,
    card: Mapping[str, Any] | None = None,
) -> Backend:
    """Add a backend that is pushed to, and its rate card where one is given: both, or neither.

    Raises RuleViolation (of the card with its own fields), PermissionDenied.
    """
    require_backend_admin(asker)
    provider = provider.strip() or PROVIDER
    if len(provider) > 60 or "\n" in provider:
        raise RuleViolation("too_long", gettext("A provider is one line of at most 60 characters."), "provider")
    backend = Backend.objects.create(
        slug=free_slug(name),
        name=checked_name(name),
        connector=sources.PUSH_ONLY,
        provider=provider,
        measured_at=MeasuredAt(measured_at or MeasuredAt.SERVER),
        hardware=hardware.strip()[:100],
        default_workload=default_workload,
        # It is not pulled.
        is_enabled=False,
    )
    record(
        asker,
        action="add_backend",
        subject=backend,
        after={
            "name": backend.name,
            "connector": backend.connector,
            "provider": provider,
            "measured_at": backend.measured_at,
            "hardware": backend.hardware,
            "default_workload": default_workload.slug if default_workload else None,
        },
    )
    if card is not None:
        set_rate_card(asker, backend, **card)
    # Pushes of this provider without a backend's name may belong to it from now on.
    transaction.on_commit(forget)
    return backend
