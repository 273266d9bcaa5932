"""A GPU server that cannot be asked: added with its rate card in one go, pushed to days late, right all the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from accounts.models import AuditEvent
from metrics.capacity import post_capacity
from metrics.models import Backend, CapacityDue, RateCard, UsageHour

pytestmark = pytest.mark.django_db

NEW = "/backends/new/push-only/"
NOW = datetime.now(UTC).replace(minute=20, second=0, microsecond=0)
LONG_AGO = NOW.replace(minute=0) - timedelta(days=12)


def _form(**more) -> dict[str, str]:
    card = {
        "kind": "rented",
        "units": "2",
        "unit_name": "GPU",
        "currency": "EUR",
        "rate_per_unit_hour": "2.50",
        "pue": "1",
        "valid_from_on": (LONG_AGO - timedelta(days=1)).date().isoformat(),
    }
    named = {f"card-{name}": value for name, value in card.items()}
    return {"name": "Edge 1", "hardware": "2 x L40S", "provider": "vllm", **named, **more}


def test_it_is_offered_among_gpu_servers(adam, sign_in):
    text = sign_in(adam).get("/backends/new/").text
    assert text.index("A GPU server") < text.index(f'href="{NEW}"') < text.rindex('href="/send/"')
    assert sign_in(adam).get(NEW).status_code == 200


def test_backend_and_rate_card_are_added_in_one_go(adam, sign_in):
    answer = sign_in(adam).post(NEW, _form())
    assert answer.headers["Location"] == "/backends/edge-1/"
    backend = Backend.objects.get()
    assert (backend.connector, backend.provider, backend.hardware) == ("push_only", "vllm", "2 x L40S")
    card = RateCard.objects.get()
    assert (card.backend, card.units, card.rate_per_unit_hour) == (backend, 2, Decimal("2.50"))
    assert CapacityDue.objects.get().backend == backend
    assert set(AuditEvent.objects.values_list("action", flat=True)) >= {"add_backend", "add_rate_card"}
    assert '"backend": "edge-1"' in sign_in(adam).get("/backends/edge-1/").text


def test_a_card_can_wait(adam, sign_in):
    empty = {"card-units": "", "card-rate_per_unit_hour": ""}
    assert sign_in(adam).post(NEW, _form(**empty)).status_code == 303
    assert (Backend.objects.count(), RateCard.objects.count()) == (1, 0)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "", "required"),
        ("card-units", "", "required"),
        ("card-rate_per_unit_hour", "1800", "A price by the month is divided by 730"),
        ("card-rate_per_unit_hour", "", "is needed"),
        ("card-currency", "euros", "at most 3 characters"),
        ("card-valid_from_on", "soon", "valid date"),
    ],
)
def test_what_is_wrong_is_said_beside_it_and_nothing_is_kept_of_either(adam, sign_in, field, value, said):
    answer = sign_in(adam).post(NEW, _form(**{field: value}))
    assert answer.status_code == 422
    assert said in answer.text
    assert (Backend.objects.count(), RateCard.objects.count()) == (0, 0)
    assert "2 x L40S" in answer.text


def test_only_admins_add_one(sign_in, oscar, vera, alice, erin):
    """An outsider of this roadmap manages another; a viewer sees no backends at all."""
    for person, status in ((vera, 404), (oscar, 403), (alice, 403), (erin, 403)):
        client = sign_in(person)
        assert {client.get(NEW).status_code, client.post(NEW, _form()).status_code} == {status}, person
    assert not Backend.objects.exists()


def test_days_late_pushes_bear_their_hours_cost(adam, sign_in, claims, api):
    """5.00 an hour: tokens of two models 300 to 100 that arrive twelve days later, in two pushes."""
    sign_in(adam).post(NEW, _form())
    post_capacity(NOW)
    sender = api(adam, scopes=["push"], workload=claims)
    for model, tokens in (("qwen", 100), ("llama", 300)):
        record = {
            "timestamp": LONG_AGO.isoformat(),
            "provider": "vllm",
            "model": model,
            "output_tokens": tokens,
            "backend": "edge-1",
        }
        answer = sender.post("/api/v1/usage", {"records": [record]}, format="json")
        assert answer.json()["accepted"] == 1, answer.content
        post_capacity(NOW)
    hours = UsageHour.objects.filter(hour=LONG_AGO, currency="EUR")
    costs = {row.series.model or row.series.kind: row.estimated_cost for row in hours}
    assert costs == {"llama": Decimal("3.75"), "qwen": Decimal("1.25"), "idle": 0}
    assert Backend.objects.count() == 1


def test_over_rest(api, adam):
    manage = api(adam, scopes=["manage"])
    url = "/api/v1/backends/"
    made = manage.post(url, {"connector": "push_only", "name": "Edge 2", "parameters": {}}, format="json")
    assert made.status_code == 201, made.content
    assert (made.json()["slug"], made.json()["provider"]) == ("edge-2", "self-hosted")
    wrong = {"connector": "push_only", "name": "Edge 3", "parameters": {"address": "http://x"}}
    refused = manage.post(url, wrong, format="json")
    assert refused.json()["code"] == "unknown_parameter"
