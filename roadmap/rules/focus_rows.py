"""Spend as rows of FOCUS 1.2: which column says what. Pure.

A row is one source, model, workload, phase, team and basis in one charge period. Its cost stands in all four cost
columns: `x_Basis` says whether it was billed, estimated or entered by hand. Own columns begin with 'x_'.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from metrics.focus import AI_CATEGORY, AI_SUBCATEGORY, CHARGE_CATEGORIES, COLUMNS_1_2, TIME_FORMAT
from roadmap.rules import spending
from roadmap.rules.spending import Member
from web.spreadsheets import Value

MILLION = Decimal(1_000_000)
OWN_COLUMNS = ("x_Basis", "x_Category", "x_Requests", "x_Tokens")
COLUMNS = (*COLUMNS_1_2, *OWN_COLUMNS)
_PLACE = {name: place for place, name in enumerate(COLUMNS)}


@dataclass(frozen=True, slots=True)
class FocusLine:
    """What a row says. Times are UTC; `tokens` and `requests` None: unknown, or nothing was used."""

    amount: Decimal
    currency: str
    month_start: datetime
    month_end: datetime
    start: datetime
    end: datetime
    category: Member
    basis: Member
    charge_category: str
    roadmap: Member
    phase: Member
    team: Member
    provider: Member
    backend: Member
    model: Member
    tokens: Decimal | int | None = None
    requests: Decimal | int | None = None


def focus_row(line: FocusLine) -> list[Value]:
    """The cells in the order of COLUMNS; None is null, an empty cell."""
    is_entered = line.basis is spending.ENTERED_BASIS
    issuer = line.roadmap.name if is_entered else line.provider.name
    account = line.roadmap if is_entered else line.backend
    quantity, unit, priced, pricing_unit = _quantity(line)
    is_used = line.category is spending.USAGE and not line.model.is_special
    cells: dict[str, Value] = {
        "BilledCost": line.amount,
        "EffectiveCost": line.amount,
        "ListCost": line.amount,
        "ContractedCost": line.amount,
        "BillingAccountId": account.id,
        "BillingAccountName": account.name,
        "BillingCurrency": line.currency,
        "BillingPeriodStart": line.month_start.strftime(TIME_FORMAT),
        "BillingPeriodEnd": line.month_end.strftime(TIME_FORMAT),
        "ChargePeriodStart": line.start.strftime(TIME_FORMAT),
        "ChargePeriodEnd": line.end.strftime(TIME_FORMAT),
        "ChargeCategory": _charge_category(line),
        "ChargeDescription": _description(line),
        "ChargeFrequency": "One-Time" if is_entered else "Usage-Based",
        "InvoiceIssuerName": issuer,
        "ProviderName": issuer,
        "PublisherName": issuer,
        "PricingQuantity": priced,
        "PricingUnit": pricing_unit,
        "ConsumedQuantity": quantity,
        "ConsumedUnit": unit,
        "ServiceCategory": "Other" if is_entered else AI_CATEGORY,
        "ServiceSubcategory": "Other (Other)" if is_entered else AI_SUBCATEGORY,
        "ServiceName": line.category.name if is_entered else line.backend.name,
        "ResourceId": line.model.id if is_used else None,
        "ResourceName": line.model.name if is_used else None,
        "SkuId": line.model.id if is_used else None,
        "SkuMeter": unit if is_used else None,
        "Tags": json.dumps(_tags(line), sort_keys=True, ensure_ascii=False),
        "x_Basis": line.basis.id,
        "x_Category": line.category.id,
        "x_Requests": line.requests,
        "x_Tokens": line.tokens,
    }
    row: list[Value] = [None] * len(COLUMNS)
    for name, value in cells.items():
        row[_PLACE[name]] = value
    return row


def _charge_category(line: FocusLine) -> str:
    if line.basis is spending.ENTERED_BASIS:
        return "Purchase"
    return line.charge_category if line.charge_category in CHARGE_CATEGORIES else "Usage"


def _description(line: FocusLine) -> str:
    what = line.model.name if line.category is spending.USAGE else line.category.name
    where = line.roadmap.name if line.basis is spending.ENTERED_BASIS else line.backend.name
    return f"{what}, {where}, {line.basis.name.lower()}"


def _quantity(line: FocusLine) -> tuple[Value, str | None, Value, str | None]:
    """Consumed quantity and unit, priced quantity and unit. A correction of money alone consumed nothing."""
    if line.category is not spending.USAGE:
        return None, None, Decimal(1), "Charges"
    if line.tokens is not None:
        return line.tokens, "Tokens", Decimal(line.tokens) / MILLION, "1000000 Tokens"
    if line.requests is not None:
        return line.requests, "Requests", line.requests, "Requests"
    return None, None, Decimal(1), "Charges"


def _tags(line: FocusLine) -> dict[str, str]:
    named = {"roadmap": line.roadmap, "phase": line.phase, "team": line.team}
    return {name: found.id for name, found in named.items() if not found.is_special}
