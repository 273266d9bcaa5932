"""Backends are seen by those whose work they serve, changed by admins, and neither by anybody else."""

from __future__ import annotations

from datetime import date

import pytest

from accounts.models import AuditEvent
from metrics import pull as pulling
from metrics.models import Allocation, Backend, LookAlike, OwnPrice, RateCard, Series
from tests.metrics.pulling import HOUR, NOW, at

pytestmark = pytest.mark.django_db
NEW = "/backends/new/metrics_endpoint/"


def _urls(backend: Backend) -> list[tuple[str, str]]:
    series = Series.objects.filter(backend=backend).first()
    pair = LookAlike.objects.create(
        first=series, second=series, model="m", on=date(2026, 11, 21), first_tokens=1, second_tokens=1
    )
    card = RateCard.objects.create(
        backend=backend, kind="rented", units=1, currency="EUR", valid_from_on=date(2026, 1, 1)
    )
    price = OwnPrice.objects.create(
        backend=backend, provider="x", model="m", currency="EUR", input_per_million=1, output_per_million=1,
        valid_from_on=date(2026, 1, 1),
    )  # fmt: skip
    one, api = f"/backends/{backend.slug}/", f"/api/v1/backends/{backend.slug}/"
    return [
        ("get", one),
        ("get", f"{one}change/"),
        ("post", f"{one}change/"),
        ("post", f"{one}pull/"),
        ("post", f"{one}remove/"),
        ("post", f"{one}backfill/"),
        ("post", f"{one}link/"),
        ("post", f"{one}rate-cards/"),
        ("post", f"{one}rate-cards/{card.pk}/"),
        ("post", f"{one}rate-cards/{card.pk}/remove/"),
        ("post", f"{one}prices/"),
        ("post", f"{one}prices/{price.pk}/remove/"),
        ("get", "/backends/new/"),
        ("get", NEW),
        ("post", NEW),
        ("get", f"/series/{series.pk}/allocation/"),
        ("post", f"/series/{series.pk}/allocation/"),
        ("post", f"/series/{series.pk}/through/"),
        ("post", f"/look-alikes/{pair.pk}/"),
        ("get", api),
        ("patch", api),
        ("delete", api),
        ("post", "/api/v1/backends/"),
        ("post", "/api/v1/backends/test"),
        ("post", "/api/v1/backends/discover"),
        ("get", f"{api}pulls"),
        ("post", f"{api}pulls"),
        ("post", f"{api}link"),
        ("post", f"{api}backfill"),
        ("get", f"{api}rate-cards/"),
        ("post", f"{api}rate-cards/"),
        ("get", f"{api}rate-cards/{card.pk}/"),
        ("delete", f"{api}rate-cards/{card.pk}/"),
        ("post", "/api/v1/prices/"),
        ("get", f"/api/v1/prices/{price.pk}/"),
        ("delete", f"/api/v1/prices/{price.pk}/"),
        ("post", f"/api/v1/series/{series.pk}/allocation"),
        ("post", f"/api/v1/series/{series.pk}/through"),
        ("post", f"/api/v1/look-alikes/{pair.pk}/"),
    ]


@pytest.fixture
def used(source, provider) -> Backend:
    provider.usage(HOUR, requests=3)
    pulling.pull(source.pk, clock=at(NOW))
    return source


def test_an_outsider_sees_and_changes_nothing(used, oscar, sign_in):
    client = sign_in(oscar)
    before = AuditEvent.objects.count()
    for method, url in _urls(used):
        assert getattr(client, method)(url).status_code in (403, 404), (method, url)
    assert "Source" not in client.get("/backends/").text
    assert client.get("/api/v1/backends/").json()["results"] == []
    assert client.get("/api/v1/series/").json()["results"] == []
    assert AuditEvent.objects.count() == before


@pytest.mark.parametrize("who", ["vera"])
def test_a_viewer_sees_no_backends(used, who, request, sign_in):
    client = sign_in(request.getfixturevalue(who))
    for method, url in [("get", "/backends/"), ("get", "/api/v1/backends/"), *_urls(used)]:
        assert getattr(client, method)(url).status_code in (403, 404), (method, url)


def test_nobody_is_sent_to_sign_in(used, client):
    for method, url in _urls(used):
        status = getattr(client, method)(url).status_code
        assert status == (401 if url.startswith("/api/") else 302), (method, url)


@pytest.mark.parametrize("who", ["alice", "bob", "erin"])
def test_those_whose_work_it_serves_read_and_do_not_change(used, who, request, sign_in):
    client = sign_in(request.getfixturevalue(who))
    assert client.get(f"/backends/{used.slug}/").status_code == 200
    row = client.get(f"/api/v1/backends/{used.slug}/").json()
    assert (row["slug"], row["parameters"]) == (used.slug, {})
    for method, url in _urls(used):
        if method != "get":
            assert getattr(client, method)(url).status_code in (403, 404), (method, url)


def test_members_see_only_the_series_of_their_workloads(used, provider, oscar, other, alice, sign_in):
    hidden = Series.objects.create(digest=b"1" * 16, provider="x", backend=used, model="hidden-model")
    Allocation.objects.create(series=hidden, workload=other, share_ratio=1, valid_from_on=date(2000, 1, 1))
    text = sign_in(alice).get(f"/backends/{used.slug}/").text
    assert "gpt-4o-mini" in text
    assert "hidden-model" not in text
    assert "Other use case" not in text


def test_the_page_costs_the_same_queries_for_many_series(used, provider, adam, sign_in, django_assert_max_num_queries):
    for number in range(30):
        Series.objects.create(digest=bytes([number]) * 16, provider="x", backend=used, model=f"m{number}")
    client = sign_in(adam)
    client.get(f"/backends/{used.slug}/")
    with django_assert_max_num_queries(40):
        client.get(f"/backends/{used.slug}/")


def test_the_demos_backends_are_not_changed_or_pulled(source, adam, sign_in, started):
    Backend.objects.update(is_demo=True, is_enabled=False)
    client, one = sign_in(adam), f"/backends/{source.slug}/"
    text = client.get(one).text
    assert "invented" in text
    assert f"{one}change/" not in text
    form = {"name": "X", "address": "https://example.org", "measured_at": "server", "pull_every_minutes": "60"}
    assert client.post(f"{one}change/", form).status_code == 422
    assert client.post(f"{one}pull/").status_code == 404
    client.post(f"{one}remove/")
    client.post(f"{one}backfill/", {"do": "cancel"})
    source.refresh_from_db()
    assert (source.name, source.is_enabled, started) == ("Source", False, [])


def test_a_link_from_an_earlier_day_reads_the_statements_again(in_november, source, provider, adam, asker):
    from metrics.actions.links import link_backend

    gateway = Backend.objects.create(slug="gw", name="Gateway", connector="push_only", measured_at="gateway")
    link_backend(asker(adam), source, gateway=gateway, from_on=date(2026, 11, 1))
    source.refresh_from_db()
    assert source.backfill_from.date() == date(2026, 11, 1)
