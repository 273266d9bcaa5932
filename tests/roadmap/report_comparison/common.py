"""What the tests of two reports beside each other share."""

from __future__ import annotations

from datetime import date
from pathlib import Path

SEPTEMBER = date(2026, 9, 1)
PEOPLE = ("oscar", "vera", "erin", "bob", "alice", "adam")
KINDS = ("pdf", "xlsx", "csv", "json")
DATA = Path(__file__).parents[2] / "data" / "reports"
PAGE = "/reports/compare/"
REST = "/api/v1/reports/compare/"


def query(was, now) -> dict[str, str]:
    return {"a": str(was.uuid), "b": str(now.uuid)}


def figure(content, section, key):
    return next(row for row in content["figures"] if (row["section"], row["key"]) == (section, key))
