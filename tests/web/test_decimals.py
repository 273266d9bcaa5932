"""Decimals in forms: each language's own way of writing them, and nothing that could mean another amount."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django import forms
from django.utils import translation

from roadmap.models import CostEntry
from web.decimals import DecimalField, TwoWaysError, plain
from web.forms import Form, ModelForm


class Example(Form):
    amount = DecimalField(max_digits=12, decimal_places=4, required=False)


class OfAModel(ModelForm):
    class Meta:
        model = CostEntry
        fields = ("amount",)


@pytest.mark.parametrize(
    ("text", "mark", "meant"),
    [
        ("1234.5", ".", "1234.5"),
        ("12,5", ",", "12.5"),
        ("12,5", ".", "12.5"),
        ("12.5", ",", "12.5"),
        ("1,085", ",", "1.085"),
        ("1.085", ".", "1.085"),
        ("0.125", ",", "0.125"),
        ("0,125", ".", "0.125"),
        ("1234,567", ".", "1234.567"),
        (".5", ",", ".5"),
        (",5", ".", ".5"),
        ("1.234,5", ".", "1234.5"),
        ("1,234.50", ",", "1234.50"),
        ("-1.234,5", ",", "-1234.5"),
        ("1.234.567", ".", "1234567"),
        ("1,234,567.8", ",", "1234567.8"),
        ("1 234,5", ",", "1234.5"),
        ("1\u202f234\u202f567", ".", "1234567"),
        ("1'234.5", ".", "1234.5"),
        ("  7 ", ".", "7"),
    ],
)
def test_what_can_mean_one_number_is_that_number(text, mark, meant):
    assert plain(text, mark) == meant


@pytest.mark.parametrize(("text", "mark"), [("1.234", ","), ("1,234", "."), ("-12,500", "."), ("999.999", ",")])
def test_what_can_mean_two_is_never_guessed(text, mark):
    with pytest.raises(TwoWaysError) as raised:
        plain(text, mark)
    digits = text.replace(".", "").replace(",", "")
    assert raised.value.readings == (digits, text.replace(",", "."))


@pytest.mark.parametrize(
    "text",
    ["1.23.4", "1,23,456", "1.2,3.4", "12.34,5", "1,2345.6", "1 23", "12a", ",", "1..2", "", "1.234,5,6", "0.123.456"],
)
@pytest.mark.parametrize("mark", [".", ","])
def test_what_is_no_number_is_refused(text, mark):
    form_language = "nl" if mark == "," else "en-gb"
    with translation.override(form_language):
        form = Example({"amount": text})
        if text:
            assert not form.is_valid()
            assert form.has_error("amount", "invalid")
        else:
            assert form.is_valid()


@pytest.mark.parametrize(
    ("language", "text", "told"),
    [
        ("nl", "1.234", "1.234 kan op twee manieren worden gelezen: schrijf 1234 of 1,234."),
        ("en-gb", "1,234", "1,234 can be read in two ways: write 1234 or 1.234."),
        ("en-gb", "many", "Enter a number without marks between thousands, such as 1234.5."),
        ("nl", "veel", "Voer een getal in zonder tekens tussen de duizendtallen, zoals 1234,5."),
    ],
)
@pytest.mark.parametrize("form", [Example, OfAModel])
def test_a_refusal_shows_how_it_is_written(language, text, told, form):
    with translation.override(language):
        asked = form({"amount": text})
        assert asked.errors["amount"] == [told]
        # What was typed stays.
        assert f'value="{text}"' in str(asked["amount"])


@pytest.mark.parametrize("form", [Example, OfAModel])
@pytest.mark.parametrize(("language", "shown"), [("nl", "1234,5"), ("en-gb", "1234.5")])
def test_a_value_is_shown_as_it_may_be_sent_back(form, language, shown):
    with translation.override(language):
        html = str(form(initial={"amount": Decimal("1234.5")})["amount"])
        assert f'value="{shown}"' in html
        assert 'inputmode="decimal"' in html
        sent = form({"amount": shown}, initial={"amount": Decimal("1234.5")})
        assert sent.is_valid(), sent.errors
        assert sent.cleaned_data["amount"] == Decimal("1234.5")
        assert not sent.has_changed()


def test_bounds_hold_as_before():
    with translation.override("nl"):
        assert Example({"amount": "0,00001"}).has_error("amount", "max_decimal_places")
        assert Example({"amount": "NaN"}).has_error("amount", "invalid")


def test_every_decimal_field_of_a_form_takes_them():
    class Both(Form):
        plain_one = forms.DecimalField()

    assert type(Both().fields["plain_one"]) is DecimalField
