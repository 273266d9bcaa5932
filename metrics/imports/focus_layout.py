"""Rows of FOCUS 1.0 to 1.4 as charges. Sources: the specification, its SaaS and AI appendices, and real exports.

AI usage is written as one row for each model, direction of tokens and period: the direction stands in SkuMeter,
SkuPriceDetails or ChargeDescription, the model in SkuPriceDetails, Tags, SkuId or ResourceName. Neither has a column of
its own up to 1.4, so both are read where they are said and left unknown where they are not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from metrics.focus import AI_CATEGORY, CHARGE_CATEGORIES, CORRECTION, RENAMED, Header, header_of
from metrics.importer import Charge, ChargeKey, Labels, LabelSieve, Layout, Limits, Row, RowRejected, Unreadable
from metrics.imports import cells

# The columns that are read, in this order; the ones that a file lacks are None in every row.
_COLUMNS = (
    "BilledCost",
    "EffectiveCost",
    "BillingCurrency",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "BillingPeriodStart",
    "BillingPeriodEnd",
    "BillingAccountId",
    "BillingAccountName",
    "BillingAccountType",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ServiceProviderName",
    "ServiceName",
    "ServiceCategory",
    "SubAccountId",
    "SubAccountName",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "ResourceName",
    "ResourceType",
    "ConsumedQuantity",
    "ConsumedUnit",
    "PricingQuantity",
    "PricingUnit",
    "Tags",
)
_MODEL_KEYS = ("x_model", "x_modelname", "x_modelid", "model", "modelname", "modelid", "gen_ai.request.model")
_OWN_MODEL = ("x_ModelName", "x_Model", "x_ModelId", "x_model", "x_model_name")
_TIER_KEYS = ("x_servicetier", "servicetier", "service_tier")
_CACHE_READ = re.compile(
    r"cache[\s_-]*(read|hit)|cached[\s_-]*(input|prompt|token)|read[\s_-]*(from[\s_-]*)?cache", re.I
)
_CACHE_WRITE = re.compile(r"cache[\s_-]*(write|creat|stor)", re.I)
_INPUT = re.compile(r"(?<![a-z])(input|prompt)", re.I)
_OUTPUT = re.compile(r"(?<![a-z])(output|completion|response|generated)", re.I)


@dataclass(slots=True)
class FocusLayout(Layout):
    """FOCUS. Keys of rows that say the same are made once: a bill repeats itself."""

    header: Header | None = None
    has_effective: bool = False
    _own: tuple[str, ...] = ()
    _places: tuple[int | None, ...] = ()
    _keys: dict[Any, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, columns: list[str], limits: Limits, keep_labels: LabelSieve) -> FocusLayout | None:
        """The layout of a header, None where it is not FOCUS. Raises Unreadable where a needed column is missing."""
        header = header_of(columns)
        if header is None:
            return None
        if header.missing:
            raise Unreadable(
                "columns_missing",
                f"This is FOCUS {header.version} without {' and '.join(header.missing)}; no row can count without. "
                "Choose all columns when exporting.",
            )
        found = [
            next((name for name in (wanted, *RENAMED.get(wanted, ())) if name in columns), None) for wanted in _COLUMNS
        ]
        own = tuple(name for name in _OWN_MODEL if name in columns)[:1]
        names = tuple(dict.fromkeys([name for name in found if name] + list(own)))
        return cls(
            limits=limits,
            keep_labels=keep_labels,
            names=names,
            title=f"FOCUS {header.version}",
            header=header,
            has_effective="EffectiveCost" in columns,
            _own=own,
            _places=tuple(None if name is None else names.index(name) for name in found),
        )

    def charge(self, row: Row) -> Charge:
        (
            billed_cell,
            effective_cell,
            currency_cell,
            start_cell,
            end_cell,
            period_start_cell,
            period_end_cell,
            account,
            account_name,
            account_type,
            category_cell,
            class_cell,
            description,
            provider,
            service,
            service_category,
            project_id,
            project_name,
            sku,
            meter,
            details,
            resource,
            resource_type,
            consumed,
            consumed_unit,
            priced,
            priced_unit,
            tags,
        ) = [None if place is None else row[place] for place in self._places]
        billed = cells.amount(billed_cell, "BilledCost")
        effective = None
        if self.has_effective:
            effective = billed if effective_cell is None else cells.amount(effective_cell, "EffectiveCost")
        own_model = row[-1] if self._own else None
        told = (
            start_cell, end_cell, period_start_cell, period_end_cell, account, account_name, category_cell, class_cell,
            provider, service, service_category, project_id, project_name, sku, meter, _frozen(details), resource,
            resource_type, consumed_unit, priced_unit, *self._tags_of(tags), own_model, currency_cell,
        )  # fmt: skip
        known = self._keys.get(told)
        if known is None:
            known = self._key(*told)
            if len(self._keys) > 20_000:
                self._keys.clear()
            self._keys[told] = known
        key, direction = known
        counts = None
        if key.category == "Usage":
            counts = self._counts(
                key,
                direction or _direction(cells.text(description, 200)),
                account_type,
                consumed,
                consumed_unit,
                priced,
                priced_unit,
            )
        return Charge(key, billed, effective, counts)

    def _key(
        self,
        start_cell: Any,
        end_cell: Any,
        period_start_cell: Any,
        period_end_cell: Any,
        account: Any,
        account_name: Any,
        category_cell: Any,
        class_cell: Any,
        provider: Any,
        service: Any,
        service_category: Any,
        project_id: Any,
        project_name: Any,
        sku: Any,
        meter: Any,
        details_cell: Any,
        resource: Any,
        resource_type: Any,
        consumed_unit: Any,
        priced_unit: Any,
        labels: Labels,
        tagged_model: str,
        own_model: Any,
        currency_cell: Any,
    ) -> tuple[ChargeKey, str]:
        start = cells.moment(start_cell, "ChargePeriodStart")
        cells.check_window(start, self.limits.oldest, self.limits.newest, "ChargePeriodStart")
        given_end = None if end_cell is None else cells.moment(end_cell, "ChargePeriodEnd")
        end = cells.end_of_period(start, given_end, "ChargePeriodEnd")
        period_start = start.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        if period_start_cell is not None:
            period_start = cells.moment(period_start_cell, "BillingPeriodStart")
        if period_end_cell is not None:
            period_end = cells.moment(period_end_cell, "BillingPeriodEnd")
        else:
            period_end = (period_start.replace(day=28) + _WEEK).replace(day=1)
        if period_end <= period_start:
            raise RowRejected("period_backwards", "BillingPeriodEnd: the billing period ends before it starts.")
        category = _category(category_cell)
        details = _pairs(details_cell, "SkuPriceDetails")
        service_text = cells.text(service, 100)
        counted = cells.unit(consumed_unit) or cells.unit(priced_unit)
        is_ai = cells.text(service_category, 60) == AI_CATEGORY
        model = cells.text(own_model, 200) or _named(details, _MODEL_KEYS) or tagged_model
        if not model and category == "Usage" and (counted is not None and (counted[0] == "tokens" or is_ai)):
            model = cells.text(resource, 200) or cells.text(sku, 200)
        project = cells.text(project_name, 200) or cells.text(project_id, 200)
        if project:
            labels = tuple(sorted((dict(labels) | dict(self.keep_labels({"project": project}))).items()))
        key = ChargeKey(
            account=cells.text(account, 200),
            account_name=cells.text(account_name, 200),
            period_start=period_start,
            period_end=period_end,
            start=start,
            end=end,
            provider=provider_name(cells.text(provider, 60), service_text),
            model=cells.text(model, 200),
            service=service_text,
            service_category=cells.text(service_category, 60),
            service_tier=(_named(details, _TIER_KEYS) or "standard").lower()[:40],
            labels=labels,
            category=category,
            is_correction=cells.text(class_cell, 40) == CORRECTION,
            currency=cells.currency(currency_cell, "BillingCurrency"),
        )
        said = _named(details, ("tokentype", "x_tokentype", "token_type"))
        return key, _direction(said) or _direction(f"{cells.text(meter, 200)}") or _direction(cells.text(sku, 200))

    def _tags_of(self, cell: Any) -> tuple[Labels, str]:
        """The labels that tags are kept as, and the model that they name. Many rows have tags of their own."""
        if cell is None:
            return (), ""
        pairs = _pairs(_frozen(cell), "Tags")
        return self.keep_labels(pairs), _named(pairs, _MODEL_KEYS)

    def _counts(
        self,
        key: ChargeKey,
        direction: str,
        account_type: Any,
        consumed: Any,
        consumed_unit: Any,
        priced: Any,
        priced_unit: Any,
    ) -> tuple[Decimal | None, ...] | None:
        """The tokens or requests of a row, where its unit says that they are."""
        for quantity_cell, unit_cell in ((consumed, consumed_unit), (priced, priced_unit)):
            counted = cells.unit(unit_cell)
            if counted is None or quantity_cell is None:
                continue
            quantity = cells.number(quantity_cell)
            if quantity is None:
                raise RowRejected("not_a_number", f"Quantity: '{cells.shown(quantity_cell)}' is not a number.")
            what, scale = counted
            total = cells.counted(quantity, scale, "Quantity")
            if what == "requests":
                if account_type == "API Key":
                    # LiteLLM's export writes 1 request in every row, each the sum of a day.
                    self.notes["Requests are not counted: this export of LiteLLM writes 1 in every row."] += 1
                    return None
                return (None, None, None, None, total)
            if not direction:
                self.notes["Tokens without a direction (input or output) are not counted; their cost is."] += 1
                return None
            return _TOKENS[direction](total)
        if consumed_unit and cells.unit(consumed_unit) is None and key.service_category == AI_CATEGORY:
            self.notes[
                f"The unit '{cells.text(consumed_unit, 40)}' is not one of tokens or requests; its cost counts."
            ] += 1
        return None


_WEEK = timedelta(days=7)
_TOKENS = {
    "input": lambda total: (total, None, None, None, None),
    # Inside, input includes what came from the cache and what was written to it.
    "cache_read": lambda total: (total, total, None, None, None),
    "cache_write": lambda total: (total, None, total, None, None),
    "output": lambda total: (None, None, None, total, None),
}


@lru_cache(maxsize=5_000)
def _direction(said: str) -> str:
    """'input', 'cache_read', 'cache_write', 'output', or nothing where the text does not say one alone."""
    if not said:
        return ""
    compact = said.replace("-", " ").replace("_", " ")
    if _CACHE_READ.search(said) or compact.lower() == "cacheread":
        return "cache_read"
    if _CACHE_WRITE.search(said) or compact.lower() == "cachewrite":
        return "cache_write"
    is_input, is_output = bool(_INPUT.search(said)), bool(_OUTPUT.search(said))
    if is_input == is_output:
        return ""
    return "input" if is_input else "output"


def _category(value: Any) -> str:
    """FOCUS's charge category; empty is Usage, where the column is missing."""
    said = cells.text(value, 40)
    if not said:
        return "Usage"
    for known in CHARGE_CATEGORIES:
        if said.lower() == known.lower():
            return known
    raise RowRejected(
        "unknown_category", f"ChargeCategory: '{cells.shown(said)}' is none of {', '.join(CHARGE_CATEGORIES)}."
    )


