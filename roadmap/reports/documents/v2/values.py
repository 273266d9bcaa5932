"""Schema version 2's JSON back to exact values."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import overload


@overload
def day_of(text: str) -> date: ...
@overload
def day_of(text: None) -> None: ...
def day_of(text: str | None) -> date | None:
    """An ISO date; None stays unknown."""
    return None if text is None else date.fromisoformat(text)


def moment_of(text: str | None) -> datetime | None:
    """An ISO moment; None stays unknown."""
    return None if text is None else datetime.fromisoformat(text)


def number_of(text: str | None) -> Decimal | None:
    """Decimal text; None stays unknown."""
    return None if text is None else Decimal(text)
