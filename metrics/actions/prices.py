"""Rate cards of capacity and own token prices, each valid from a day."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Q

from accounts.access import Asker
from accounts.audit import record
from metrics import pricing
from metrics.actions.permission import require_backend_admin
from metrics.errors import RuleViolation
from metrics.models import Backend, OwnPrice, RateCard
from metrics.money import parse_currency

# (field, least, most, unit, what is often meant instead). A month's price entered by the hour is 730 times too much.
CARD_BOUNDS: tuple[tuple[str, Decimal, Decimal, str, str], ...] = (
    ("units", Decimal("0.01"), Decimal(100_000), "units", ""),
    (
        "rate_per_unit_hour",
        Decimal("0.01"),
        Decimal(200),
        "per unit and hour",
        "A price by the month is divided by 730, one for the whole machine by its units.",
    ),
    ("purchase_amount", Decimal(100), Decimal(1_000_000_000), "for all units", ""),
    ("amortisation_months", Decimal(6), Decimal(120), "months", "Enter months, not years."),
    ("rated_watts", Decimal(10), Decimal(20_000), "watts for one unit", "Enter watts, not kilowatts."),
    ("pue", Decimal(1), Decimal(3), "", "It is the data centre's whole energy over that of its computers."),
    ("price_per_kwh", Decimal("0.001"), Decimal(2), "per kWh", "Enter it per kWh in the main unit, not in cents."),
)
RENTED_FIELDS = ("rate_per_unit_hour",)
OWNED_FIELDS = ("purchase_amount", "purchased_on", "amortisation_months")
PRICE_BOUND = Decimal(10_000)


@transaction.atomic
def set_rate_card(asker: Asker, backend: Backend, *, card: RateCard | None = None, **fields: Any) -> RateCard:
    """Add a rate card, or change `card`. A card ends the one before it. Raises RuleViolation, PermissionDenied."""
    require_backend_admin(asker)
    Backend.objects.select_for_update().get(pk=backend.pk)
    is_new = card is None
    card = card or RateCard(backend=backend)
    before = None if is_new else _card_shown(card)
    for name, value in fields.items():
        setattr(card, name, value)
    _check_card(card)
    others = RateCard.objects.filter(backend=backend).exclude(pk=card.pk)
    if others.filter(valid_from_on=card.valid_from_on).exists():
        raise RuleViolation("repeated", "Another rate card begins on that day.", "valid_from_on")
    others.filter(valid_from_on__lt=card.valid_from_on).filter(
        Q(valid_until_on__isnull=True) | Q(valid_until_on__gt=card.valid_from_on)
    ).update(valid_until_on=card.valid_from_on)
    following = others.filter(valid_from_on__gt=card.valid_from_on).order_by("valid_from_on").first()
    if following is not None and (card.valid_until_on is None or card.valid_until_on > following.valid_from_on):
        card.valid_until_on = following.valid_from_on
    card.save()
    transaction.on_commit(pricing.forget_prices)
    record(
        asker,
        action="add_rate_card" if is_new else "change_rate_card",
        subject=card,
        before=before,
        after=_card_shown(card),
    )
    return card


@transaction.atomic
def remove_rate_card(asker: Asker, card: RateCard) -> None:
    """Take a rate card away; the hours that it has paid are compared again. Raises PermissionDenied."""
    require_backend_admin(asker)
    record(asker, action="remove_rate_card", subject=card, before=_card_shown(card))
    card.delete()
    transaction.on_commit(pricing.forget_prices)


@transaction.atomic
def set_own_price(asker: Asker, *, price: OwnPrice | None = None, **fields: Any) -> OwnPrice:
    """Add an own price per million tokens, or change one. It holds for usage priced from now on.

    Raises RuleViolation, PermissionDenied.
    """
    require_backend_admin(asker)
    is_new = price is None
    price = price or OwnPrice()
    before = None if is_new else _price_shown(price)
    for name, value in fields.items():
        setattr(price, name, value)
    _check_price(price)
    price.save()
    transaction.on_commit(pricing.forget_prices)
    record(
        asker,
        action="add_own_price" if is_new else "change_own_price",
        subject=price,
        before=before,
        after=_price_shown(price),
    )
    return price


@transaction.atomic
def remove_own_price(asker: Asker, price: OwnPrice) -> None:
    """Take an own price away; what was priced with it stays. Raises PermissionDenied."""
    require_backend_admin(asker)
    record(asker, action="remove_own_price", subject=price, before=_price_shown(price))
    price.delete()
    transaction.on_commit(pricing.forget_prices)


def _check_card(card: RateCard) -> None:
    if card.kind not in RateCard.Kind.values:
        raise RuleViolation("unknown_choice", "Say whether it is rented or owned.", "kind")
    _check_currency(card.currency)
    is_rented = card.kind == RateCard.Kind.RENTED
    for name in RENTED_FIELDS if is_rented else OWNED_FIELDS:
        if getattr(card, name) is None:
            raise RuleViolation("required", f"{name.replace('_', ' ').capitalize()} is needed.", name)
    for name in OWNED_FIELDS if is_rented else RENTED_FIELDS:
        setattr(card, name, None)
    if (card.rated_watts is None) != (card.price_per_kwh is None):
        name = "price_per_kwh" if card.price_per_kwh is None else "rated_watts"
        raise RuleViolation("required", "Energy needs both the rated watts and the price per kWh.", name)
    for name, least, most, unit, hint in CARD_BOUNDS:
        value = getattr(card, name)
        if value is not None and not least <= Decimal(value) <= most:
            raise RuleViolation(
                "not_plausible",
                f"{name.replace('_', ' ').capitalize()} lies from {least:f} to {most:,f} {unit}. {hint}".strip(),
                name,
            )
    if card.valid_until_on is not None and card.valid_until_on <= card.valid_from_on:
        raise RuleViolation("ends_before_it_begins", "It ends after the day it begins.", "valid_until_on")


def _check_price(price: OwnPrice) -> None:
    _check_currency(price.currency)
    for name in ("provider", "model", "service_tier"):
        if not str(getattr(price, name) or "").strip():
            raise RuleViolation("required", f"{name.replace('_', ' ').capitalize()} is needed.", name)
    for name in ("input", "cached_input", "cache_write_input", "output"):
        field = f"{name}_per_million"
        value = getattr(price, field)
        if value is None and name in ("input", "output"):
            raise RuleViolation("required", "Input and output have a price per million tokens.", field)
        if value is not None and not 0 <= value <= PRICE_BOUND:
            raise RuleViolation("not_plausible", f"A price per million tokens lies from 0 to {PRICE_BOUND:,f}.", field)


def _check_currency(text: str) -> None:
    try:
        parse_currency(text)
    except ValueError:
        raise RuleViolation("unknown_currency", "A currency has three capital letters, like EUR.", "currency") from None


def _card_shown(card: RateCard) -> dict[str, Any]:
    names = ("kind", "units", "unit_name", "currency", *RENTED_FIELDS, *OWNED_FIELDS)
    more = ("rated_watts", "pue", "price_per_kwh", "while_up", "valid_from_on", "valid_until_on")
    return {name: getattr(card, name) for name in (*names, *more)}


def _price_shown(price: OwnPrice) -> dict[str, Any]:
    names = ("provider", "model", "service_tier", "currency", "valid_from_on")
    prices = ("input_per_million", "cached_input_per_million", "cache_write_input_per_million", "output_per_million")
    backend: date | str | None = price.backend.slug if price.backend else None
    return {"backend": backend, **{name: getattr(price, name) for name in (*names, *prices)}}
