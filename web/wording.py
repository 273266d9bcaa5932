"""How figures, days and missing things are written, on pages, in mails and in API sentences alike.

In Django's active language: '1,234.5' and '22 Nov 2026' in English, '1.234,5' and '22 nov 2026' in Dutch. Pure else: no
clock, no settings. Unknown (`None`) is never written as zero: each kind of missing has its word.
"""

from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal

from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy, ngettext

from web.local_forms import local_forms

MINUS = "\u2212"
DASH = "\u2013"
NBSP = "\u00a0"

# Said in the language of the moment they are written in: `str(NO_DATA)` where a text is needed.
NO_DATA = gettext_lazy("no data")
NOT_PRICED = gettext_lazy("not priced")
NOT_DUE = gettext_lazy("not due")
TOO_LITTLE_DATA = gettext_lazy("too little data")

# Steps of a thousand. Latency and shares are never scaled; money and counts are.
SCALES = ((Decimal(10) ** 12, "T"), (Decimal(10) ** 9, "G"), (Decimal(10) ** 6, "M"), (Decimal(10) ** 3, "k"))

Words = str | Promise
# For a text put together: bin/messages finds its words where they are given.
_known_plural = ngettext
Number = Decimal | int | float


def exact(value: Number) -> Decimal:
    """The value as a Decimal; a float by its shortest text, so that 0.1 stays 0.1."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


def decimals(value: Number | None, places: int = 0, *, missing: Words = NO_DATA) -> str:
    """'1,234.5' with `places` decimals, U+2212 for minus."""
    if value is None or not exact(value).is_finite():
        return str(missing)
    rounded = exact(value).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)
    text = _local(f"{abs(rounded):,.{places}f}")
    return f"{MINUS}{text}" if rounded < 0 else text


def _local(text: str) -> str:
    """What Python writes as '1,234.5' with the separators of the active language."""
    separators = local_forms().separators
    return text if separators is None else text.translate(separators)


def places_for(value: Number) -> int:
    """Decimals that leave three or four significant digits: 4,012; 318.4; 14.0; 3.18; 0.0031."""
    size = abs(exact(value))
    if size == 0 or size >= 1000:
        return 0
    if size >= 10:
        return 1
    if size >= Decimal("0.1"):
        return 2
    return min(8, 1 - size.adjusted())


def number(value: Number | None, *, missing: Words = NO_DATA) -> str:
    """The value with as many digits as a reader needs: three or four significant ones; zero is '0'."""
    if value is None:
        return str(missing)
    amount = exact(value)
    is_whole = amount.is_finite() and amount == amount.to_integral() and abs(amount) >= 10
    return decimals(amount, 0 if is_whole or not amount.is_finite() else places_for(amount), missing=missing)


def count(value: Number | None, *, missing: Words = NO_DATA) -> str:
    """A whole number, every digit: '12,408'."""
    return decimals(value, 0, missing=missing)


def signed(value: Number | None, *, missing: Words = NO_DATA) -> str:
    """'+4.6', '−2.1', '0'."""
    if value is None:
        return str(missing)
    return f"+{number(value)}" if value > 0 else number(value)


def signed_exact(amount: Number | None, *, missing: Words = NO_DATA) -> str:
    """'+4.15', '−2.10': an amount with its sign, to the cent."""
    if amount is None:
        return str(missing)
    rounded = exact(amount).quantize(Decimal("0.01"))
    text = _local(f"{abs(rounded):,.2f}")
    return f"+{text}" if rounded > 0 else f"{MINUS}{text}" if rounded < 0 else text


def scaled(value: Number) -> tuple[str, str]:
    """Digits and scale letter apart: 498300 -> ('498.3', 'k'); 41200000 -> ('41.2', 'M'); 812 -> ('812', '')."""
    size = abs(exact(value))
    for step, letter in SCALES:
        # 999,960 would read '1,000.0 k': it is a million for the reader.
        if size >= step * Decimal("0.99995") and (letter != "k" or size >= 1000):
            return number(exact(value) / step), letter
    return number(value), ""


def scaled_money(amount: Number) -> tuple[str, str]:
    """The same of an amount, which has its cents where it is not scaled: 42.5 -> ('42.50', '')."""
    digits, letter = scaled(amount)
    return (digits if letter or abs(exact(amount)) < 1 else decimals(amount, 2)), letter


def short(value: Number | None, *, missing: Words = NO_DATA) -> str:
    """'41.2 M', '12.4 k', '812'."""
    if value is None:
        return str(missing)
    digits, letter = scaled(value)
    return f"{digits}{NBSP}{letter}" if letter else digits


def money(amount: Number | None, currency: str, *, missing: Words = NO_DATA) -> str:
    """'498.3 k EUR', '12.40 EUR', '0 EUR'; a tiny amount keeps its significant digits: '0.0031 EUR'."""
    if amount is None:
        return str(missing)
    digits, letter = scaled_money(amount)
    return NBSP.join(part for part in (digits, letter, currency) if part)


def band(low: Number | None, high: Number | None, currency: str = "") -> dict[str, str] | None:
    """The ends of a forecast's band as `low` and `high`, as `money` or `short` writes them; None without a band.

    One whose ends are written alike is as wide as nothing and says nothing: None too.
    """
    if low is None or high is None:
        return None
    ends = {name: money(end, currency) if currency else short(end) for name, end in (("low", low), ("high", high))}
    return ends if ends["low"] != ends["high"] else None


def money_exact(amount: Number | None, currency: str, *, missing: Words = NO_DATA) -> str:
    """'498,312.40 EUR': every digit to the cent; under a cent as many as it takes."""
    if amount is None:
        return str(missing)
    tiny = exact(amount) != 0 and abs(exact(amount)) < Decimal("0.01")
    return f"{number(amount) if tiny else decimals(amount, 2)}{NBSP}{currency}"


def percent(ratio: Number | None, *, places: int | None = None, missing: Words = NO_DATA) -> str:
    """A ratio as '3.1%': one decimal under 10, none above, unless `places` says so."""
    if ratio is None:
        return str(missing)
    value = exact(ratio) * 100
    if places is None:
        places = 1 if 0 < abs(value) < 10 else 0
        if value != 0 and abs(value) < Decimal("0.05"):
            text = gettext("under %(share)s") % {"share": f"{decimals(Decimal('0.1'), 1)}{local_forms().percent}"}
            return f"{MINUS}{text}" if value < 0 else text
    return f"{decimals(value, places)}{local_forms().percent}"


def share(part: Number | None, *, missing: Words = NO_DATA) -> str:
    """A part of a whole as '91%'; one that is nearly all of it is 'over 99%': '100%' would be the whole."""
    if part is not None and Decimal("0.995") <= exact(part) < 1:
        return gettext("over %(low)s") % {"low": percent(Decimal("0.99"))}
    return percent(part, missing=missing)


def duration_ms(milliseconds: Number | None, *, missing: Words = NO_DATA) -> str:
    """'320 ms', '1.84 s', '2.4 min', '3.5 h'."""
    if milliseconds is None:
        return str(missing)
    value = exact(milliseconds)
    for limit, divisor, unit in ((1000, 1, "ms"), (120_000, 1000, "s"), (7_200_000, 60_000, "min")):
        if abs(value) < limit:
            return f"{number(value / divisor)}{NBSP}{unit}"
    return f"{number(value / 3_600_000)}{NBSP}h"


def day(value: date | None, *, missing: Words = DASH) -> str:
    """'22 Nov 2026'."""
    return (
        str(missing) if value is None else f"{value.day}{NBSP}{local_forms().months[value.month - 1]}{NBSP}{value.year}"
    )


def day_short(value: date | None, *, missing: Words = DASH) -> str:
    """'22 Nov', where the year is plain from what stands beside it."""
    return str(missing) if value is None else f"{value.day}{NBSP}{local_forms().months[value.month - 1]}"


def month_name(number: int) -> str:
    """'Nov' for 11."""
    return local_forms().months[number - 1]


def month(value: date | None, *, missing: Words = DASH) -> str:
    """'October 2026'."""
    return str(missing) if value is None else f"{local_forms().long_months[value.month - 1]} {value.year}"


def month_short(value: date | None, *, missing: Words = DASH) -> str:
    """'Nov 2026'."""
    return str(missing) if value is None else f"{month_name(value.month)} {value.year}"


def days(start: date, end: date) -> str:
    """Two days, both included: '1 Apr to 21 Nov 2026', '25 Dec 2026 to 3 Jan 2027'."""
    if start == end:
        return day(start)
    first = day_short(start) if start.year == end.year else day(start)
    return gettext("%(first)s to %(last)s") % {"first": first, "last": day(end)}


def moment(value: datetime | None, zone: tzinfo = UTC, *, missing: Words = DASH) -> str:
    """'22 Nov 2026, 14:00 UTC', in the zone given, which is named."""
    if value is None:
        return str(missing)
    local = value.astimezone(zone)
    return f"{day(local.date())}, {local:%H:%M}{NBSP}{zone_name(local)}"


def zone_name(local: datetime) -> str:
    """'UTC', 'CET', or the offset where the zone has no letters of its own."""
    name = local.tzname() or "UTC"
    return name if name.isalpha() else f"UTC{name}"


def ago(value: datetime, now: datetime) -> str:
    """'4 seconds ago', '3 hours ago', '2 days ago'; in the future 'in 3 days'."""
    distance = now - value
    size = abs(distance)
    if size < timedelta(minutes=2):
        seconds = int(size.total_seconds())
        text = ngettext("%(count)s second", "%(count)s seconds", seconds) % {"count": count(seconds)}
    elif size < timedelta(hours=2):
        minutes = int(size / timedelta(minutes=1))
        text = ngettext("%(count)s minute", "%(count)s minutes", minutes) % {"count": count(minutes)}
    elif size < timedelta(days=2):
        hours = int(size / timedelta(hours=1))
        text = ngettext("%(count)s hour", "%(count)s hours", hours) % {"count": count(hours)}
    else:
        text = ngettext("%(count)s day", "%(count)s days", size.days) % {"count": count(size.days)}
    said = gettext("%(duration)s ago") if distance >= timedelta(0) else gettext("in %(duration)s")
    return said % {"duration": text}


def days_late(days: int) -> str:
    """'96 days late'."""
    return ngettext("%(count)s day late", "%(count)s days late", days) % {"count": count(days)}


def plural(amount: int, one: str, many: str = "") -> str:
    """'1 day', '3 days', '0 days', in Dutch '3 dagen'.

    `one` and `many` are literal English; bin/messages finds them here and in `{{ n|plural:"day" }}`, as the message
    '%(count)s day' with its plural.
    """
    written = many or f"{one}s"
    return _known_plural(f"%(count)s {one}", f"%(count)s {written}", amount) % {"count": count(amount)}
