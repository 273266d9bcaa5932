"""Money of a source that does not count is passed on to the series that do, by hour and model: parts of the whole."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from metrics.actions.links import link_backend
from metrics.capacity import post_capacity
from metrics.connector import CostStatement
from metrics.models import Backend, RateCard, UsageHour
from metrics.settling import used_hours
from metrics.spreading import spread
from metrics.windows import Window
from tests.metrics.test_capacity import _cost, _post

pytestmark = pytest.mark.django_db
DAY = date(2026, 11, 22)
NINE = datetime(2026, 11, 22, 9, tzinfo=UTC)
NOW = NINE.replace(hour=12, minute=10)
D = Decimal


@pytest.fixture
def chain(backend, adam, asker):
    """GPU 1 behind an inner gateway behind one in front: (inner, front)."""
    inner, front = (
        Backend.objects.create(slug=slug, name=slug, connector="x", provider="p", measured_at="gateway")
        for slug in ("inner", "front")
    )
    link_backend(asker(adam), backend, gateway=inner, from_on=DAY)
    link_backend(asker(adam), inner, gateway=front, from_on=DAY)
    return inner, front


def test_capacity_behind_two_gateways_is_borne_by_the_one_in_front(backend, chain, make_series, adam, asker):
    """5.00 an hour; the front saw team a with 300 and team b with 100 output tokens: 3.75 and 1.25."""
    inner, front = chain
    RateCard.objects.create(
        backend=backend, kind="rented", units=2, currency="EUR", rate_per_unit_hour=D("2.5"), valid_from_on=DAY
    )
    own, middle = make_series("org/llama"), make_series("llama", on=inner, measured_at="gateway")
    teams = [make_series("llama", on=front, measured_at="gateway", labels=(("team", team),)) for team in "ab"]
    for series_id, tokens in ((own, 410), (middle, 405), (teams[0], 300), (teams[1], 100)):
        _post(series_id, NINE, requests=1, output_tokens=tokens)
    link_backend(asker(adam), inner, gateway=front, from_on=DAY)
    post_capacity(NOW)
    assert [_cost(series_id) for series_id in (own, middle, *teams)] == [None, None, D("3.75"), D("1.25")]
    assert sum(row.estimated_cost or 0 for row in UsageHour.objects.filter(hour=NINE, currency="EUR")) == 5


def test_a_providers_statement_goes_to_what_the_gateway_counted_of_its_model(backend, chain, make_series, adam, asker):
    """The provider bills 'gpt-4o' 9.00; the gateway calls it 'openai/gpt-4o' and counted 2 to 1."""
    inner, front = chain
    backend.refresh_from_db()
    make_series("gpt-4o")
    teams = [make_series("openai/gpt-4o", on=front, measured_at="gateway", labels=(("team", team),)) for team in "ab"]
    other = make_series("openai/o3", on=front, measured_at="gateway")
    for series_id, tokens in ((teams[0], 200), (teams[1], 100), (other, 500)):
        _post(series_id, NINE, requests=1, input_tokens=0, output_tokens=tokens)
    day = Window(NINE.replace(hour=0), NINE.replace(hour=0) + timedelta(days=1))
    statement = CostStatement(start=day.start, end=day.end, amount=D(9), currency="USD", model="gpt-4o")
    parts = spread([statement], used_hours(backend, day))
    assert {part.series_id: part.amount for part in parts} == {teams[0]: D(6), teams[1]: D(3)}
