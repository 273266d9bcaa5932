"""Where only the signal arrives that a token does not count, somebody who may is asked, once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.access import Asker
from accounts.actions import change_token
from accounts.models import Token
from accounts.tokens import make_token
from metrics import series
from metrics.arrivals import ARRIVES_WITHIN, note_arrival
from metrics.models import ArrivedSignal

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def token(bob, claims) -> Token:
    return make_token(name="claims-bot", owner=bob, scopes=["push"], workload=claims)[0]


def asked(person) -> list[tuple[str, str]]:
    return [(item.token_name, item.arrives) for item in series.undecided_signals(Asker(user=person))]


def test_traces_alone_ask_who_may_decide(token, alice, bob, vera, oscar, erin, adam, django_assert_num_queries):
    assert asked(bob) == []
    note_arrival(token, "traces")
    for person in (alice, bob, adam):
        with django_assert_num_queries(1):
            assert asked(person) == [("claims-bot", "traces")]
    for person in (vera, oscar, erin):
        assert asked(person) == []
    change_token(Asker(user=alice), token, signal="traces")
    assert asked(bob) == []


def test_both_are_counted_once_and_nothing_is_asked(token, bob):
    note_arrival(token, "traces")
    note_arrival(token, "metrics")
    assert asked(bob) == []
    # Once the counted one has come no more for a while, it is asked again.
    ArrivedSignal.objects.filter(signal="metrics").update(at=timezone.now() - ARRIVES_WITHIN - MINUTE)
    assert asked(bob) == [("claims-bot", "traces")]


def test_what_no_longer_arrives_asks_nothing(token, bob):
    note_arrival(token, "traces", now=timezone.now() - ARRIVES_WITHIN - MINUTE)
    assert asked(bob) == []


def test_a_token_that_is_over_asks_nothing(token, bob):
    note_arrival(token, "traces")
    Token.objects.update(expires_at=timezone.now() - MINUTE)
    assert asked(bob) == []
    Token.objects.update(expires_at=None, revoked_at=timezone.now())
    assert asked(bob) == []


def test_an_arrival_is_written_once_a_minute(token):
    now = timezone.now()
    for seconds in (0, 5, 59):
        note_arrival(token, "traces", now=now + timedelta(seconds=seconds))
    assert ArrivedSignal.objects.get().at == now
    note_arrival(token, "traces", now=now + 2 * MINUTE)
    assert ArrivedSignal.objects.get().at == now + 2 * MINUTE
