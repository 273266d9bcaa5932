"""What the sections of schema version 1 share: cells, tones, and what spend is made of."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from roadmap.reports.document import Cell, Json, Tone
from web import wording

TONES: dict[str, Tone] = {"on_track": "green", "at_risk": "amber", "off_track": "red"}


def change(value: Decimal | None, *, missing: wording.Words = wording.NO_DATA) -> Cell:
    return Cell(
        text=wording.signed_exact(value) if value else str(missing) if value is None else wording.DASH, value=value
    )


def amount(value: Decimal | None) -> Cell:
    return Cell(text=wording.decimals(value, 2), value=value)


def day(value: Any) -> Cell:
    return Cell(text=wording.day(value), value=value)


def range_cell(row: Json) -> Cell:
    if row["low"] is not None:
        return Cell(text=f"{wording.number(row['low'])} to {wording.number(row['high'])}")
    return Cell(text=wording.number(row["value"]), value=row["value"])


def parts(value: Json, currency: str) -> str:
    """What spend is made of, in a sentence."""
    if all(value[name] is None or value[name] == 0 for name in ("billed", "estimated", "entered")):
        return "No spend is known."
    billed, estimated, entered = (
        wording.money(value[name], currency, missing="an unknown amount") for name in ("billed", "estimated", "entered")
    )
    not_priced = "none"
    if value.get("not_priced_requests") or value.get("not_priced_tokens"):
        requests, tokens = wording.short(value["not_priced_requests"]), wording.short(value["not_priced_tokens"])
        not_priced = f"{requests} requests, {tokens} tokens"
    tail = f" Not priced: {not_priced}." if "not_priced_requests" in value else ""
    return f"Spend is made of {billed} billed, {estimated} estimated and {entered} entered by hand.{tail}"
