"""What the fields of a source's answer have to be, checked in one way by the connectors that read JSON.

Counts are whole and not negative, amounts are finite decimals (a credit is negative), currencies are three letters,
pages end. Holds no Django, no vendor and no HTTP.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from metrics.errors import ConnectorError
from metrics.usage import UsageCell
from metrics.words import phrase

# Above what any organization uses in an hour or pays in a day, and well inside the columns that hold it.
MOST_COUNTED = 10**16
MOST_CHARGED = Decimal(10) ** 15
MOST_PAGES = 500

Row = TypeVar("Row")


def refuse_impossible(cells: Iterable[UsageCell], source: str) -> None:
    """Refuse sums that no organization reaches, which the ledger's columns could not hold. Raises ConnectorError."""
    for cell in cells:
        for measure, value in cell.sums.items():
            if not -MOST_COUNTED <= value <= MOST_COUNTED:
                raise Reader(source).malformed(
                    f"{measure.replace('_', ' ')} of {cell.key.model} are too many to be true"
                )


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the fields of one source's answers. `source` is its name as people know it."""

    source: str

    def malformed(self, what: str) -> ConnectorError:
        """The error for an answer that cannot be used; `what` is a clause, 'a bucket has no results'."""
        return ConnectorError(
            phrase(
                "%(source)s's answer cannot be used: %(what)s. Nothing was taken from this pull.",
                source=self.source,
                what=what,
            ),
            permanent=False,
            hint=phrase(
                "It is asked again by itself; if it stays, look whether %(source)s has changed its answers.",
                source=self.source,
            ),
        )

    def count(self, value: Any, field: str) -> int:
        """A whole number, not negative. Raises ConnectorError."""
        if isinstance(value, Decimal) and value.is_finite() and abs(value) < MOST_COUNTED and value == int(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.malformed(f"{field} is not a count")
        if value < 0:
            raise self.malformed(f"{field} is negative, which no count is")
        if value > MOST_COUNTED:
            raise self.malformed(f"{field} is too large to be true")
        return value

    def amount(self, value: Any, field: str = "an amount") -> Decimal:
        """A finite decimal, written as a number or as text; negative for a credit. Raises ConnectorError."""
        if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
            raise self.malformed(f"{field} is not a number")
        try:
            amount = Decimal(value)
        except InvalidOperation:
            raise self.malformed(f"{field} is not a number") from None
        if not amount.is_finite():
            raise self.malformed(f"{field} is not a number")
        if abs(amount) > MOST_CHARGED:
            raise self.malformed(f"{field} is too large to be true")
        return amount

    def currency(self, value: Any) -> str:
        """An ISO 4217 code in upper case, whether it was seen before or not. Raises ConnectorError."""
        text = str(value).strip().upper() if isinstance(value, str) else ""
        if not re.fullmatch(r"[A-Z]{3}", text):
            raise self.malformed("a currency is not three letters")
        return text

    def unix(self, value: Any, field: str) -> datetime:
        """An aware UTC time from whole Unix seconds. Raises ConnectorError."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.malformed(f"{field} is not a time")
        try:
            return datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError):
            raise self.malformed(f"{field} is not a time") from None

    def moment(self, value: Any, field: str) -> datetime:
        """An aware UTC time from RFC 3339. Raises ConnectorError."""
        try:
            found = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            raise self.malformed(f"{field} is not a time") from None
        if found.tzinfo is None:
            raise self.malformed(f"{field} has no zone")
        return found.astimezone(UTC)

    def mapping(self, value: Any, what: str) -> Mapping[str, Any]:
        """An object. `what` names it: 'a result'. Raises ConnectorError."""
        if not isinstance(value, dict):
            raise self.malformed(f"{what} is not an object")
        return value

    def sequence(self, value: Any, what: str) -> list[Any]:
        """A list. Raises ConnectorError."""
        if not isinstance(value, list):
            raise self.malformed(f"{what} is not a list")
        return value

    def distinct(self, rows: Iterable[Row], *, seen: set[str] | None = None) -> Iterator[Row]:
        """Yield each row once: one that says the very same as another of its bucket is a repetition, not more usage.

        `seen` carries over what the rows of the pages before said.
        """
        known = set() if seen is None else seen
        for row in rows:
            said = json.dumps(row, sort_keys=True, default=str)
            if said not in known:
                known.add(said)
                yield row

    def pages(
        self,
        ask: Callable[[str | None], Mapping[str, Any]],
        *,
        more: str = "has_more",
        cursor: str = "next_page",
        most: int | None = None,
    ) -> Iterator[Mapping[str, Any]]:
        """Yield each page: `ask` gets the cursor (None at first), the fields `more` and `cursor` say where to go on.

        Raises ConnectorError where a cursor is missing or repeats, and after `most` pages (MOST_PAGES unless given).
        """
        most = MOST_PAGES if most is None else most
        at: str | None = None
        seen: set[str] = set()
        for _ in range(most):
            document = ask(at)
            yield document
            if not document.get(more):
                return
            at = document.get(cursor)
            if not isinstance(at, str) or not at:
                raise self.malformed("it says that there is more, but not where")
            if at in seen:
                raise self.malformed("it sends the same page again")
            seen.add(at)
        raise self.malformed(f"it has more than {most} pages")
