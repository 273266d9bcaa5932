"""Rate cards of capacity and own token prices, each valid from a day."""

from __future__ import annotations

from calendar import monthrange
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext, gettext_lazy

from accounts.access import Asker
from accounts.audit import record
from metrics import pricing
from metrics.actions.permission import require_backend_admin
from metrics.errors import RuleViolation
from metrics.models import Backend, ExchangeRate, OwnPrice, RateCard
from metrics.money import parse_currency
from metrics.possible_days import check_day
from web import wording

# (field, least, most, what it is of, what is often meant instead); in euros or units that are worth as much.
USUAL_RATES: dict[str, tuple[Decimal, Decimal, Any]] = {
    RateCard.Kind.RENTED: (
        Decimal("0.05"),
        Decimal(25),
        gettext_lazy("A price by the month is divided by 730, one for the whole machine by its units."),
    ),
    RateCard.Kind.RESERVED: (
        Decimal("0.02"),
        Decimal(150),
        gettext_lazy("A price by the month is divided by 730, one for the whole reservation by its units."),
    ),
}
USUAL: tuple[tuple[str, Decimal, Decimal, Any, Any], ...] = (
    ("amortisation_months", Decimal(6), Decimal(120), gettext_lazy("months"), gettext_lazy("Enter months, not years.")),
    (
        "rated_watts",
        Decimal(10),
        Decimal(20_000),
        gettext_lazy("watts for one unit"),
        gettext_lazy("Enter watts, not kilowatts."),
    ),
)
USUAL_PURCHASE = (Decimal(100), Decimal(150_000))
USUAL_KWH = (Decimal("0.005"), Decimal(2))
HOURS_A_MONTH = 730
# Never, confirmed or not: (field, least, most).
POSSIBLE: tuple[tuple[str, Decimal, Decimal], ...] = (
    ("units", Decimal("0.01"), Decimal(100_000)),
    ("rate_per_unit_hour", Decimal("0.0000000001"), Decimal(10) ** 9),
    ("purchase_amount", Decimal("0.01"), Decimal(10) ** 12),
    ("amortisation_months", Decimal(1), Decimal(600)),
    ("rated_watts", Decimal("0.01"), Decimal(10) ** 6),
    ("pue", Decimal(1), Decimal(3)),
    ("price_per_kwh", Decimal("0.000001"), Decimal(10) ** 6),
    ("minimum_term_months", Decimal(1), Decimal(120)),
)
RENTED_FIELDS = ("rate_per_unit_hour",)
OWNED_FIELDS = ("purchase_amount", "purchased_on", "amortisation_months")
PRICE_BOUND = Decimal(100_000)
# A million tokens, in euros or units that are worth as much; and how far from the list's price is odd.
USUAL_PRICE = (Decimal("0.005"), Decimal(600))
ODD_FACTOR = 20
CONFIRM = gettext_lazy("If it is meant, confirm it.")


# Fields as people say them.
WORDS = {
    "units": gettext_lazy("Units"),
    "rate_per_unit_hour": gettext_lazy("Rate per unit hour"),
    "purchase_amount": gettext_lazy("Purchase amount"),
    "purchased_on": gettext_lazy("Purchased on"),
    "amortisation_months": gettext_lazy("Amortisation months"),
    "rated_watts": gettext_lazy("Rated watts"),
    "pue": "Pue",
    "price_per_kwh": gettext_lazy("Price per kwh"),
    "minimum_term_months": gettext_lazy("Minimum term months"),
    "provider": gettext_lazy("Provider"),
    "model": gettext_lazy("Model"),
    "service_tier": gettext_lazy("Service tier"),
}


class OddValue(RuleViolation):
    """A value that is hardly meant; the same with `is_confirmed` is taken."""

    can_be_confirmed = True

    def __init__(self, message: str, field: str) -> None:
        super().__init__("not_plausible", f"{message} {CONFIRM}", field)


