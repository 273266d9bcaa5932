"""Charges added up while a billing file is read, and written as rows: a bounded number in memory at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any

from django.db import connection

from metrics.importer import COUNTS, Charge, ChargeKey
from metrics.models import BillingImport

# Charges held in memory before they are written.
MOST_HELD = 20_000
# billed, effective, the counts, rows.
_SUMS = ("billed", "effective", *COUNTS, "rows")
_PLAIN = ("provider", "model", "service", "service_category", "service_tier", "category", "currency")


class ChargeFold:
    """Adds charges up by key, and writes them to the import's rows: what is there already is added to."""

    def __init__(self, one: BillingImport) -> None:
        self.one = one
        self._held: dict[ChargeKey, list[Any]] = {}
        self._periods: dict[tuple[str, datetime, datetime], int] = {}

    def add(self, charge: Charge) -> None:
        """Add one row's charge."""
        sums = self._held.get(charge.key)
        if sums is None:
            self._held[charge.key] = [charge.billed, charge.effective, *(charge.counts or (None,) * len(COUNTS)), 1]
            if len(self._held) >= MOST_HELD:
                self.write()
            return
        sums[0] += charge.billed
        if charge.effective is not None:
            sums[1] = charge.effective if sums[1] is None else sums[1] + charge.effective
        if charge.counts is not None:
            for place, count in enumerate(charge.counts, start=2):
                if count is not None:
                    sums[place] = count if sums[place] is None else sums[place] + count
        sums[-1] += 1

    def write(self) -> None:
        """Write what is held, and let go of it."""
        if not self._held:
            return
        self._find_periods()
        columns: dict[str, list[Any]] = {name: [] for name in ("period", "digest", "start", "end", *_PLAIN, *_SUMS)}
        columns |= {"labels": [], "is_correction": []}
        for key, sums in self._held.items():
            columns["period"].append(self._periods[key.account, key.period_start, key.period_end])
            columns["digest"].append(_digest(key))
            columns["start"].append(key.start)
            columns["end"].append(key.end)
            columns["labels"].append(json.dumps(dict(key.labels)))
            columns["is_correction"].append(key.is_correction)
            for name in _PLAIN:
                columns[name].append(getattr(key, name))
            for name, value in zip(_SUMS, sums, strict=True):
                columns[name].append(value)
        self._held.clear()
        _insert(columns)

    def _find_periods(self) -> None:
        wanted: Mapping[tuple[str, datetime, datetime], str] = {
            (key.account, key.period_start, key.period_end): key.account_name for key in self._held
        }
        missing = {period: name for period, name in wanted.items() if period not in self._periods}
        if not missing:
            return
        with connection.cursor() as cursor:
            cursor.execute(
                'INSERT INTO metrics_importperiod (billing_import_id, account, account_name, start, "end") '
                "SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[]) "
                "ON CONFLICT DO NOTHING",
                [
                    self.one.pk,
                    [account for account, _, _ in missing],
                    list(missing.values()),
                    [start for _, start, _ in missing],
                    [end for _, _, end in missing],
                ],
            )
            cursor.execute(
                'SELECT account, start, "end", id FROM metrics_importperiod WHERE billing_import_id = %s', [self.one.pk]
            )
            self._periods = {(account, start, end): pk for account, start, end, pk in cursor.fetchall()}


def _digest(key: ChargeKey) -> bytes:
    told = json.dumps(
        [
            key.start.isoformat(),
            key.end.isoformat(),
            *(getattr(key, name) for name in _PLAIN),
            key.labels,
            key.is_correction,
        ]
    )
    return blake2b(told.encode(), digest_size=16).digest()


_TYPES = {
    "period": "bigint",
    "digest": "bytea",
    "start": "timestamptz",
    "end": "timestamptz",
    "labels": "jsonb",
    "is_correction": "boolean",
    "rows": "bigint",
    **dict.fromkeys(_PLAIN, "text"),
    **dict.fromkeys(("billed", "effective", *COUNTS), "numeric"),
}


def _insert(columns: Mapping[str, list[Any]]) -> None:
    names = [f'"{"period_id" if name == "period" else name}"' for name in columns]
    added = ", ".join(
        f"{name} = CASE WHEN c.{name} IS NULL THEN excluded.{name} WHEN excluded.{name} IS NULL THEN c.{name} "
        f"ELSE c.{name} + excluded.{name} END"
        for name in _SUMS
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO metrics_importedcharge AS c ({', '.join(names)}) "
            f"SELECT * FROM unnest({', '.join(f'%s::{_TYPES[name]}[]' for name in columns)}) "
            f"ON CONFLICT (period_id, digest) DO UPDATE SET {added}",
            [_sent(name, values) for name, values in columns.items()],
        )


def _sent(name: str, values: list[Any]) -> Any:
    if _TYPES[name] == "numeric":
        # As text: the adapter of Decimal writes exponents, and an array of None alone has no type.
        return "{" + ",".join("NULL" if value is None else format(value, "f") for value in values) + "}"
    return values
