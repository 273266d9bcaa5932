"""Exported GenAI metrics: counted once, as differences of their streams, whoever sends them how often."""

from __future__ import annotations

import math

import pytest
from django.db import connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from accounts.models import Token
from metrics import stream_state
from metrics.models import CounterState, LedgerHistogram, Receipt, UsageHour
from tests.metrics.metric_points import NOW, SECOND, Export

URL, PROTOBUF = "/otlp/v1/metrics", "application/x-protobuf"


@pytest.fixture
def send(api, bob, claims):
    """`send(export)`: the partial success of the answer, which is 200."""
    client = api(bob, scopes=["push"], workload=claims)

    def _send(export: Export, client=client):
        answer = client.post(URL, export.body(), content_type=PROTOBUF)
        assert answer.status_code == 200, answer.content
        return ExportMetricsServiceResponse.FromString(answer.content).partial_success

    _send.client = client
    return _send


def total(measure: str, **where) -> int | None:
    return UsageHour.objects.filter(**where).aggregate(total=Sum(measure))["total"]


def test_cumulative_points_count_their_differences(send):
    for at, tokens in ((0, 100), (10, 250), (20, 250), (30, 400)):
        assert send(Export().tokens(tokens, at=NOW + at * SECOND)).error_message == ""
    assert total("input_tokens") == 400
    # What said nothing new left no receipt.
    assert Receipt.objects.count() == 3


def test_a_point_that_is_not_newer_is_a_repeat(send):
    send(Export().tokens(100))
    again = Export().tokens(100)
    again.request.resource_metrics[0].schema_url = "https://another.body/"
    send(again)
    send(Export().tokens(90, at=NOW - SECOND))
    assert total("input_tokens") == 100


def test_a_new_start_is_a_stream_of_its_own(send):
    send(Export().tokens(100))
    send(Export().tokens(30, at=NOW + SECOND, start=NOW))
    assert total("input_tokens") == 130


def test_a_program_that_starts_again_under_its_name_is_counted_from_zero(send):
    about = {"service.name": "claims-bot", "service.instance.id": "pod-0"}
    last = Export(resource=about).tokens(100).durations([2, 0, 0, 0], 0.5)
    send(last)
    send(Export(resource=about).tokens(30, at=NOW + 9 * SECOND, start=NOW + 5 * SECOND))
    # The answer to the first one's last export got lost, so that a Collector sends it again, in another body.
    last.request.resource_metrics[0].schema_url = "https://another.body/"
    assert send(last).error_message == ""
    send(Export(resource=about).tokens(45, at=NOW + 19 * SECOND, start=NOW + 5 * SECOND))
    assert (total("input_tokens"), total("requests")) == (145, 2)


def test_replicas_are_streams_of_their_own(send):
    for replica in ("a", "b"):
        send(Export(resource={"service.name": "claims-bot", "service.instance.id": replica}).tokens(100))
    assert total("input_tokens") == 200


@pytest.mark.parametrize("start", [0, NOW - 25 * 3600 * SECOND], ids=["none", "a-day-ago"])
def test_what_began_before_anybody_looked_is_a_baseline_and_says_so(send, start):
    assert "24 hours" in send(Export().tokens(1_000_000, start=start)).error_message
    assert total("input_tokens") is None
    send(Export().tokens(1_000_050, start=start, at=NOW + SECOND))
    assert total("input_tokens") == 50


def test_a_stream_that_falls_counts_nothing(send):
    send(Export().tokens(100))
    partial = send(Export().tokens(40, at=NOW + SECOND))
    assert partial.rejected_data_points == 1
    assert "service.instance.id" in partial.error_message
    send(Export().tokens(110, at=NOW + 2 * SECOND))
    assert total("input_tokens") == 110


def test_deltas_add_up_and_a_repeated_export_counts_once(send):
    export = Export(is_delta=True).tokens(100)
    send(export)
    send(export)
    send(Export(is_delta=True).tokens(20, at=NOW + SECOND, start=NOW))
    assert total("input_tokens") == 120
    assert not CounterState.objects.exists()


def test_requests_errors_and_durations_come_from_the_duration(send):
    send(Export().durations([1, 2, 0, 1], 5.0).durations([0, 3, 0, 0], 2.0, **{"error.type": "timeout"}))
    assert (total("requests"), total("errors"), total("duration_count")) == (7, 3, 4)
    assert total("duration_sum_ms") == 5000
    assert sum(sum(row.window[1:]) for row in LedgerHistogram.objects.all()) == 4


def test_a_failed_call_that_names_no_model_is_counted(send):
    nameless = {"gen_ai.request.model": "", "error.type": "APIError"}
    partial = send(Export().durations([0, 2, 0, 0], 1.0, **nameless).tokens(9, **nameless))
    assert (total("requests", series__model="no model"), total("errors"), total("input_tokens")) == (2, 2, None)
    assert partial.rejected_data_points == 1


