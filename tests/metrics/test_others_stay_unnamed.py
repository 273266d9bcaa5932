"""Whoever sees a shared backend learns nothing of the roadmaps and backends that are not theirs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from metrics.figures import Scope
from metrics.models import Allocation, Backend, Pull, Receipt, Restatement, Series
from metrics.redaction import without_addresses
from metrics.series import attention, changes, freshness

pytestmark = pytest.mark.django_db
ALWAYS = date(2000, 1, 1)
SECRETS = ("Hidden gateway", "hidden-gateway", "Other use case", "other", "hidden-model")


@pytest.fixture
def shared(backend, make_series, claims, other) -> Backend:
    """A server of claims and other, which belongs to other unless said otherwise, behind a gateway of other's."""
    gateway = Backend.objects.create(slug="hidden-gateway", name="Hidden gateway", connector="litellm", provider="x")
    backend.behind, backend.behind_from_on, backend.default_workload = gateway, date(2026, 1, 1), other
    backend.save()
    mine = make_series("m1", is_pushed=True, workload_id=other.pk, through_id=gateway.pk)
    theirs = make_series("hidden-model")
    for series_id, workload in ((mine, claims), (theirs, other)):
        Allocation.objects.filter(series_id=series_id).delete()
        Allocation.objects.create(series_id=series_id, workload=workload, share_ratio=1, valid_from_on=ALWAYS)
    receipt = Receipt.objects.create(
        kind="reprice",
        backend=backend,
        window_start=datetime(2026, 10, 1, tzinfo=UTC),
        window_end=datetime(2026, 10, 2, tzinfo=UTC),
        note="Their new contract",
    )
    Restatement.objects.create(
        receipt=receipt,
        series_id=theirs,
        first_hour=datetime(2026, 10, 1, tzinfo=UTC),
        last_hour=datetime(2026, 10, 1, tzinfo=UTC),
        amount=Decimal("4711.47"),
        currency="EUR",
    )
    return backend


def test_a_page_and_an_answer_name_only_what_is_theirs(shared, alice, bob, sign_in):
    for person in (alice, bob):
        client = sign_in(person)
        for url in ("/backends/", f"/backends/{shared.slug}/", "/api/v1/backends/", f"/api/v1/backends/{shared.slug}/",
                    "/api/v1/series/", "/prices/", "/api/v1/prices/"):  # fmt: skip
            text = client.get(url).text
            assert not [word for word in SECRETS if f'"{word}"' in text or (" " in word and word in text)], url
            assert "hidden-gateway" not in text, url
            assert "hidden-model" not in text, url
        assert "4711.47" not in client.get("/prices/").text
        assert "Their new contract" not in client.get("/prices/").text
        row = client.get(f"/api/v1/backends/{shared.slug}/").json()
        assert (row["behind"], row["roadmap"]) == (None, None)


def test_those_who_see_everything_read_all_of_it(shared, adam, erin, sign_in):
    for person in (adam, erin):
        client = sign_in(person)
        assert "behind Hidden gateway" in client.get("/backends/").text
        page = client.get(f"/backends/{shared.slug}/").text
        assert "behind Hidden gateway" in page
        assert "pushed for Other use case, through Hidden gateway" in page
        assert "4711.47" in client.get("/prices/").text.replace(",", "").replace(" ", "")
        row = client.get(f"/api/v1/backends/{shared.slug}/").json()
        assert (row["behind"], row["roadmap"]) == ("hidden-gateway", "other")
        assert "hidden-gateway" in client.get("/api/v1/series/").text


def test_the_list_counts_the_series_that_are_theirs(shared, alice, adam, sign_in):
    def number(person) -> str:
        return sign_in(person).get("/backends/").text.partition('data-head="Series">')[2].partition("<")[0].strip()

    assert Series.objects.filter(backend=shared).count() == 2
    assert number(alice) == "1"
    assert "2" in sign_in(adam).get("/backends/").text.partition(shared.name)[2].partition('data-head="Series">')[2][:5]


def test_a_token_of_one_roadmap_reads_no_pulls_of_all(shared, erin, adam, claims, api):
    Pull.objects.create(backend=shared, outcome="ok", message="812 hours of their models", started_at=datetime.now(UTC))
    url = f"/api/v1/backends/{shared.slug}/pulls"
    for person in (erin, adam):
        assert api(person, scopes=["read"], workload=claims).get(url).json()["results"] == []
        assert api(person, scopes=["read"]).get(url).json()["results"]


