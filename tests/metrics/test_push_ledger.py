"""Whatever is pushed, repeated and taken back: the ledger adds up, and the figures are those of a plain list."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics import checking
from metrics.models import Receipt, Series, UsageHour

STEP = st.one_of(
    st.tuples(
        st.just("push"),
        st.lists(
            st.tuples(
                st.integers(0, 3),
                st.integers(0, 50),
                st.sampled_from([None, "a", "b", "c"]),
                st.sampled_from(["m", "n"]),
            ),
            min_size=1,
            max_size=4,
        ),
    ),
    st.tuples(st.just("repeat"), st.integers(0, 5)),
    st.tuples(st.just("take back"), st.integers(0, 5)),
)


class Undo(Exception):  # noqa: N818 - ends an example
    """Rolls an example back."""


@pytest.mark.django_db
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEP, max_size=8))
def test_the_figures_are_those_of_what_was_counted(api, alice, claims, steps):
    client = api(alice, scopes=["push", "read"], workload=claims)
    now = timezone.now().replace(minute=30)
    try:
        with transaction.atomic():
            _run(client, steps, now)
            raise Undo
    except Undo:
        pass


def _run(client, steps, now) -> None:
    pushed: list[tuple[str, bytes, str]] = []  # key, body, receipt
    counted: dict[str, list[dict]] = {}  # receipt -> records
    ids: dict[tuple[str, str], str] = {}  # day, id -> receipt
    answered: dict[str, str] = {}  # key -> receipt
    for number, (kind, detail) in enumerate(steps):
        if kind == "push":
            records = [
                {
                    "timestamp": (now - timedelta(hours=hours + 1)).isoformat(),
                    "model": model,
                    "input_tokens": tokens,
                    "cost": f"0.{tokens:010d}",
                    "currency": "USD",
                    **({"id": name} if name else {}),
                }
                for hours, tokens, name, model in detail
            ]
            key, body = f"key {number}", json.dumps({"records": records}).encode()
        elif not pushed:
            continue
        elif kind == "repeat":
            key, body, _ = pushed[detail % len(pushed)]
            records = json.loads(body)["records"]
        else:
            _, _, receipt = pushed[detail % len(pushed)]
            status = client.post(f"/api/v1/receipts/{receipt}/reverse").status_code
            assert status == (201 if receipt in counted else 409)
            counted.pop(receipt, None)
            ids = {name: owner for name, owner in ids.items() if owner != receipt}
            answered = {name: owner for name, owner in answered.items() if owner != receipt}
            continue
        answer = client.post("/api/v1/usage", body, content_type="application/json", headers={"Idempotency-Key": key})
        assert answer.status_code == 201
        receipt = answer.json()["receipt"]
        if key in answered:
            assert receipt == answered[key]
            continue
        answered[key] = receipt
        pushed.append((key, body, receipt))
        counted[receipt] = []
        for record in records:
            name = (record["timestamp"][:10], record.get("id"))
            if name[1] is None or name not in ids:
                counted[receipt].append(record)
                if name[1] is not None:
                    ids[name] = receipt
    records = [record for of_receipt in counted.values() for record in of_receipt]
    hours = list(UsageHour.objects.all())
    assert sum(hour.requests or 0 for hour in hours) == len(records)
    assert sum(hour.input_tokens or 0 for hour in hours) == sum(record["input_tokens"] for record in records)
    assert sum((hour.estimated_cost or Decimal(0) for hour in hours), Decimal(0)) == sum(
        (Decimal(record["cost"]) for record in records), Decimal(0)
    )
    assert sum(Receipt.objects.values_list("accepted", flat=True)) == len(records)
    assert Series.objects.count() <= 2
    assert checking.check() == []
