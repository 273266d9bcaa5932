"""What the charts say and where they put it: grain, periods, titles, letters that do not lie on one another."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from metrics.figures import Percentile
from roadmap.charts import frame
from roadmap.charts.efficiency import EfficiencyData, EfficiencyRow, efficiency_chart
from roadmap.charts.frame import Event
from roadmap.charts.latency import LatencyData, LatencyPoint, latency_chart, text_of
from roadmap.charts.spend import Source, SpendData, spend_chart
from roadmap.charts.throughput import ThroughputData, throughput_chart
from roadmap.rules.forecast import forecast, run_rate

D = Decimal
DAY = timedelta(days=1)
START = date(2026, 1, 1)


@pytest.mark.parametrize(("days", "grain"), [(1, "day"), (92, "day"), (93, "week"), (400, "week"), (401, "month")])
def test_the_grain_keeps_points_under_150(days, grain):
    end = START + days * DAY
    assert frame.grain_for(START, end) == grain
    assert len(frame.periods(START, end, grain)) <= 150


def test_periods_tile_the_window_and_are_cut_to_it():
    found = frame.periods(date(2026, 1, 14), date(2026, 3, 3), "month")
    assert found == [
        (date(2026, 1, 14), date(2026, 2, 1)),
        (date(2026, 2, 1), date(2026, 3, 1)),
        (date(2026, 3, 1), date(2026, 3, 3)),
    ]
    weeks = frame.periods(date(2026, 12, 30), date(2027, 1, 12), "week")
    assert [start for start, _ in weeks] == [date(2026, 12, 30), date(2027, 1, 4), date(2027, 1, 11)]


def test_a_day_is_drawn_at_its_utc_midnight_in_every_browser():
    assert frame.stamp(date(2026, 3, 29)) == 1774742400000


def test_letters_of_the_same_day_stand_apart():
    events = [Event(START, "a"), Event(START, "b"), Event(START + DAY, "c")]
    layers = frame.mark_layers(frame.lettered(events, START, START + 100 * DAY), apart_days=3)
    boxes = [value["box"] for value in layers[1]["data"]["values"]]
    assert boxes == [frame.stamp(START + DAY * shift) for shift in (0, 3, 6)]
    assert layers[1]["encoding"]["x"]["field"] == layers[2]["encoding"]["x"]["field"] == "box"
    # The line stays where it happened.
    assert layers[0]["encoding"]["x"]["field"] == "t"


def spend_data(**fields) -> SpendData:
    amounts = {START + DAY * index: D(10) for index in range(28)}
    defaults = {
        "currency": "EUR",
        "start_on": START,
        "end_on": START + 28 * DAY,
        "last_on": START + 58 * DAY,
        "today": START + 28 * DAY,
        "grain": "day",
        "sources": [Source("OpenAI", "$c1", amounts)],
        "budget": None,
        "forecast": None,
        "events": (),
    }
    return SpendData(**(defaults | fields))


def a_forecast(budget):
    days = [START + DAY * index for index in range(28)]
    return forecast(
        spent=D(280),
        rate=run_rate(dict.fromkeys(days, D(10)), days),
        today=START + 28 * DAY,
        end_on=START + 57 * DAY,
        budget=budget,
    )


def test_the_spend_charts_title_is_what_will_happen():
    """280 spent, 10 a day for 30 more days: 580."""
    late = spend_chart(spend_data(budget=D(400), forecast=a_forecast(D(400))))
    assert late.title.replace("\u00a0", " ") == "Spend passes the budget on 10 Feb 2026"
    good = spend_chart(spend_data(budget=D(1000), forecast=a_forecast(D(1000))))
    assert good.title == "Spend stays 42% under the budget"
    over = spend_chart(spend_data(budget=D(100), forecast=a_forecast(D(100))))
    assert over.title.replace("\u00a0", " ") == "Spend passed the budget on 11 Jan 2026"


def test_the_table_adds_up_to_what_is_drawn():
    chart = spend_chart(spend_data())
    assert len(chart.table.rows) == 28
    assert chart.table.foot == ["All", "280.00", "280.00"]
    area = chart.spec["layer"][0]["data"]["values"]
    assert (area[0]["v"], area[-1]["v"]) == (0.0, 280.0)


def test_more_than_six_sources_are_added_up():
    sources = [Source(f"s{number}", "$c1", {START: D(number + 1)}) for number in range(9)]
    chart = spend_chart(spend_data(sources=sources))
    assert [head.label for head in chart.table.heads][1:] == ["s4", "s5", "s6", "s7", "s8", "4 other sources", "All"]
    assert chart.table.foot[-1] == "45.00"


def test_without_spend_there_is_no_drawing_but_what_to_do():
    chart = spend_chart(spend_data(sources=[]))
    assert (chart.spec, chart.table) == (None, None)
    assert "Connect a backend" in chart.missing


@pytest.mark.parametrize(
    ("percentile", "text"),
    [
        (Percentile(1840.0), "1.84 s"),
        (Percentile(None, 2000.0, 2500.0), "2.00 to 2.50 s"),
        (Percentile(None, None, 300.0), "under 300 ms"),
        (Percentile(None, 10_000.0, None), "over 10 s"),
        (None, "\u2013"),
    ],
)
def test_a_percentile_in_words(percentile, text):
    assert text_of(percentile).replace("\u00a0", " ") == text


def latency_data(p95s, target=None) -> LatencyData:
    points = [
        LatencyPoint(
            START + DAY * index,
            "gateway",
            100,
            {50: Percentile(500.0), 95: Percentile(float(value)), 99: Percentile(float(value) * 2)},
        )
        for index, value in enumerate(p95s)
    ]
    end = START + len(p95s) * DAY
    return LatencyData(START, end, end, "day", points, "gateway", (), target_ms=target)


def test_the_latency_title_says_when_it_came_under_its_target():
    chart = latency_chart(latency_data([2500, 2400, 1900, 1800], D(2000)))
    assert chart.title.replace("\u00a0", " ") == "p95 has been under its target since 3 Jan 2026"
    assert latency_chart(latency_data([2500, 2200], D(2000))).title == "p95 is 10% above its target"
    assert latency_chart(latency_data([1000, 1500])).title == "p95 is 50% higher than at the start"


def test_a_source_with_a_mean_only_has_no_drawing_and_a_table():
    point = LatencyPoint(START, "server", 0, {}, mean_ms=D(200))
    data = LatencyData(START, START + DAY, START, "day", [point], "server", (), missing="only a mean")
    chart = latency_chart(data)
    assert (chart.spec, chart.missing) == (None, "only a mean")
    assert "200" in " ".join(chart.table.rows[0])


def test_an_unknown_period_is_a_gap_and_no_zero():
    points = [(START, D(1), D(86_400)), (START + DAY, None, None), (START + 2 * DAY, D(0), D(0))]
    chart = throughput_chart(ThroughputData(START, START + 3 * DAY, "day", "Output tokens", points, ()))
    assert [value["v"] for value in chart.spec["layer"][0]["data"]["values"]] == [1.0, None, 0.0]
    assert [row[1] for row in chart.table.rows] == ["1.00", "\u2013", "0"]


def test_efficiency_names_the_best_and_what_is_not_known():
    rows = [
        EfficiencyRow("GPU", "8 H100", "$c1", D(20), used=D(30), utilisation=D("0.66"), is_capacity=True),
        EfficiencyRow("API", "API", "$c2", D(8)),
    ]
    chart = efficiency_chart(
        EfficiencyData("tokens/s per EUR/h", "last 28 days", "EUR", rows, without=[("Old", "not priced")])
    )
    assert chart.title == "GPU gives 2.5 times the work per EUR of API"
    assert [row[4] for row in chart.table.rows[:2]] == ["66%", "not offered"]
    assert chart.table.rows[2][:3] == ["Old", "not priced", "no data"]
