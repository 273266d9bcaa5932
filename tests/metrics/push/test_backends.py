"""POST /api/v1/usage: which backend the usage is counted at."""

from __future__ import annotations

import json

import pytest
from django.utils import timezone

from metrics import ledger
from metrics.ledger import PostedCell
from metrics.models import Allocation, Backend, Receipt, Series
from metrics.usage import FeedKind
from tests.metrics.push.pushing import URL, record

pytestmark = pytest.mark.django_db


def test_a_push_joins_the_one_backend_of_its_provider(push):
    pulled = Backend.objects.create(slug="openai-eu", name="OpenAI", connector="openai", provider="openai")
    Backend.objects.create(slug="demo", name="Demo", connector="openai", provider="mistral", is_demo=True)
    push(record(), record(provider="mistral"), record(provider=None), record(provider="gcp.vertex_ai"))
    assert set(Series.objects.values_list("provider", "backend__slug")) == {
        ("openai", pulled.slug),
        ("mistral", "push-mistral"),
        ("unknown", "push-unknown"),
        ("gcp.vertex_ai", "push-gcp-vertex-ai"),
    }


def test_two_backends_of_a_provider_leave_the_push_by_itself(push):
    for slug in ("one", "two"):
        Backend.objects.create(slug=slug, name=slug, connector="openai", provider="openai")
    push(record(), record(backend="two"), record(backend="too"))
    assert set(Series.objects.values_list("backend__slug", flat=True)) == {"push-openai", "two"}
    assert Receipt.objects.get().rejected[0]["code"] == "unknown_backend"


def test_a_backend_that_is_not_there_is_answered_with_the_nearest_that_the_sender_may_see(push, claims, other):
    Backend.objects.create(slug="gpu-claims", name="Ours", connector="openai", provider="x", default_workload=claims)
    Backend.objects.create(slug="gpu-secret", name="Theirs", connector="openai", provider="x", default_workload=other)
    push(record(), record(backend="gpu-c"), record(backend="gpu-secre"))
    said = [row["detail"] for row in Receipt.objects.get().rejected]
    assert "Nearest: gpu-claims." in said[0]
    assert "gpu-secret" not in "".join(said)


def test_providers_with_the_same_slug_stay_apart(push):
    push(record(provider="a.b"), record(provider="a-b"))
    assert sorted(Backend.objects.values_list("provider", flat=True)) == ["a-b", "a.b"]
    push(record(provider="a.b"), record(provider="a-b"), record(provider="a-b"))
    assert Backend.objects.count() == 2


def test_what_it_goes_through_is_kept_with_the_series(api, alice, claims):
    gateway = Backend.objects.create(slug="litellm", name="LiteLLM", connector="litellm", measured_at="gateway")
    client = api(alice, scopes=["push"], workload=claims, through="litellm", measured_at="application")
    client.post(URL, json.dumps({"records": [record()]}), content_type="application/json")
    assert Series.objects.get().through == gateway


def test_an_outsiders_push_takes_no_backends_figures_away(api, oscar, other, backend, make_series, claims):
    own = make_series("llama")
    ledger.post(
        Receipt(kind="usage", backend=backend),
        ledger.feed(FeedKind.USAGE, backend),
        [PostedCell(own, timezone.now().replace(minute=0, second=0, microsecond=0), {"requests": 5})],
    )
    client = api(oscar, scopes=["push"], workload=other, through=backend.slug, measured_at="gateway")
    answer = client.post(URL, json.dumps({"records": [record()]}), content_type="application/json").json()
    assert [row["code"] for row in answer["warnings"]] == ["through_not_allowed"]
    assert Series.objects.get(pk=own).uncounted_from_on is None
    Allocation.objects.create(series_id=own, workload=other, share_ratio=1, valid_from_on="2000-01-01")
    client.post(URL, json.dumps({"records": [record(model="llama")]}), content_type="application/json")
    assert Series.objects.get(pk=own).uncounted_from_on is not None