def test_buckets_count_their_differences_from_export_to_export(send):
    send(Export().durations([1, 2, 0, 0], 1.5))
    send(Export().durations([1, 2, 3, 1], 9.0, at=NOW + SECOND))
    # The operator changed the buckets: what came between is counted, and in none.
    send(Export().durations([2, 3, 3], 11.0, bounds=(0.5, 1.0), at=NOW + 2 * SECOND))
    send(Export().durations([2, 3, 5], 15.0, bounds=(0.5, 1.0), at=NOW + 3 * SECOND))
    assert (total("requests"), total("duration_count"), total("duration_sum_ms")) == (10, 10, 15_000)
    assert sum(sum(row.window[1:]) for row in LedgerHistogram.objects.all()) == 7 + 2


def test_exponential_histograms_change_their_scale_between_points(send):
    send(Export().exponential(5, 0, [1, 1, 1, 1], 5.0))
    send(Export().exponential(3, 0, [5], 9.0, at=NOW + SECOND))
    assert (total("requests"), total("duration_count"), total("duration_sum_ms")) == (5, 5, 9000)
    assert sum(sum(row.window[1:]) for row in LedgerHistogram.objects.all()) == 5


@pytest.mark.parametrize("scale", [-10, 0, 20])
def test_exponential_buckets_lie_where_their_durations_do(send, scale):
    # One request of 1.5 s.
    send(Export().exponential(scale, math.ceil(math.log2(1.5) * 2.0**scale) - 1, [1], 1.5))
    row = LedgerHistogram.objects.get()
    assert sum(row.window[1:]) == 1
    bounds = row.bounds.bounds_ms
    place = next((n for n, bound in enumerate(bounds) if bound >= 1500), len(bounds))
    low = bounds[place - 1] if place else 0
    assert low < 1500
    if scale == 20:
        assert bounds[place] / low < 1.05


def test_both_generations_of_one_scope_count_once(send):
    export = Export().tokens(100).tokens(10, "output").durations([2, 0, 0, 0], 0.5)
    export.counter("gen_ai.client.inference.usage.input_tokens", 100)
    export.counter("gen_ai.client.inference.usage.output_tokens", 10)
    export.counter("gen_ai.client.inference.usage.cache_read.input_tokens", 40)
    export.durations([2, 0, 0, 0], 0.5, name="gen_ai.client.inference.duration")
    send(export)
    assert (total("input_tokens"), total("output_tokens"), total("cached_input_tokens")) == (100, 10, 40)
    assert (total("requests"), total("duration_count")) == (2, 2)


def test_server_latencies_stand_apart_and_repeat_no_request(send):
    send(Export().durations([1, 0, 0, 0], 0.2).durations([1, 0, 0, 0], 0.1, name="gen_ai.server.request.duration"))
    assert total("requests") == 1
    assert total("duration_count", series__measured_at="server") == 1


def test_a_token_that_measures_at_the_server_counts_the_servers_requests(api, bob, claims, send):
    client = api(bob, scopes=["push"], workload=claims, measured_at="server")
    export = Export().durations([1, 0, 0, 0], 0.2).durations([3, 0, 0, 0], 0.1, name="gen_ai.server.request.duration")
    assert "gen_ai.server" in send(export, client).error_message
    assert total("requests") == 3


def test_steps_of_agents_count_without_tokens(send):
    send(
        Export()
        .tokens(100, **{"gen_ai.operation.name": "invoke_agent"})
        .durations([1, 0, 0, 0], 0.2, **{"gen_ai.operation.name": "invoke_agent"})
    )
    assert (total("requests", series__operation="invoke_agent"), total("input_tokens")) == (1, None)


def test_tokens_are_priced_by_the_hour(send):
    send(Export().tokens(1_000_000).tokens(1_000_000, "output"))
    hour = UsageHour.objects.get()
    assert hour.currency == "USD"
    assert hour.estimated_cost == pytest.approx(12.5)
    assert Receipt.objects.get().note.startswith("Priced by")


def test_the_resource_names_the_roadmap_where_the_token_names_none(api, bob, claims, send):
    client = api(bob, scopes=["push"])
    send(Export(resource={"phaseline.roadmap": "claims", "service.name": "x"}).tokens(5), client)
    assert total("input_tokens", series__workload=claims) == 5
    partial = send(Export(resource={"phaseline.roadmap": "clams"}).tokens(5), client)
    assert partial.rejected_data_points == 1
    assert "claims" in partial.error_message
    send(Export(resource={"service.name": "nobody"}).tokens(7), client)
    assert total("input_tokens", series__workload=None) == 7