@transaction.atomic
def set_rate_card(
    asker: Asker, backend: Backend, *, card: RateCard | None = None, is_confirmed: bool = False, **fields: Any
) -> RateCard:
    """Add a rate card, or change `card`. A card ends the one before it, of the same model.

    Raises OddValue for what is hardly meant unless `is_confirmed`, RuleViolation, PermissionDenied.
    """
    require_backend_admin(asker)
    Backend.objects.select_for_update().get(pk=backend.pk)
    is_new = card is None
    card = card or RateCard(backend=backend)
    before = None if is_new else _card_shown(card)
    for name, value in fields.items():
        setattr(card, name, value)
    _check_card(card)
    if not is_confirmed:
        _refuse_odd_card(card)
    others = RateCard.objects.filter(backend=backend, model=card.model).exclude(pk=card.pk)
    if others.filter(valid_from_on=card.valid_from_on).exists():
        raise RuleViolation("repeated", gettext("Another rate card begins on that day."), "valid_from_on")
    if not is_confirmed:
        _refuse_within_term(card, others)
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
def set_own_price(
    asker: Asker, *, price: OwnPrice | None = None, is_confirmed: bool = False, **fields: Any
) -> OwnPrice:
    """Add an own price per million tokens, or change one. It holds for usage priced from now on.

    Raises OddValue for what is hardly meant unless `is_confirmed`, RuleViolation, PermissionDenied.
    """
    require_backend_admin(asker)
    is_new = price is None
    price = price or OwnPrice()
    before = None if is_new else _price_shown(price)
    for name, value in fields.items():
        setattr(price, name, value)
    _check_price(price)
    if not is_confirmed:
        _refuse_odd_price(price)
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
        raise RuleViolation("unknown_choice", gettext("Say whether it is rented, owned or reserved."), "kind")
    _check_currency(card.currency)
    for name in ("valid_from_on", "valid_until_on", "purchased_on"):
        check_day(getattr(card, name), field=name)
    is_owned = card.kind == RateCard.Kind.OWNED
    for name in OWNED_FIELDS if is_owned else RENTED_FIELDS:
        if getattr(card, name) is None:
            raise RuleViolation("required", gettext("%(what)s is needed.") % {"what": _words(name)}, name)
    for name in RENTED_FIELDS if is_owned else OWNED_FIELDS:
        setattr(card, name, None)
    card.model = card.model.strip()
    if card.kind != RateCard.Kind.RESERVED:
        # GPUs serve whatever is loaded; only an API reserves by model and term.
        card.model, card.minimum_term_months = "", None
    if (card.rated_watts is None) != (card.price_per_kwh is None):
        name = "price_per_kwh" if card.price_per_kwh is None else "rated_watts"
        raise RuleViolation("required", gettext("Energy needs both the rated watts and the price per kWh."), name)
    for name, least, most in POSSIBLE:
        value = getattr(card, name)
        if value is not None and not least <= Decimal(value) <= most:
            raise RuleViolation(
                "not_plausible",
                gettext("%(what)s lies from %(least)s to %(most)s.")
                % {"what": _words(name), "least": _plain(least), "most": _plain(most)},
                name,
            )
    if card.valid_until_on is not None and card.valid_until_on <= card.valid_from_on:
        raise RuleViolation("ends_before_it_begins", gettext("It ends after the day it begins."), "valid_until_on")
    end_on = term_end(card)
    if end_on is not None and card.valid_until_on is not None and card.valid_until_on < end_on:
        raise RuleViolation(
            "within_term",
            gettext("Its minimum term costs until %(end_on)s; it ends then at the earliest.")
            % {"end_on": _day(end_on)},
            "valid_until_on",
        )


def term_end(card: RateCard) -> date | None:
    """The day after the minimum term, None where there is none."""
    if not card.minimum_term_months:
        return None
    months = card.valid_from_on.year * 12 + card.valid_from_on.month - 1 + card.minimum_term_months
    year, month = divmod(months, 12)
    return date(year, month + 1, min(card.valid_from_on.day, monthrange(year, month + 1)[1]))


def _refuse_within_term(card: RateCard, others: QuerySet[RateCard]) -> None:
    for one in others.filter(valid_from_on__lt=card.valid_from_on):
        end_on = term_end(one)
        if end_on is not None and card.valid_from_on < end_on and (one.valid_until_on or end_on) >= card.valid_from_on:
            raise OddValue(
                gettext(
                    "The card from %(first)s has a minimum term until %(last)s, and would end where this one begins: "
                    "enter all units that are reserved from then on."
                )
                % {"first": _day(one.valid_from_on), "last": _day(end_on)},
                "valid_from_on",
            )


def _refuse_odd_card(card: RateCard) -> None:
    """Refuse what is hardly meant, in words that show what it comes to."""
    unit = card.unit_name or gettext("unit")
    if card.rate_per_unit_hour is not None:
        least, most, hint = USUAL_RATES[card.kind]
        if not least <= _in_euros(card.rate_per_unit_hour, card) <= most:
            month = card.rate_per_unit_hour * HOURS_A_MONTH
            raise OddValue(
                gettext(
                    "%(rate)s %(currency)s for one %(unit)s and hour comes to %(month)s %(currency)s a month for one, "
                    "%(whole)s for all %(units)s; usual is about %(least)s to %(most)s EUR for one %(unit)s and "
                    "hour. %(hint)s"
                )
                % {
                    "rate": _plain(card.rate_per_unit_hour),
                    "currency": card.currency,
                    "unit": unit,
                    "month": wording.decimals(month, 2),
                    "whole": wording.decimals(month * card.units, 2),
                    "units": _plain(card.units),
                    "least": _plain(least),
                    "most": _plain(most),
                    "hint": hint,
                },
                "rate_per_unit_hour",
            )
    if card.purchase_amount is not None:
        least, most = USUAL_PURCHASE
        each = card.purchase_amount / card.units
        if not least <= _in_euros(each, card) <= most:
            raise OddValue(
                gettext(
                    "%(amount)s %(currency)s for all %(units)s is %(each)s for one %(unit)s; usual is about "
                    "%(least)s to %(most)s EUR."
                )
                % {
                    "amount": _plain(card.purchase_amount),
                    "currency": card.currency,
                    "units": _plain(card.units),
                    "each": wording.decimals(each, 2),
                    "unit": unit,
                    "least": _plain(least),
                    "most": _plain(most),
                },
                "purchase_amount",
            )
    for name, low, high, words, hint in USUAL:
        value = getattr(card, name)
        if value is not None and not low <= Decimal(value) <= high:
            raise OddValue(
                gettext("%(what)s lies from %(low)s to %(high)s %(words)s. %(hint)s")
                % {"what": _words(name), "low": _plain(low), "high": _plain(high), "words": words, "hint": hint},
                name,
            )
    if card.price_per_kwh is not None and not USUAL_KWH[0] <= _in_euros(card.price_per_kwh, card) <= USUAL_KWH[1]:
        raise OddValue(
            gettext("%(price)s %(currency)s per kWh: enter it in the main unit, not in cents.")
            % {"price": _plain(card.price_per_kwh), "currency": card.currency},
            "price_per_kwh",
        )