@pytest.mark.parametrize(("person", "said"), [("alice", "-25.00"), ("oscar", "-75.00"), (None, "-100.00")])
def test_a_correction_of_a_shared_series_is_told_by_ones_share(person, said, backend, make_series, claims, other):
    series_id = make_series("m1")
    for workload, ratio in ((claims, "0.25"), (other, "0.75")):
        Allocation.objects.create(series_id=series_id, workload=workload, share_ratio=ratio, valid_from_on=ALWAYS)
    at = datetime.now(UTC) - timedelta(days=3)
    Restatement.objects.create(
        receipt=Receipt.objects.create(kind="usage", backend=backend),
        series_id=series_id,
        first_hour=at,
        last_hour=at,
        amount=Decimal(-100),
        currency="EUR",
    )
    ids = {"alice": (claims.pk,), "oscar": (other.pk,), None: None}[person]
    told = changes(Scope(at.date() - timedelta(days=9), at.date() + timedelta(days=9), ids))
    assert [one.text.partition(" by ")[2] for one in told if one.kind == "restated"] == [f"{said} EUR."]


PROBLEM = (
    "gpu-3.corp.internal (10.1.2.3) is a private address, and this installation may not call it. To allow it, put this "
    "line into .env and restart: OUTBOUND_ALLOW=192.168.0.0/16,10.1.2.3/32"
)


def test_only_admins_are_shown_where_a_backend_listens(shared, adam, alice, bob, erin, sign_in):
    shared.parameters = {"addresses": ["http://gpu-3.corp.internal:8000/metrics"]}
    shared.problem, shared.is_problem_permanent, shared.backfill_problem = PROBLEM, True, PROBLEM
    shared.save()
    Pull.objects.create(backend=shared, outcome=Pull.Outcome.PERMANENT, message=PROBLEM)
    slug = shared.slug
    urls = ("/backends/", f"/backends/{slug}/", "/api/v1/backends/", f"/api/v1/backends/{slug}/",
            f"/api/v1/backends/{slug}/pulls", "/")  # fmt: skip
    for person in (alice, bob, erin):
        client = sign_in(person)
        for url in urls:
            text = client.get(url).text
            assert not [word for word in ("gpu-3", "10.1.2.3", "192.168") if word in text], (person.username, url)
        row = client.get(f"/api/v1/backends/{slug}/").json()
        assert row["problem"].startswith("(address) ((address)) is a private address")
    client = sign_in(adam)
    for url in urls[:-1]:
        assert "gpu-3.corp.internal (10.1.2.3)" in client.get(url).text, url
    # Roadmaps and reports read these, whoever looks.
    assert "10.1.2.3" not in str([one.problem for one in freshness(None)] + [one.detail for one in attention(None)])
    shared.refresh_from_db()
    assert shared.problem == PROBLEM


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("http://10.0.0.5:8000/metrics answered 500.", "(address) answered 500."),
        ("https://[fd00::5]:8000/metrics, 3 tries", "(address), 3 tries"),
        ("10.0.0.5 port 5432 is ours", "(address) port 5432 is ours"),
        ("fd00:0:0::12 is reserved, [fe80::1]:9000 too", "(address) is reserved, (address) too"),
        ("gpu-1:8000 does not answer", "(address) does not answer"),
        ("The name gpu-1.corp is not known", "The name (address) is not known"),
        ("gpu-1.corp2 and my-gpu-1.corp are others", "gpu-1.corp2 and my-gpu-1.corp are others"),
        ("Until 2026-11-22T14:00Z, 25 of 31; at 09:30:15.", "Until 2026-11-22T14:00Z, 25 of 31; at 09:30:15."),
        ("vLLM 0.9.1 says 3.5 tokens, code: 429", "vLLM 0.9.1 says 3.5 tokens, code: 429"),
    ],
)  # fmt: skip
def test_a_message_without_addresses(said, shown):
    assert without_addresses(said, {"address": "http://gpu-1.corp:8000/x", "model": "m", "more": [3]}) == shown
