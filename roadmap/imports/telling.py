"""What an import did as one document: for the page, for REST, and kept once it is done."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from roadmap.imports.outcome import OUTCOMES, ImportResult, RowResult, SheetResult


def document_of(result: ImportResult, *, most: int | None = None) -> dict[str, Any]:
    """Plain JSON: counts, and the rows by outcome, those that change nothing aside; at most `most` of each."""
    return {
        "words": result.words,
        "counts": result.counts,
        "digest": result.digest,
        "notes": list(result.notes),
        "left_out": list(result.left_out),
        "sheets": [_sheet(sheet, most) for sheet in result.sheets],
    }


def _sheet(sheet: SheetResult, most: int | None) -> dict[str, Any]:
    counts = sheet.counts
    return {
        "kind": sheet.kind,
        "title": sheet.title,
        "counts": {outcome: counts[outcome] for outcome in OUTCOMES},
        "problem": asdict(sheet.problem) if sheet.problem else None,
        "columns": [asdict(use) for use in sheet.columns],
        **{
            outcome: [_row(row) for row in sheet.rows if row.outcome == outcome][:most]
            for outcome in ("refused", "added", "changed")
        },
        # What a row asks for and an import leaves alone.
        "noted": [_row(row) for row in sheet.rows if row.notes][:most],
        "missing": [asdict(item) for item in sheet.missing],
        "missing_count": sheet.missing_count,
    }


def _row(row: RowResult) -> dict[str, Any]:
    return {
        "line": row.line,
        "name": row.name,
        "place": row.place,
        "changes": [asdict(change) for change in row.changes],
        "problems": [asdict(problem) for problem in row.problems],
        "notes": list(row.notes),
    }
