"""Importing a file: the one run that is the preview when it is rolled back, and the import when it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from django.db import connection, transaction

from accounts.access import Asker
from metrics.errors import RuleViolation
from roadmap.imports import cells
from roadmap.imports.cells import Choices, Dialect, plain, told_by
from roadmap.imports.columns import Given, check_needed, given_of, uses
from roadmap.imports.cost_entries import CostEntries
from roadmap.imports.kpis import Kpis
from roadmap.imports.lookup import Importer, Lookup
from roadmap.imports.milestones import Milestones
from roadmap.imports.outcome import ColumnUse, ImportResult, Missing, Problem, RowResult, SheetResult
from roadmap.imports.readings import Readings
from roadmap.imports.roadmaps import Roadmaps
from roadmap.imports.tables import Book, Cell, Sheet, read_book
from web import wording

# One at a time, previews too: two who import the same file do not add everything twice, and two that go through the
# same roadmaps in another order do not wait for each other.
IMPORT_LOCK = 4_205_118
# Rows that an import takes through the actions of the plan, and readings, which go in bulk.
MAX_ROWS = 2_000
MAX_READING_ROWS = 20_000
SHOWN_MISSING = 200


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of row: the name of its sheet, and what takes its rows."""

    name: str
    title: str
    importer: type[Importer]
    names: tuple[str, ...] = ()


# In the order in which they are taken: what others name comes first.
KINDS: tuple[Kind, ...] = (
    Kind("roadmaps", "Roadmaps", Roadmaps, ("Roadmap", "Use cases", "Portfolio")),
    Kind("milestones", "Milestones", Milestones, ("Milestone", "Tasks")),
    Kind("kpis", "KPIs", Kpis, ("KPI", "Metrics", "Indicators")),
    Kind("readings", "Readings", Readings, ("Reading", "KPI readings", "Values")),
    Kind("cost_entries", "Cost entries", CostEntries, ("Cost entry", "Costs", "Cost")),
)
BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}


def run_import(
    asker: Asker, content: bytes, choices: Choices, *, dry_run: bool, name: str = "", expected: str = ""
) -> ImportResult:
    """Imports a file for the asker, or says what that would do (`dry_run`, which is the same run taken back).

    `name`: the file's, which may say what a CSV holds. `expected`: the digest of a preview; where the plan has changed
    since, nothing is done and RuleViolation `conflict_changed_meanwhile` raised. RuleViolation where the file as a
    whole cannot be read; a row that cannot be taken is refused in the result, and the others are taken.
    """
    book = read_book(content, encoding=choices.encoding)
    chosen, left_out = sheets_of(book, choices, name=name)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [IMPORT_LOCK])
        result = _run(asker, book, chosen, left_out, choices)
        if dry_run:
            transaction.set_rollback(True)
        elif expected and result.digest != expected:
            raise RuleViolation(
                "conflict_changed_meanwhile",
                "The plan has changed since this was looked at, so nothing was imported. Look at it again.",
            )
    return result


@dataclass(frozen=True, slots=True)
class LookSheet:
    """A sheet as a person maps it. `guess`: what its columns are taken for where nobody says; `samples`: by column."""

    kind: Kind
    title: str
    columns: Sequence[ColumnUse]
    guess: Sequence[ColumnUse]
    samples: Sequence[Sequence[str]]

    @property
    def unknown(self) -> list[ColumnUse]:
        """Columns that nobody has said what they are."""
        return [use for use in self.columns if use.is_unknown]


@dataclass(frozen=True, slots=True)
class Look:
    """What can be said of a file before any row is read. `problem`: why there is nothing to import yet."""

    is_csv: bool
    sheets: Sequence[LookSheet] = ()
    problem: RuleViolation | None = None


def look_at(content: bytes, choices: Choices, *, name: str = "") -> Look:
    """What a file is and what its columns are taken for; never raises for what a choice can put right."""
    is_csv = not content.startswith(b"PK\x03\x04")
    try:
        book = read_book(content, encoding=choices.encoding)
        chosen, _ = sheets_of(book, choices, name=name)
    except RuleViolation as error:
        return Look(is_csv, problem=error)
    sheets, problem = [], None
    for kind, sheet in chosen:
        guess = _columns(kind, sheet, Choices())
        try:
            columns = _columns(kind, sheet, choices)
        except RuleViolation as error:
            columns, problem = guess, error
        samples = [
            [cells.text_of(cell)[:40] for line in sheet.lines[:40] if (cell := line.cells[place]) is not None][:2]
            for place in range(len(sheet.header))
        ]
        sheets.append(LookSheet(kind, sheet.name or kind.title, columns, guess, samples))
    return Look(is_csv, sheets, problem)


