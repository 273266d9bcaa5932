"""Reports of two schema versions, and of several roadmaps, beside each other."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from roadmap.reports.comparison import comparison_of
from roadmap.reports.comparison_words import comparison_document
from roadmap.reports.comparisons.rows import Change
from roadmap.reports.outputs.pdf import pdf_of
from roadmap.rules.reports import moved_figures
from tests.roadmap.report_comparison.common import DATA


def kept(name: str):
    """A payload as it was once published."""
    return json.loads((DATA / f"{name}.json").read_text())


def test_the_same_month_in_two_schema_versions_is_the_same():
    found = comparison_of(kept("v1_october"), kept("v2_october"))
    assert (found.first.schema_version, found.second.schema_version) == (1, 2)
    for name in ("figures", "parts", "sources", "kpis"):
        assert {row.key: row.change for row in found.figures[name] if row.change != Change.SAME} == {}, name
    # Measures that only the newer version lists stand as such; all others agree.
    changes = {row.change for row in found.figures["performance"]}
    assert changes <= {Change.SAME, Change.ONLY_SECOND}
    assert Change.SAME in changes
    for rows in (found.lights, found.gates, found.milestones, found.risks):
        assert rows
        assert {row.change for row in rows} == {Change.SAME}


def test_a_new_schema_version_alone_is_no_reason_for_a_revision():
    assert moved_figures(kept("v1_october"), kept("v2_october")) == []
    changed = kept("v2_october")
    money = next(section["value"] for section in changed["sections"] if section["name"] == "money")
    money["total"] = "1"
    (line,) = moved_figures(kept("v1_october"), changed)
    assert (line["section"], line["field"], line["after"]) == ("money", "total", "1")


def test_two_months_of_version_1_are_compared_by_code():
    found = comparison_of(kept("v1_september"), kept("v1_october"))
    assert [row.key for row in found.figures["figures"]] == ["spend", "forecast", "unit_cost", "value"]
    spend = found.figures["figures"][0]
    assert spend.difference == Decimal(kept("v1_october")["sections"][0]["value"]["figures"][0]["value"]) - Decimal(
        kept("v1_september")["sections"][0]["value"]["figures"][0]["value"]
    )
    assert {row.key for row in found.gates} == {"poc", "scale_up", "optimise"}
    assert {row.key for row in found.lights} == {"status", "schedule", "budget", "quality", "latency", "risk"}
    schedule = next(row for row in found.lights if row.key == "schedule")
    assert (schedule.first.tone, schedule.second.tone, schedule.change) == ("green", "amber", "worse")


def test_portfolios_are_compared_roadmap_by_roadmap():
    found = comparison_of(kept("v1_portfolio_september"), kept("v1_portfolio_october"))
    then, now = kept("v1_portfolio_september")["rows"], kept("v1_portfolio_october")["rows"]
    assert {row.key for row in found.figures["roadmaps"]} == {row["slug"] for row in (*then, *now)}
    (total,) = found.figures["figures"]
    assert total.second.value == sum(Decimal(row["spend"]) for row in now)
    unknown = {**kept("v1_portfolio_october"), "rows": [{**now[0], "spend": None}, *now[1:]]}
    (total,) = comparison_of(kept("v1_portfolio_september"), unknown).figures["figures"]
    assert (total.second.value, total.difference, total.change) == (None, None, Change.UNKNOWN)
    assert {row.key for row in found.statuses} == {row["slug"] for row in (*then, *now)}
    document = comparison_document(kept("v1_portfolio_september"), kept("v1_portfolio_october"), "nl")
    assert document.title == "Portfolio: september\u00a02026 en oktober\u00a02026".replace("\u00a0", " ")


def several(month: str, year: str, spend: str | None, to_date: str, rows) -> dict:
    """A portfolio's payload of schema version 2, as far as a comparison reads it."""
    parts = {"billed": None, "estimated": spend, "entered": "0"}
    sections = {
        "headline": {
            "year": year,
            "figures": [{"key": "month", "value": spend, **parts}, {"key": "to_date", "value": to_date, **parts}],
        },
        "providers": {"rows": [{"provider": "openai", "spend": spend, "to_date": to_date}]},
        "roadmaps": {"rows": [{"slug": slug, "name": slug.title(), "status": status, "spend": value}
                              for slug, status, value in rows]},
    }  # fmt: skip
    return {
        **kept("v1_portfolio_october"), "schema_version": 2, "scope": "portfolio", "month": month,
        "sections": [{"name": name, "value": value} for name, value in sections.items()],
    }  # fmt: skip


def test_portfolios_of_version_2_are_compared_by_year_provider_and_roadmap():
    first = several("2026-09-01", "2026", "100", "900", [("a", "on_track", "60"), ("b", "", "40")])
    second = several("2026-10-01", "2026", "150", "1050", [("a", "at_risk", "150"), ("c", "", None)])
    for payload in (first, second):
        payload.pop("rows")
    found = comparison_of(first, second)
    spend, to_date = found.figures["figures"]
    assert (spend.key, spend.difference, spend.ratio, to_date.difference) == ("spend", 50, Decimal("0.5"), 150)
    changes = {row.key: row.change for row in found.figures["roadmaps"]}
    assert changes == {"a": Change.MORE, "b": Change.ONLY_FIRST, "c": Change.ONLY_SECOND}
    assert [row.change for row in found.statuses if row.key == "a"] == [Change.WORSE]
    assert found.figures["sources"][0].difference == 50
    # Of another fiscal year it is another figure.
    next_year = several("2027-01-01", "2027", "10", "10", [])
    next_year.pop("rows")
    changes = [row.change for row in comparison_of(second, next_year).figures["figures"]]
    assert changes == [Change.LESS, Change.NOT_ALIKE]
    # Against one of version 1, the month's spend is a figure that both have.
    mixed = comparison_of(kept("v1_portfolio_september"), second)
    assert next(row for row in mixed.figures["figures"] if row.key == "spend").difference is not None
    for language in ("en", "nl"):
        assert comparison_document(first, second, language).title


@pytest.mark.parametrize("first", ["v1_september", "v1_october", "v2_october"])
@pytest.mark.parametrize("second", ["v1_september", "v1_october", "v2_october"])
@pytest.mark.parametrize("language", ["en", "nl"])
def test_every_pair_can_be_drawn_on_paper(first, second, language):
    document = comparison_document(kept(first), kept(second), language)
    assert pdf_of(document, "0" * 64).startswith(b"%PDF")


@pytest.mark.parametrize("name", ["v1_october", "v2_october"])
def test_a_section_that_one_lacks_is_said_to_be_missing_and_is_not_unknown(name):
    whole = kept(name)
    for lacking in [section["name"] for section in whole["sections"]]:
        less = {**whole, "sections": [section for section in whole["sections"] if section["name"] != lacking]}
        found = comparison_of(whole, less)
        changes = {row.change for row in (*found.all_figures, *found.lights, *found.gates, *found.milestones)}
        assert changes <= {Change.SAME, Change.UNKNOWN, Change.ONLY_FIRST}
        if lacking in ("headline", "money", "performance", "kpis", "signals", "delivery"):
            assert Change.ONLY_FIRST in changes
        assert all(row.difference is None for row in found.all_figures if row.change == Change.ONLY_FIRST)
