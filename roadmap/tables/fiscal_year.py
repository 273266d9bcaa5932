"""The fiscal year as a file: a row a month, amounts with every digit."""

from __future__ import annotations

from roadmap.rules.fiscal_year import MonthLine
from web.file_tables import Field, FileTable


def year_table(currency: str) -> FileTable[MonthLine]:
    """Spend, plan, share of plan and forecast by month, in this currency; unknown is empty."""
    return FileTable(
        "Fiscal year",
        (
            Field("month", lambda line: line.month, "day"),
            Field(f"spent_{currency}", lambda line: line.held.spent.total, "money"),
            Field(f"billed_{currency}", lambda line: line.held.spent.billed, "money"),
            Field(f"estimated_{currency}", lambda line: line.held.spent.estimated, "money"),
            Field(f"entered_{currency}", lambda line: line.held.spent.entered, "money"),
            Field(f"plan_{currency}", lambda line: line.held.plan, "money"),
            Field("share_of_plan", lambda line: line.held.share.value, "number"),
            Field("coverage", lambda line: line.held.share.coverage, "number"),
            Field(f"forecast_{currency}", lambda line: line.forecast, "money"),
            Field("not_priced_tokens", lambda line: line.held.spent.not_priced_tokens, "count"),
            Field("not_priced_requests", lambda line: line.held.spent.not_priced_requests, "count"),
        ),
    )
