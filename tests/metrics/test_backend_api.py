"""Backends, series and prices over REST, under the same rules as the pages."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from metrics.models import Allocation, Backend, OwnPrice, RateCard, Series
from tests.doubles.source_server import Reply, source_server
from tests.metrics.pulling import SECRET, vllm_text

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def started(settings, monkeypatch):
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    settings.ENCRYPTION_KEYS = ["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]
    found: list[tuple] = []
    for place in ("api.backends", "tasks"):
        monkeypatch.setattr(f"metrics.{place}.enqueue_on_commit", lambda task, *args: found.append((task.name, *args)))
    return found


@pytest.fixture
def server():
    with source_server() as running:
        running.play = lambda asked: Reply(vllm_text(requests=10, tokens_in=1000, tokens_out=100))
        yield running


@pytest.fixture
def manage(api, adam):
    return api(adam, scopes=["manage"])


@pytest.fixture
def series(backend) -> Series:
    return Series.objects.create(digest=b"1" * 16, provider="vllm", backend=backend, model="llama")


def _new(server, **more):
    values = {"addresses": [server.url], "preset": "vllm", "token": SECRET}
    return {"connector": "metrics_endpoint", "name": "GPU box", "parameters": values, **more}


def test_it_adds_reads_changes_and_removes_a_backend(server, manage, claims, started):
    made = manage.post("/api/v1/backends/", _new(server, roadmap="claims"))
    assert made.status_code == 201
    assert made.headers["Location"] == "/api/v1/backends/gpu-box/"
    assert started == [("metrics.pull_backend", Backend.objects.get().pk)]
    row = manage.get("/api/v1/backends/gpu-box/").json()
    assert (row["roadmap"], row["has_secrets"], row["pull_every_minutes"]) == ("claims", True, 5)
    assert SECRET not in str(row)
    changed = manage.patch("/api/v1/backends/gpu-box/", {"name": "Box", "pull_every_minutes": 15}).json()
    assert (changed["name"], changed["has_secrets"]) == ("Box", True)
    assert manage.delete("/api/v1/backends/gpu-box/").status_code == 204
    assert manage.get("/api/v1/backends/gpu-box/").status_code == 404


def test_it_tests_a_connection(server, manage):
    body = {name: value for name, value in _new(server).items() if name != "name"}
    found = manage.post("/api/v1/backends/test", body).json()
    assert found["ok"] is True
    assert "answers" in found["lines"][0]["text"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"connector": "abacus"}, "#/kind"),
        ({"roadmap": "nowhere"}, "#/roadmap"),
        ({"surprise": 1}, "#/surprise"),
        ({"parameters": {"addresses": ["ftp://x"], "preset": "vllm"}}, "#/addresses"),
        ({"parameters": {"addresses": ["http://10.0.0.5"], "preset": "vllm", "shoe": 1}}, "#/shoe"),
        ({"pull_every_minutes": 7}, "#/pull_every_minutes"),
        ({"backfill_from_on": "2026-01-01"}, "#/backfill_from_on"),
    ],
)
def test_it_names_what_is_wrong(server, manage, change, pointer):
    answer = manage.post("/api/v1/backends/", {**_new(server), **change})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert not Backend.objects.exists()


def test_it_allocates_a_series_in_shares(manage, series, claims, other):
    shares = [{"roadmap": "claims", "share": "0.25"}, {"roadmap": "other", "share": "0.75"}]
    found = manage.post(f"/api/v1/series/{series.pk}/allocation", {"shares": shares}).json()
    assert [(row["roadmap"], row["share"]) for row in found["allocations"]] == [
        ("claims", "0.2500000000"),
        ("other", "0.7500000000"),
    ]
    shares[0]["share"] = "0.26"
    refused = manage.post(f"/api/v1/series/{series.pk}/allocation", {"shares": shares})
    assert refused.json()["code"] == "more_than_all"
    assert Allocation.objects.filter(series=series).count() == 2


def test_it_sets_and_removes_a_rate_card(manage, backend, started):
    card = {
        "kind": "rented",
        "units": "2",
        "currency": "EUR",
        "rate_per_unit_hour": "2.5",
        "valid_from_on": "2026-11-01",
    }
    made = manage.post("/api/v1/backends/gpu-1/rate-cards/", card)
    assert made.status_code == 201
    url = f"/api/v1/backends/gpu-1/rate-cards/{made.json()['id']}/"
    assert manage.patch(url, {"rate_per_unit_hour": "900"}).json()["code"] == "not_plausible"
    assert manage.patch(url, {"rate_per_unit_hour": "3"}).json()["rate_per_unit_hour"] == "3.0000000000"
    assert manage.delete(url).status_code == 204
    assert not RateCard.objects.exists()
    assert started[-1] == ("metrics.post_capacity", backend.pk)
    assert {due.start.isoformat() for due in backend.capacity_due.all()} == {"2026-11-01T00:00:00+00:00"}


def test_it_sets_an_own_price_that_is_used(manage, backend):
    from metrics import pricing

    price = {
        "backend": "gpu-1", "provider": "vllm", "model": "llama", "currency": "EUR", "input_per_million": "1",
        "output_per_million": "2", "valid_from_on": "2026-11-01",
    }  # fmt: skip
    made = manage.post("/api/v1/prices/", price)
    assert made.status_code == 201
    pricing.forget_prices()
    sums = {"input_tokens": 1_000_000, "output_tokens": 500_000}
    found = pricing.estimate("vllm", "llama", "standard", date(2026, 11, 22), sums, backend_id=backend.pk)
    assert (found.amount, found.currency) == (Decimal(2), "EUR")
    assert manage.delete(f"/api/v1/prices/{made.json()['id']}/").status_code == 204
    assert not OwnPrice.objects.exists()
    pricing.forget_prices()


def test_a_read_token_reads_and_does_not_write(api, adam, series):
    client = api(adam, scopes=["read"])
    assert client.get("/api/v1/series/?backend=gpu-1").json()["results"][0]["model"] == "llama"
    assert client.post(f"/api/v1/series/{series.pk}/allocation", {"shares": []}).status_code == 403


def test_a_token_of_one_roadmap_does_not_reach_beyond_it(api, adam, series, claims):
    client = api(adam, scopes=["manage"], workload=claims)
    assert client.get("/api/v1/backends/").json()["results"] == []
    assert client.post(f"/api/v1/series/{series.pk}/allocation", {"shares": []}).status_code == 403
