"""The tab 'Prices and rates': what usage costs today and why, own prices, rate cards, exchange rates. Read only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy

from accounts.access import Asker, can_change_backends
from metrics import series
from metrics.source_facts import ExchangeRateFact, PriceFact, RateCardFact
from metrics.spoken import spoken
from roadmap.queries.spend import spend_view
from roadmap.queries.spend_tab import Column, Entry, SpendTab, TabTable, number, texts
from web import wording

MOST_MODELS = 300
STEPS = gettext_lazy("the first step of a price that rises with the request")


def spend_prices(asker: Asker, parameters: Mapping[str, Any], *, now: datetime | None = None) -> SpendTab:
    """Four tables; editing stays on the backends' pages."""
    view = spend_view(asker, parameters, now=now)
    cards = series.rate_cards()
    if not view.plan.include_demo:
        cards = [card for card in cards if not card.is_demo]
    slugs = {name.backend_slug for name in view.reader.names}
    if not view.plan.sees_all:
        cards = [card for card in cards if card.backend_slug in slugs]
    paid = {card.backend_slug for card in cards if card.valid_from_on <= view.today and _is_open(card, view.today)}
    names = [name for name in view.reader.names if _keeps(view.filters.values, name)]
    prices = series.prices_in_force(names, view.today)
    own = [
        price
        for price in series.own_prices()
        if view.plan.sees_all or not price.backend_slug or price.backend_slug in slugs
    ]
    without = [price for price in prices if not price.source and price.backend_slug not in paid]
    in_use = {view.currency, *(entry.currency for entry in view.plan.entries), *(card.currency for card in cards)}
    in_use |= {price.currency for price in (*prices, *own) if price.currency}
    sentence = gettext("Every model that was used has a price or a rate card.")
    if len(without) > 1:
        sentence = gettext("%(count)s models that were used have no price.") % {"count": wording.count(len(without))}
    elif without:
        sentence = gettext("%(model)s was used and has no price.") % {"model": without[0].model}
    if not prices:
        sentence = gettext("No model was used yet.")
    editing = gettext("An admin sets own prices and rate cards on the backend's page.")
    if can_change_backends(asker):
        editing = gettext("Set own prices and rate cards on the backend's page: its name leads there.")
    return SpendTab(
        view=view,
        name="spend_prices",
        title=gettext("Prices and rates"),
        sentence=sentence,
        rest=editing,
        hides_window=True,
        tables=[
            _in_force(prices, paid, wording.day(view.today)),
            _own(own),
            _cards(cards),
            _rates(series.newest_rates(), view.currency, in_use),
        ],
        method=[
            gettext(
                "Usage is priced at the price in force on the UTC day of its hour: the backend's own price, else "
                "everybody's own, else the public list that is installed here. A later price never changes what was "
                "priced before. "
                "Rates are the European Central Bank's as loaded; the last one before a day holds, up to 45 days."
            ),
        ],
    )


def _is_open(card: RateCardFact, today: Any) -> bool:
    return card.valid_until_on is None or today < card.valid_until_on


def _keeps(values: Mapping[str, str], name: Any) -> bool:
    wanted = {"provider": name.provider, "backend": name.backend_slug, "model": name.model}
    return all(not values.get(field) or values[field] == found for field, found in wanted.items())


def _price(amount: Decimal | None) -> Entry:
    return Entry(wording.number(amount, missing=wording.DASH))


def _in_force(prices: Sequence[PriceFact], paid: set[str], today: str) -> TabTable:
    rows = []
    for price in prices[:MOST_MODELS]:
        source = Entry(spoken(price.source), note=str(STEPS) if price.has_steps else "")
        if price.backend_slug in paid:
            source = Entry(gettext("paid by rate card"))
        elif not price.source:
            source = Entry(gettext("Not priced"), tone="amber", note=gettext("in no total; set an own price"))
        is_paid = price.backend_slug in paid
        rows.append(
            [
                Entry(price.model, note=price.provider),
                Entry(price.backend_name, reverse("backend", args=[price.backend_slug])),
                *(
                    Entry(wording.DASH) if is_paid else _price(amount)
                    for amount in (
                        price.input_per_million,
                        price.cached_input_per_million,
                        price.cache_write_input_per_million,
                        price.output_per_million,
                    )
                ),
                Entry(wording.DASH if is_paid else price.currency or wording.DASH),
                source,
            ]
        )
    return TabTable(
        id="in-force",
        title=gettext("In force today"),
        note=gettext("per million tokens, standard tier, %(today)s") % {"today": today},
        columns=[
            Column(gettext("Model")),
            Column(gettext("Backend")),
            number(gettext("Input")),
            number(gettext("Cached input")),
            number(gettext("Cache write")),
            number(gettext("Output")),
            Column(gettext("Currency")),
            Column(gettext("Source")),
        ],
        rows=rows,
        empty=gettext("Prices show here for the models that were used."),
        more=gettext("%(shown)s of %(count)s; narrow by provider, backend or model.")
        % {"shown": wording.count(MOST_MODELS), "count": wording.count(len(prices))}
        if len(prices) > MOST_MODELS
        else "",
    )