def sheets_of(book: Book, choices: Choices, *, name: str = "") -> tuple[list[tuple[Kind, Sheet]], list[str]]:
    """The sheets that are imported, in the order of KINDS, and the names of the others. RuleViolation where none is."""
    if choices.kind and choices.kind not in BY_NAME:
        raise RuleViolation("unknown_kind", f"Choose one of: {', '.join(BY_NAME)}.", "kind")
    found: dict[str, Sheet] = {}
    left_out = []
    # Our own workbooks say on a sheet 'About' how they were made.
    alone = sum(1 for sheet in book.sheets if plain(sheet.name) != "about") == 1
    for sheet in book.sheets:
        kind = _kind_called(sheet.name)
        if kind is None and alone and plain(sheet.name) != "about":
            if sheet.problem is not None:
                raise sheet.problem
            stem = name.rpartition(".")[0]
            kind = BY_NAME.get(choices.kind) or _kind_called(stem) or _kind_begun(stem) or _kind_of(sheet)
        if kind is None:
            left_out.append(sheet.name)
        elif kind.name in found:
            raise RuleViolation("sheet_twice", f"Two sheets hold {kind.title}: '{sheet.name}' is one.", "file")
        elif sheet.problem is not None:
            raise sheet.problem
        else:
            found[kind.name] = sheet
    if not found:
        titles = ", ".join(kind.title for kind in KINDS)
        if alone:
            raise RuleViolation("unknown_kind", f"Say what the file holds: {titles}.", "kind")
        raise RuleViolation("no_sheet", f"No sheet is called one of: {titles}. Rename yours so.", "file")
    return [(kind, found[kind.name]) for kind in KINDS if kind.name in found], left_out


def _kind_called(name: str) -> Kind | None:
    wanted = plain(name)
    return next((kind for kind in KINDS if wanted in map(plain, (kind.title, kind.name, *kind.names))), None)


def _kind_begun(name: str) -> Kind | None:
    """Our own files are called milestones-claims-2026-11-26.csv."""
    wanted = plain(name)
    if wanted.startswith("portfolio"):
        return BY_NAME["roadmaps"]
    return next((kind for kind in KINDS if wanted.startswith((plain(kind.title), plain(kind.name)))), None)


def _kind_of(sheet: Sheet) -> Kind | None:
    """The kind whose columns a header names most of, where that is one kind and it has all that it needs."""
    scores: dict[str, int] = {}
    for kind in KINDS:
        importer = kind.importer
        found = uses(sheet.header, importer.columns, importer.ignored, {})
        have = {use.field for use in found if use.field}
        if all(column.field in have for column in importer.columns if column.is_needed):
            scores[kind.name] = len(have)
    best = max(scores.values(), default=0)
    winners = [name for name, score in scores.items() if score == best]
    return BY_NAME[winners[0]] if best >= 2 and len(winners) == 1 else None


def _run(
    asker: Asker, book: Book, chosen: Sequence[tuple[Kind, Sheet]], left_out: Sequence[str], choices: Choices
) -> ImportResult:
    columns = {kind.name: _columns(kind, sheet, choices) for kind, sheet in chosen}
    dialect = _dialect(book, chosen, columns, choices)
    lookup = Lookup(asker)
    results = [_sheet(kind, sheet, columns[kind.name], dialect, lookup) for kind, sheet in chosen]
    notes = list(book.notes)
    if dialect.decimal_mark == ",":
        notes.append("Numbers are read with a decimal comma: 1.234,56.")
    if dialect.date_order:
        notes.append(f"Days are read as {cells.DATE_ORDERS[dialect.date_order]}.")
    return ImportResult(results, notes, left_out)


def _columns(kind: Kind, sheet: Sheet, choices: Choices) -> list[ColumnUse]:
    importer = kind.importer
    return uses(sheet.header, importer.columns, importer.ignored, choices.columns.get(kind.name, {}))


def _dialect(
    book: Book,
    chosen: Sequence[tuple[Kind, Sheet]],
    columns: Mapping[str, Sequence[ColumnUse]],
    choices: Choices,
) -> Dialect:
    days: list[Cell] = []
    numbers: list[Cell] = []
    for kind, sheet in chosen:
        types = {column.field: column.type for column in kind.importer.columns}
        for place, use in enumerate(columns[kind.name]):
            target = {"day": days, "moment": days, "number": numbers, "whole": numbers}.get(types.get(use.field, ""))
            if target is not None:
                target.extend(cell for line in sheet.lines if (cell := line.cells[place]) is not None)
    return replace(told_by(days, numbers, choices, hint=book.decimal_hint), is_utc=book.is_utc)


def _sheet(kind: Kind, sheet: Sheet, columns: Sequence[ColumnUse], dialect: Dialect, lookup: Lookup) -> SheetResult:
    title = sheet.name or kind.title
    importer = kind.importer(lookup)
    if problem := _sheet_problem(kind, sheet, columns):
        return SheetResult(kind.name, title, columns, (), len(sheet.lines), problem=problem)
    by_field = {column.field: column for column in importer.columns}
    given: list[Given] = [given_of(line, columns, by_field, dialect) for line in sheet.lines]
    rows: list[RowResult] = sorted(importer.take_all(given), key=lambda row: row.line)
    missing: list[Missing] = importer.missing()
    return SheetResult(kind.name, title, columns, rows, len(rows), missing[:SHOWN_MISSING], len(missing))


def _sheet_problem(kind: Kind, sheet: Sheet, columns: Sequence[ColumnUse]) -> Problem | None:
    """Why none of a sheet's rows can be taken."""
    most = MAX_READING_ROWS if kind.name == "readings" else MAX_ROWS
    if len(sheet.lines) > most:
        return Problem(
            "", "too_many_rows", f"{wording.count(len(sheet.lines))} rows, at most {most:,}. Split the file."
        )
    try:
        check_needed(kind.importer.columns, columns)
    except RuleViolation as error:
        return Problem("", error.code, error.message)
    return None
