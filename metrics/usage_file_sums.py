"""What the rows of a file of usage add up to, step by step, as it is kept beside the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from metrics.fold import Folded
from metrics.format import Batch
from metrics.pricing import rounded

COUNTS = ("requests", "errors", "input_tokens", "output_tokens")
# Roadmap, backend, provider and model; what comes after so many adds up in one line.
MOST_LINES = 200
Key = tuple[str, str, str, str]
OTHERS: Key = ("", "", "", "")


@dataclass(slots=True)
class Line:
    """Sums of one roadmap, backend, provider and model. A count that no row gives is absent; money by currency."""

    counts: dict[str, int] = field(default_factory=dict)
    money: dict[str, Decimal] = field(default_factory=dict)

    def add(self, counts: Mapping[str, int], money: Mapping[str, Decimal]) -> None:
        """Add another's."""
        for name, count in counts.items():
            self.counts[name] = self.counts.get(name, 0) + count
        for currency, amount in money.items():
            self.money[currency] = self.money.get(currency, Decimal(0)) + amount


@dataclass(slots=True)
class FileSums:
    """All lines, and what is said of the whole file. `stated`: rows that state their cost; `with_id`: rows with one."""

    lines: dict[Key, Line] = field(default_factory=dict)
    first: datetime | None = None
    last: datetime | None = None
    stated: int = 0
    with_id: int = 0
    not_priced: int = 0

    @property
    def total(self) -> Line:
        """Of all lines."""
        total = Line()
        for line in self.lines.values():
            total.add(line.counts, line.money)
        return total

    def add(self, batch: Batch, folded: Folded, roadmaps: Mapping[int, str], backends: Mapping[int, str]) -> None:
        """Add a batch and what it folds to; the names of its workloads and backends by id."""
        for cell in folded.cells.values():
            who = cell.identity
            key = (roadmaps.get(who.workload_id or 0, ""), backends[who.backend_id], who.key.provider, who.key.model)
            if key not in self.lines and len(self.lines) >= MOST_LINES:
                key = OTHERS
            counts = {name: cell.counts[name] for name in COUNTS if name in cell.counts}
            money = {} if cell.money is None else {cell.currency: rounded(cell.money)}
            self.lines.setdefault(key, Line()).add(counts, money)
        times = [one.timestamp for one in batch.records]
        if times:
            self.first = min(filter(None, (self.first, min(times).astimezone(UTC))))
            self.last = max(filter(None, (self.last, max(times).astimezone(UTC))))
        self.stated += sum(one.cost is not None for one in batch.records)
        self.with_id += sum(one.id is not None for one in batch.records)
        self.not_priced += folded.not_priced

    @classmethod
    def of(cls, held: Mapping[str, Any]) -> FileSums:
        """From what `as_json` wrote."""
        made = cls()
        for *key, counts, money in held.get("lines", ()):
            roadmap, backend, provider, model = key
            line = Line(dict(counts), {currency: Decimal(amount) for currency, amount in money.items()})
            made.lines[roadmap, backend, provider, model] = line
        if held.get("first"):
            made.first, made.last = (datetime.fromisoformat(held[name]) for name in ("first", "last"))
        made.stated, made.with_id = held.get("stated", 0), held.get("with_id", 0)
        made.not_priced = held.get("not_priced", 0)
        return made

    def as_json(self) -> dict[str, Any]:
        """For a JSON column."""
        return {
            "lines": [
                [*key, line.counts, {currency: f"{amount:f}" for currency, amount in line.money.items()}]
                for key, line in self.lines.items()
            ],
            "first": self.first.isoformat() if self.first else "",
            "last": self.last.isoformat() if self.last else "",
            "stated": self.stated,
            "with_id": self.with_id,
            "not_priced": self.not_priced,
        }
