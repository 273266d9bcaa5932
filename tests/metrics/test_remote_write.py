"""A Prometheus writes its servers' counters: each counts once, as its differences, whatever is sent again or late."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.db.models import Sum

from metrics import checking, ledger
from metrics.counting import find_look_alikes
from metrics.identity import SeriesIdentity, series_ids
from metrics.models import Backend, CounterState, LedgerHistogram, LookAlike, PushProblem, Receipt, Series, UsageHour
from metrics.posting import PostedCell
from metrics.sources import PUSH_ONLY
from metrics.usage import FeedKind, SeriesKey
from tests.metrics.written import HEADERS, PROTOBUF, STALE, START_MS, TARGET, URL, histogram, one, series, snappy

PROMPT, DONE, LATENCY = "vllm:prompt_tokens_total", "vllm:request_success_total", "vllm:e2e_request_latency_seconds"
CACHED, OLDER_CACHED = "vllm:prompt_tokens_cached_total", "vllm:prefix_cache_hits_total"
START = datetime.fromtimestamp(START_MS / 1000, UTC)


@pytest.fixture
def write(api, bob, claims):
    """`write(series, series, ...)`: the answer, which is 204 unless `status` says otherwise."""
    client = api(bob, scopes=["push"], workload=claims)

    def _write(*parts: bytes, query: str = "preset=vllm", status: int = 204, client=client, **headers):
        answer = client.post(
            f"{URL}?{query}", snappy(b"".join(parts)), content_type=PROTOBUF, headers={**HEADERS, **headers}
        )
        assert answer.status_code == status, answer.content
        return answer

    _write.client = client
    return _write


def total(measure: str, **where) -> int | None:
    return UsageHour.objects.filter(**where).aggregate(total=Sum(measure))["total"]


def buckets() -> dict[tuple[float, ...], int]:
    """How many fell into foreign buckets, by their bounds."""
    found: Counter[tuple[float, ...]] = Counter()
    for row in LedgerHistogram.objects.select_related("bounds"):
        assert min(row.window[1:]) >= 0
        found[tuple(row.bounds.bounds_ms)] += sum(row.window[1:])
    return {bounds: number for bounds, number in found.items() if number}


# --- Counters


def test_a_counter_counts_what_it_rose_by_after_its_first_sample(write):
    write(one(PROMPT, 0, 1_000_000))
    assert not Receipt.objects.exists()
    assert PushProblem.objects.get().code == "baseline"
    write(one(PROMPT, 15, 1_000_250))
    write(one(PROMPT, 30, 1_000_400))
    assert total("input_tokens") == 400
    hour = UsageHour.objects.get()
    assert (hour.hour, hour.series.model, hour.series.workload.slug) == (START, "demo-8b", "claims")
    assert (hour.series.measured_at, hour.series.provider, hour.series.is_pushed) == ("server", "vllm", True)
    assert hour.series.backend.connector == PUSH_ONLY
    assert checking.check() == []


def test_requests_and_errors_are_told_apart_by_how_a_request_ended(write):
    ends = {"stop": (7, 19), "length": (0, 3), "error": (1, 2), "abort": (0, 1)}
    for at, place in ((0, 0), (15, 1)):
        write(*(one(DONE, at, counts[place], finished_reason=reason) for reason, counts in ends.items()))
    assert (total("requests"), total("errors")) == (12 + 3 + 1 + 1, 2)


def test_zero_errors_are_known_to_be_zero_also_where_they_come_by_themselves(write):
    for at, done in ((0, 0), (15, 4)):
        write(one(DONE, at, done, finished_reason="stop"))
        write(one(DONE, at, 0, finished_reason="error"))
    hour = UsageHour.objects.get()
    assert (hour.requests, hour.errors) == (4, 0)
    receipts = Receipt.objects.count()
    write(one(DONE, 30, 0, finished_reason="error"))
    # Once it is known there is nothing to add.
    assert Receipt.objects.count() == receipts


def test_what_lies_over_an_hour_is_shared_out(write):
    write(one(PROMPT, 3590, 0), one(PROMPT, 3610, 100))
    assert [hour.input_tokens for hour in UsageHour.objects.order_by("hour")] == [50, 50]


def test_both_spellings_of_a_name_are_the_same_counter(write):
    write(one(PROMPT, 0, 5))
    write(one("vllm_prompt_tokens_total", 15, 9))
    assert total("input_tokens") == 4


def test_of_two_names_for_the_same_the_first_that_is_shown_counts(write):
    # In pieces, and the second name first.
    write(one(OLDER_CACHED, 0, 100))
    write(one(OLDER_CACHED, 15, 110))
    write(one(CACHED, 15, 50), one(CACHED, 30, 58))
    write(one(OLDER_CACHED, 30, 118))
    write(one(CACHED, 45, 60), one(OLDER_CACHED, 45, 120))
    assert total("cached_input_tokens") == 10 + 8 + 2


def test_a_name_that_is_gone_gives_way_to_the_next(write):
    write(one(CACHED, 0, 50), one(OLDER_CACHED, 0, 500))
    write(one(OLDER_CACHED, 15, 510))
    assert total("cached_input_tokens") is None
    write(one(OLDER_CACHED, 1000, 600))
    write(one(OLDER_CACHED, 1015, 607))
    assert total("cached_input_tokens") == 7


def test_servers_that_name_no_model_take_it_from_the_address(write):
    assert write(one("tgi_request_count", 0, 1), query="preset=tgi", status=400).json()["code"] == "model_missing"
    for at, count in ((0, 1), (15, 3)):
        write(
            one("tgi_request_count", at, count),
            one("tgi_request_input_length_sum", at, count * 100.0),
            query="preset=tgi&model=falcon",
        )
    assert (total("requests", series__model="falcon"), total("input_tokens")) == (2, 200)


def test_a_gateway_counts_its_spend_and_keeps_the_names_of_teams_alone(write):
    labels = {"model": "gpt-4o", "team_alias": "claims", "api_key_alias": "jo@example.org", "end_user": "zebra-4711"}
    for at, factor in ((0, 0), (15, 1)):
        write(
            one("litellm_spend_metric_total", at, 0.25 * factor, **labels),
            one("litellm_input_tokens_metric_total", at, 900 * factor, **labels),
            query="preset=litellm",
        )
    assert (total("estimated_cost"), total("input_tokens")) == (0.25, 900)
    assert {one_series.labels.get("team") for one_series in Series.objects.all()} == {"claims"}
    assert {one_series.measured_at for one_series in Series.objects.all()} == {"gateway"}
    kept = repr([list(model.objects.values()) for model in (Series, CounterState, Receipt, PushProblem)])
    assert "zebra" not in kept
    assert "example.org" not in kept


# --- Again, late, and after a restart


def test_a_request_that_is_sent_again_counts_once(write):
    first = [one(PROMPT, 0, 10), *(one(DONE, 0, 1, finished_reason="stop"),)]
    second = [
        one(PROMPT, 15, 30),
        one(DONE, 15, 3, finished_reason="stop"),
        histogram(LATENCY, 15, {"1": 2, "+Inf": 2}),
    ]
    for parts in (first, first, second, second, first, second):
        write(*parts)
    assert (total("input_tokens"), total("requests")) == (20, 2)
    assert Receipt.objects.count() == 1


def test_a_request_that_overlaps_one_before_counts_what_is_new(write):
    write(one(PROMPT, 0, 10), one(PROMPT, 15, 20))
    write(one(PROMPT, 15, 20), one(PROMPT, 30, 35))
    assert total("input_tokens") == 25
    assert Receipt.objects.order_by("pk").last().duplicates == 1


def test_an_older_sample_adds_nothing(write):
    write(one(PROMPT, 30, 100), one(PROMPT, 0, 10))
    write(one(PROMPT, 15, 60))
    assert total("input_tokens") == 90
    write(one(PROMPT, 45, 110))
    assert total("input_tokens") == 100


def test_any_order_of_a_requests_series_gives_the_same(write):
    parts = [
        one(name, at, value * (1 + at), finished_reason="stop")
        for name, value in ((PROMPT, 7), (DONE, 2))
        for at in range(0, 600, 15)
    ]
    random.Random(4).shuffle(parts)
    write(*parts)
    assert (total("input_tokens"), total("requests")) == (7 * 585, 2 * 585)


def test_a_restart_counts_from_zero(write):
    write(one(PROMPT, 0, 1000), one(PROMPT, 15, 1100))
    write(one(PROMPT, 30, 40))
    assert total("input_tokens") == 140
    assert [row["code"] for row in Receipt.objects.order_by("pk").last().warnings] == ["restarted"]


def test_one_that_restarted_speaks_for_the_others_of_its_server(write):
    write(one(PROMPT, 0, 1000), one(DONE, 0, 3, finished_reason="stop"))
    # Four requests since the restart are more than the three before it.
    write(one(PROMPT, 15, 40), one(DONE, 15, 4, finished_reason="stop"), one(DONE, 15, 1, finished_reason="error"))
    assert (total("input_tokens"), total("requests"), total("errors")) == (40, 5, 1)


def test_one_that_restarted_does_not_speak_for_what_was_read_after_it(write):
    write(one(PROMPT, 0, 1000), one(DONE, 0, 30, finished_reason="stop"))
    write(one(DONE, 15, 2, finished_reason="stop"))
    assert total("requests") == 2
    # The sample of the prompts from 15 s is lost; at 30 s both come in one request.
    write(one(PROMPT, 30, 40), one(DONE, 30, 5, finished_reason="stop"))
    assert (total("input_tokens"), total("requests")) == (40, 5)


def test_a_staleness_marker_is_no_value_and_what_comes_back_counts_on(write):
    write(one(PROMPT, 0, 10), one(PROMPT, 15, 30))
    write(one(PROMPT, 30, STALE))
    write(one(PROMPT, 45, float("nan")))
    write(one(PROMPT, 600, 50))
    assert total("input_tokens") == 40


def test_a_label_value_that_says_when_it_began_counts_from_there(write):
    begun = START_MS / 1000 + 20
    write(one(DONE, 0, 5, finished_reason="stop"), one(DONE, 15, 6, finished_reason="stop"))
    created = one(f"{DONE.removesuffix('_total')}_created", 30, begun, finished_reason="error")
    write(one(DONE, 30, 6, finished_reason="stop"), one(DONE, 30, 2, finished_reason="error"), created)
    assert (total("requests"), total("errors")) == (3, 2)


def test_a_label_value_that_does_not_say_when_it_began_is_a_baseline(write):
    write(one(DONE, 0, 5, finished_reason="stop"), one(DONE, 15, 6, finished_reason="stop"))
    write(one(DONE, 30, 7, finished_reason="stop"), one(DONE, 30, 900, finished_reason="error"))
    assert (total("requests"), total("errors")) == (2, None)
    assert [row["code"] for row in Receipt.objects.order_by("pk").last().warnings] == ["baseline"]


def test_a_silence_of_more_than_a_day_begins_anew(write):
    day = timedelta(days=1).total_seconds()
    write(one(PROMPT, -2 * day, 1_000), one(PROMPT, 0, 5_000_000))
    write(one(PROMPT, 15, 5_000_007))
    assert total("input_tokens") == 7


def test_what_is_taken_back_is_gone_and_its_counters_go_on(write, api, bob, claims):
    write(one(PROMPT, 0, 0), one(PROMPT, 15, 10))
    receipt = Receipt.objects.get()
    client = api(bob, scopes=["read", "push"], workload=claims)
    assert client.post(f"/api/v1/receipts/{receipt.uuid}/reverse").status_code == 201
    write(one(PROMPT, 30, 15))
    assert total("input_tokens") == 5


# --- Two that scrape the same


def test_of_a_pair_of_replicas_one_counts_whatever_their_clocks_say(write):
    for number in range(40):
        value = 100 + 10 * number
        write(one(PROMPT, 15 * number, value, prometheus_replica="a"))
        # Scraped five seconds later, by a clock that is ten seconds ahead: at its time the other has seen more.
        write(one(PROMPT, 15 * number + 15.2, value + 3, prometheus_replica="b"))
    assert total("input_tokens") == 390


@pytest.mark.parametrize("label", ["prometheus_replica", "__replica__"])
def test_the_other_replica_takes_over_after_a_minute(write, label):
    write(one(PROMPT, 0, 0, **{label: "a"}), one(PROMPT, 15, 10, **{label: "a"}))
    write(one(PROMPT, 20, 12, **{label: "b"}), one(PROMPT, 74, 50, **{label: "b"}))
    assert total("input_tokens") == 10
    write(one(PROMPT, 80, 60, **{label: "b"}), one(PROMPT, 95, 70, **{label: "b"}))
    assert total("input_tokens") == 70
    # The first is back, and waits.
    write(one(PROMPT, 99, 72, **{label: "a"}))
    assert total("input_tokens") == 70


def test_histograms_of_a_pair_count_once(write):
    for number in range(8):
        for replica, later in (("a", 0), ("b", 5)):
            scrape = {"0.5": number, "+Inf": 2 * number}
            write(histogram(LATENCY, 15 * number + later, scrape, 3.0 * number, prometheus_replica=replica))
    assert total("duration_count") == 14
    assert buckets() == {(500.0,): 14}


def test_replicas_of_the_server_are_added_up(write):
    for at in (0, 15):
        write(*(one(PROMPT, at, 100 + at, instance=f"10.0.0.{number}:8000") for number in range(4)))
    assert total("input_tokens") == 60


# --- Histograms


def test_a_histogram_counts_its_buckets_its_count_and_its_sum(write):
    write(histogram(LATENCY, 0, {"0.5": 10, "2.0": 15, "+Inf": 16}, 20.0))
    write(histogram(LATENCY, 15, {"0.5": 13, "2.0": 20, "+Inf": 22}, 29.5))
    assert buckets() == {(500.0, 2000.0): 6}
    assert (total("duration_count"), total("duration_sum_ms")) == (6, 9_500)


def test_buckets_that_come_in_pieces_count_when_all_are_there(write):
    for at, counts in ((0, {"0.5": 10, "2.0": 15, "+Inf": 16}), (15, {"0.5": 13, "2.0": 20, "+Inf": 22})):
        for le, count in counts.items():
            assert not buckets()
            write(one(f"{LATENCY}_bucket", at, count, le=le))
    assert buckets() == {(500.0, 2000.0): 6}


def test_pieces_of_scrapes_that_overtake_each_other_add_up(write):
    scrapes = [(15 * n, {"0.5": 3 * n, "2.0": 5 * n, "+Inf": 6 * n}) for n in range(12)]
    pieces = [(at, le, count) for at, counts in scrapes for le, count in counts.items()]
    # Two shards: one is five scrapes behind the other.
    pieces.sort(key=lambda one_piece: (one_piece[0] + (75 if one_piece[1] == "2.0" else 0), one_piece[1]))
    for at, le, count in pieces:
        write(one(f"{LATENCY}_bucket", at, count, le=le))
    assert sum(buckets().values()) == 66


def test_a_histogram_over_a_restart_with_other_buckets_loses_nothing(write):
    write(histogram(LATENCY, 0, {"0.5": 100, "2.0": 150, "+Inf": 160}, 200.0))
    write(histogram(LATENCY, 15, {"0.5": 101, "2.0": 152, "+Inf": 163}, 204.0))
    write(histogram(LATENCY, 30, {"0.25": 1, "1.0": 3, "+Inf": 5}, 4.0))
    # Until the old buckets are gone for ten minutes the new ones may be a piece.
    write(histogram(LATENCY, 660, {"0.25": 2, "1.0": 5, "+Inf": 9}, 8.0))
    write(histogram(LATENCY, 675, {"0.25": 3, "1.0": 8, "+Inf": 13}, 12.0))
    assert total("duration_count") == 3 + 5 + 4 + 4
    assert total("duration_sum_ms") == 4_000 + 4_000 + 4_000 + 4_000


def test_a_native_histogram_is_said_to_be_unread_and_the_rest_counts(write):
    native = series({"__name__": LATENCY, **TARGET}, [], more=b"\x22\x02\x08\x01")
    write(native, one(PROMPT, 0, 0))
    write(native, one(PROMPT, 15, 5))
    assert total("input_tokens") == 5
    assert [row["code"] for row in Receipt.objects.get().warnings] == ["native_histogram"]


# --- Whose it is


def test_a_backend_that_is_pulled_is_not_written_to(write, adam):
    Backend.objects.create(slug="gpus", name="GPUs", connector="metrics_endpoint", provider="vllm")
    # By name, and as the one of its provider.
    for query in ("preset=vllm&backend=gpus", "preset=vllm"):
        assert write(one(PROMPT, 0, 0), query=query, status=400).json()["code"] == "backend_is_pulled"
    Backend.objects.create(slug="edge", name="Edge", connector=PUSH_ONLY, provider="self-hosted", is_enabled=False)
    write(one(PROMPT, 0, 0), query="preset=vllm&backend=edge")
    write(one(PROMPT, 15, 8), query="preset=vllm&backend=edge")
    assert total("input_tokens", series__backend__slug="edge") == 8
    assert write(query="preset=vllm&backend=nowhere", status=400).json()["code"] == "unknown_backend"


def test_a_server_that_is_also_pulled_is_asked_about(write, adam):
    pulled = Backend.objects.create(slug="gpus", name="GPUs", connector="prometheus", provider="vllm")
    Backend.objects.create(slug="edge", name="Edge", connector=PUSH_ONLY, provider="vllm", is_enabled=False)
    for at in (0, 15):
        write(one(PROMPT, at, 1_000 * at), query="preset=vllm&backend=edge")
    known = SeriesIdentity(key=SeriesKey(provider="vllm", model="demo-8b"), backend_id=pulled.pk)
    cell = PostedCell(series_ids([known])[known], START, {"input_tokens": 15_000})
    ledger.post(Receipt(kind=FeedKind.USAGE, backend=pulled), ledger.feed(FeedKind.USAGE, pulled), [cell])
    today = START.astimezone(settings.REPORTING_ZONE).date()
    assert find_look_alikes(today, days=1) == 1
    pair = LookAlike.objects.get()
    assert {pair.first.backend.slug, pair.second.backend.slug} == {"gpus", "edge"}


def test_two_tokens_of_one_roadmap_count_a_counter_once(write, api, alice, claims):
    write(one(PROMPT, 0, 0), one(PROMPT, 15, 8))
    write(one(PROMPT, 0, 0), one(PROMPT, 15, 8), client=api(alice, scopes=["push"], workload=claims))
    assert total("input_tokens") == 8


def test_another_roadmaps_counters_are_its_own(write, api, oscar, other):
    client = api(oscar, scopes=["push"], workload=other)
    write(one(PROMPT, 0, 100))
    write(one(PROMPT, 15, 900), client=client)
    assert total("input_tokens") is None
    write(one(PROMPT, 30, 901), client=client)
    assert total("input_tokens", series__workload=other) == 1
    assert total("input_tokens", series__workload__slug="claims") is None
