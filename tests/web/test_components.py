"""What each component shows of what it is given, and that unknown is never drawn as zero."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django import forms
from django.core.paginator import Paginator
from django.template import Context, Template
from django.test import RequestFactory

from web.forms import Form
from web.pieces import Chart, Decision, Gauge, Head, Mark, Table, Tile


def draw(source: str, **context) -> str:
    return Template("{% load ui fmt %}" + source).render(Context(context))


def test_a_status_has_a_word_beside_its_tone():
    assert draw('{% status "red" "Off track" %}') == '<span class="status" data-tone="red">Off track</span>'
    assert 'class="status chip"' in draw('{% status "amber" "At risk" chip=True %}')


def test_a_tile_that_no_source_fills_says_what_would():
    html = draw("{% tile item %}", item=Tile("p95 latency", "", missing="Send OpenTelemetry."))
    assert "No data" in html
    assert "Send OpenTelemetry." in html
    assert "<svg" not in html


def test_a_tile_draws_its_trend_and_target():
    item = Tile("Spend", "498.3", "of 820 k EUR", trend=[1, 2, 3], gauge=Gauge(498, 820, "498 of 820 k EUR"))
    html = draw("{% tile item %}", item=item)
    assert 'class="spark"' in html
    assert 'aria-label="498 of 820 k EUR"' in html


@pytest.mark.parametrize(("value", "limit"), [(None, 820), (498, None), (498, 0)])
def test_no_gauge_is_drawn_of_what_is_not_known(value, limit):
    assert "<svg" not in draw('{% gauge value limit "x" %}', value=value, limit=limit)


def test_a_decision_is_a_link_or_a_form():
    rows = [
        Decision("now", "The gate is overdue", "6 of 8 met.", "Open the gate", "/gates/1/"),
        Decision("soon", "Same traffic", "Gap 1.7%.", "Link them", "/link/", {"a": "1"}),
    ]
    html = draw("{% decide rows 1 %}", rows=rows)
    assert '<a class="button act"' in html
    assert "1 more" in html
    assert '<input type="hidden" name="a" value="1" />' in html
    assert 'action="/link/"' in html


def test_a_chart_carries_its_spec_as_data_and_its_table():
    table = Table("Spend", [Head("Month"), Head("All", is_number=True)], [["Oct", "75.8"]], ["All", "75.8"])
    item = Chart("spend", "Title", "k EUR", {"x": "</script><b>"}, table, marks=[Mark("A", "8 Jun, new price")])
    html = draw("{% chart item %}", item=item)
    assert '<script id="spec-spend" type="application/json">' in html
    assert "</script><b>" not in html
    assert '<td class="num">75.8</td>' in html
    assert "<b>A</b>8 Jun, new price" in html


def test_a_chart_without_data_says_what_is_missing():
    html = draw("{% chart item %}", item=Chart("p95", "No latency yet", "s", None, None, missing="Connect a gateway."))
    assert "data-spec-id" not in html
    assert "Connect a gateway." in html


def test_a_table_refuses_rows_of_another_width():
    with pytest.raises(ValueError, match="zip"):
        draw("{% data_table table %}", table=Table("x", [Head("a"), Head("b")], [["only one"]]))


class Example(Form):
    name = forms.CharField(help_text="At most 20 letters.", max_length=20)
    amount = forms.DecimalField(required=False)
    due_on = forms.DateField(required=False)


def test_help_and_errors_are_linked_to_their_field():
    html = draw("{% form_fields form %}", form=Example({"name": "", "amount": "many"}))
    assert 'aria-describedby="id_name_helptext id_name_error"' in html
    assert 'id="id_name_helptext"' in html
    assert 'id="id_amount_error"' in html
    assert 'aria-invalid="true"' in html


def test_fields_suit_a_phone():
    form = Example()
    assert 'type="date"' in str(form["due_on"])
    assert 'inputmode="decimal"' in str(form["amount"])


def test_a_violation_stands_at_its_field_or_above_the_form():
    class Violation(Exception):  # noqa: N818
        code, message, field = "taken", "There is one already.", "name"

    form = Example({"name": "x"})
    form.is_valid()
    form.add_violation(Violation())
    assert form.errors["name"] == ["There is one already."]
    Violation.field = "elsewhere"
    form.add_violation(Violation())
    assert "There is one already." in draw("{% form_errors form %}", form=form)


def test_the_pager_keeps_the_filter():
    page = Paginator(range(250), 100).page(2)
    html = draw("{% pager page 'receipts' %}", page=page, request=RequestFactory().get("/x/?roadmap=claims&page=2"))
    assert "101 to 200 of 250 receipts" in html
    assert "roadmap=claims&amp;page=3" in html
    assert "roadmap=claims&amp;page=1" in html


def test_what_deletes_asks_first_and_posts():
    html = draw("{% confirm_delete '/x/' 'Delete' question %}", question="Delete 'Runbook'?", csrf_token="abc")
    assert 'method="post"' in html
    assert "Delete &#x27;Runbook&#x27;?" in html
    assert 'value="abc"' in html


def test_figures_in_templates_take_currency_and_zone_from_settings(settings):
    settings.REPORTING_CURRENCY = "EUR"
    at = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
    html = draw(
        "{{ a|money }} {{ a|money:'USD' }} {{ none|money }} {{ d|day }} "
        "{{ at|moment_utc }} {{ none|ago }} {{ ''|or_dash }}",
        a=Decimal("1250"), none=None, d=date(2026, 11, 22), at=at,
    ).replace("\u00a0", " ")  # fmt: skip
    assert html == "1.25 k EUR 1.25 k USD no data 22 Nov 2026 22 Nov 2026, 13:00 UTC never –"
