"""Rows of a plain CSV as charges, by what a person said that its columns mean; and a guess to begin with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from metrics.errors import RuleViolation
from metrics.importer import Charge, ChargeKey, LabelSieve, Layout, Limits, Row, RowRejected
from metrics.imports import cells
from metrics.words import N_

# Field, what people call it, and how its column is usually called.
FIELDS: tuple[tuple[str, str, str], ...] = (
    (
        "time",
        N_("Day, hour or month"),
        r"^(date|day|time(stamp)?|usage[ _]?date|month|period|start.*|hour|datum|.*date.*)$",
    ),
    (
        "amount",
        N_("Amount"),
        r"^(amount|cost|spend|price|total([ _](cost|amount))?|betrag|kosten|.*cost.*|.*amount.*)$",
    ),
    ("currency", N_("Currency"), r"^(currency([ _]?code)?|cur|ccy|w(ä|ae)hrung)$"),
    ("model", N_("Model"), r"^(model([ _]?(name|id))?|modell)$"),
    ("provider", N_("Provider"), r"^(provider([ _]?name)?|vendor|supplier|anbieter)$"),
    (
        "project",
        N_("Project"),
        r"^(project([ _]?(name|id))?|workspace([ _]?name)?|account|team|cost[ _]?cent(er|re)|projekt)$",
    ),
    (
        "input_tokens",
        N_("Input tokens, cached ones included"),
        r"^((input|prompt)[ _]?tokens?([ _]total)?|tokens?[ _]in(put)?)$",
    ),
    ("cached_input_tokens", N_("Of these, cached tokens"), r"^(cached?|cache[ _]read)[ _](input[ _])?tokens?$"),
    ("output_tokens", N_("Output tokens"), r"^((output|completion|generated)[ _]?tokens?|tokens?[ _]out(put)?)$"),
    ("requests", N_("Requests"), r"^(n[ _]?)?(requests?|calls?|request[ _]count|api[ _]calls)$"),
)
NEEDED = ("time", "amount")
DATE_ORDERS = {"ymd": "2026-10-31", "dmy": "31.10.2026 or 31/10/2026", "mdy": "10/31/2026"}
DECIMAL_MARKS = {".": "1,234.56", ",": "1.234,56"}
_DATE = re.compile(
    r"^(\d{1,4})[./-](\d{1,2})(?:[./-](\d{1,4}))?(?:[ T,]+(\d{1,2}):(\d{2})(?::\d{2}(?:\.\d+)?)?\s*([ap]m)?)?$", re.I
)
_MONEY_SIGNS = str.maketrans("", "", "$€£¥'’  ")


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """What a person said. `columns`: field to column. `currency` and `provider` stand where no column says them."""

    columns: Mapping[str, str] = field(default_factory=dict)
    currency: str = ""
    provider: str = ""
    date_order: str = "ymd"
    decimal_mark: str = "."

    @classmethod
    def of(cls, given: Mapping[str, Any], known: Sequence[str]) -> ColumnMapping:
        """Return the mapping in `given`, checked against the file's columns. Raises RuleViolation."""
        names = {name for name, _, _ in FIELDS}
        if not isinstance(given, Mapping):
            raise RuleViolation("not_a_mapping", 'The mapping is an object: {"columns": {...}}.', "mapping")
        told = given.get("columns") or {}
        if not isinstance(told, Mapping):
            raise RuleViolation("not_a_mapping", "columns: an object of field and column name.", "columns")
        columns = {str(name): str(column) for name, column in told.items() if column}
        for name, column in columns.items():
            if name not in names:
                raise RuleViolation("unknown_field", f"There is no field '{name[:40]}'.", "columns")
            if column not in known:
                raise RuleViolation("unknown_column", f"The file has no column '{column[:60]}'.", name)
        for name in NEEDED:
            if name not in columns:
                label = next(label for one, label, _ in FIELDS if one == name)
                raise RuleViolation("required", f"Say which column holds this: {label.lower()}.", name)
        currency = str(given.get("currency") or "").strip().upper()
        if "currency" not in columns:
            if not currency:
                raise RuleViolation("required", "Say the currency, or which column holds it.", "currency_code")
            try:
                cells.currency(currency, "Currency")
            except RowRejected as problem:
                raise RuleViolation(problem.code, problem.detail, "currency_code") from None
        order, mark = str(given.get("date_order") or "ymd"), str(given.get("decimal_mark") or ".")
        if order not in DATE_ORDERS:
            raise RuleViolation("unknown_choice", f"date_order: one of {', '.join(DATE_ORDERS)}.", "date_order")
        if mark not in DECIMAL_MARKS:
            raise RuleViolation("unknown_choice", "decimal_mark: a point or a comma.", "decimal_mark")
        provider = " ".join(str(given.get("provider") or "").replace("\0", " ").split()).lower()[:60]
        provider = provider.encode("utf-8", "replace").decode()
        return cls(columns, currency, provider, order, mark)

    def as_json(self) -> dict[str, Any]:
        return {
            "columns": dict(self.columns),
            "currency": self.currency,
            "provider": self.provider,
            "date_order": self.date_order,
            "decimal_mark": self.decimal_mark,
        }


