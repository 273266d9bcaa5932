"""A page with each kind of chart of the phase dashboard, for the browser. Its figures are invented."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from math import sin

from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import include, path

from roadmap.charts.efficiency import EfficiencyData, EfficiencyRow, efficiency_chart
from roadmap.charts.frame import Event, periods
from roadmap.charts.latency import LatencyData, LatencyPoint, Percentile, latency_chart
from roadmap.charts.operations import OperationRow, operations_chart
from roadmap.charts.spend import Source, SpendData, spend_chart
from roadmap.charts.throughput import ThroughputData, throughput_chart
from roadmap.rules.forecast import Forecast, RunRate
from web.pieces import Chart

DAY = timedelta(days=1)
START, END, LAST, TODAY = date(2026, 4, 1), date(2026, 11, 22), date(2027, 3, 31), date(2026, 11, 22)
EVENTS = [
    Event(date(2026, 6, 8), "own GPUs connected", "milestone"),
    Event(date(2026, 8, 14), "routing to the small model", "milestone"),
    Event(date(2026, 9, 1), "new price", "price"),
    Event(date(2026, 10, 26), "FP8 build", "note"),
]


def charts() -> list[Chart]:
    weeks = periods(START, END, "week")
    names = [
        ("Own GPUs, idle", "$idle", 3),
        ("Own GPUs, busy", "$c1", 8),
        ("OpenAI", "$c2", 14),
        ("Entered by hand", "$c8", 20),
    ]
    sources = [
        Source(
            name,
            color,
            {start: Decimal(str(base * 100 + 15 * base * index % 700)) for index, (start, _) in enumerate(weeks)},
        )
        for name, color, base in names
    ]
    spent = sum((source.total for source in sources), Decimal(0))
    rate = RunRate(Decimal(900), Decimal(800), Decimal(1000), tuple(END - DAY * n for n in range(28, 0, -1)))
    ahead = [END - DAY + DAY * n for n in range((LAST - END).days + 2)]
    way = tuple((on, spent + 900 * n, spent + 800 * n, spent + 1000 * n) for n, on in enumerate(ahead))
    budget = spent + 90_000
    forecast = Forecast(spent, LAST, rate, way[-1][1], way[-1][2], way[-1][3], way, None, (), END + DAY * 100, None)
    points = [
        LatencyPoint(
            start,
            "gateway",
            1000,
            {
                50: Percentile(Decimal(900 + int(100 * sin(n)))),
                95: Percentile(Decimal(2600 - 30 * n)),
                99: Percentile(Decimal(4300 - 40 * n)),
            },
        )
        for n, (start, _) in enumerate(weeks)
    ]
    rate_points = [(start, Decimal(210 + 20 * n), None) for n, (start, _) in enumerate(weeks)]
    rows = [
        EfficiencyRow(
            "vllm-ams-1, small", "own GPU", "$c1", Decimal("24.1"), None, Decimal("30.2"), Decimal("0.61"), True
        ),
        EfficiencyRow("OpenAI, small model", "API", "$c2", Decimal("13.9")),
        EfficiencyRow("OpenAI, large model", "API", "$c2", Decimal("6.4")),
    ]
    return [
        spend_chart(SpendData("EUR", START, END, LAST, TODAY, "week", sources, budget, forecast, EVENTS)),
        latency_chart(LatencyData(START, END, TODAY, "week", points, "gateway", EVENTS, Decimal(2000))),
        efficiency_chart(EfficiencyData("tokens/s per EUR/h", "last 28 days", "EUR", rows, Decimal(15))),
        throughput_chart(ThroughputData(START, END, "week", "output tokens", rate_points, EVENTS)),
        operations_chart(
            [
                OperationRow("chat", 1_840_000, 7_000, 41_000_000, Decimal(16_700)),
                OperationRow("invoke_agent", 96_000, 1_700, 9_000_000, Decimal(8_400)),
                OperationRow("execute_tool", 1_220_000, 11_000, None, None),
            ],
            window="last 28 days",
            currency="EUR",
        ),
    ]


PAGE = """{% extends "base.html" %}{% load ui %}{% block content %}<h1>Charts</h1>
<div class="grid grid--even">{% for item in charts %}{% chart item %}{% endfor %}</div>{% endblock %}"""


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(engines["django"].from_string(PAGE).render({"charts": charts()}, request))


urlpatterns = [path("charts/", page), path("", include("config.urls"))]
handler404 = "web.views.page_not_found"
