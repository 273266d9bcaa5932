"""A year that is mistyped is refused in words, wherever an admin names a day."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from metrics.actions.allocations import allocate
from metrics.actions.links import link_backend
from metrics.actions.prices import set_own_price, set_rate_card
from metrics.actions.repricing import reprice
from metrics.actions.rules import RuleFields, adding, change_rules
from metrics.errors import RuleViolation
from metrics.models import Backend, Series

MISTYPED, NEVER, FINE = date(202, 1, 26), date(9999, 12, 31), date(2026, 11, 1)
CARD = {"kind": "rented", "units": Decimal(1), "currency": "EUR", "rate_per_unit_hour": Decimal(2)}
OWNED = {"kind": "owned", "units": Decimal(1), "currency": "EUR", "purchase_amount": Decimal(9000)}
PRICE = {"provider": "acme", "model": "own", "currency": "EUR"}
PER_MILLION = {"input_per_million": Decimal(1), "output_per_million": Decimal(2)}


@pytest.mark.parametrize("day", [MISTYPED, NEVER], ids=str)
@pytest.mark.parametrize(
    ("field", "act"),
    [
        ("valid_from_on", lambda a, b, w, day: set_rate_card(a, b, valid_from_on=day, **CARD)),
        ("valid_until_on", lambda a, b, w, day: set_rate_card(a, b, valid_from_on=FINE, valid_until_on=day, **CARD)),
        (
            "purchased_on",
            lambda a, b, w, day: set_rate_card(
                a, b, valid_from_on=FINE, purchased_on=day, amortisation_months=36, **OWNED
            ),
        ),
        ("valid_from_on", lambda a, b, w, day: set_own_price(a, valid_from_on=day, **PRICE, **PER_MILLION)),
        ("from_on", lambda a, b, w, day: reprice(a, from_on=day, until_on=day)),
        ("until_on", lambda a, b, w, day: reprice(a, from_on=FINE, until_on=day)),
        ("from_on", lambda a, b, w, day: link_backend(a, b, gateway=Backend.objects.get(slug="gw"), from_on=day)),
        ("from_on", lambda a, b, w, day: allocate(a, Series.objects.get(), shares=[(w, Decimal(1))], from_on=day)),
        (
            "valid_from_on",
            lambda a, b, w, day: change_rules(
                a, adding(RuleFields(shares=[(w, Decimal(1))], model="m*", valid_from_on=day))
            ),
        ),
    ],
    ids=["card", "card's end", "purchase", "own price", "reprice", "reprice's end", "link", "allocation", "rule"],
)
def test_a_day_out_of_the_calendar_of_people_is_refused(adam, asker, backend, claims, make_series, field, act, day):
    make_series("m1")
    Backend.objects.create(slug="gw", name="Gateway", connector="litellm", provider="litellm", measured_at="gateway")
    with pytest.raises(RuleViolation) as caught:
        act(asker(adam), backend, claims, day)
    assert (caught.value.code, caught.value.field) == ("date_out_of_range", field)
    assert "between 2000 and 2099" in caught.value.message