def _frozen(value: Any) -> Any:
    """A cell that can be a dictionary's key; Parquet gives objects as lists of pairs or as dictionaries."""
    if isinstance(value, dict):
        return tuple(value.items())
    if isinstance(value, list):
        return tuple(tuple(pair) if isinstance(pair, list | tuple) else pair for pair in value)
    return value


@lru_cache(maxsize=20_000)
def _pairs(value: Any, column: str) -> Mapping[str, str]:
    """A JSON object of the columns that hold one, as text by name; names without a vendor's prefix ('user:team')."""
    if value is None or value == "":
        return {}
    if isinstance(value, tuple):
        found: Any = {str(pair[0]): pair[1] for pair in value if isinstance(pair, tuple) and len(pair) == 2}
    else:
        try:
            found = json.loads(str(value))
        except (ValueError, RecursionError):
            raise RowRejected("not_an_object", f"{column}: '{cells.shown(value)}' is not a JSON object.") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise RowRejected("not_an_object", f"{column}: '{cells.shown(value)}' is not a JSON object.")
    named = {}
    for name, one in found.items():
        if one is None or isinstance(one, dict | list):
            continue
        named[_utf8(str(name)).replace("/", ":").rpartition(":")[2]] = _utf8(str(one))
    return named


def _utf8(text: str) -> str:
    """The text without halves of characters, which JSON can spell (\\ud800) and a database cannot keep."""
    return text.encode("utf-8", "replace").decode()


