"""What differs between two reports, figure by figure."""

from __future__ import annotations

from decimal import Decimal

import pytest

from roadmap.reports.comparison import comparison_of
from roadmap.reports.comparisons.rows import Change, FigureRow, LightRow, RiskRow
from roadmap.reports.comparisons.side import Item, Light, Scored, by_key
from tests.roadmap.report_comparison.common import REST, figure, query


def test_it_is_figure_by_figure_with_difference_and_percent(months, alice, api):
    # By hand: 352.50 - 9.00 = 343.50; 343.50 / 9.00 = 38.1666...
    content = api(alice, scopes=["read"]).get(REST, query(*months)).json()
    spend = figure(content, "figures", "spend")
    assert (spend["first"]["value"], spend["second"]["value"]) == ("9", "352.5")
    assert (spend["difference"], spend["ratio"], spend["change"]) == ("343.5", "38.1666666667", "more")
    requests = figure(content, "performance", "requests")
    assert (requests["difference"], requests["ratio"], requests["change"]) == ("9", "9", "more")
    assert [content["first"]["month"], content["second"]["month"]] == ["2026-09-01", "2026-10-01"]
    assert content["second"]["sha256"] == months[1].sha256


def test_the_other_way_round_has_the_other_sign(months, alice, api):
    client = api(alice, scopes=["read"])
    there, back = (client.get(REST, query(*pair)).json() for pair in (months, months[::-1]))
    for row in there["figures"]:
        other = figure(back, row["section"], row["key"])
        if row["difference"] is None:
            assert other["difference"] is None
        else:
            assert Decimal(other["difference"]) == -Decimal(row["difference"])
        turned = {"more": "less", "less": "more", "only_first": "only_second", "only_second": "only_first"}
        assert other["change"] == turned.get(row["change"], row["change"])


def test_unknown_has_no_difference_and_is_not_what_is_missing(months, alice, api):
    content = api(alice, scopes=["read"]).get(REST, query(*months)).json()
    unknown = [row for row in content["figures"] if row["change"] == "unknown"]
    assert unknown
    for row in unknown:
        assert None in (row["first"]["value"], row["second"]["value"])
        assert (row["difference"], row["ratio"]) == (None, None)
    # A cost category of October alone: September's report has no such row.
    licences = figure(content, "sources", "entered/licences")
    assert (licences["change"], licences["first"], licences["difference"]) == ("only_second", None, None)


def test_the_sources_sum_to_the_spend_on_either_side(months):
    found = comparison_of(*(report.payload for report in months))
    for side in ("first", "second"):
        rows = [getattr(row, side) for row in found.figures["sources"]]
        total = next(getattr(row, side) for row in found.figures["parts"] if row.key == "total")
        assert sum(item.value for item in rows if item is not None) == total.value


@pytest.mark.parametrize(
    ("first", "second", "difference", "change"),
    [
        ({"value": 4}, {"value": 5}, 1, Change.MORE),
        ({"value": 5}, {"value": 4}, -1, Change.LESS),
        ({"value": 5}, {"value": 5}, 0, Change.SAME),
        ({"value": None}, {"value": 5}, None, Change.UNKNOWN),
        ({"value": 5}, {"value": None}, None, Change.UNKNOWN),
        ({"value": None}, {"value": None}, None, Change.UNKNOWN),
        ({"value": 5, "unit": "EUR"}, {"value": 5, "unit": "USD"}, None, Change.NOT_ALIKE),
        ({"value": 5, "of": "poc"}, {"value": 9, "of": "scale_up"}, None, Change.NOT_ALIKE),
        ({"value": None, "low": 1, "high": 2}, {"value": None, "low": 1, "high": 2}, None, Change.SAME),
        ({"value": None, "low": 1, "high": 2}, {"value": None, "low": 1, "high": 3}, None, Change.UNKNOWN),
        ({"value": None, "low": 1}, {"value": 3}, None, Change.UNKNOWN),
        (None, {"value": 3}, None, Change.ONLY_SECOND),
        ({"value": 3}, None, None, Change.ONLY_FIRST),
    ],
)
def test_a_figure_against_another(first, second, difference, change):
    def item(given):
        if given is None:
            return None
        numbers = {name: Decimal(value) for name, value in given.items() if isinstance(value, int)}
        return Item(key="x", label="x", **{"value": None, **given, **numbers})

    row = FigureRow("x", item(first), item(second))
    assert (row.difference, row.change) == (difference, change)


def test_a_share_of_nothing_is_none():
    row = FigureRow("x", *(Item(key="x", label="x", value=Decimal(value)) for value in (0, 5)))
    assert (row.difference, row.ratio) == (5, None)
    row = FigureRow("x", *(Item(key="x", label="x", value=Decimal(value)) for value in (-4, -2)))
    assert (row.difference, row.ratio) == (2, Decimal("0.5"))


@pytest.mark.parametrize(
    ("first", "second", "change"),
    [
        ("green", "green", "same"), ("amber", "green", "better"), ("green", "red", "worse"), ("red", "amber", "better"),
        ("off", "green", "other"), ("red", "none", "other"),
    ],
)  # fmt: skip
def test_a_light_against_another(first, second, change):
    lights = [Light(key="x", label="x", tone=tone, word=tone) for tone in (first, second)]
    assert LightRow("x", *lights).change == change


def test_a_risk_that_is_not_named_is_gone_only_where_all_are_named():
    risk = Scored(key="x", label="x", score=9)
    assert RiskRow("x", risk, None, True, True).change == Change.GONE
    assert RiskRow("x", risk, None, True, False).change == Change.ONLY_FIRST
    assert RiskRow("x", None, risk, True, True).change == Change.NEW
    assert RiskRow("x", None, risk, False, True).change == Change.ONLY_SECOND


def test_two_of_one_name_stay_two():
    items = [Item(key="Pilot", label="Pilot", value=Decimal(n)) for n in (1, 2, 3)]
    assert list(by_key(items)) == ["Pilot", "Pilot (2)", "Pilot (3)"]
