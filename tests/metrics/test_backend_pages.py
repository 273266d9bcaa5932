"""Backends in the browser: added, tested, changed; seen by those whose work they serve, and by nobody else."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils.html import escape

from accounts.models import AuditEvent
from metrics import pull as pulling
from metrics.actions.backends import add_backend
from metrics.connectors.presets.catalogue import PRESETS
from metrics.errors import ConnectorError
from metrics.models import Allocation, Backend, LookAlike, OwnPrice, RateCard, Series, UsageHour
from metrics.secrets import open_sealed
from tests.doubles.source_server import Reply, source_server
from tests.metrics.pulling import HOUR, NOW, SECRET, Provider, at, registered, vllm_text

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _settings(settings, monkeypatch):
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    settings.ENCRYPTION_KEYS = ["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]
    started: list[tuple] = []
    for place in ("views.backends", "tasks", "api.backends"):
        monkeypatch.setattr(
            f"metrics.{place}.enqueue_on_commit", lambda task, *args: started.append((task.name, *args))
        )
    return started


@pytest.fixture
def started(_settings):
    return _settings


@pytest.fixture
def server():
    with source_server() as running:
        running.play = lambda asked: Reply(vllm_text(requests=10, tokens_in=1000, tokens_out=100))
        yield running


@pytest.fixture
def provider(monkeypatch):
    told = Provider()
    with registered(monkeypatch, told):
        monkeypatch.setattr("metrics.views.backends.connector_for", __import__("metrics.sources").sources.connector_for)
        yield told


@pytest.fixture
def source(provider, adam, asker, claims) -> Backend:
    return add_backend(
        asker(adam),
        kind="double",
        name="Source",
        values={"address": "https://example.org", "key": SECRET},
        default_workload=claims,
    )


def _form(server, **more) -> dict[str, object]:
    return {
        "name": "GPU box",
        "addresses": server.url,
        "preset": "vllm",
        "measured_at": "server",
        "pull_every_minutes": "5",
        **more,
    }


NEW = "/backends/new/metrics_endpoint/"


# --- Adding


def test_it_adds_a_backend_and_pulls_it_at_once(server, adam, sign_in, claims, started):
    answer = sign_in(adam).post(NEW, _form(server, default_workload=claims.pk, token=SECRET))
    backend = Backend.objects.get()
    assert answer.status_code == 303
    assert answer.url == "/backends/gpu-box/"
    assert started == [("metrics.pull_backend", backend.pk)]
    assert backend.parameters["addresses"] == [server.url]
    assert open_sealed(backend.secrets) == {"token": SECRET}


def test_it_says_in_words_what_works(server, adam, sign_in):
    answer = sign_in(adam).post(NEW, _form(server, do="test"), headers={"HX-Request": "true"})
    assert "It works." in answer.text
    assert "<html" not in answer.text
    assert Backend.objects.count() == 0


def test_it_says_in_words_what_does_not_work(server, adam, sign_in):
    server.play = lambda asked: Reply(status=404)
    answer = sign_in(adam).post(NEW, _form(server, do="test"))
    assert "It does not work yet." in answer.text
    assert "--metrics" in answer.text


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "", "required"),
        ("addresses", "10.0.0.5:8000", "starts with http://"),
        ("addresses", "http://me:secret@10.0.0.5", "leave name and password out"),
        ("addresses", "", "required"),
        ("preset", "abacus", "not one of the available choices"),
        ("pull_every_minutes", "7", "not one of the available choices"),
        ("default_workload", "999999", "not one of the available choices"),
    ],
)
def test_it_says_beside_the_field_what_is_wrong(server, adam, sign_in, field, value, said):
    answer = sign_in(adam).post(NEW, _form(server, **{field: value}))
    assert answer.status_code == 422
    assert said in answer.text
    assert Backend.objects.count() == 0


def test_the_example_server_is_offered_first_while_the_demo_is_here(adam, sign_in, settings, claims):
    settings.EXAMPLE_SERVER_URL = "http://127.0.0.1:8100"
    assert "Example server" not in sign_in(adam).get("/backends/new/").text
    claims.is_demo = True
    claims.save()
    text = sign_in(adam).get("/backends/new/").text
    assert 0 < text.index("Example server") < text.index("Prometheus")
    assert "http://127.0.0.1:8100" in sign_in(adam).get(f"{NEW}?example=1").text


@pytest.mark.parametrize("url", [NEW, "/backends/new/prometheus/"])
def test_the_form_says_what_each_kind_of_server_gives_and_what_to_do_about_the_rest(adam, sign_in, url):
    text = sign_in(adam).get(url).text
    for preset in PRESETS:
        assert f">{preset.title}<" in text
        assert all(escape(instead) in text for _, instead in preset.not_offered)
    assert "mean only" in text


def test_a_gateway_chosen_as_kind_is_a_gateway_unless_somebody_says_otherwise(server, adam, sign_in):
    for kind, said, expected in (("litellm", "", "gateway"), ("vllm", "", "server"), ("vllm", "gateway", "gateway")):
        answer = sign_in(adam).post(NEW, _form(server, preset=kind, measured_at=said, name=f"{kind} {said}"))
        assert answer.status_code == 303, answer.text
        assert Backend.objects.latest("pk").measured_at == expected


def test_an_unknown_kind_is_not_found(adam, sign_in):
    assert sign_in(adam).get("/backends/new/abacus/").status_code == 404


# --- Secrets


def test_a_secret_is_on_no_page_and_in_no_audit_row(source, adam, sign_in):
    client = sign_in(adam)
    client.post(
        f"/backends/{source.slug}/change/",
        {"name": "Renamed", "address": "https://example.org", "measured_at": "server", "pull_every_minutes": "60"},
    )
    for url in ("/backends/", f"/backends/{source.slug}/", f"/backends/{source.slug}/change/"):
        assert SECRET not in client.get(url).text
    assert SECRET not in str(list(AuditEvent.objects.values("before", "after")))
    assert AuditEvent.objects.filter(action="change_backend").exists()
    source.refresh_from_db()
    assert open_sealed(source.secrets) == {"key": SECRET}


def test_a_stored_secret_is_not_sent_to_another_address(source, adam, sign_in):
    form = {"name": "Source", "address": "https://evil.example", "measured_at": "server", "pull_every_minutes": "60"}
    answer = sign_in(adam).post(f"/backends/{source.slug}/change/", form)
    assert answer.status_code == 422
    assert "enter the key again" in answer.text
    source.refresh_from_db()
    assert source.parameters["address"] == "https://example.org"


def test_testing_does_not_send_a_stored_secret_to_another_address_either(source, adam, sign_in):
    form = {
        "name": "Source",
        "address": "https://evil.example",
        "measured_at": "server",
        "pull_every_minutes": "60",
        "do": "test",
    }
    answer = sign_in(adam).post(f"/backends/{source.slug}/change/", form)
    assert answer.status_code == 422
    assert "enter the key again" in answer.text


# --- The page of one


def test_a_permanent_failure_says_on_the_page_what_to_do(source, provider, adam, sign_in):
    provider.error = ConnectorError("It does not accept the key.", permanent=True, hint="Make a new key at the source.")
    pulling.pull(source.pk, clock=at(NOW))
    text = sign_in(adam).get(f"/backends/{source.slug}/").text
    assert "Make a new key at the source." in text
    assert "Failed, needs you" in text
    assert "Change the settings" in text


def test_a_transient_failure_says_that_it_is_tried_again(source, provider, adam, sign_in):
    provider.error = ConnectorError("It did not answer in time.", permanent=False)
    pulling.pull(source.pk, clock=at(NOW))
    text = sign_in(adam).get(f"/backends/{source.slug}/").text
    assert "Tried again" in text
    assert "Failed, tried again" in text


def test_a_restatement_is_on_the_page(source, provider, adam, sign_in):
    provider.usage(HOUR, requests=3, input_tokens=100, output_tokens=20)
    pulling.pull(source.pk, clock=at(NOW))
    assert "Restated" not in sign_in(adam).get(f"/backends/{source.slug}/").text
    provider.cells.clear()
    provider.usage(HOUR, requests=3, input_tokens=88, output_tokens=20)
    pulling.pull(source.pk, clock=at(NOW.replace(minute=45)))
    text = sign_in(adam).get(f"/backends/{source.slug}/").text
    assert "Restated" in text
    assert "−12" in text


def test_shares_are_set_in_place(source, provider, claims, other, adam, sign_in):
    provider.usage(HOUR, requests=3)
    pulling.pull(source.pk, clock=at(NOW))
    series = Series.objects.get(kind="usage")
    url = reverse("series_allocation", args=[series.pk])
    client = sign_in(adam)
    assert client.get(url).status_code == 200
    answer = client.post(url, {f"share_{claims.pk}": "62.5", f"share_{other.pk}": "37.5", "from_on": ""})
    assert answer.status_code == 303
    shares = {a.workload: a.share_ratio for a in Allocation.objects.filter(series=series)}
    assert shares == {claims: Decimal("0.625"), other: Decimal("0.375")}
    assert client.post(url, {f"share_{claims.pk}": "62.5", f"share_{other.pk}": "40"}).status_code == 422
    client.post(url, {f"share_{claims.pk}": "10", "from_on": "2026-11-10"})
    rows = Allocation.objects.filter(series=series).order_by("valid_from_on", "workload__slug")
    assert [(a.workload.slug, a.valid_from_on, a.valid_until_on) for a in rows] == [
        ("claims", date(2000, 1, 1), date(2026, 11, 10)),
        ("other", date(2000, 1, 1), date(2026, 11, 10)),
        ("claims", date(2026, 11, 10), None),
    ]


CARD = {
    "kind": "rented",
    "units": "2",
    "unit_name": "H100",
    "currency": "eur",
    "pue": "1",
    "valid_from_on": "2026-11-01",
}


def test_a_rate_card_is_added_and_posted(source, adam, sign_in, started):
    answer = sign_in(adam).post(reverse("rate_card_add", args=[source.slug]), {**CARD, "rate_per_unit_hour": "2.50"})
    assert answer.status_code == 303
    assert RateCard.objects.get().currency == "EUR"
    assert started[-1] == ("metrics.post_capacity", source.pk)
    assert {due.start.isoformat() for due in source.capacity_due.all()} == {"2026-11-01T00:00:00+00:00"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rate_per_unit_hour": "1825"}, "divided by 730"),
        ({}, "is needed"),
        ({"rate_per_unit_hour": "2", "currency": "EURO"}, "at most 3"),
        ({"rate_per_unit_hour": "2", "pue": "0.5"}, "lies from 1 to 3"),
        ({"rate_per_unit_hour": "2", "rated_watts": "700"}, "Energy needs both"),
        (
            {"kind": "owned", "purchase_amount": "60000", "purchased_on": "2026-01-01", "amortisation_months": "3"},
            "not years",
        ),
    ],
)
def test_an_implausible_rate_card_is_refused(source, adam, sign_in, fields, said):
    answer = sign_in(adam).post(reverse("rate_card_add", args=[source.slug]), {**CARD, **fields})
    assert answer.status_code == 422
    assert said in answer.text
    assert not RateCard.objects.exists()


def test_a_new_rate_card_ends_the_one_before(source, adam, sign_in):
    client, url = sign_in(adam), reverse("rate_card_add", args=[source.slug])
    client.post(url, {**CARD, "rate_per_unit_hour": "2.50"})
    client.post(url, {**CARD, "rate_per_unit_hour": "2.20", "valid_from_on": "2026-11-15"})
    assert [c.valid_until_on for c in RateCard.objects.order_by("valid_from_on")] == [date(2026, 11, 15), None]


def test_removing_keeps_what_was_counted_and_forgets_the_secret(source, provider, adam, sign_in):
    provider.usage(HOUR, requests=3)
    pulling.pull(source.pk, clock=at(NOW))
    sign_in(adam).post(reverse("backend_remove", args=[source.slug]))
    source.refresh_from_db()
    assert (source.is_enabled, source.secrets) == (False, None)
    assert UsageHour.objects.get(requests=3)
    assert pulling.pull(source.pk) is None


def test_a_backend_that_has_counted_nothing_is_gone(source, adam, sign_in):
    sign_in(adam).post(reverse("backend_remove", args=[source.slug]))
    assert not Backend.objects.exists()


def test_reading_back_starts_shows_progress_and_stops(source, adam, sign_in, started):
    client, url = sign_in(adam), reverse("backend_backfill", args=[source.slug])
    assert client.post(url, {"from_on": "2099-01-01"}).status_code == 422
    client.post(url, {"from_on": "2026-10-01"})
    assert started[-1] == ("metrics.hand_out_backfills",)
    assert "Reading back" in client.get(f"/backends/{source.slug}/").text
    client.post(url, {"do": "cancel"})
    source.refresh_from_db()
    assert source.is_backfill_stopped
    page = client.get(f"/backends/{source.slug}/").text
    assert "Stopped by hand; what was read stays." in page
    client.post(url, {"do": "resume"})
    source.refresh_from_db()
    assert not source.is_backfill_stopped
    assert "It waits for its turn" in client.get(f"/backends/{source.slug}/").text


# --- Who may see and do what


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


def test_a_link_from_an_earlier_day_reads_the_statements_again(source, provider, adam, asker):
    from metrics.actions.links import link_backend

    gateway = Backend.objects.create(slug="gw", name="Gateway", connector="push_only", measured_at="gateway")
    link_backend(asker(adam), source, gateway=gateway, from_on=date(2026, 11, 1))
    source.refresh_from_db()
    assert source.backfill_from.date() == date(2026, 11, 1)
