"""What tokens cost where no statement says so: own prices first, then the public price list, by date. Never a guess.

The public list is genai-prices as installed, offline. A provider is looked up by its exact name (OpenTelemetry's names
included), never by what a model's name looks like; a service tier only where the list knows that tier.
"""

from __future__ import annotations

import threading
import time as clock
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from typing import Any

from genai_prices import __version__ as list_version
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

from metrics.counted import model_name
from metrics.models import OwnPrice, RateCard

MILLION = Decimal(1_000_000)
MONEY_STEP = Decimal("0.0000000001")
LIST_CURRENCY = "USD"
# Own prices and rate cards are read again this often, so that a new one is used soon by every process.
CACHE_SECONDS = 30.0
CACHE_PRICES = 20_000
# Operations that have no output tokens.
INPUT_ONLY_OPERATIONS = frozenset({"embeddings"})

# OpenTelemetry's `gen_ai.provider.name` values (semantic conventions 1.37) where the list calls them otherwise.
_LIST_NAMES = {
    "aws.bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "x_ai": "x-ai",
}
# How the list writes the tiers that a record may name.
_TIER_CONTEXTS: dict[str, tuple[dict[str, str], ...]] = {
    "batch": ({"processing": "batch"},),
    "flex": ({"service_tier": "flex"},),
    "priority": ({"service_tier": "priority"},),
    "fast": ({"service_tier": "fast"}, {"speed": "fast"}),
}


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """A price per million tokens of one kind. `steps`: (input tokens of the single request above which, price)."""

    base: Decimal
    steps: tuple[tuple[int, Decimal], ...] = ()

    def at(self, input_tokens: int) -> Decimal:
        """The price of a single request with so many input tokens."""
        price = self.base
        for start, stepped in self.steps:
            if input_tokens > start:
                price = stepped
        return price


@dataclass(frozen=True, slots=True)
class Price:
    """What tokens of one model cost on one day. `ref` says which price it is, for people."""

    currency: str
    input: TokenPrice
    cached_input: TokenPrice
    cache_write_input: TokenPrice
    # None: the list knows no price for output, so that only work without output is priced.
    output: TokenPrice | None
    ref: str

    @property
    def has_steps(self) -> bool:
        """Whether it depends on the size of the single request."""
        parts = (self.input, self.cached_input, self.cache_write_input, self.output)
        return any(part is not None and part.steps for part in parts)

    def cost(
        self, *, input_tokens: int, cached: int, cache_write: int, output_tokens: int, request_input: int = 0
    ) -> Decimal | None:
        """Exact, not rounded. `request_input`: input tokens of the single request, where the price depends on it."""
        amount = (
            (input_tokens - cached - cache_write) * self.input.at(request_input)
            + cached * self.cached_input.at(request_input)
            + cache_write * self.cache_write_input.at(request_input)
        )
        if output_tokens:
            if self.output is None:
                return None
            amount += output_tokens * self.output.at(request_input)
        return amount / MILLION


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimated cost at 10 decimals, its currency, and the price that was used."""

    amount: Decimal
    currency: str
    price_ref: str
    # The price depends on the size of a request and the sum took its first step.
    is_first_step: bool = False


def rounded(amount: Decimal) -> Decimal:
    """At the 10 decimals that the ledger keeps."""
    return amount.quantize(MONEY_STEP, rounding=ROUND_HALF_EVEN)


def estimate(
    provider: str,
    model: str,
    tier: str,
    on: date,
    sums: Mapping[str, int | Decimal],
    *,
    backend_id: int | None = None,
    operation: str = "chat",
) -> Estimate | None:
    """The cost of summed tokens on a UTC day; None where there is no price, or the tokens are not known.

    Input tokens must be known, and output tokens unless the operation has none. Where a price depends on the size of a
    single request, the sum takes the first step.
    """
    output = sums.get("output_tokens")
    if "input_tokens" not in sums or (output is None and operation not in INPUT_ONLY_OPERATIONS):
        return None
    price = price_for(provider, model, tier, on, backend_id=backend_id)
    if price is None:
        return None
    amount = price.cost(
        input_tokens=int(sums["input_tokens"]),
        cached=int(sums.get("cached_input_tokens", 0)),
        cache_write=int(sums.get("cache_write_input_tokens", 0)),
        output_tokens=int(output or 0),
    )
    if amount is None:
        return None
    return Estimate(rounded(amount), price.currency, price.ref, price.has_steps)


def price_for(provider: str, model: str, tier: str, on: date, *, backend_id: int | None = None) -> Price | None:
    """The price in force on that UTC day: the backend's own, else everybody's, else the list's; None: not priced."""
    own = _own_prices()
    for owner in (backend_id, None):
        for start, price in own.get((owner, provider, model, tier), ()):
            if start <= on:
                return price
    return _list_price(provider, model, tier, on)


def list_price(provider: str, model: str, tier: str, on: date) -> Price | None:
    """The public list's price on that UTC day, whatever own prices say; None: the list has none."""
    return _list_price(provider, model, tier, on)


