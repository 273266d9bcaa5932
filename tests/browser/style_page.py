"""A page with every component, for the tests of the look. Its figures are invented; the product has no such page."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from web.drawings import Axis
from web.forms import Form
from web.htmx import done, render
from web.pieces import (
    Chart,
    Decision,
    GateMark,
    Gauge,
    Head,
    Lane,
    Mark,
    MilestoneMark,
    PhaseSpan,
    Table,
    Tile,
)

TODAY = date(2026, 11, 22)


class ExampleForm(Form):
    name = forms.CharField(max_length=20, help_text="At most 20 letters.")
    amount = forms.DecimalField(max_digits=12, decimal_places=2)
    due_on = forms.DateField(label="Due", required=False)
    kind = forms.ChoiceField(choices=[("a", "People"), ("b", "Licences")])
    ways = forms.MultipleChoiceField(choices=[("x", "One"), ("y", "Two")], widget=forms.CheckboxSelectMultiple)
    agreed = forms.BooleanField(label="Agreed", required=False)
    note = forms.CharField(widget=forms.Textarea, required=False)


def lanes() -> list[Lane]:
    return [
        Lane(
            PhaseSpan(
                "PoC", "closed", date(2025, 10, 1), date(2026, 4, 1), date(2025, 10, 1), date(2026, 3, 1), "closed, go"
            ),
            GateMark(date(2026, 3, 31), "passed", "PoC gate"),
        ),
        Lane(
            PhaseSpan(
                "Scale-up",
                "active",
                date(2026, 4, 1),
                date(2027, 4, 1),
                date(2026, 3, 1),
                date(2027, 3, 1),
                "day 236 of 365",
            ),
            GateMark(date(2027, 3, 31), "open", "Scale-up gate"),
            [
                MilestoneMark(date(2026, 6, 8), "done", "Vector search", date(2026, 6, 8)),
                MilestoneMark(date(2026, 8, 14), "done", "Routing", date(2026, 7, 31)),
                MilestoneMark(date(2026, 11, 13), "late", "Alerts", date(2026, 10, 16)),
                MilestoneMark(date(2026, 12, 4), "open", "Complaint agent", None),
            ],
        ),
        Lane(
            PhaseSpan(
                "Optimise",
                "planned",
                date(2027, 4, 1),
                date(2028, 10, 1),
                date(2027, 3, 1),
                date(2028, 9, 1),
                "planned",
            ),
            GateMark(date(2028, 9, 30), "open", "Optimise gate"),
        ),
    ]


def spend_chart() -> Chart:
    months = [f"2026-{month:02d}-01" for month in range(4, 12)]
    rows = [
        {"month": month, "source": source, "value": 10 + 3 * index + 5 * place}
        for index, month in enumerate(months)
        for place, source in enumerate(("Own GPUs, idle", "Own GPUs, busy", "OpenAI", "Entered by hand"))
    ]
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": "container",
        "height": 280,
        "layer": [
            {
                "data": {"values": rows},
                "mark": {"type": "area"},
                "encoding": {
                    "x": {"field": "month", "type": "temporal", "title": None},
                    "y": {"field": "value", "type": "quantitative", "title": "k EUR", "stack": True},
                    "color": {
                        "field": "source",
                        "type": "nominal",
                        "scale": {
                            "domain": ["Own GPUs, idle", "Own GPUs, busy", "OpenAI", "Entered by hand"],
                            "range": ["$idle", "$c1", "$c2", "$c8"],
                        },
                    },
                },
            },
            {
                "data": {"values": [{"y": 190}]},
                "mark": {"type": "rule", "style": "budget"},
                "encoding": {"y": {"field": "y", "type": "quantitative"}},
            },
            {
                "data": {"values": [{"x": "2026-11-01"}]},
                "mark": {"type": "rule", "style": "today"},
                "encoding": {"x": {"field": "x", "type": "temporal"}},
            },
        ],
    }
    table = Table(
        "Spend by month, k EUR",
        [Head("Month"), *[Head(name, is_number=True) for name in ("Own GPUs", "OpenAI", "All")]],
        [["Oct 2026", "20.8", "19.7", "75.8"], ["Nov 2026", "–", "14.3", "61.3"]],
        ["All", "20.8", "34.0", "137.1"],
    )
    return Chart(
        "spend",
        "Spend passes the budget on 17 March",
        "Cumulated by source, k EUR, 1 Apr to 21 Nov 2026",
        spec,
        table,
        marks=[Mark("A", "8 Jun, own GPUs connected"), Mark("B", "14 Aug, routing to the small model")],
        width="w7",
    )


TILES = [
    Tile(
        "Spend, phase to date", "498.3", "of 820 k EUR", "5% over", "at the forecast, 861 k", "amber",
        "1 Apr to 21 Nov 2026 · 61% billed", [0, 60, 130, 210, 290, 370, 440, 498],
        gauge=Gauge(498.3, 820, "498.3 of 820 k EUR spent, forecast 861 k", forecast=861),
    ),
    Tile(
        "Cost per million tokens", "3.18", "EUR", "12% lower, better", "", "green", "28 days · target 3.40",
        [4.1, 4.0, 3.9, 3.95, 3.7, None, 3.6, 3.4, 3.18], 3.4, Gauge(3.18, 3.4, "3.18, target at most 3.40"),
    ),
    Tile("p95 latency", "", missing="Not offered by OpenAI's admin API. Send OpenTelemetry or connect a gateway."),
    Tile(
        "Tokens per second per EUR", "14.0", "tokens/s per EUR/h", "15% higher, better", "", "green",
        "28 days · reserved basis, idle included", [9, 10, 11, 12, 13, 14], 15,
        Gauge(14, 15, "14.0, target at least 15.0", higher_is_better=True),
    ),
]  # fmt: skip
DECISIONS = [
    Decision(
        "now", "KYC file review: the gate is 7 days overdue", "6 of 8 criteria met.", "Open the gate", "#", kind="main"
    ),
    Decision(
        "now", "Transaction triage: budget passed on 9 Nov", "88.1 k of 80.0 k EUR.", "Change budget or stop", "#"
    ),
    Decision(
        "soon", "LiteLLM and vllm-ams-1 look like the same traffic", "Gap 1.7%.", "Link them", "#", {"a": "1", "b": "2"}
    ),
    Decision("soon", "9.9 k EUR of November has no roadmap", "3 series.", "Make a rule", "#"),
]

TEMPLATE = (Path(__file__).parent / "style.html").read_text()


def style(request: HttpRequest) -> HttpResponse:
    form = ExampleForm(request.POST or None)
    all_lanes = lanes()
    context = {
        "form": form,
        "tiles": TILES,
        "decisions": DECISIONS,
        "chart": spend_chart(),
        "missing": Chart("none", "No latency yet", "p95, s", None, None, missing="Send OpenTelemetry."),
        "lanes": all_lanes,
        "axis": Axis.of_months([date(2025, 10, 1), date(2028, 10, 1)]),
        "years": Axis.of_years([date(2025, 10, 1), date(2028, 9, 30)]),
        "phases": [lane.phase for lane in all_lanes],
        "gates": [lane.gate for lane in all_lanes],
        "today": TODAY,
        "tabs": [
            {"text": "PoC", "url": "#", "note": "closed", "is_current": False},
            {"text": "Scale-up", "url": "#", "note": "day 236 of 365", "is_current": True},
        ],
    }
    if request.method == "POST" and form.is_valid():
        return done(request, "/style/", "Saved.")
    return render(request, "style.html", context, part="example", status=422 if request.method == "POST" else 200)


urlpatterns = [path("style/", style), path("", include("config.urls"))]
handler404 = "web.views.page_not_found"
