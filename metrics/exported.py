"""What became of an OTLP export, as its sender is told."""

from __future__ import annotations

from dataclasses import dataclass, field

from metrics.models import Receipt


@dataclass(slots=True)
class Exported:
    """`receipt` None: nothing of it counts, so that nothing is remembered either.

    `rejected`: points or spans that do not count. `problems`: code and sentence of what is wrong with it or worth a
    word, with the number of points or spans it is about.
    """

    receipt: Receipt | None = None
    rejected: int = 0
    problems: dict[tuple[str, str], int] = field(default_factory=dict)

    def note(self, code: str, detail: str, number: int = 1) -> None:
        self.problems[code, detail] = self.problems.get((code, detail), 0) + number

    @property
    def message(self) -> str:
        """The sentences, those about most first."""
        by_number = sorted(self.problems.items(), key=lambda item: (-item[1], item[0]))
        return " ".join(f"{detail} ({number:,}x)" if number > 1 else detail for (_, detail), number in by_number)
