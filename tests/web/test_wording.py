"""How figures and days are written; each line was worked out by hand."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.utils import translation

from web import local_forms, wording

NBSP = "\u00a0"


def plain(text: str) -> str:
    return text.replace(NBSP, " ")


@pytest.mark.parametrize(
    ("low", "high", "currency", "ends"),
    [
        (1820, 2240, "EUR", ("1.82 k EUR", "2.24 k EUR")),
        (1820, 2240, "", ("1.82 k", "2.24 k")),
        (1820, 1820, "EUR", None),
        # Which of the two is lower, nobody could see.
        (Decimal("1820.1"), Decimal("1820.4"), "EUR", None),
        (Decimal("12.01"), Decimal("12.02"), "EUR", ("12.01 EUR", "12.02 EUR")),
        (None, 2240, "EUR", None),
        (1820, None, "EUR", None),
        (None, None, "EUR", None),
        (0, 0, "EUR", None),
    ],
)
def test_a_band_has_two_ends_that_differ(low, high, currency, ends):
    found = wording.band(low, high, currency)
    assert (found and (plain(found["low"]), plain(found["high"]))) == ends


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "no data"),
        (Decimal(0), "0 EUR"),
        (Decimal("12.4"), "12.40 EUR"),
        (Decimal("0.0031"), "0.0031 EUR"),
        (Decimal("498300"), "498.3 k EUR"),
        (Decimal("-212"), "−212.00 EUR"),
        (Decimal("4012000"), "4.01 M EUR"),
        (Decimal("999999"), "1.00 M EUR"),
        (Decimal("1000"), "1.00 k EUR"),
        (Decimal("999.99"), "999.99 EUR"),
    ],
)
def test_it_writes_money_as_a_reader_says_it(amount, text):
    assert plain(wording.money(amount, "EUR")) == text


def test_it_writes_every_digit_where_the_cent_matters():
    assert plain(wording.money_exact(Decimal("498312.4"), "EUR")) == "498,312.40 EUR"
    assert plain(wording.money_exact(Decimal("0.00012"), "EUR")) == "0.00012 EUR"
    assert plain(wording.money_exact(Decimal(0), "EUR")) == "0.00 EUR"


def test_zero_no_data_not_priced_and_not_due_are_four_texts():
    texts = {wording.number(0), wording.number(None), wording.number(None, missing=wording.NOT_PRICED), wording.NOT_DUE}
    assert texts == {"0", "no data", "not priced", "not due"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (4012, "4,012"),
        (318.4, "318.4"),
        (14, "14"),
        (14.04, "14.0"),
        (3.184, "3.18"),
        (0.0031, "0.0031"),
        (-2.1, "−2.10"),
    ],
)
def test_it_keeps_three_or_four_digits(value, text):
    assert wording.number(value) == text


def test_it_keeps_infinity_and_nan_off_the_page():
    assert wording.decimals(float("nan")) == "no data"
    assert wording.decimals(float("inf")) == "no data"


def test_it_scales_counts():
    assert plain(wording.short(41_200_000)) == "41.2 M"
    assert plain(wording.short(812)) == "812"
    assert wording.short(None) == "no data"


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (Decimal("0.031"), "3.1%"),
        (Decimal("0.61"), "61%"),
        (0, "0%"),
        (Decimal("0.0001"), "under 0.1%"),
        (None, "no data"),
    ],
)
def test_it_writes_ratios_as_percent(ratio, text):
    assert wording.percent(ratio) == text


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (Decimal("0.91"), "91%"),
        (Decimal("0.995"), "over 99%"),
        (Decimal("0.99999999"), "over 99%"),
        (1, "100%"),
        (None, "no data"),
    ],
)
def test_a_part_is_never_written_as_the_whole(part, text):
    assert wording.share(part) == text


def test_an_amount_in_two_pieces_keeps_its_cents():
    assert [wording.scaled_money(Decimal(amount)) for amount in ("42.5", "0.0031", "498300")] == [
        ("42.50", ""),
        ("0.0031", ""),
        ("498.3", "k"),
    ]


@pytest.mark.parametrize(
    ("ms", "text"), [(320, "320 ms"), (1840, "1.84 s"), (144_000, "2.40 min"), (12_600_000, "3.50 h")]
)
def test_it_chooses_the_unit_of_a_duration(ms, text):
    assert plain(wording.duration_ms(ms)) == text


def test_it_signs_changes():
    assert [wording.signed(value) for value in (4.6, -2.1, 0)] == ["+4.60", "−2.10", "0"]


def test_it_writes_days():
    assert plain(wording.day(date(2026, 11, 22))) == "22 Nov 2026"
    assert plain(wording.days(date(2026, 4, 1), date(2026, 11, 21))) == "1 Apr to 21 Nov 2026"
    assert plain(wording.days(date(2026, 12, 25), date(2027, 1, 3))) == "25 Dec 2026 to 3 Jan 2027"
    assert wording.month(date(2026, 10, 1)) == "October 2026"


def test_it_names_the_zone_of_a_moment():
    at = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
    assert plain(wording.moment(at)) == "22 Nov 2026, 13:00 UTC"
    assert plain(wording.moment(at, ZoneInfo("Europe/Amsterdam"))) == "22 Nov 2026, 14:00 CET"
    assert plain(wording.moment(at, ZoneInfo("America/Sao_Paulo"))) == "22 Nov 2026, 10:00 UTC-03"


def test_it_says_how_late_in_each_language():
    assert [wording.days_late(days) for days in (1, 1096)] == ["1 day late", "1,096 days late"]
    with translation.override("nl"):
        assert wording.days_late(1096) == "1.096 dagen te laat"


def test_it_says_how_long_ago():
    now = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
    assert wording.ago(now - timedelta(seconds=4), now) == "4 seconds ago"
    assert wording.ago(now - timedelta(hours=31), now) == "31 hours ago"
    assert wording.ago(now - timedelta(days=7), now) == "7 days ago"
    assert wording.ago(now + timedelta(days=3), now) == "in 3 days"


@pytest.fixture
def dutch():
    with translation.override("nl"):
        yield


def test_dutch_has_its_own_figures(dutch):
    assert wording.decimals(Decimal("-1234.5"), 1) == "−1.234,5"
    assert wording.count(12408) == "12.408"
    assert wording.signed(Decimal("4.6")) == "+4,60"
    assert wording.signed_exact(Decimal("-1212.1")) == "−1.212,10"
    assert plain(wording.money(Decimal(498300), "EUR")) == "498,3 k EUR"
    assert plain(wording.money_exact(Decimal("498312.4"), "EUR")) == "498.312,40 EUR"
    assert wording.percent(Decimal("0.031")) == "3,1%"
    assert wording.percent(Decimal("0.0001")) == "minder dan 0,1%"
    assert plain(wording.duration_ms(1840)) == "1,84 s"


def test_dutch_has_its_own_days(dutch):
    assert plain(wording.day(date(2026, 3, 22))) == "22 mrt 2026"
    assert wording.month(date(2026, 10, 1)) == "oktober 2026"
    assert wording.month_short(date(2026, 10, 1)) == "okt 2026"
    assert plain(wording.days(date(2026, 4, 1), date(2026, 5, 21))) == "1 apr t/m 21 mei 2026"
    now = datetime(2026, 11, 22, 14, tzinfo=UTC)
    assert wording.ago(now - timedelta(hours=3), now) == "3 uur geleden"
    assert wording.ago(now + timedelta(days=3), now) == "over 3 dagen"
    assert wording.plural(1, "day") == "1 dag"
    assert wording.plural(1200, "roadmap") == "1.200 roadmaps"
    assert wording.plural(2, "unheard-of thing") == "2 unheard-of things"


def test_what_is_missing_is_said_when_it_is_written(dutch):
    assert wording.number(None) == wording.money(None, "EUR") == wording.percent(None) == "geen gegevens"
    assert wording.number(None, missing=wording.NOT_PRICED) == "zonder prijs"
    with translation.override("en-gb"):
        assert wording.number(None) == "no data"


@pytest.mark.parametrize(
    ("language", "figure", "share", "september"),
    [
        ("en-gb", "1,234.5", "45%", "Sep"),
        ("de", "1.234,5", "45\u00a0%", "Sept"),
        ("fr", "1\u202f234,5", "45\u00a0%", "sept"),
        ("qq", "1,234.5", "45%", "Sep"),
    ],
)
def test_another_language_writes_as_cldr_says(language, figure, share, september):
    forms = local_forms.forms_of(language)
    written = "1,234.5".translate(forms.separators) if forms.separators else "1,234.5"
    assert (written, f"45{forms.percent}", forms.months[8]) == (figure, share, september)