def test_what_was_acknowledged_before_the_signal_was_switched_does_not_come_back(api, bob, claims, send):
    """Its requests were counted from their spans: counted whole now, the stream would count them twice."""
    client = api(bob, scopes=["push"], workload=claims, signal="traces")
    send(Export().tokens(100).durations([2, 0, 0, 0], 0.5), client)
    send(Export().tokens(120, at=NOW + SECOND), client)
    assert total("input_tokens") is None
    Token.objects.update(signal="metrics")
    send(Export().tokens(150, at=NOW + 2 * SECOND).durations([3, 0, 0, 0], 0.7, at=NOW + 2 * SECOND), client)
    assert (total("input_tokens"), total("requests")) == (30, 1)


def test_tokens_of_steps_count_from_when_they_are_switched_on(send):
    step = {"gen_ai.operation.name": "invoke_agent"}
    send(Export().tokens(100, **step))
    Token.objects.update(counts_step_tokens=True)
    send(Export().tokens(130, at=NOW + SECOND, **step))
    assert total("input_tokens") == 30


def test_a_bad_point_of_the_other_signal_is_acknowledged(api, bob, claims, send):
    client = api(bob, scopes=["push"], workload=claims, signal="traces")
    assert send(Export().tokens(100).tokens(-5), client).rejected_data_points == 0


def test_a_token_that_counts_traces_only_notes_them(api, bob, claims, send):
    send(Export().tokens(5), api(bob, scopes=["push"], workload=claims, signal="traces"))
    assert not UsageHour.objects.exists()


@pytest.mark.parametrize(
    "export",
    [
        pytest.param(Export().tokens(float("nan")), id="nan"),
        pytest.param(Export().tokens(float("inf")), id="infinite"),
        pytest.param(Export().tokens(-1), id="negative"),
        pytest.param(Export().tokens(1e300), id="huge"),
        pytest.param(Export().tokens(1, at=NOW + 3600 * SECOND), id="in-the-future"),
        pytest.param(Export().tokens(1, at=2**64 - 1), id="year-2554"),
        pytest.param(Export().tokens(1, at=0), id="no-time"),
        pytest.param(Export().tokens(1, at=NOW - 40 * 86_400 * SECOND, start=NOW - 40 * 86_400 * SECOND), id="old"),
        pytest.param(Export().tokens(1, start=NOW + SECOND), id="ends-before-start"),
        pytest.param(Export().tokens(1, **{"gen_ai.request.model": ""}), id="no-model"),
        pytest.param(Export().tokens(1, **{"gen_ai.request.model": "a\0b"}), id="nul"),
        pytest.param(Export().tokens(1, **{f"a{n}": "x" for n in range(3_000)}), id="thousands-of-attributes"),
        pytest.param(Export().durations([1, 1], 1.0), id="bounds-and-counts-differ"),
        pytest.param(Export().durations([1, 1, 1, 1], 1.0, bounds=(2.0, 1.0, 3.0)), id="bounds-fall"),
        pytest.param(Export().durations([1, 1, 1, 1], 1.0, bounds=(-2.0, 1.0, 3.0)), id="bounds-negative"),
        pytest.param(Export().durations([1, 0, 0, 0], -1.0), id="negative-sum"),
        pytest.param(Export().exponential(2**31 - 1, 0, [1], 1.0), id="scale-out-of-range"),
        pytest.param(Export().exponential(-(2**31), 0, [1], 1.0), id="scale-below-range"),
    ],
)
def test_a_bad_point_is_rejected_in_words_and_loses_no_other(send, export):
    export.tokens(7, "output")
    partial = send(export)
    assert partial.rejected_data_points == 1
    assert partial.error_message
    assert (total("output_tokens"), total("input_tokens"), total("requests")) == (7, None, None)


def test_what_is_not_about_inference_is_accepted_in_silence(send):
    export = Export()
    export.scope.metrics.add(name="http.server.duration").gauge.data_points.add(as_int=1)
    export.scope.metrics.add(name="gen_ai.client.token.usage").gauge.data_points.add(as_int=1)
    assert send(export).error_message == ""
    assert not Receipt.objects.exists()


def test_queries_do_not_grow_with_points(send):
    def queries(points: int, at: int) -> int:
        export = Export()
        for number in range(points):
            export.tokens(10 + at, at=NOW + at * SECOND, **{"app.route": f"r{number}"})
        with CaptureQueriesContext(
            connection,
        ) as captured:
            send(export)
        return len(captured)

    queries(1, 1)
    assert queries(200, 2) <= queries(2, 3)
    assert queries(200, 4) <= 30


def test_states_are_forgotten_after_35_days(send):
    send(Export().tokens(5))
    assert stream_state.drop_expired(timezone.now()) == 0
    CounterState.objects.update(sampled_at=timezone.now() - stream_state.KEPT_FOR - stream_state.REFRESHED_AFTER)
    assert stream_state.drop_expired(timezone.now()) == 1
