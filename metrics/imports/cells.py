"""Cells of billing files as values: amounts, quantities, times, units, currencies. Each refuses what it is not."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from metrics.currency import CURRENCIES
from metrics.importer import RowRejected

_LARGEST = Decimal(10) ** 12
# More tokens or requests than anybody has.
_MOST_COUNTED = Decimal(10) ** 15
_SHOWN = 60


def shown(value: Any) -> str:
    """A cell as a rejection quotes it."""
    return " ".join(str(value).replace("\0", " ").split())[:_SHOWN]


def amount(value: Any, column: str) -> Decimal:
    """Money, negative for a credit. Raises RowRejected."""
    if value is None:
        raise RowRejected("amount_missing", f"{column} is empty.")
    found = number(value)
    if found is None:
        raise RowRejected("not_an_amount", f"{column}: '{shown(value)}' is not an amount such as 1234.56.")
    if abs(found) >= _LARGEST:
        raise RowRejected("out_of_range", f"{column}: '{shown(value)}' is not between -10^12 and 10^12.")
    return found


def number(value: Any) -> Decimal | None:
    """A plain decimal, with an exponent where it has one; None for anything else, NaN and infinity included."""
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, float):
        # The shortest text that means this float is what was written.
        return Decimal(repr(value)) if math.isfinite(value) else None
    text = str(value).strip()
    if "_" in text:
        return None
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def counted(quantity: Decimal, scale: Decimal, column: str) -> Decimal:
    """A quantity of a unit as what it counts. Raises RowRejected for one that nobody has."""
    # Looked at before it is multiplied: a cell can spell numbers that no product of theirs is left of.
    if abs(quantity) <= _MOST_COUNTED and abs(quantity * scale) <= _MOST_COUNTED:
        return quantity * scale
    raise RowRejected("out_of_range", f"{column}: '{shown(quantity)}' is too large.")


@lru_cache(maxsize=500)
def currency(value: Any, column: str) -> str:
    """An ISO 4217 code. Raises RowRejected."""
    code = str(value or "").strip().upper()
    if not code:
        raise RowRejected("currency_missing", f"{column} is empty.")
    if code not in CURRENCIES:
        raise RowRejected("unknown_currency", f"{column}: '{shown(value)}' is not an ISO 4217 currency in use.")
    return code


@lru_cache(maxsize=20_000)
def moment(value: Any, column: str) -> datetime:
    """An aware UTC time; a time without a zone is UTC, a date is its midnight. Raises RowRejected."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    text = str(value or "").strip()
    if not text:
        raise RowRejected("time_missing", f"{column} is empty.")
    if text.endswith(" UTC"):
        text = f"{text[:-4]}Z"
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise RowRejected(
            "not_a_time", f"{column}: '{shown(value)}' is not a time such as 2026-10-01T00:00:00Z."
        ) from None
    try:
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        raise RowRejected("not_a_time", f"{column}: '{shown(value)}' lies outside of the calendar.") from None


@lru_cache(maxsize=50_000)
def text(value: Any, length: int) -> str:
    """Text of one line, cut to a length; empty for none. Raises RowRejected for what a database cannot keep."""
    if value is None:
        return ""
    found = " ".join(str(value).split())[:length]
    if "\0" in found:
        raise RowRejected("bad_text", f"'{shown(found)}' holds the character U+0000.")
    return found


_SCALES = {"": 1, "k": 1_000, "thousand": 1_000, "thousands": 1_000, "m": 10**6, "million": 10**6, "millions": 10**6}
_SCALES |= {"b": 10**9, "billion": 10**9, "billions": 10**9, "mm": 10**6, "mn": 10**6}
_UNIT = re.compile(r"^(?:per\s+)?(?P<number>[\d,.]*)\s*(?P<scale>[a-z]*)$")
_TOKENS = re.compile(r"\btokens?\b")
_REQUESTS = re.compile(r"\b(?:api )?(?:requests?|calls?|invocations?)\b")


@lru_cache(maxsize=500)
def unit(value: Any) -> tuple[str, Decimal] | None:
    """Return what a unit counts ('tokens' or 'requests') and how many one of it is; None for any other unit.

    '1000 Tokens', '1K tokens', 'Million Tokens' and 'Tokens' are read; '1000 Hours' is not ours.
    """
    words = str(value or "").strip().lower().replace("_", " ").replace("-", " ")
    for kind, pattern in (("tokens", _TOKENS), ("requests", _REQUESTS)):
        rest, found = pattern.subn("", words)
        if not found:
            continue
        # 'input tokens', 'tokens (output)': the direction is read elsewhere.
        rest = re.sub(r"\b(input|output|prompt|completion|cached?|read|write|model|of|in|out)\b|[()/]", " ", rest)
        match = _UNIT.match(" ".join(rest.split()))
        if match is None or match["scale"] not in _SCALES:
            return None
        digits = match["number"].replace(",", "")
        try:
            count = Decimal(digits) if digits else Decimal(1)
        except InvalidOperation:
            return None
        return (kind, count * _SCALES[match["scale"]]) if 0 < count <= _LARGEST else None
    return None


def check_window(start: datetime, oldest: datetime, newest: datetime, column: str) -> None:
    """Raise RowRejected for a charge that lies outside of what is kept."""
    if start < oldest:
        raise RowRejected("too_old", f"{column}: {start:%Y-%m-%d} lies before {oldest:%Y-%m-%d}, where usage ends.")
    if start > newest:
        raise RowRejected("in_the_future", f"{column}: {start:%Y-%m-%d} has not come yet.")


def end_of_period(start: datetime, given: datetime | None, column: str) -> datetime:
    """The end of a period; a day after its start where none is given. Raises RowRejected where it ends too early."""
    if given is None:
        return start + timedelta(days=1)
    if given < start:
        raise RowRejected("period_backwards", f"{column}: the period ends before it starts.")
    return given if given > start else start + timedelta(hours=1)
