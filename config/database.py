"""The database connection of Phaseline: one that does not wait for ever where a thread serves requests.

A database that is frozen, or whose host is gone, answers nothing and closes nothing; without an end to the waiting each
such request would keep its thread for good, and soon there were none left.
"""

from __future__ import annotations

import threading
from typing import Any

import psycopg
from psycopg.errors import _WaitTimeout

_patience = threading.local()


def serve_within(seconds: float | None) -> None:
    """From now on this thread waits at most so long for one answer of the database; None is without end."""
    _patience.seconds = seconds


class Connection(psycopg.Connection[Any]):
    """Gives an answer up after the thread's time, and itself with it: what is still to come would be out of step."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Raises psycopg.OperationalError where nothing came in time; the connection is closed then."""
        patience = getattr(_patience, "seconds", None)
        if timeout is not None or patience is None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, patience)
        except _WaitTimeout:
            self.close()
            raise psycopg.OperationalError(f"no answer within {patience:g} seconds") from None