def _in_euros(amount: Decimal, card: RateCard | OwnPrice) -> Decimal:
    """About; as it stands where no rate is loaded."""
    rate = (
        ExchangeRate.objects.filter(currency=card.currency, on__lte=card.valid_from_on)
        .order_by("-on")
        .values_list("per_euro", flat=True)
        .first()
    )
    return amount / rate if rate else amount


def _words(name: str) -> str:
    """A field as people say it."""
    return str(WORDS.get(name, name.replace("_", " ").capitalize()))


def _plain(value: Decimal) -> str:
    """Every digit, and no zeros at the end."""
    shortest = value.normalize()
    return wording.decimals(shortest, max(0, -int(shortest.as_tuple().exponent)))


def _day(value: date) -> str:
    return wording.day(value).replace(wording.NBSP, " ")


def _check_price(price: OwnPrice) -> None:
    _check_currency(price.currency)
    check_day(price.valid_from_on, field="valid_from_on")
    for name in ("provider", "model", "service_tier"):
        if not str(getattr(price, name) or "").strip():
            raise RuleViolation(
                "required",
                gettext("%(what)s is needed.") % {"what": _words(name)},
                name,
            )
    for name in ("input", "cached_input", "cache_write_input", "output"):
        field = f"{name}_per_million"
        value = getattr(price, field)
        if value is None and name in ("input", "output"):
            raise RuleViolation("required", gettext("Input and output have a price per million tokens."), field)
        if value is not None and not 0 <= value <= PRICE_BOUND:
            raise RuleViolation(
                "not_plausible",
                gettext("A price per million tokens lies from 0 to %(most)s.") % {"most": _plain(PRICE_BOUND)},
                field,
            )


def _refuse_odd_price(price: OwnPrice) -> None:
    """A price of one token or of a thousand is a thousand times too low, one in cents a hundred times too high."""
    listed = pricing.list_price(price.provider, price.model, price.service_tier, price.valid_from_on)
    for name in ("input", "cached_input", "cache_write_input", "output"):
        field = f"{name}_per_million"
        value = getattr(price, field)
        if not value:
            continue
        amount = _in_euros(value, price)
        least, most = USUAL_PRICE
        told = gettext("%(amount)s %(currency)s for a million tokens") % {
            "amount": _plain(value),
            "currency": price.currency,
        }
        if not least <= amount <= most:
            raise OddValue(
                gettext("%(told)s: usual is about %(least)s to %(most)s EUR. Is it per million?")
                % {"told": told, "least": _plain(least), "most": _plain(most)},
                field,
            )
        known = getattr(listed, name, None) if listed is not None else None
        if (
            listed is not None
            and known is not None
            and known.base
            and not 1 / ODD_FACTOR <= amount / known.base <= ODD_FACTOR
        ):
            raise OddValue(
                gettext("%(told)s: the price list says %(amount)s %(currency)s.")
                % {"told": told, "amount": _plain(known.base), "currency": listed.currency},
                field,
            )


def _check_currency(text: str) -> None:
    try:
        parse_currency(text)
    except ValueError:
        raise RuleViolation(
            "unknown_currency", gettext("A currency has three capital letters, like EUR."), "currency"
        ) from None


def _card_shown(card: RateCard) -> dict[str, Any]:
    names = ("kind", "units", "unit_name", "model", "minimum_term_months", "currency", *RENTED_FIELDS, *OWNED_FIELDS)
    more = ("rated_watts", "pue", "price_per_kwh", "while_up", "valid_from_on", "valid_until_on")
    return {name: getattr(card, name) for name in (*names, *more)}


def _price_shown(price: OwnPrice) -> dict[str, Any]:
    names = ("provider", "model", "service_tier", "currency", "valid_from_on")
    prices = ("input_per_million", "cached_input_per_million", "cache_write_input_per_million", "output_per_million")
    backend: date | str | None = price.backend.slug if price.backend else None
    return {"backend": backend, **{name: getattr(price, name) for name in (*names, *prices)}}
