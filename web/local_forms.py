"""How a language writes figures and days: separators, names of months, where the percent sign stands.

From CLDR by way of Babel, so that another language needs nothing here; English has the product's own short forms
('Sep', not CLDR's 'Sept'). Made once per language and kept.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from babel import Locale
from babel.core import UnknownLocaleError
from django.utils.translation import get_language

# The language that the sources are written in: API, logs and commands keep it.
ENGLISH = "en-gb"
_ENGLISH_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class LocalForms:
    """`separators` is for str.translate of what Python writes, '1,234.5'; None where the language writes it so."""

    months: tuple[str, ...]
    long_months: tuple[str, ...]
    separators: dict[int, str] | None
    percent: str
    # As d3-format and d3-time-format take them, for the axes of charts; None where their own English is right.
    for_charts: dict[str, dict[str, Any]] | None = None


@cache
def forms_of(language: str) -> LocalForms:
    """The forms of a language code of Django's ('nl', 'en-gb'); English ones where CLDR does not know it."""
    try:
        locale = Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):
        locale = Locale.parse("en_GB")
    symbols = locale.number_symbols
    # Since CLDR 44 by numbering system.
    symbols = symbols.get("latn", symbols)
    point, group = symbols["decimal"], symbols["group"]
    names = locale.months["format"]
    is_english = locale.language == "en"
    months = _ENGLISH_MONTHS if is_english else tuple(names["abbreviated"][index].rstrip(".") for index in range(1, 13))
    long_months = tuple(names["wide"][index] for index in range(1, 13))
    return LocalForms(
        months=months,
        long_months=long_months,
        separators=None if (point, group) == (".", ",") else {ord("."): point, ord(","): group},
        percent=locale.percent_formats[None].pattern.rpartition("0")[2],
        for_charts=None if is_english else _for_charts(locale, months, long_months, point, group),
    )


def _for_charts(
    locale: Locale, months: tuple[str, ...], long_months: tuple[str, ...], point: str, group: str
) -> dict[str, dict[str, Any]]:
    # CLDR counts days from Monday, d3 from Sunday.
    days, short_days = (
        [locale.days["format"][width][index] for index in (6, 0, 1, 2, 3, 4, 5)] for width in ("wide", "abbreviated")
    )
    return {
        "number": {"decimal": point, "thousands": group, "grouping": [3], "currency": ["", ""], "minus": "\u2212"},
        "time": {
            "dateTime": "%-d %b %Y, %H:%M",
            "date": "%-d %b %Y",
            "time": "%H:%M",
            "periods": ["", ""],
            "days": days,
            "shortDays": short_days,
            "months": list(long_months),
            "shortMonths": list(months),
        },
    }


def local_forms() -> LocalForms:
    """The forms of the active language."""
    return forms_of(get_language() or ENGLISH)
