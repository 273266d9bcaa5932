"""Numbers in templates: bare ones are the same in every language, those for people are not."""

from datetime import date
from decimal import Decimal

import pytest
from django.template import engines
from django.template.exceptions import TemplateDoesNotExist
from django.template.loader import get_template
from django.utils import translation


@pytest.mark.parametrize("language", ["en-gb", "nl", "de"])
def test_a_bare_number_is_one_for_programs(language):
    source = '<rect x="{{ x }}%" y="{{ y }}" data-id="{{ id }}"/>{% include part with z=x %}'
    template = engines["django"].from_string(source)
    part = engines["django"].engine.from_string("{{ z }}")
    with translation.override(language):
        drawn = template.render({"x": 3.35, "y": Decimal("0.5"), "id": 12345, "part": part})
    assert drawn == '<rect x="3.35%" y="0.5" data-id="12345"/>3.35'


def test_figures_and_days_are_for_people():
    template = engines["django"].from_string("{% load fmt %}{{ x|decimals:2 }}, {{ on|day }}")
    with translation.override("nl"):
        assert template.render({"x": 1234.5, "on": date(2026, 3, 22)}) == "1.234,50, 22\u00a0mrt\u00a02026"


def test_a_component_draws_plain_numbers_too():
    template = engines["django"].from_string('{% load ui %}{% gauge 50 120 "Budget" %}')
    with translation.override("nl"):
        assert "," not in template.render({})


def test_an_unknown_template_is_said():
    with pytest.raises(TemplateDoesNotExist):
        get_template("no-such.html")
