"""Decimals in forms as their reader writes them: 1234.5 or 1,234.50 in English, 1234,5 or 1.234,50 in Dutch.

What can be read in two ways is asked about, never guessed: a wrong guess is off by a factor of a thousand.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_lazy

from web.local_forms import local_forms

_POINT, _COMMA = ".", ","
# Between thousands in many languages; what is copied from a page has them, too.
_SPACES = re.compile(r"(?<=\d)[ \u00a0\u2009\u202f'\u2019](?=\d{3}(?!\d))")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}([.,]\d{3})+")


class TwoWaysError(ValueError):
    """`readings`: the two ways in which the text can be meant, as Python writes them."""

    def __init__(self, readings: tuple[str, str]) -> None:
        super().__init__(" or ".join(readings))
        self.readings = readings


def decimal_mark() -> str:
    """The active language's, a point or a comma."""
    separators = local_forms().separators
    return _POINT if separators is None else separators[ord(_POINT)]


def plain(text: str, mark: str) -> str:
    """The number as Python writes it, '1234.5'; what is none comes back as it is. `mark`: the writer's decimal mark.

    Raises TwoWaysError where the other mark stands once, before three digits.
    """
    text = _SPACES.sub("", text.strip())
    marks = [letter for letter in text if letter in (_POINT, _COMMA)]
    if not marks:
        return text
    last = marks[-1]
    if len(set(marks)) == 2:
        # '1.234,5': the last one is the decimal mark in every language.
        whole, _, fraction = text.rpartition(last)
        return f"{_joined(whole)}.{fraction}" if _THOUSANDS.fullmatch(whole) else text
    if len(marks) > 1:
        return _joined(text) if _THOUSANDS.fullmatch(text) else text
    pointed = text.replace(last, _POINT)
    if last != mark and _THOUSANDS.fullmatch(text):
        raise TwoWaysError((_joined(text), pointed))
    return pointed


def _joined(text: str) -> str:
    return text.replace(_POINT, "").replace(_COMMA, "")


def written(value: Decimal | str) -> str:
    """A number that Python writes with a point, in the active language and without marks between thousands."""
    text = f"{value:f}" if isinstance(value, Decimal) else value
    return text.replace(_POINT, decimal_mark())


class DecimalInput(forms.TextInput):
    """Text with a keypad of digits: a number field would round in some browsers and scroll in others."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"inputmode": "decimal", "autocomplete": "off", **(attrs or {})})

    def format_value(self, value: Any) -> str | None:
        """A number in the reader's language; what somebody typed as they typed it."""
        return written(value) if isinstance(value, Decimal) else super().format_value(value)


class DecimalField(forms.DecimalField):
    """A decimal as the reader's language writes it."""

    widget = DecimalInput
    default_error_messages = {  # noqa: RUF012 - as Django has it
        "invalid": gettext_lazy("Enter a number without marks between thousands, such as 1234.5.")
    }

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str):
            try:
                value = plain(value, decimal_mark())
            except TwoWaysError as error:
                whole, fraction = map(written, error.readings)
                told = gettext("%(text)s can be read in two ways: write %(whole)s or %(fraction)s.")
                raise forms.ValidationError(
                    told, code="two_ways", params={"text": value.strip(), "whole": whole, "fraction": fraction}
                ) from None
        return super().to_python(value)
