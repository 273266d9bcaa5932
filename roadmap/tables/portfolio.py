"""The portfolio as a file."""

from __future__ import annotations

from roadmap.queries.portfolio_standing import PortfolioRow
from web.file_tables import Field, FileTable, yes_no


def portfolio_table(currency: str) -> FileTable[PortfolioRow]:
    """A row per roadmap; amounts are the present phase's, in this currency."""
    return FileTable(
        "Portfolio",
        (
            Field("roadmap", lambda row: row.slug),
            Field("name", lambda row: row.name),
            Field("programme", lambda row: row.programme),
            Field("business_unit", lambda row: row.business_unit),
            Field("owner", lambda row: row.owner),
            Field("phase", lambda row: row.phase_kind),
            Field("status", lambda row: row.status),
            Field("sentence", lambda row: row.sentence),
            Field(f"spent_{currency}", lambda row: row.spent, "money"),
            Field(f"budget_{currency}", lambda row: row.budget, "money"),
            Field(f"forecast_{currency}", lambda row: row.forecast, "money"),
            Field("from", lambda row: row.start_on, "day"),
            Field("to", lambda row: row.last_on, "day"),
            Field("next_milestone", lambda row: row.milestone),
            Field("next_milestone_on", lambda row: row.milestone_on, "day"),
            Field("next_gate_on", lambda row: row.gate_on, "day"),
            Field("criteria_met", lambda row: row.criteria_met, "count"),
            Field("criteria", lambda row: row.criteria_total, "count"),
            Field("demo", lambda row: yes_no(row.is_demo)),
        ),
    )
