"""What the read door says of sources, prices, invoices and changes: plain values beside the figures of usage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class SeriesNames:
    """What one or several series are called; `model` and `team` are empty where there is none."""

    provider: str
    backend_id: int
    backend_slug: str
    backend_name: str
    model: str
    team: str


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """Two linked sources of the same traffic: the one that counts and the other. `gap_ratio`: other / counted - 1."""

    counted_name: str
    other_name: str
    counted_tokens: int | Decimal
    other_tokens: int | Decimal
    gap_ratio: Decimal | None


@dataclass(frozen=True, slots=True)
class Change:
    """Something that changed on a local day and explains a figure: a first use, a price, a restatement."""

    kind: Literal["model", "price", "rate_card", "restated"]
    on: date
    text: str


@dataclass(frozen=True, slots=True)
class Restated:
    """What corrected bills brought to a local day of settled usage, shares applied. `amount` in `currency`."""

    kind: str
    provider: str
    model: str
    day: date
    currency: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class PriceFact:
    """A price per million tokens. `source`: which price it is, empty where there is none ('not priced').

    `valid_from_on` is known of own prices only. `has_steps`: it rises with the size of the single request.
    """

    provider: str
    model: str
    service_tier: str
    currency: str
    input_per_million: Decimal | None
    cached_input_per_million: Decimal | None
    cache_write_input_per_million: Decimal | None
    output_per_million: Decimal | None
    source: str
    valid_from_on: date | None
    backend_name: str
    backend_slug: str
    has_steps: bool = False


@dataclass(frozen=True, slots=True)
class RateCardFact:
    """What a backend's capacity costs from a local day on. `kind`: 'rented' or 'owned'."""

    backend_name: str
    backend_slug: str
    is_demo: bool
    kind: str
    units: Decimal
    unit_name: str
    currency: str
    rate_per_unit_hour: Decimal | None
    purchase_amount: Decimal | None
    amortisation_months: int | None
    valid_from_on: date
    valid_until_on: date | None


@dataclass(frozen=True, slots=True)
class ExchangeRateFact:
    """The newest rate of a currency: units of it for one euro, from which day, by whom."""

    currency: str
    on: date
    per_euro: Decimal
    source: str


@dataclass(frozen=True, slots=True)
class Invoice:
    """What a billing file states of a local month, tax aside, for the backends that it pays for.

    `counts` False: a backend's own statement of days for which a billing file counts, kept as a cross-check.
    """

    backend_slugs: tuple[str, ...]
    month: date
    currency: str
    amount: Decimal
    source: str
    counts: bool


@dataclass(frozen=True, slots=True)
class Attention:
    """Something that a person should look at. `code` is stable; `url_name` and `url_args` say where to do it."""

    code: str
    subject: str
    detail: str
    url_name: str
    url_args: tuple[Any, ...] = ()
    workload_id: int | None = None
    is_demo: bool = False


@dataclass(frozen=True, slots=True)
class StoppedSource:
    """A backend that does not answer, and not for a moment only. `since`: until when it had been read, or was made.

    `workload_ids`: whose usage comes from there. `detail` names no addresses.
    """

    backend_id: int
    slug: str
    name: str
    detail: str
    since: datetime
    workload_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class UndecidedSignal:
    """A token with which only that one of OpenTelemetry's signals arrives which it does not count."""

    token_id: int
    token_name: str
    arrives: str
    counts: str
    workload_id: int | None
    is_demo: bool = False


@dataclass(frozen=True, slots=True)
class UsageStates:
    """What the figures of workloads rest on, by workload: the same text, the same figures. None: not known just now,
    since days are being built. `everything`: the same of the whole organisation's. `has_real_usage`: any that is not
    the demo's was ever counted."""

    everything: str | None
    of: Mapping[int, str | None]
    has_real_usage: bool

    def of_all(self, workload_ids: Sequence[int] | None) -> str | None:
        """The state of these together (None: of everything)."""
        if workload_ids is None:
            return self.everything
        states = [self.of[workload] for workload in workload_ids]
        return None if None in states else "; ".join(f"{state}" for state in states)