def _own(prices: Sequence[PriceFact]) -> TabTable:
    rows = [
        [
            Entry(price.model, note=price.provider),
            Entry(price.backend_name, reverse("backend", args=[price.backend_slug]))
            if price.backend_slug
            else Entry(gettext("every backend")),
            Entry(price.service_tier),
            _price(price.input_per_million),
            _price(price.cached_input_per_million),
            _price(price.output_per_million),
            Entry(price.currency),
            Entry(wording.day(price.valid_from_on)),
        ]
        for price in prices
    ]
    return TabTable(
        id="own",
        title=gettext("Own prices"),
        note=gettext("per million tokens; the newest of a model holds from its day on"),
        columns=[
            Column(gettext("Model")),
            Column(gettext("Backend")),
            Column(gettext("Tier")),
            number(gettext("Input")),
            number(gettext("Cached input")),
            number(gettext("Output")),
            Column(gettext("Currency")),
            number(gettext("From")),
        ],
        rows=rows,
        empty=gettext(
            "No negotiated price is set. Add one on a backend's page; it wins over the public list from its day on."
        ),
    )


def _cards(cards: Sequence[RateCardFact]) -> TabTable:
    rows = [
        [
            Entry(card.backend_name, reverse("backend", args=[card.backend_slug])),
            *texts(
                {"rented": gettext("Rented"), "owned": gettext("Owned"), "reserved": gettext("Reserved")}.get(
                    card.kind, card.kind
                ),
                f"{card.units.normalize():f} x {card.unit_name}",
                gettext("%(amount)s per unit and hour")
                % {"amount": wording.money_exact(card.rate_per_unit_hour, card.currency)}
                if card.kind != "owned"
                else gettext("%(amount)s over %(months)s")
                % {
                    "amount": wording.money_exact(card.purchase_amount, card.currency),
                    "months": wording.plural(card.amortisation_months or 0, "month"),
                },
                wording.day(card.valid_from_on),
                wording.day(card.valid_until_on) if card.valid_until_on else gettext("open"),
            ),
        ]
        for card in cards
    ]
    return TabTable(
        id="cards",
        title=gettext("Rate cards"),
        note=gettext("what capacity costs by the hour, used or not"),
        columns=[
            Column(gettext("Backend")),
            Column(gettext("Kind")),
            Column(gettext("Units")),
            number(gettext("Cost")),
            number(gettext("From")),
            number(gettext("Until before")),
        ],
        rows=rows,
        empty=gettext(
            "No capacity has a rate card. Add one on the backend's page, so that its idle hours cost what they cost."
        ),
    )


def _rates(loaded: Sequence[ExchangeRateFact], currency: str, in_use: set[str]) -> TabTable:
    rates = [rate for rate in loaded if rate.currency in in_use] or loaded
    rows = [
        [
            Entry(rate.currency),
            Entry(wording.number(rate.per_euro)),
            Entry(wording.day(rate.on)),
            Entry(rate.source),
        ]
        for rate in rates
    ]
    return TabTable(
        id="rates",
        title=gettext("Exchange rates"),
        note=gettext("the newest of each currency; amounts are shown in %(currency)s") % {"currency": currency},
        columns=[
            Column(gettext("Currency")),
            number(gettext("For one euro")),
            number(gettext("Of")),
            Column(gettext("Source")),
        ],
        rows=rows,
        more=gettext("Those in use, of %(count)s that are loaded.") % {"count": wording.count(len(loaded))}
        if len(rates) < len(loaded)
        else "",
        empty=gettext("No exchange rate is loaded. The operator loads them with 'manage.py load_rates'."),
    )
