"""Exported spans count: once, where the token counts traces, and what they say is on the dashboard."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from accounts.access import Asker
from accounts.actions import change_token
from metrics import series
from metrics.models import Backend, LedgerEntry, PushProblem, Receipt, Series, UsageHour
from tests.metrics.spans import recorded, request_of
from tests.metrics.test_otlp_traces import agent_trace

pytestmark = pytest.mark.django_db
PROTOBUF = "application/x-protobuf"
TRACES = "/otlp/v1/traces"
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.response.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
}


@pytest.fixture
def sender(api, bob, claims):
    """`send(request)`: the partial success of the answer; its token counts traces for `claims`."""
    return sending(api(bob, scopes=["push"], workload=claims, signal="traces"))


def sending(client):
    def _send(request):
        answer = client.post(TRACES, request.SerializeToString(), content_type=PROTOBUF)
        assert answer.status_code == 200, answer.content
        return ExportTraceServiceResponse.FromString(answer.content).partial_success

    _send.token = client.token
    return _send


def total(name: str, **of) -> int:
    return sum(
        getattr(hour, name) or 0 for hour in UsageHour.objects.filter(**{f"series__{k}": v for k, v in of.items()})
    )


@pytest.mark.parametrize("package", ["traceloop", "openinference", "openai-v2"])
def test_what_a_package_recorded_is_in_the_ledger(sender, package):
    answer = sender(recorded(package))
    assert (answer.rejected_spans, answer.error_message) == (0, "")
    assert (total("requests"), total("errors")) == (5, 2)
    assert (total("input_tokens"), total("output_tokens")) == (812 + 1020 + 33, 164 + 48)
    assert total("cached_input_tokens") == (0 if package == "openai-v2" else 256 + 512)
    assert total("duration_count") == 3
    assert total("time_to_first_token_count") == (0 if package == "openai-v2" else 1)
    receipt = Receipt.objects.get()
    assert (receipt.accepted, receipt.rejected_count, receipt.workload.slug) == (5, 0, "claims")
    assert {one.labels.get("service.name") for one in Series.objects.all()} == {"claims-bot"}


def test_a_span_sent_again_counts_once_in_whatever_batch(sender):
    first = recorded("traceloop")
    sender(first)
    sender(first)
    again = request_of(CHAT)
    again.MergeFrom(first)
    sender(again)
    assert total("requests") == 6
    assert [receipt.duplicates for receipt in Receipt.objects.order_by("pk")] == [0, 5]


def test_an_agents_run_counts_the_tokens_of_its_two_calls_once(sender):
    sender(agent_trace())
    assert total("input_tokens") == 300
    assert total("output_tokens") == 20
    by_operation = {one.operation: total("requests", operation=one.operation) for one in Series.objects.all()}
    assert by_operation == {"chat": 2, "execute_tool": 1, "invoke_agent": 1}
    assert total("duration_count", operation="invoke_agent") == 1
    assert not LedgerEntry.objects.filter(series__operation="invoke_agent", estimated_cost__isnull=False).exists()


def test_tokens_of_steps_count_where_the_tokens_owner_says_so(sender, bob):
    change_token(Asker(user=bob), sender.token, counts_step_tokens=True)
    request = request_of(
        {**CHAT, "gen_ai.operation.name": "invoke_agent"},
    )
    sender(request)
    assert total("input_tokens", operation="invoke_agent") == 0
    assert total("input_tokens", operation="invoke_agent_tokens") == 1000
    (priced,) = LedgerEntry.objects.filter(estimated_cost__gt=0)
    assert priced.series.operation == "invoke_agent_tokens"


def test_the_answer_says_how_many_spans_do_not_count_and_why(sender):
    bad = {**CHAT, "gen_ai.usage.input_tokens": -1}
    answer = sender(request_of(CHAT, bad, {**CHAT, "gen_ai.response.model": ["x"]}, bad, {"http.route": "/"}))
    assert answer.rejected_spans == 3
    assert "gen_ai.usage.input_tokens: takes a whole number from 0 to 10^12. (2x)" in answer.error_message
    assert "gen_ai.response.model: takes text; got a list." in answer.error_message
    assert total("requests") == 1
    assert Receipt.objects.get().rejected_count == 3


def test_where_none_can_count_the_send_data_page_learns_why(sender):
    answer = sender(request_of({**CHAT, "gen_ai.response.model": ""}))
    assert (answer.rejected_spans, Receipt.objects.count()) == (1, 0)
    assert PushProblem.objects.get().code == "missing_model"


def test_what_is_not_about_inference_leaves_nothing(sender):
    answer = sender(request_of({"http.route": "/"}, {"db.system": "postgresql"}))
    assert answer.error_message == ""
    for model in (Receipt, PushProblem, Backend):
        assert not model.objects.exists()
    assert series.undecided_signals(Asker(user=sender.token.owner)) == []


def test_a_token_that_counts_metrics_acknowledges_spans_and_keeps_none(api, bob, claims):
    send = sending(api(bob, scopes=["push"], workload=claims))
    answer = send(recorded("openinference"))
    assert answer.rejected_spans == 0
    assert "This token counts metrics, and only traces arrive" in answer.error_message
    for model in (Receipt, UsageHour):
        assert not model.objects.exists()
    assert PushProblem.objects.get().code == "signal_not_counted"
    (asked,) = series.undecided_signals(Asker(user=bob))
    assert (asked.arrives, asked.counts) == ("traces", "metrics")
    change_token(Asker(user=bob), send.token, signal="traces")
    # From now on; and what an SDK sends again counts too.
    send(recorded("openinference", ended_ago_s=30))
    assert total("requests") == 5
    assert series.undecided_signals(Asker(user=bob)) == []


def test_the_resource_names_the_roadmap_of_a_token_without_one(api, bob, claims):
    send = sending(api(bob, scopes=["push"], signal="traces"))
    send(request_of(CHAT, resource={"phaseline.roadmap": "claims"}))
    answer = send(request_of(CHAT, resource={"phaseline.roadmap": "clams"}))
    assert (answer.rejected_spans, answer.error_message) == (1, "roadmap: there is no 'clams'. Nearest: claims.")
    send(request_of(CHAT, resource={"service.name": "bot"}))
    assert sorted(one.workload.slug if one.workload else "" for one in Receipt.objects.all()) == ["", "claims"]


def test_a_batch_costs_no_more_queries_than_a_span(sender, django_assert_max_num_queries):
    sender(request_of(CHAT))
    with django_assert_max_num_queries(45) as few:
        sender(request_of(CHAT))
    with django_assert_max_num_queries(len(few)):
        sender(request_of(*[CHAT] * 200))
