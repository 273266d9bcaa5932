"""Filters that write figures and days (web.wording) and say what is missing; they compute nothing."""

from datetime import date, datetime
from decimal import Decimal

from django import template
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext

from web import wording

register = template.Library()
Number = Decimal | int | float


@register.filter
def number(value: Number | None, missing: wording.Words = wording.NO_DATA) -> str:
    """{{ value|number }} '3.18'; None is 'no data' or the word given: {{ value|number:"not priced" }}."""
    return wording.number(value, missing=missing)


@register.filter
def decimals(value: Number | None, places: int = 0) -> str:
    """{{ value|decimals:1 }} '1,234.5'."""
    return wording.decimals(value, int(places))


@register.filter
def count(value: Number | None) -> str:
    """{{ value|count }} '12,408'."""
    return wording.count(value)


@register.filter
def short(value: Number | None) -> str:
    """{{ value|short }} '41.2 M'."""
    return wording.short(value)


tokens = register.filter("tokens", short)


@register.filter
def signed(value: Number | None) -> str:
    """{{ value|signed }} '+4.6', '−2.1'."""
    return wording.signed(value)


@register.filter
def signed_exact(amount: Number | None) -> str:
    """{{ amount|signed_exact }} '+4.15', '−2.10'."""
    return wording.signed_exact(amount)


@register.filter
def money(amount: Number | None, currency: str = "") -> str:
    """{{ amount|money }} '498.3 k EUR' in the reporting currency, or {{ amount|money:"USD" }}."""
    return wording.money(amount, currency or settings.REPORTING_CURRENCY)


@register.filter
def money_exact(amount: Number | None, currency: str = "") -> str:
    """{{ amount|money_exact }} '498,312.40 EUR'."""
    return wording.money_exact(amount, currency or settings.REPORTING_CURRENCY)


@register.filter
def percent(ratio: Number | None, places: int | None = None) -> str:
    """{{ ratio|percent }} '3.1%' of a ratio 0.031."""
    return wording.percent(ratio, places=places)


@register.filter
def duration(milliseconds: Number | None) -> str:
    """{{ ms|duration }} '1.84 s'."""
    return wording.duration_ms(milliseconds)


@register.filter
def day(value: date | None) -> str:
    """{{ date|day }} '22 Nov 2026'; a datetime is put into the reporting zone first."""
    if isinstance(value, datetime):
        value = value.astimezone(settings.REPORTING_ZONE).date()
    return wording.day(value)


@register.filter
def day_short(value: date | None) -> str:
    """{{ date|day_short }} '22 Nov'."""
    if isinstance(value, datetime):
        value = value.astimezone(settings.REPORTING_ZONE).date()
    return wording.day_short(value)


@register.filter
def month(value: date | None) -> str:
    """{{ date|month }} 'October 2026'."""
    return wording.month(value)


@register.filter
def moment(value: datetime | None) -> str:
    """{{ at|moment }} '22 Nov 2026, 14:00 CET' in the reporting zone."""
    return wording.moment(value, settings.REPORTING_ZONE)


@register.filter
def moment_utc(value: datetime | str | None) -> str:
    """{{ at|moment_utc }} '22 Nov 2026, 13:00 UTC', for freshness and hours; a frozen document has it as ISO text."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return wording.moment(value)


@register.filter
def ago(value: datetime | None) -> str:
    """{{ at|ago }} '4 seconds ago'; None is 'never'."""
    return gettext("never") if value is None else wording.ago(value, timezone.now())


@register.filter
def plural(amount: int, words: str) -> str:
    """{{ n|plural:"day" }} '3 days'; {{ n|plural:"entry,entries" }} '1 entry'."""
    one, _, many = words.partition(",")
    return wording.plural(amount, one, many)


@register.filter
def or_dash(value: object) -> object:
    """{{ text|or_dash }}: an empty cell gets a dash."""
    return wording.DASH if value is None or value == "" else value