def guess(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return a mapping to begin with: what was said the last time as far as it fits, else what the names suggest."""
    found: dict[str, str] = {}
    kept = before or {}
    for name, column in (kept.get("columns") or {}).items():
        if column in columns:
            found[name] = column
    for name, _, pattern in FIELDS:
        if name in found or kept:
            continue
        for column in columns:
            if column not in found.values() and re.match(pattern, column.strip(), re.I):
                found[name] = column
                break
    taken = list(rows)
    return {
        "columns": found,
        "currency": kept.get("currency") or _currency_in(columns),
        "provider": kept.get("provider") or "",
        "date_order": kept.get("date_order") or _date_order(_column(columns, taken, found.get("time"))),
        "decimal_mark": kept.get("decimal_mark") or _decimal_mark(_column(columns, taken, found.get("amount"))),
    }


def _column(columns: Sequence[str], rows: Sequence[Sequence[Any]], name: str | None) -> list[str]:
    if name is None:
        return []
    place = columns.index(name)
    return [str(row[place]).strip() for row in rows if place < len(row) and row[place] is not None]


def _currency_in(columns: Sequence[str]) -> str:
    """A currency that a header names, as 'Cost (USD)' does."""
    for column in columns:
        for word in re.findall(r"\b[A-Z]{3}\b", column):
            if word in cells.CURRENCIES:
                return str(word)
    return ""


def _date_order(values: Sequence[str]) -> str:
    orders = set()
    for value in values:
        match = _DATE.match(value)
        if match is None or len(match[1]) > 2:
            continue
        if int(match[1]) > 12:
            orders.add("dmy")
        elif int(match[2]) > 12:
            orders.add("mdy")
        else:
            orders.add("dmy" if "." in value else "mdy")
    return "ymd" if not orders else "dmy" if "dmy" in orders else "mdy"


def _decimal_mark(values: Sequence[str]) -> str:
    commas = sum(1 for value in values if re.search(r",\d{1,2}$|,\d{4,}$", value) or re.search(r"\.\d{3},", value))
    return "," if commas * 2 > len(values) and commas else "."


@dataclass(slots=True)
class MappedLayout(Layout):
    """A plain file. Its billing periods are the days that it names: a newer file replaces those, and no others."""

    mapping: ColumnMapping = field(default_factory=ColumnMapping)
    _places: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, mapping: ColumnMapping, limits: Limits, keep_labels: LabelSieve) -> MappedLayout:
        names = tuple(dict.fromkeys(mapping.columns.values()))
        return cls(
            limits=limits,
            keep_labels=keep_labels,
            names=names,
            title="Your mapping",
            mapping=mapping,
            _places={name: names.index(column) for name, column in mapping.columns.items()},
        )

    def charge(self, row: Row) -> Charge:
        said = self.mapping
        start, end = period(row[self._places["time"]], said.columns["time"], said.date_order)
        cells.check_window(start, self.limits.oldest, self.limits.newest, said.columns["time"])
        amount = self._number(row, "amount")
        if amount is None:
            raise RowRejected("amount_missing", f"{said.columns['amount']} is empty.")
        if abs(amount) >= Decimal(10) ** 12:
            raise RowRejected("out_of_range", f"{said.columns['amount']}: not between -10^12 and 10^12.")
        currency = self._cell(row, "currency")
        counts = tuple(self._count(row, name) for name in _COUNTED)
        project = cells.text(self._cell(row, "project"), 200)
        day_start = start.replace(hour=0)
        key = ChargeKey(
            account="",
            account_name="",
            period_start=day_start,
            period_end=max(end, day_start + timedelta(days=1)),
            start=start,
            end=end,
            provider=cells.text(self._cell(row, "provider"), 60).lower() or said.provider or "unknown",
            model=cells.text(self._cell(row, "model"), 200),
            service="",
            service_category="",
            service_tier="standard",
            labels=self.keep_labels({"project": project}) if project else (),
            category="Usage",
            is_correction=False,
            currency=cells.currency(currency, said.columns["currency"])
            if "currency" in said.columns
            else said.currency,
        )
        return Charge(key, amount, None, None if all(count is None for count in counts) else counts)

    def _cell(self, row: Row, name: str) -> Any:
        place = self._places.get(name)
        return None if place is None else row[place]

    def _number(self, row: Row, name: str) -> Decimal | None:
        value = self._cell(row, name)
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        found = written_number(value, self.mapping.decimal_mark)
        if found is None:
            column = self.mapping.columns[name]
            raise RowRejected(
                "not_a_number",
                f"{column}: '{cells.shown(value)}' is not a number such as {DECIMAL_MARKS[self.mapping.decimal_mark]}.",
            )
        return found

    def _count(self, row: Row, name: str) -> Decimal | None:
        found = self._number(row, name)
        if found is not None and abs(found) > Decimal(10) ** 15:
            raise RowRejected("out_of_range", f"{self.mapping.columns[name]}: '{cells.shown(found)}' is too large.")
        return found


_COUNTED = ("input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens", "requests")


def written_number(value: Any, decimal_mark: str) -> Decimal | None:
    """A number as people write it: thousands set apart, a currency sign, brackets for a negative one."""
    if not isinstance(value, str):
        return cells.number(value)
    text = value.strip().translate(_MONEY_SIGNS)
    is_negative = text.startswith("(") and text.endswith(")")
    if is_negative:
        text = text[1:-1]
    other = "," if decimal_mark == "." else "."
    if other in text:
        head, *groups = text.partition(decimal_mark)[0].split(other)
        if not head.lstrip("-+").isdigit() or not all(len(group) == 3 and group.isdigit() for group in groups):
            return None
        if other in text.partition(decimal_mark)[2]:
            return None
        text = text.replace(other, "")
    found = cells.number(text.replace(decimal_mark, "."))
    return -found if found is not None and is_negative else found


@lru_cache(maxsize=20_000)
def period(value: Any, column: str, date_order: str) -> tuple[datetime, datetime]:
    """The hour, day or month that a cell names, as a half-open UTC window. Raises RowRejected."""
    if not isinstance(value, str):
        start = cells.moment(value, column)
        is_day = not (start.hour or start.minute) and not isinstance(value, datetime)
        return (start, start + timedelta(days=1)) if is_day else _hour(start)
    text = value.strip()
    if re.fullmatch(r"\d{4}-\d{2}", text):
        return _month(int(text[:4]), int(text[5:]), column, text)
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        start = cells.moment(text, column)
        return start, start + timedelta(days=1)
    if re.match(r"\d{4}-\d{2}-\d{2}[T ]", text):
        start = cells.moment(text, column)
        # Exports write a day as its midnight.
        is_day = not (start.hour or start.minute or start.second)
        return (start, start + timedelta(days=1)) if is_day else _hour(start)
    return _written(text, column, date_order)


def _written(text: str, column: str, date_order: str) -> tuple[datetime, datetime]:
    match = _DATE.match(text)
    problem = RowRejected(
        "not_a_time", f"{column}: '{cells.shown(text)}' is not a day such as {DATE_ORDERS[date_order]}."
    )
    if match is None:
        raise problem
    first, second, third = match[1], match[2], match[3]
    if third is None:
        # A month: 10/2026 is read as 1/10/2026 would be.
        raise problem
    if len(first) == 4:
        year, month, day = first, second, third
    elif date_order == "mdy":
        month, day, year = first, second, third
    elif date_order == "dmy":
        day, month, year = first, second, third
    else:
        raise problem
    try:
        start = datetime(int(year) + (2000 if len(year) == 2 else 0), int(month), int(day), tzinfo=UTC)
    except ValueError:
        raise problem from None
    if match[4] is None:
        return start, start + timedelta(days=1)
    hour = int(match[4]) % 12 + (12 if match[6].lower() == "pm" else 0) if match[6] else int(match[4])
    if hour > 23:
        raise problem
    return (start, start + timedelta(days=1)) if not hour and match[5] == "00" else _hour(start.replace(hour=hour))


def _hour(start: datetime) -> tuple[datetime, datetime]:
    hour = start.replace(minute=0, second=0, microsecond=0)
    return hour, hour + timedelta(hours=1)


def _month(year: int, month: int, column: str, text: str) -> tuple[datetime, datetime]:
    try:
        start = datetime(year, month, 1, tzinfo=UTC)
    except ValueError:
        raise RowRejected("not_a_time", f"{column}: '{cells.shown(text)}' is not a month.") from None
    return start, (start + timedelta(days=32)).replace(day=1)
