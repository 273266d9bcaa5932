"""What became of an OTLP export, as its sender is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from metrics.models import Feed, Receipt
from metrics.posting import Batch


@dataclass(slots=True)
class Exported:
    """`receipt` None: nothing of it counts, so that nothing is remembered either.

    `batches`: what the receipt posts, a feed each, and `states`: how far its streams are then (metrics.stream_state);
    both are still to be written. `new_at`: the backends where it makes a new series.
    `rejected`: points or spans that do not count. `problems`: code and sentence of what is wrong with it or worth a
    word, with the number of points or spans it is about.
    """

    receipt: Receipt | None = None
    rejected: int = 0
    problems: dict[tuple[str, str], int] = field(default_factory=dict)
    batches: list[tuple[Feed, Batch]] = field(default_factory=list)
    states: dict[bytes, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    new_at: set[int] = field(default_factory=set)

    def note(self, code: str, detail: str, number: int = 1) -> None:
        self.problems[code, detail] = self.problems.get((code, detail), 0) + number

    @property
    def message(self) -> str:
        """The sentences, those about most first."""
        by_number = sorted(self.problems.items(), key=lambda item: (-item[1], item[0]))
        return " ".join(f"{detail} ({number:,}x)" if number > 1 else detail for (_, detail), number in by_number)
