"""FOCUS, the FinOps foundation's format of cost and usage: its columns by version, and which version a header is.

Plain tables, for the import that reads it and the export that writes it. Source: the specification's tag v1.2
(specification/columns) and the workbook of 1.4, both CC BY 4.0. 1.0 has 43 columns, 1.1 50, 1.2 57, 1.3 and 1.4 65.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

AI_CATEGORY = "AI and Machine Learning"
AI_SUBCATEGORY = "Generative AI"
CHARGE_CATEGORIES = ("Usage", "Purchase", "Tax", "Credit", "Adjustment")
CORRECTION = "Correction"
# How the specification writes times: UTC, whole seconds.
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

# Those of 1.2 that every row has to have a column for; the export writes them first.
MANDATORY_1_2 = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodStart",
    "BillingPeriodEnd",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
)
_OTHERS_1_0 = (
    "AvailabilityZone",
    "ChargeFrequency",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedUnitPrice",
    "ListUnitPrice",
    "PricingCategory",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "SkuId",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "Tags",
)
# What each version brought, and what it took away.
_NEW: dict[str, tuple[str, ...]] = {
    "1.1": (
        "CapacityReservationId",
        "CapacityReservationStatus",
        "CommitmentDiscountQuantity",
        "CommitmentDiscountUnit",
        "ServiceSubcategory",
        "SkuMeter",
        "SkuPriceDetails",
    ),
    "1.2": (
        "BillingAccountType",
        "InvoiceId",
        "PricingCurrency",
        "PricingCurrencyContractedUnitPrice",
        "PricingCurrencyEffectiveCost",
        "PricingCurrencyListUnitPrice",
        "SubAccountType",
    ),
    "1.3": (
        "AllocatedMethodDetails",
        "AllocatedMethodId",
        "AllocatedResourceId",
        "AllocatedResourceName",
        "AllocatedTags",
        "ContractApplied",
        "HostProviderName",
        "ServiceProviderName",
    ),
    "1.4": ("CommitmentProgramEligibilityDetails", "InvoiceDetailId"),
}
_GONE: dict[str, tuple[str, ...]] = {"1.4": ("ProviderName", "PublisherName")}


def _by_version() -> dict[str, tuple[str, ...]]:
    columns: tuple[str, ...] = (*MANDATORY_1_2, *_OTHERS_1_0)
    found: dict[str, tuple[str, ...]] = {"1.0": columns}
    for version, new in _NEW.items():
        columns = tuple(name for name in columns if name not in _GONE.get(version, ()))
        columns += new
        found[version] = columns
    return found


# Version to its columns. All columns that are mandatory in 1.2 are in 1.0 as well.
COLUMNS: dict[str, tuple[str, ...]] = _by_version()
COLUMNS_1_2 = COLUMNS["1.2"]
VERSIONS = tuple(COLUMNS)

# What a column is called in other versions; the first that is there counts. 1.3 has both names, the older deprecated.
RENAMED: dict[str, tuple[str, ...]] = {"ServiceProviderName": ("ProviderName", "PublisherName")}

# Without these no row can be counted.
NEEDED = ("BilledCost", "BillingCurrency", "ChargePeriodStart")
# A header with so many of these is meant to be FOCUS, whatever it lacks.
_MARKS = frozenset(
    {
        "BilledCost",
        "EffectiveCost",
        "BillingCurrency",
        "BillingPeriodStart",
        "ChargeCategory",
        "ChargePeriodStart",
        "ChargePeriodEnd",
        "ServiceCategory",
        "ServiceName",
    }
)
_ENOUGH_MARKS = 4


@dataclass(frozen=True, slots=True)
class Header:
    """What a header says. `version`: the newest whose own columns it has. `missing`: of NEEDED, those it lacks."""

    version: str
    missing: tuple[str, ...]
    own_columns: tuple[str, ...]


def header_of(columns: Iterable[str]) -> Header | None:
    """Return which FOCUS a header is, None where it is none. `own_columns` are a vendor's, 'x_' at their head."""
    there = set(columns)
    if len(there & _MARKS) < _ENOUGH_MARKS:
        return None
    version = "1.0"
    for newer, new in _NEW.items():
        if there & set(new):
            version = newer
    if version == "1.3" and "ServiceProviderName" in there and "ProviderName" not in there:
        # 1.4's own two are optional; the names that it took away are not.
        version = "1.4"
    return Header(
        version=version,
        missing=tuple(name for name in NEEDED if name not in there),
        own_columns=tuple(sorted(name for name in there if name.startswith("x_"))),
    )
