"""How often a source may be asked, how far back it answers, and how far its clock is apart. Pure but for the clock."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from metrics.errors import ConnectorError


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a source may be asked with one key. None: no limit is known, and 429 is waited for.

    Requests are spread evenly over the minute; the day is the UTC day, and half of it is kept for the newest hours
    while a backfill runs. Over its day's allowance the backend rests until the next day, which its page says.
    """

    requests_a_minute: int | None = None
    requests_a_day: int | None = None


@dataclass(frozen=True, slots=True)
class History:
    """How far back a source answers: for `days` days. None: as far as it goes, which nobody has told us.

    `says` is a sentence for the backend's page where there is more to know ('Costs go back 13 months.').
    """

    days: int | None = None
    says: str = ""


class AllowanceUsedUp(ConnectorError):  # noqa: N818 - says what happened
    """We have asked as often as the source allows a day; it was not asked."""


@dataclass(slots=True)
class Meter:
    """Counts what one pull asks, spreads it over the minute, and stops it at `most_requests`.

    `on_request` is called before each request, also by connectors whose vendor's SDK does the talking. `ahead_seconds`:
    how far this machine's clock was ahead of the source's in the last answer that named the time, negative if behind.
    """

    requests: int = 0
    most_requests: int | None = None
    requests_a_minute: int | None = None
    ahead_seconds: float | None = None
    _next_at: float = 0.0

    def on_request(self) -> None:
        """Count one request, after waiting for its turn. Raises ConnectorError where the day's allowance is used up."""
        if self.most_requests is not None and self.requests >= self.most_requests:
            now = datetime.now(UTC)
            midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
            raise AllowanceUsedUp(
                "The requests that the source allows a day are used up.",
                permanent=False,
                hint="It goes on after midnight UTC.",
                retry_after_seconds=(midnight - now).total_seconds(),
            )
        self.requests += 1
        if self.requests_a_minute:
            wait = self._next_at - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            self._next_at = time.monotonic() + 60 / self.requests_a_minute

    def on_answer(self, date: str | None) -> None:
        """Compare the answer's Date header with this machine's clock."""
        try:
            told = parsedate_to_datetime(date) if date else None
        except (TypeError, ValueError):
            return
        if told is not None and told.tzinfo is not None:
            self.ahead_seconds = (datetime.now(UTC) - told).total_seconds()
