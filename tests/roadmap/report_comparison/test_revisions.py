"""That a revision and its comparison with the one before say the same."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import date, timedelta
from decimal import Decimal

from roadmap.reports.comparison import comparison_of
from roadmap.reports.comparison_words import comparison_document
from roadmap.reports.comparisons.rows import Change
from roadmap.rules.reports import moved_figures


def place_of(line) -> tuple[str, str] | None:
    """Where a value that a revision moved stands in a comparison; None for what is in none."""
    section, row, field = line["section"], line["row"], line["field"]
    if section == "headline" and line["rows"] == "figures" and field == "value":
        return "figures", row["key"]
    if section == "money" and row and field == "spend":
        return "sources", f"{row['kind']}/{row.get('category') or row['name']}"
    if section == "money" and field in ("billed", "estimated", "entered", "total"):
        return "parts", field
    if section == "performance" and field == "value":
        return "performance", row["measure"]
    if section == "kpis" and field == "value":
        return "kpis", row["name"]
    return None


def text_of(value: Decimal | None) -> str | None:
    return None if value is None else format(value.normalize(), "f")


def test_what_a_revision_says_moved_is_what_the_comparison_finds(revisions):
    was, now = revisions
    says = {
        place: (line["before"], line["after"]) for line in now.payload["moved"] if (place := place_of(line)) is not None
    }
    found = comparison_of(was.payload, now.payload)
    finds = {
        (section, row.key): (text_of(row.first.value), text_of(row.second.value))
        for section, rows in found.figures.items()
        for row in rows
        if row.first.value != row.second.value
    }
    assert says == finds
    # By hand: 7.50 more of usage.
    assert finds["parts", "total"] == ("352.5", "360")
    lights = {
        line["row"]["signal"]: (line["before"], line["after"])
        for line in now.payload["moved"]
        if line["section"] == "signals" and line["field"] == "tone"
    }
    assert lights == {row.key: (row.first.tone, row.second.tone) for row in found.lights if row.change != Change.SAME}


def test_dates_that_a_revision_moved_are_those_of_the_comparison(months):
    payload = deepcopy(months[1].payload)
    delivery = next(section["value"] for section in payload["sections"] if section["name"] == "delivery")
    line = delivery["milestones"][0]
    line["due_on"] = (date.fromisoformat(line["due_on"]) + timedelta(days=14)).isoformat()
    (moved,) = moved_figures(months[1].payload, payload)
    found = comparison_of(months[1].payload, payload)
    (row,) = [row for row in found.milestones if row.change != Change.SAME]
    assert (row.change, row.days, row.label) == (Change.LATER, 14, moved["row"]["name"])
    assert (row.first.due_on.isoformat(), row.second.due_on.isoformat()) == (moved["before"], moved["after"])
    back = comparison_of(payload, months[1].payload)
    assert [row.days for row in back.milestones if row.change == Change.EARLIER] == [-14]


def test_a_revision_that_changes_nothing_compared_differs_in_nothing(months):
    same = deepcopy(months[1].payload)
    found = comparison_of(months[1].payload, same)
    assert moved_figures(months[1].payload, same) == []
    assert {row.change for row in found.all_figures} <= {Change.SAME, Change.UNKNOWN}
    assert {row.change for row in (*found.lights, *found.gates, *found.milestones)} == {Change.SAME}
    assert not found.risks or {row.change for row in found.risks} == {Change.SAME}


def test_columns_are_revisions_where_the_month_is_one(revisions):
    document = comparison_document(*(report.payload for report in revisions), "en")
    assert document.title == "Letters: Revision 1 and Revision 2"
    assert "360.00" in json.dumps([str(section) for section in document.sections])
