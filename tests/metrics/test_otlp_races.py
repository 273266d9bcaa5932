"""Exports of one stream at the same time: what it counted is counted once, whichever of them comes first."""

from __future__ import annotations

import pytest
from django.db.models import Sum
from rest_framework.test import APIClient

from accounts.models import Membership, Role, User, Workload
from accounts.tokens import make_token
from metrics import identity
from metrics.models import LedgerHistogram, UsageHour
from tests.metrics.metric_points import NOW, SECOND, Export
from tests.metrics.test_push_races import at_once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def send():
    identity.forget()
    claims = Workload.objects.create(slug="claims", name="Claims")
    owner = User.objects.create_user(username="bob")
    Membership.objects.create(user=owner, workload=claims, role=Role.CONTRIBUTOR)
    _, token = make_token(name="bot", owner=owner, scopes=["push"], workload=claims)

    def _send(export: Export) -> int:
        client = APIClient(headers={"Authorization": f"Bearer {token}"})
        return client.post(
            "/otlp/v1/metrics", export.body(), content_type="application/x-protobuf", format=None
        ).status_code

    yield _send
    identity.forget()


def export(step: int, replica: str = "a") -> Export:
    about = {"service.name": "bot", "service.instance.id": replica}
    at = NOW + step * SECOND
    return Export(resource=about).tokens(100 * step, at=at).durations([0, step, 0, 0], 0.7 * step, at=at)


def counted() -> tuple[int, int, int]:
    sums = UsageHour.objects.aggregate(tokens=Sum("input_tokens"), requests=Sum("requests"))
    return sums["tokens"], sums["requests"], sum(sum(row.window[1:]) for row in LedgerHistogram.objects.all())


def test_exports_of_a_stream_that_nobody_knows_yet(send):
    answers = at_once(*[lambda step=step: send(export(step)) for step in (1, 2, 3, 4)])
    assert answers == [200] * 4
    assert counted() == (400, 4, 4)


def test_exports_of_replicas_that_are_known_overtake_each_other(send):
    for replica in "ab":
        send(export(1, replica))
    steps = [(step, replica) for step in (5, 3, 4) for replica in "ab"]
    answers = at_once(*[lambda step=step, replica=replica: send(export(step, replica)) for step, replica in steps])
    assert answers == [200] * 6
    assert counted() == (1000, 10, 10)
    # The same six once more, as clients do that got no answer.
    at_once(*[lambda step=step, replica=replica: send(export(step, replica)) for step, replica in steps])
    assert counted() == (1000, 10, 10)
