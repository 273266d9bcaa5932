"""Messages about backends for those who are shown no addresses: only admins are."""

from __future__ import annotations

from collections.abc import Iterable

from metrics.models import Backend, Pull
from metrics.redaction import without_addresses


def unaddressed(backend: Backend, pulls: Iterable[Pull] = ()) -> Backend:
    """The backend, not to be saved, whose problems name no address; nor do these rows of its pull log."""
    for row in pulls:
        row.message = without_addresses(row.message, backend.parameters)
    backend.problem = without_addresses(backend.problem, backend.parameters)
    backend.backfill_problem = without_addresses(backend.backfill_problem, backend.parameters)
    return backend