def has_reserved_capacity(backend_id: int, on: date, model: str) -> bool:
    """Whether a rate card pays for this model there on that day, so that its tokens are not priced again."""
    return any(
        start <= on and (end is None or on < end) and (not of_model or of_model == model_name(model))
        for start, end, of_model in _remembered("rate_cards", _read_rate_cards).get(backend_id, ())
    )


def forget_prices() -> None:
    """Drops what this process remembers of own prices and rate cards; call it after changing one."""
    with _lock:
        _memory.clear()


# --- Own prices and rate cards
_lock = threading.Lock()
_memory: dict[str, tuple[float, Any]] = {}

OwnKey = tuple[int | None, str, str, str]


def _remembered(name: str, read: Any) -> Any:
    known = _memory.get(name)
    now = clock.monotonic()
    if known is not None and known[0] > now:
        return known[1]
    value = read()
    with _lock:
        _memory[name] = (now + CACHE_SECONDS, value)
    return value


def _own_prices() -> dict[OwnKey, tuple[tuple[date, Price], ...]]:
    """Newest first."""
    prices: dict[OwnKey, tuple[tuple[date, Price], ...]] = _remembered("own_prices", _read_own_prices)
    return prices


def _read_own_prices() -> dict[OwnKey, tuple[tuple[date, Price], ...]]:
    found: dict[OwnKey, list[tuple[date, Price]]] = {}
    for row in OwnPrice.objects.order_by("-valid_from_on", "-id"):
        price = Price(
            currency=row.currency,
            input=TokenPrice(row.input_per_million),
            cached_input=TokenPrice(_or(row.cached_input_per_million, row.input_per_million)),
            cache_write_input=TokenPrice(_or(row.cache_write_input_per_million, row.input_per_million)),
            output=TokenPrice(row.output_per_million),
            ref=f"own price {row.provider} {row.model} from {row.valid_from_on}",
        )
        key = (row.backend_id, row.provider, row.model, row.service_tier)
        found.setdefault(key, []).append((row.valid_from_on, price))
    return {key: tuple(prices) for key, prices in found.items()}


def _or(value: Decimal | None, other: Decimal) -> Decimal:
    return other if value is None else value


def _read_rate_cards() -> dict[int, list[tuple[date, date | None, str]]]:
    cards: dict[int, list[tuple[date, date | None, str]]] = {}
    rows = RateCard.objects.values_list("backend_id", "valid_from_on", "valid_until_on", "model")
    for backend_id, start, end, model in rows:
        cards.setdefault(backend_id, []).append((start, end, model_name(model)))
    return cards


# --- The public list
_list_cache: OrderedDict[tuple[str, str, str, date], Price | None] = OrderedDict()


def _list_price(provider: str, model: str, tier: str, on: date) -> Price | None:
    key = (provider, model, tier, on)
    if key in _list_cache:
        return _list_cache[key]
    price = _look_up(provider, model, tier, on)
    with _lock:
        _list_cache[key] = price
        while len(_list_cache) > CACHE_PRICES:
            _list_cache.popitem(last=False)
    return price


@lru_cache(maxsize=1)
def _providers() -> dict[str, Provider]:
    return {provider.id: provider for provider in get_snapshot().providers}


@lru_cache(maxsize=4096)
def _listed(provider: str, model: str) -> tuple[Provider, ModelInfo] | None:
    name = provider.lower()
    found = _providers().get(_LIST_NAMES.get(name, name))
    if found is None:
        return None
    info = found.find_model(model, all_providers=get_snapshot().providers)
    return None if info is None else (found, info)


def _look_up(provider: str, model: str, tier: str, on: date) -> Price | None:
    listed = _listed(provider, model)
    if listed is None:
        return None
    owner, info = listed
    # A price that depends on the time of day is taken at noon UTC.
    at = datetime.combine(on, time(12), UTC)
    prices = info.get_prices(at) if tier == "standard" else _tier_prices(info, tier, at)
    if prices is None:
        return None
    fresh = _token_price(prices, "input_mtok")
    if fresh is None:
        return None
    return Price(
        currency=LIST_CURRENCY,
        input=fresh,
        # The list leaves out what is charged as fresh input.
        cached_input=_token_price(prices, "cache_read_mtok") or fresh,
        cache_write_input=_token_price(prices, "cache_write_mtok") or fresh,
        output=_token_price(prices, "output_mtok"),
        ref=f"genai-prices {list_version}: {owner.id} {info.id}{'' if tier == 'standard' else f' {tier}'}",
    )


def _tier_prices(info: ModelInfo, tier: str, at: datetime) -> ModelPrice | None:
    """The list's price of a tier that it knows for this model; None: not priced."""
    if tier == "default":
        return info.get_prices(at)
    for context in _TIER_CONTEXTS.get(tier, ()):
        for variant in info.price_variants or ():
            is_in_force = variant.constraint is None or variant.constraint.active(at)
            if is_in_force and dict(variant.when) == context:
                return info.get_prices(at, context)
    return None


def _token_price(prices: ModelPrice, name: str) -> TokenPrice | None:
    value = getattr(prices, name)
    if value is None:
        return None
    if isinstance(value, TieredPrices):
        return TokenPrice(value.base, tuple((step.start, step.price) for step in value.tiers))
    return TokenPrice(value)
