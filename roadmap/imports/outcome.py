"""What an import did, or would do: plain values for the page, for REST and for the tests."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.utils.translation import gettext, ngettext

from web import wording

Outcome = Literal["added", "changed", "unchanged", "refused"]
# In the order in which they are told.
OUTCOMES: tuple[Outcome, ...] = ("refused", "added", "changed", "unchanged")


def counts_in_words(counts: Mapping[str, int]) -> str:
    """'3 added, 2 changed', in the active language; a result keeps `ImportResult.words` for programs."""
    told = {
        "added": ngettext("%(count)s added", "%(count)s added", counts["added"]),
        "changed": ngettext("%(count)s changed", "%(count)s changed", counts["changed"]),
        "unchanged": ngettext("%(count)s unchanged", "%(count)s unchanged", counts["unchanged"]),
        "refused": ngettext("%(count)s refused", "%(count)s refused", counts["refused"]),
    }
    words = [text % {"count": wording.count(counts[name])} for name, text in told.items() if counts[name]]
    return ", ".join(words) or gettext("nothing")


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field's value before and after, as text; empty for none."""

    column: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row is refused: the column to blame (empty: the row), a stable code, a sentence."""

    column: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class RowResult:
    """One row of the file. `line`: as the spreadsheet numbers it. `place`: where it belongs, 'Contact centre, PoC'."""

    line: int
    outcome: Outcome
    name: str
    place: str = ""
    changes: Sequence[FieldChange] = ()
    problems: Sequence[Problem] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ColumnUse:
    """A column of the file and what it is taken for. `field` is empty where it is left out; `why` says why."""

    header: str
    field: str
    title: str
    why: str = ""

    @property
    def is_unknown(self) -> bool:
        return not self.field and not self.why


@dataclass(frozen=True, slots=True)
class Missing:
    """In Phaseline, but in no row of the file. It stays."""

    name: str
    place: str


@dataclass(frozen=True, slots=True)
class SheetResult:
    """One sheet. `problem`: why none of its rows was read. `missing` are the first ones of `missing_count`."""

    kind: str
    title: str
    columns: Sequence[ColumnUse]
    rows: Sequence[RowResult]
    row_count: int
    missing: Sequence[Missing] = ()
    missing_count: int = 0
    problem: Problem | None = None

    def count(self, outcome: Outcome) -> int:
        """How many rows ended so."""
        return self.counts[outcome]

    @property
    def counts(self) -> Counter[str]:
        """Rows by outcome; a sheet that cannot be read refuses every one."""
        return Counter({"refused": self.row_count}) if self.problem else Counter(row.outcome for row in self.rows)

    @property
    def unknown(self) -> list[ColumnUse]:
        """Columns that nobody has said what they are."""
        return [column for column in self.columns if column.is_unknown]


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What became of a file. `notes`: how it was read. `left_out`: sheets that are none of ours."""

    sheets: Sequence[SheetResult]
    notes: Sequence[str] = ()
    left_out: Sequence[str] = ()

    @property
    def counts(self) -> dict[Outcome, int]:
        """Rows of all sheets by outcome."""
        total: Counter[str] = Counter()
        for sheet in self.sheets:
            total += sheet.counts
        return {outcome: total[outcome] for outcome in OUTCOMES}

    @property
    def changes_anything(self) -> bool:
        return bool(self.counts["added"] or self.counts["changed"])

    @property
    def words(self) -> str:
        """'3 added, 2 changed, 475 unchanged, 1 refused'."""
        counts = self.counts
        told = [f"{wording.count(counts[name])} {name}" for name in ("added", "changed", "unchanged") if counts[name]]
        if counts["refused"]:
            told.append(f"{wording.count(counts['refused'])} refused")
        return ", ".join(told) or "nothing"

    @property
    def digest(self) -> str:
        """Tells whether two runs did the same: SHA-256 of each row that is not unchanged."""
        told: list[Any] = [
            [
                sheet.kind,
                sheet.problem.code if sheet.problem else "",
                [
                    [row.line, row.outcome, row.name, row.place]
                    + [[change.column, change.before, change.after] for change in row.changes]
                    + [[problem.column, problem.code] for problem in row.problems]
                    for row in sheet.rows
                    if row.outcome != "unchanged"
                ],
            ]
            for sheet in self.sheets
        ]
        return hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()
