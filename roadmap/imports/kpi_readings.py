"""Readings in bulk for a KPI or several of its phase: CSV or one JSON object a line, looked at before it counts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from django.conf import settings
from django.db import transaction

from accounts.access import Asker
from metrics.errors import RuleViolation
from roadmap.actions.kpis import (
    MAX_READINGS,
    MAX_SAMPLE,
    NewReading,
    Recorded,
    check_reading,
    is_held,
    record_readings,
)
from roadmap.imports.cells import Choices, Dialect, moment_of, plain, told_by
from roadmap.imports.columns import Column, Given, check_needed, given_of, uses
from roadmap.imports.outcome import Problem
from roadmap.imports.tables import MAX_BYTES, read_book, too_large
from roadmap.models import Kpi, Reading

COLUMNS = (
    Column("kpi", "KPI", names=("KPI key", "KPI id", "Key", "Id")),
    Column("at", "At", "moment", names=("Day", "Date", "Time", "Timestamp", "On", "Read at"), is_needed=True),
    Column("value", "Value", "number", names=("Reading", "Amount", "Figure"), is_needed=True),
    Column("sample_count", "Sample count", "number", names=("Samples", "Sample", "Sample size", "n")),
    Column("note", "Note", names=("Comment", "Remark"), can_clear=True),
)
_BY_FIELD = {column.field: column for column in COLUMNS}
# Of our own exports.
_IGNORED = ("Unit", "Author", "By", "Recorded at", "Recorded by", "Token", "Roadmap", "Phase")
_LONGEST_NUMBER = 40


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """A row and what recording it would do. `before`: the value that it replaces. Refused: `problem` says why."""

    line: int
    kpi: Kpi
    reading: NewReading | None
    outcome: Literal["added", "replaced", "unchanged", "refused"]
    before: Decimal | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class ReadingRows:
    """All rows of what was sent. `notes`: how it was read."""

    rows: Sequence[ReadingRow]
    notes: Sequence[str] = ()

    def of(self, *outcomes: str) -> list[ReadingRow]:
        """The rows that end so."""
        return [row for row in self.rows if row.outcome in outcomes]

    @property
    def recorded(self) -> Recorded:
        """How many would be new, replaced and unchanged."""
        return Recorded(len(self.of("added")), len(self.of("replaced")), len(self.of("unchanged")))

    @property
    def as_csv(self) -> str:
        """What would be recorded, written so that it can be read in one way only."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        rows = [(row.kpi, row.reading) for row in self.rows if row.reading is not None and row.problem is None]
        has_note = any(reading.note is not None for _, reading in rows)
        writer.writerow(["kpi", "at", "value", "sample_count", *(["note"] if has_note else [])])
        for kpi, reading in rows:
            sample = "" if reading.sample_count is None else reading.sample_count
            # A dash empties a note, an empty cell leaves it.
            note = ["" if reading.note is None else reading.note or "-"] if has_note else []
            writer.writerow([kpi.pk, reading.at.isoformat(), f"{reading.value:f}", sample, *note])
        return out.getvalue()


def csv_readings(kpi: Kpi, content: bytes) -> ReadingRows:
    """Rows of a CSV (or a workbook of one sheet). RuleViolation where it cannot be read as a whole."""
    book = read_book(content)
    if len(book.sheets) != 1:
        raise RuleViolation("several_sheets", "Send one sheet: save it as a CSV.", "file")
    sheet = book.sheets[0]
    found = uses(sheet.header, COLUMNS, _IGNORED, {})
    for use in found:
        if not use.field and use.why != "Phaseline works it out.":
            why = f" {use.why}" if use.why else f" Known are: {', '.join(column.field for column in COLUMNS)}."
            raise RuleViolation("unknown_column", f"The column '{use.header[:60]}' is not read.{why}", "file")
    check_needed(COLUMNS, found)
    cells = {
        use.field: [line.cells[place] for line in sheet.lines if not line.problem] for place, use in enumerate(found)
    }
    numbers = [*cells.get("value", ()), *cells.get("sample_count", ())]
    try:
        dialect = told_by(
            (cell for cell in cells["at"] if cell is not None),
            (cell for cell in numbers if cell is not None),
            Choices(),
            hint=book.decimal_hint,
        )
    except RuleViolation as error:
        hint = "Write days as 2026-12-31." if error.code == "date_order" else "Write numbers as 1234.5."
        raise RuleViolation(error.code, error.message.replace("Say which.", hint), "file") from error
    given = [given_of(line, found, _BY_FIELD, dialect) for line in sheet.lines]
    return ReadingRows(_looked_at(kpi, given), book.notes)


