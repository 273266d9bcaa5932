"""Half-open windows of time. Holds no Django, no clock and no settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Window:
    """[start, end), aware UTC."""

    start: datetime
    end: datetime

    def hours(self) -> Iterator[datetime]:
        """Yield the start of each hour that begins in the window, in order."""
        hour = self.start.replace(minute=0, second=0, microsecond=0)
        if hour < self.start:
            hour += HOUR
        while hour < self.end:
            yield hour
            hour += HOUR