def _named(pairs: Mapping[str, str], wanted: tuple[str, ...]) -> str:
    if not pairs:
        return ""
    lower = {name.lower(): value for name, value in pairs.items()}
    for name in wanted:
        if lower.get(name):
            return cells.text(lower[name], 200)
    return ""


# How vendors call themselves, by OpenTelemetry's gen_ai.provider.name where there is one.
_PROVIDERS: tuple[tuple[str, str, str], ...] = (
    ("aws", "bedrock", "aws.bedrock"),
    ("amazon", "bedrock", "aws.bedrock"),
    ("microsoft", "openai", "azure.ai.openai"),
    ("azure", "openai", "azure.ai.openai"),
    ("microsoft", "foundry", "azure.ai.openai"),
    ("azure", "foundry", "azure.ai.openai"),
    ("google", "vertex", "gcp.vertex_ai"),
    ("google", "gemini", "gcp.gemini"),
)
_PLAIN = {
    "amazon web services": "aws",
    "amazon": "aws",
    "aws": "aws",
    "microsoft": "azure",
    "microsoft azure": "azure",
    "azure": "azure",
    "google": "gcp",
    "google cloud": "gcp",
    "google cloud platform": "gcp",
    "openai": "openai",
    "anthropic": "anthropic",
    "mistral": "mistral_ai",
    "mistral ai": "mistral_ai",
}


@lru_cache(maxsize=2_000)
def provider_name(name: str, service: str) -> str:
    """A vendor's name as the figures call it; a name that is not known stays as it is, in small letters."""
    lower, of = name.lower(), service.lower()
    for vendor, part, known in _PROVIDERS:
        if vendor in lower and part in of:
            return known
    return _PLAIN.get(lower, lower or "unknown")


__all__ = ["FocusLayout", "Labels", "provider_name"]
