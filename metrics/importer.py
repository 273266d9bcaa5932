"""The contract of billing files: what a container gives, what a layout makes of its rows. Holds no Django, no clock.

Two things differ from file to file, and each is an implementation of its own in `metrics/imports/`:

- a `Table` is the container (CSV, Parquet): column names, and rows as tuples of cells, read once from front to back.
- a `Layout` is what the columns mean (FOCUS, a person's mapping): `charge(row)` gives the charge that a row states.

A table
- SHALL hold a few rows at a time, whatever the file's size, and stop at `Limits.unpacked_bytes` and `Limits.rows`.
- SHALL raise `Unreadable` and nothing else for whatever is wrong with the file, with a sentence that says what to do.
- SHALL yield a `BrokenRow` for a row that has not as many cells as the header, and go on.

A layout
- SHALL raise `RowRejected` for a row that cannot count, and never guess an amount, a currency, a day or a unit.
- SHALL leave a count out where the file does not state it in a unit that is known: absent is unknown.
- SHALL give `input_tokens` with cached and cache-write tokens inside.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from metrics.errors import RuleViolation

Cell = Any
Row = tuple[Cell, ...]
Labels = tuple[tuple[str, str], ...]
MOST_COLUMNS = 1_000
# The counts that a charge can state beside its amounts, in the order of `Charge.counts`.
COUNTS = ("input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens", "requests")


class Unreadable(RuleViolation):
    """The file as a whole cannot be read. `message` says why and what to do."""


def checked_header(columns: list[str]) -> list[str]:
    """The names of a table's columns, each of them there once. Raises Unreadable."""
    if len(columns) > MOST_COLUMNS:
        raise Unreadable("too_many_columns", f"The file has {len(columns):,} columns; at most {MOST_COLUMNS:,}.")
    while columns and not columns[-1]:
        raise Unreadable("no_header", "A column has no name: the first line must name every column.")
    if not all(columns):
        raise Unreadable("no_header", "A column has no name: the first line must name every column.")
    if len(set(columns)) < len(columns):
        twice = sorted({name for name in columns if columns.count(name) > 1})
        raise Unreadable("repeated_column", f"Two columns are called '{twice[0][:60]}'. Rename one of them.")
    if any("\0" in name for name in columns):
        raise Unreadable("another_format", "This is neither CSV nor Parquet.")
    return columns


class RowRejected(Exception):  # noqa: N818 - says what is so
    """A row cannot count: a stable code, and a sentence that names the column."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may hold. `oldest` and `newest`: charges that start outside are refused.

    `may_be_western`: Windows-1252 is read where it can be nothing else; for files that a person looks at first.
    """

    oldest: datetime
    newest: datetime
    unpacked_bytes: int
    rows: int
    may_be_western: bool = False


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A row that cannot be told apart into cells."""

    detail: str


class ChargeKey(NamedTuple):
    """All that tells one charge from another; charges of the same key add up.

    `account`, `period_start` and `period_end` are the billing period that the row belongs to; [start, end) is when what
    is charged was used, aware UTC. `model` is empty where the row names none. `service` is the provider's word.
    """

    account: str
    account_name: str
    period_start: datetime
    period_end: datetime
    start: datetime
    end: datetime
    provider: str
    model: str
    service: str
    service_category: str
    service_tier: str
    labels: Labels
    category: str
    is_correction: bool
    currency: str


class Charge(NamedTuple):
    """What a row states. `effective` is None where the file has no such column; `counts` as in COUNTS, None unknown."""

    key: ChargeKey
    billed: Decimal
    effective: Decimal | None
    counts: tuple[Decimal | None, ...] | None


class Table(ABC):
    """A file as columns and rows. `description` says in words what it is; `read_share` how far it was read, 0 to 1.

    `repeated` counts rows that repeat an earlier one of this reading word for word, as far as the container can tell.
    """

    kind: ClassVar[str]
    columns: Sequence[str]
    description: str
    read_share: float = 0.0
    repeated: int = 0

    @abstractmethod
    def rows(self, names: Sequence[str], *, skip: int = 0) -> Iterator[Row | BrokenRow]:
        """Yield the cells of these columns, row by row, after `skip` rows. Empty cells are None. Raises Unreadable."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""


@dataclass(frozen=True, slots=True)
class Container:
    """One registered kind of table: whether a file begins like one, and how it is opened. Raises Unreadable."""

    kind: str
    recognises: Callable[[bytes], bool]
    open: Callable[[Path, Limits], Table]


LabelSieve = Callable[[Mapping[str, str]], Labels]


@dataclass(slots=True)
class Layout(ABC):
    """What columns mean. `names`: the columns it reads. `notes`: sentences and how many rows each is about."""

    limits: Limits
    keep_labels: LabelSieve
    names: tuple[str, ...] = ()
    title: str = ""
    notes: Counter[str] = field(default_factory=Counter)

    @abstractmethod
    def charge(self, row: Row) -> Charge:
        """Return what a row states, cells in the order of `names`. Raises RowRejected."""
