"""`GET /api/v1/usage`: counts and percentiles by the dimensions of spend."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from metrics import histogram, identity, ledger
from metrics.ledger import PostedCell
from metrics.models import Allocation, Receipt
from metrics.usage import FeedKind, ForeignHistogram, SeriesKey

D = Decimal
DAY = timedelta(days=1)


def window(*durations_ms):
    counts = {}
    for ms in durations_ms:
        counts[histogram.bucket_of(ms)] = counts.get(histogram.bucket_of(ms), 0) + 1
    return histogram.window_of(counts)


@pytest.fixture
def timed(backend, today):
    """`timed(roadmap, counts, durations, ...)`: usage with latency; durations are milliseconds or a foreign one."""

    def _timed(roadmap, sums, durations=(), *, days_back=1, model="m1", measured_at="gateway"):
        wanted = identity.SeriesIdentity(
            SeriesKey(provider="openai", model=model),
            backend.pk,
            is_pushed=True,
            workload_id=roadmap.workload_id if roadmap else None,
            measured_at=measured_at,
        )
        series_id = identity.series_ids([wanted])[wanted]
        day = today - DAY * days_back
        held = durations if isinstance(durations, ForeignHistogram) else window(*durations)
        ledger.post(
            Receipt(kind=FeedKind.PUSH, backend=backend),
            ledger.feed(FeedKind.PUSH, backend),
            [
                PostedCell(
                    series_id, datetime(day.year, day.month, day.day, 0, tzinfo=UTC), sums, {"duration": held}, ""
                )
            ],
        )
        return series_id

    return _timed


def rows_by(found, name):
    return {row[name]: row for row in found["rows"]}


def test_counts_and_percentiles_by_model(plan, timed, api, erin):
    timed(plan, {"requests": 9, "errors": 1, "input_tokens": 90, "output_tokens": 9}, [100] * 9)
    timed(plan, {"requests": 1}, [2000], days_back=2)
    timed(plan, {"requests": 3}, model="m2")
    found = api(erin, scopes=["read"]).get("/api/v1/usage?by=model").json()
    rows = rows_by(found, "model")
    assert (rows["m1"]["requests"], rows["m1"]["errors"], rows["m1"]["output_tokens"]) == (10, 1, 9)
    assert rows["m2"]["errors"] is None
    assert rows["m2"]["latency"] == []
    (timing,) = rows["m1"]["latency"]
    # Histograms are merged: p95 of ten is the one of 2,000 ms, not the mean of two p95s.
    assert timing["measured_at"] == "gateway"
    assert timing["p50"]["ms"] == pytest.approx(100, rel=0.025)
    assert timing["p95"]["ms"] == pytest.approx(2000, rel=0.025)
    assert found["by"] == ["model"]


def test_places_are_never_merged_and_a_foreign_bucket_is_told_as_one(plan, timed, api, erin):
    timed(plan, {"requests": 4}, [100] * 4)
    foreign = ForeignHistogram((300.0, 2000.0, 2500.0), (1, 2, 6, 0))
    timed(plan, {"requests": 9}, foreign, measured_at="server")
    (row,) = api(erin, scopes=["read"]).get("/api/v1/usage?by=roadmap").json()["rows"]
    assert [timing["measured_at"] for timing in row["latency"]] == ["gateway", "server"]
    assert row["latency"][1]["p95"] == {
        "low_ms": pytest.approx(2000, rel=0.05),
        "high_ms": pytest.approx(2500, rel=0.05),
    }


def test_what_shares_leave_is_unallocated_with_its_own_latency(plan, second, timed, api, erin, alice):
    series_id = timed(plan, {"requests": 10}, [100] * 5 + [1000] * 5)
    Allocation.objects.filter(series=series_id).update(share_ratio=D("0.6"))
    timed(None, {"requests": 2}, [4000, 4000], model="m2")
    timed(second, {"requests": 7}, model="m3")
    rows = rows_by(api(erin, scopes=["read"]).get("/api/v1/usage?by=roadmap").json(), "roadmap_name")
    assert (rows["Contact centre"]["requests"], rows["Unallocated"]["requests"]) == (6, 6)
    assert rows["Contact centre"]["latency"][0]["count"] == 6
    left = rows["Unallocated"]["latency"][0]
    assert left["count"] == 6
    assert left["p95"]["ms"] == pytest.approx(4000, rel=0.025)
    mine = api(alice, scopes=["read"]).get("/api/v1/usage?by=roadmap").json()["rows"]
    assert [row["roadmap"] for row in mine] == ["contact-centre"]


def test_a_phase_has_its_own_percentiles(plan, poc, timed, api, erin):
    timed(plan, {"requests": 1}, [100])
    timed(plan, {"requests": 1}, [5000], days_back=41)
    found = api(erin, scopes=["read"]).get("/api/v1/usage?by=phase").json()
    rows = rows_by(found, "phase_name")
    assert [bool(row["latency"]) for row in found["rows"]] == [True, True], [row["latency"] for row in found["rows"]]
    assert rows["PoC"]["latency"][0]["p95"]["ms"] == pytest.approx(100, rel=0.025)
    assert rows["Outside any phase"]["latency"][0]["p95"]["ms"] == pytest.approx(5000, rel=0.025)


def test_it_comes_as_csv_and_mistakes_are_said(plan, timed, api, erin, vera, sign_in):
    timed(plan, {"requests": 9}, [100] * 9)
    client = api(erin, scopes=["read"])
    answer = client.get("/api/v1/usage?by=month,model&format=csv")
    (row,) = csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode()))
    assert (row["requests"], row["errors"], row["model"]) == ("9", "", "m1")
    assert float(row["duration_p95_ms"]) == pytest.approx(100, rel=0.025)
    for query, words in (
        ("by=basis", "There is no dimension"),
        ("format=focus", "json, csv"),
        ("basis=billed", "There is no parameter"),
    ):
        problem = client.get(f"/api/v1/usage?{query}")
        assert problem.status_code == 422
        assert words in problem.json()["detail"]
    assert api(vera, scopes=["read"]).get("/api/v1/usage").status_code == 403
    assert api(erin, scopes=["push"]).get("/api/v1/usage").status_code == 403
    assert sign_in(erin).get("/api/v1/usage").status_code == 200


def test_queries_do_not_grow(plan, second, timed, api, erin):
    client = api(erin, scopes=["read"])

    def asked():
        client.get("/api/v1/usage?by=month,roadmap")
        with CaptureQueriesContext(connection) as queries:
            client.get("/api/v1/usage?by=month,roadmap")
        return len(queries)

    timed(plan, {"requests": 1}, [100])
    before = asked()
    for number in range(6):
        timed(second if number % 2 else None, {"requests": 1}, [100], days_back=40 * number, model=f"x{number}")
    assert asked() <= before <= 14