def ndjson_readings(kpi: Kpi, content: bytes) -> ReadingRows:
    """Rows of one JSON object a line: at, value, and kpi, sample_count, note as they please. RuleViolation as above."""
    if len(content) > MAX_BYTES:
        raise RuleViolation("too_large", too_large(), "file")
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise RuleViolation("wrong_encoding", f"Line {line:,} is not UTF-8.", "file") from None
    given = [_given(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    return ReadingRows(_looked_at(kpi, given))


def record_rows(asker: Asker, rows: ReadingRows) -> Recorded:
    """Records what is not refused, KPI by KPI, all of it or nothing. RuleViolation, PermissionDenied."""
    by_kpi: dict[int, tuple[Kpi, list[NewReading]]] = {}
    for row in rows.rows:
        if row.reading is not None and row.problem is None:
            by_kpi.setdefault(row.kpi.pk, (row.kpi, []))[1].append(row.reading)
    done = [0, 0, 0]
    with transaction.atomic():
        for _, (kpi, readings) in sorted(by_kpi.items()):
            recorded = record_readings(asker, kpi, readings)
            done = [done[0] + recorded.added, done[1] + recorded.replaced, done[2] + recorded.unchanged]
    return Recorded(*done)


def _given(number: int, line: str) -> Given:
    """A line of JSON as `given_of` gives a row of a table."""
    try:
        row = json.loads(line, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return Given(number, {}, (Problem("", "malformed", "This line is not JSON."),))
    if not isinstance(row, dict):
        return Given(number, {}, (Problem("", "malformed", "A line is an object with 'at' and 'value'."),))
    values: dict[str, Any] = {}
    problems = []
    for name, cell in row.items():
        field = "at" if name == "day" else name
        if field not in _BY_FIELD:
            problems.append(Problem(str(name)[:60], "unknown_field", f"Known are: {', '.join(_BY_FIELD)}."))
        elif cell is None:
            continue
        elif not isinstance(cell, str) or "\0" in cell:
            problems.append(Problem(field, "wrong_type", "This is neither a text nor a number."))
        else:
            try:
                values[field] = _value(field, cell)
            except RuleViolation as error:
                problems.append(Problem(field, error.code, error.message))
    return Given(number, values, tuple(problems))


def _value(field: str, text: str) -> Any:
    if field == "at":
        return moment_of(text, Dialect(), settings.REPORTING_ZONE)
    if field not in ("value", "sample_count"):
        return text
    try:
        value = Decimal(text) if len(text) <= _LONGEST_NUMBER else None
    except ArithmeticError:
        value = None
    if value is None or not value.is_finite():
        raise RuleViolation("not_a_number", f"'{text[:60]}' is not a number such as 1234.5.")
    return value


def _looked_at(kpi: Kpi, rows: Sequence[Given]) -> list[ReadingRow]:
    if not rows:
        raise RuleViolation("empty", "There is no reading in it. Send at least one.", "file")
    if len(rows) > MAX_READINGS:
        raise RuleViolation("too_many", f"At most {MAX_READINGS:,} readings at a time. Split the file.", "file")
    others = _names(kpi)
    seen: dict[tuple[int, datetime], int] = {}
    read = [_read(kpi, row, others, seen) for row in rows]
    held = _held(read)
    return [_judged(row, held) for row in read]


def _names(kpi: Kpi) -> Mapping[str, Kpi]:
    """The KPIs of the phase by id, key and name."""
    found: dict[str, Kpi] = {}
    for one in Kpi.objects.filter(phase_id=kpi.phase_id).select_related("phase__roadmap__workload"):
        for name in (one.name, one.key, str(one.pk)):
            if name:
                found[plain(name)] = one
    return found


def _read(kpi: Kpi, row: Given, others: Mapping[str, Kpi], seen: dict[tuple[int, datetime], int]) -> ReadingRow:
    def refused(column: str, code: str, message: str) -> ReadingRow:
        return ReadingRow(row.line, kpi, None, "refused", problem=Problem(column, code, message))

    if row.problems:
        return ReadingRow(row.line, kpi, None, "refused", problem=row.problems[0])
    if "kpi" in row:
        name = str(row.get("kpi", ""))
        named = others.get(plain(name))
        if named is None:
            return refused("kpi", "unknown_kpi", f"This phase has no KPI '{name[:60]}': write its key or id.")
        kpi = named
    for field, what in (("at", "Give a day or a time."), ("value", "Give a number.")):
        if row.get(field) is None:
            return refused(field, "missing", what)
    sample = row.get("sample_count")
    # Before it is written out: forty characters can spell a number of a billion digits.
    if sample is not None and (not 0 <= sample <= MAX_SAMPLE or sample != sample.to_integral_value()):
        return refused("sample_count", "not_whole", "A sample count is a whole number from 0 to 10^12.")
    note = (str(row.get("note") or "")) if "note" in row else None
    reading = NewReading(row.get("at"), row.get("value"), note, None if sample is None else int(sample))
    try:
        check_reading(kpi, reading)
    except RuleViolation as error:
        return refused(error.field or "", error.code, error.message)
    first = seen.setdefault((kpi.pk, reading.at), row.line)
    if first != row.line:
        return refused("at", "time_twice", f"Line {first:,} has the same time.")
    return ReadingRow(row.line, kpi, reading, "added")


def _held(rows: Iterable[ReadingRow]) -> dict[tuple[int, datetime], Reading]:
    wanted: dict[int, list[datetime]] = {}
    for row in rows:
        if row.reading is not None:
            wanted.setdefault(row.kpi.pk, []).append(row.reading.at)
    return {
        (pk, reading.at): reading
        for pk, times in wanted.items()
        for reading in Reading.objects.filter(kpi_id=pk, at__in=times)
    }


def _judged(row: ReadingRow, held: Mapping[tuple[int, datetime], Reading]) -> ReadingRow:
    if row.reading is None:
        return row
    there = held.get((row.kpi.pk, row.reading.at))
    if there is None:
        return row
    outcome: Literal["unchanged", "replaced"] = "unchanged" if is_held(there, row.reading) else "replaced"
    return ReadingRow(row.line, row.kpi, row.reading, outcome, before=there.value)
