"""How figures, days and missing things are written, on pages, in mails and in API sentences alike.

Pure: no Django, no clock, no settings. Unknown (`None`) is never written as zero: each kind of missing has its word.
"""

from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal

MINUS = "\u2212"
DASH = "\u2013"
NBSP = "\u00a0"

NO_DATA = "no data"
NOT_PRICED = "not priced"
NOT_DUE = "not due"
TOO_LITTLE_DATA = "too little data"

# Steps of a thousand. Latency and shares are never scaled; money and counts are.
SCALES = ((Decimal(10) ** 12, "T"), (Decimal(10) ** 9, "G"), (Decimal(10) ** 6, "M"), (Decimal(10) ** 3, "k"))
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LONG_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

Number = Decimal | int | float


def exact(value: Number) -> Decimal:
    """The value as a Decimal; a float by its shortest text, so that 0.1 stays 0.1."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


def decimals(value: Number | None, places: int = 0, *, missing: str = NO_DATA) -> str:
    """'1,234.5' with `places` decimals, U+2212 for minus."""
    if value is None or not exact(value).is_finite():
        return missing
    rounded = exact(value).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)
    text = f"{abs(rounded):,.{places}f}"
    return f"{MINUS}{text}" if rounded < 0 else text


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


def number(value: Number | None, *, missing: str = NO_DATA) -> str:
    """The value with as many digits as a reader needs: three or four significant ones; zero is '0'."""
    if value is None:
        return missing
    amount = exact(value)
    is_whole = amount.is_finite() and amount == amount.to_integral() and abs(amount) >= 10
    return decimals(amount, 0 if is_whole or not amount.is_finite() else places_for(amount), missing=missing)


def count(value: Number | None, *, missing: str = NO_DATA) -> str:
    """A whole number, every digit: '12,408'."""
    return decimals(value, 0, missing=missing)


def signed(value: Number | None, *, missing: str = NO_DATA) -> str:
    """'+4.6', '−2.1', '0'."""
    if value is None:
        return missing
    return f"+{number(value)}" if value > 0 else number(value)


def signed_exact(amount: Number | None, *, missing: str = NO_DATA) -> str:
    """'+4.15', '−2.10': an amount with its sign, to the cent."""
    if amount is None:
        return missing
    rounded = exact(amount).quantize(Decimal("0.01"))
    text = f"{abs(rounded):,.2f}"
    return f"+{text}" if rounded > 0 else f"{MINUS}{text}" if rounded < 0 else text


def scaled(value: Number) -> tuple[str, str]:
    """Digits and scale letter apart: 498300 -> ('498.3', 'k'); 41200000 -> ('41.2', 'M'); 812 -> ('812', '')."""
    size = abs(exact(value))
    for step, letter in SCALES:
        # 999,960 would read '1,000.0 k': it is a million for the reader.
        if size >= step * Decimal("0.99995") and (letter != "k" or size >= 1000):
            return number(exact(value) / step), letter
    return number(value), ""


def short(value: Number | None, *, missing: str = NO_DATA) -> str:
    """'41.2 M', '12.4 k', '812'."""
    if value is None:
        return missing
    digits, letter = scaled(value)
    return f"{digits}{NBSP}{letter}" if letter else digits


def money(amount: Number | None, currency: str, *, missing: str = NO_DATA) -> str:
    """'498.3 k EUR', '12.40 EUR', '0 EUR'; a tiny amount keeps its significant digits: '0.0031 EUR'."""
    if amount is None:
        return missing
    digits, letter = scaled(amount)
    if not letter and abs(exact(amount)) >= 1:
        digits = decimals(amount, 2)
    return NBSP.join(part for part in (digits, letter, currency) if part)


def money_exact(amount: Number | None, currency: str, *, missing: str = NO_DATA) -> str:
    """'498,312.40 EUR': every digit to the cent; under a cent as many as it takes."""
    if amount is None:
        return missing
    tiny = exact(amount) != 0 and abs(exact(amount)) < Decimal("0.01")
    return f"{number(amount) if tiny else decimals(amount, 2)}{NBSP}{currency}"


def percent(ratio: Number | None, *, places: int | None = None, missing: str = NO_DATA) -> str:
    """A ratio as '3.1%': one decimal under 10, none above, unless `places` says so."""
    if ratio is None:
        return missing
    value = exact(ratio) * 100
    if places is None:
        places = 1 if 0 < abs(value) < 10 else 0
        if value != 0 and abs(value) < Decimal("0.05"):
            return f"{MINUS if value < 0 else ''}under 0.1%"
    return f"{decimals(value, places)}%"


def duration_ms(milliseconds: Number | None, *, missing: str = NO_DATA) -> str:
    """'320 ms', '1.84 s', '2.4 min', '3.5 h'."""
    if milliseconds is None:
        return missing
    value = exact(milliseconds)
    for limit, divisor, unit in ((1000, 1, "ms"), (120_000, 1000, "s"), (7_200_000, 60_000, "min")):
        if abs(value) < limit:
            return f"{number(value / divisor)}{NBSP}{unit}"
    return f"{number(value / 3_600_000)}{NBSP}h"


def day(value: date | None, *, missing: str = DASH) -> str:
    """'22 Nov 2026'."""
    return missing if value is None else f"{value.day}{NBSP}{MONTHS[value.month - 1]}{NBSP}{value.year}"


def day_short(value: date | None, *, missing: str = DASH) -> str:
    """'22 Nov', where the year is plain from what stands beside it."""
    return missing if value is None else f"{value.day}{NBSP}{MONTHS[value.month - 1]}"


def month(value: date | None, *, missing: str = DASH) -> str:
    """'October 2026'."""
    return missing if value is None else f"{LONG_MONTHS[value.month - 1]} {value.year}"


def days(start: date, end: date) -> str:
    """Two days, both included: '1 Apr to 21 Nov 2026', '25 Dec 2026 to 3 Jan 2027'."""
    if start == end:
        return day(start)
    return f"{day_short(start) if start.year == end.year else day(start)} to {day(end)}"


def moment(value: datetime | None, zone: tzinfo = UTC, *, missing: str = DASH) -> str:
    """'22 Nov 2026, 14:00 UTC', in the zone given, which is named."""
    if value is None:
        return missing
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
    for limit, step, unit in (
        (timedelta(minutes=2), timedelta(seconds=1), "second"),
        (timedelta(hours=2), timedelta(minutes=1), "minute"),
        (timedelta(days=2), timedelta(hours=1), "hour"),
    ):
        if size < limit:
            text = plural(int(size / step), unit)
            break
    else:
        text = plural(size.days, "day")
    return f"{text} ago" if distance >= timedelta(0) else f"in {text}"


def plural(amount: int, one: str, many: str = "") -> str:
    """'1 day', '3 days', '0 days'."""
    return f"{count(amount)} {one if amount == 1 else many or one + 's'}"
