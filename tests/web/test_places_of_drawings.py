"""The places of drawings are numbers of SVG in every language."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

import pytest
from django.template import Context, Template
from django.utils import translation

from web import pieces
from web.drawings import Axis

PLACES = re.compile(r'\b(?:x|y|x1|x2|y1|y2|cx|cy|r|width|height|d|points)="([^"]*)"')
SPAN = pieces.PhaseSpan("PoC", "active", date(2026, 2, 3), date(2026, 7, 11), date(2026, 1, 9), date(2026, 6, 30))
DRAWINGS = {
    "gauge": ("{% gauge a b 'spent' forecast=c %}", {"a": Decimal("30.57"), "b": Decimal(97), "c": Decimal("61.3")}),
    "spark": ("{% spark values 3 %}", {"values": [1.7, 2.9, 4.3]}),
    "plan": (
        "{% plan_bar phases gates axis today 'plan' %}{% plan_axis axis today %}",
        {"phases": [SPAN], "gates": [pieces.GateMark(date(2026, 7, 4), "open", "Gate")]},
    ),
    "timeline": (
        "{% timeline lanes axis today 'plan' %}",
        {"lanes": [pieces.Lane(SPAN, pieces.GateMark(date(2026, 7, 4), "open", "Gate"))]},
    ),
    "bars": (
        "{% bars item %}{% share_bar 0.317 %}",
        {"item": pieces.Bars(said="", bars=[pieces.Bar("Jan", 0.317, 0.5, 0.41)], levels=[(0.333, "1")])},
    ),
    "course": (
        "{% course item %}",
        {"item": pieces.Course(said="", past=[(0.0, 0.0), (0.317, 0.279)], levels=[(0.333, "1")], limit=0.77)},
    ),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_place_has_a_point_in_dutch_as_in_english(name):
    text, values = DRAWINGS[name]
    context = values | {"axis": Axis(date(2026, 1, 1), date(2027, 1, 1)), "today": date(2026, 5, 17)}
    drawn = {}
    for language in ("en-gb", "nl"):
        with translation.override(language):
            markup = Template("{% load ui %}" + text).render(Context(context))
        drawn[language] = PLACES.findall(markup)
    assert drawn["nl"] == drawn["en-gb"]
    assert any("." in place for place in drawn["nl"])
