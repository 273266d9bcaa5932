"""Percentiles of pushed durations against the nearest-rank ones, however the pushes were split (measures.md, Latency).

`bin/bench scale` does the same with a million records.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from accounts.models import Membership, Role, User, Workload
from accounts.tokens import make_token
from metrics import behind, checking, identity, series
from metrics.figures import Scope
from metrics.models import Receipt

COUNT = 1_500
PERCENTS = (50, 95, 99)


def nearest_rank(ordered, percent):
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]


def _record(model, now, age_seconds, ms):
    at = (now - timedelta(seconds=age_seconds)).isoformat()
    return {"timestamp": at, "provider": "vllm", "model": model, "duration_ms": ms}


@pytest.mark.django_db(transaction=True)
def test_any_split_over_batches_clients_and_days_gives_the_same_percentiles(client):
    owner = User.objects.create_user(username="anna")

    @examples(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
    @given(
        seed=st.integers(0, 10**6),
        clients=st.integers(1, 4),
        days=st.integers(1, 12),
        largest=st.sampled_from([100, 400, 1_500]),
        middle_ms=st.floats(5, 60_000),
        spread=st.floats(0.05, 1.8),
    )
    def run(seed, clients, days, largest, middle_ms, spread):
        random = Random(seed)
        identity.forget()
        slug = f"w-{Workload.objects.count()}"
        workload = Workload.objects.create(slug=slug, name=slug)
        Membership.objects.create(user=owner, workload=workload, role=Role.MANAGER)
        tokens = [
            make_token(name=f"{slug}-{number}", owner=owner, scopes=["push"], workload=workload)[1]
            for number in range(clients)
        ]
        now = datetime.now(UTC)
        durations = [round(random.lognormvariate(math.log(middle_ms), spread), 3) for _ in range(COUNT)]
        left = list(durations)
        while left:
            size = random.randint(max(1, largest // 4), largest)
            batch, left = left[:size], left[size:]
            answer = client.post(
                "/api/v1/usage",
                json.dumps({"records": [_record(slug, now, random.randrange(days * 86_400), ms) for ms in batch]}),
                content_type="application/json",
                headers={"Authorization": f"Bearer {random.choice(tokens)}", "Idempotency-Key": f"{slug}-{len(left)}"},
            )
            assert answer.status_code == 201, answer.content
        behind.fold()
        scope = Scope((now - timedelta(days=days + 1)).date(), (now + timedelta(days=1)).date(), [workload.pk])
        [row] = [row for row in series.latency(scope) if row.measure == "duration"]
        ordered = sorted(durations)
        for percent in PERCENTS:
            true = nearest_rank(ordered, percent)
            assert abs(row.histogram.percentile(percent).ms - true) <= 0.025 * true, (percent, true)

    run()
    assert Receipt.objects.count() > 5
    assert checking.check() == []
