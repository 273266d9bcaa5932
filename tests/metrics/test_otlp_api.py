"""OTLP over HTTP: encodings, answers and errors, whatever the signal."""

from __future__ import annotations

import gzip
import json
import logging
import time

import pytest
from django.db import OperationalError
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from metrics.api import intake
from metrics.arrivals import undecided
from metrics.models import PushProblem, Receipt, UsageHour
from tests.metrics import spans

PROTOBUF, JSON = "application/x-protobuf", "application/json"
TRACES, LOGS = "/otlp/v1/traces", "/otlp/v1/logs"
SECRET = "zebra-contract-4711"


@pytest.fixture
def sender(api, bob, claims):
    """A client whose token pushes spans to `claims`."""
    client = api(bob, scopes=["push"], workload=claims, signal="traces")

    def _send(body: bytes, content_type: str = PROTOBUF, *, to: str = TRACES, **headers):
        return client.post(to, body, content_type=content_type, headers=headers)

    _send.client = client
    return _send


@pytest.fixture
def body() -> bytes:
    return spans.recorded("openai-v2").SerializeToString()


def status(answer) -> Status:
    return Status.FromString(answer.content)


def test_a_push_is_answered_in_the_encoding_of_the_request(sender, body):
    answer = sender(body)
    assert (answer.status_code, answer["Content-Type"]) == (200, PROTOBUF)
    assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()
    answer = sender(b"{}", JSON)
    assert (answer.status_code, answer["Content-Type"], answer.json()) == (200, JSON, {})
    assert Receipt.objects.count() == 1


def test_json_counts_as_protobuf_does(sender, body):
    sender(body)
    expected = _tokens()
    document = json.loads((spans.RECORDED / "openai-v2.json").read_bytes())
    later = json.dumps(_moved(document)).encode()
    assert sender(later, JSON).status_code == 200
    assert _tokens() == {model: [2 * number for number in numbers] for model, numbers in expected.items()}


def _tokens() -> dict[str, list[int]]:
    """(input, output, requests, errors) of each model."""
    found: dict[str, list[int]] = {}
    names = ("input_tokens", "output_tokens", "requests", "errors")
    for hour in UsageHour.objects.select_related("series"):
        there = found.setdefault(hour.series.model, [0] * len(names))
        for place, name in enumerate(names):
            there[place] += getattr(hour, name) or 0
    return found


def _all_spans(request):
    return [span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]


def _moved(document):
    """The recorded spans as if they had ended now, with ids of their own."""
    found = [span for group in document["resourceSpans"] for scope in group["scopeSpans"] for span in scope["spans"]]
    later = time.time_ns() - 60 * spans.SECOND - max(int(span["endTimeUnixNano"]) for span in found)
    for span in found:
        span["spanId"] = span["spanId"][::-1]
        span["startTimeUnixNano"] = str(int(span["startTimeUnixNano"]) + later)
        # A 64-bit number may be a number, too.
        span["endTimeUnixNano"] = int(span["endTimeUnixNano"]) + later
        span["somethingNew"] = {"of": ["a", "later", "version"]}
        span["events"] = None
    return document


def test_gzip_is_taken_and_told_apart_from_what_is_none(sender, body):
    assert sender(gzip.compress(body), **{"Content-Encoding": "gzip"}).status_code == 200
    answer = sender(body, **{"Content-Encoding": "gzip"})
    assert (answer.status_code, status(answer).code) == (400, Code.INVALID_ARGUMENT)
    assert sender(body, **{"Content-Encoding": "br"}).status_code == 415


def test_an_export_that_is_sent_again_counts_once(sender, body):
    first = sender(body)
    again = sender(body)
    assert again.content == first.content
    assert Receipt.objects.count() == 1


def test_an_empty_request_is_one_without_anything_in_it(sender):
    for content_type in (PROTOBUF, JSON):
        assert sender(b"", content_type).status_code == 200
    assert not Receipt.objects.exists()


def test_what_is_rejected_is_told_and_the_rest_counts(sender):
    request = spans.recorded("openai-v2")
    request.resource_spans[0].scope_spans[0].spans[0].trace_id = b""
    answer = sender(request.SerializeToString())
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, partial.rejected_spans) == (200, 1)
    assert "traceId" in partial.error_message
    assert Receipt.objects.get().rejected_count == 1


def test_where_nothing_counts_the_send_data_page_learns_why(sender):
    request = spans.recorded("openai-v2")
    for span in _all_spans(request):
        span.trace_id = b""
    assert sender(request.SerializeToString()).status_code == 200
    assert not Receipt.objects.exists()
    assert PushProblem.objects.get().code == "bad_id"


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        pytest.param(b"\xff" * 20, PROTOBUF, id="no-protobuf"),
        pytest.param(b"{", JSON, id="cut-json"),
        pytest.param(b"\xff\xfe{}", JSON, id="not-utf-8"),
        pytest.param(b"[]", JSON, id="a-list"),
        pytest.param(b'{"resourceSpans": {}}', JSON, id="wrong-type"),
        pytest.param(b'{"resourceSpans":' * 100_000, JSON, id="deep"),
        pytest.param(b'{"x":' + b"[" * 100_000, JSON, id="deep-unknown"),
        pytest.param(
            b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"%s"}]}]}]}' % SECRET.encode(), JSON, id="no-hex"
        ),
        pytest.param(
            b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"%s"}]}]}]}' % SECRET.encode(),
            JSON,
            id="no-number",
        ),
        pytest.param(
            b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"endTimeUnixNano":"99999999999999999999"}]}]}]}',
            JSON,
            id="too-large-a-number",
        ),
    ],
)
def test_a_body_that_cannot_be_read_is_a_400_that_never_quotes_it(sender, content, content_type, caplog):
    with caplog.at_level(logging.DEBUG):
        answer = sender(content, content_type)
    assert (answer.status_code, answer["Content-Type"]) == (400, content_type)
    text = status(answer).message if content_type == PROTOBUF else answer.json()["message"]
    assert text
    assert SECRET not in text + caplog.text + PushProblem.objects.get().detail
    assert not Receipt.objects.exists()


def test_a_cut_protobuf_is_a_400(sender, body):
    assert sender(body[:-3]).status_code == 400


def test_a_nested_protobuf_is_a_400(sender):
    deep = b""
    for _ in range(20_000):
        # AnyValue { array_value { values: ... } }
        inner = b"\x0a" + _length(deep) + deep
        deep = b"\x2a" + _length(inner) + inner
        if len(deep) > 100_000:
            break
    pair = b"\x0a\x01k\x12" + _length(deep) + deep
    resource = b"\x0a" + _length(pair) + pair
    group = b"\x0a" + _length(resource) + resource
    assert sender(b"\x0a" + _length(group) + group).status_code == 400


def _length(body: bytes) -> bytes:
    number, out = len(body), b""
    while True:
        out += bytes([number & 0x7F | (0x80 if number > 0x7F else 0)])
        number >>= 7
        if not number:
            return out


def test_another_content_type_is_a_415_in_json(sender, body):
    answer = sender(body, "text/plain")
    assert (answer.status_code, answer["Content-Type"]) == (415, JSON)
    assert "http/protobuf" in answer.json()["message"] or "x-protobuf" in answer.json()["message"]


def test_too_large_a_body_is_a_413(sender, settings):
    settings.PUSH_MAX_BYTES = 1_000
    assert sender(b"\0" * 1_001).status_code == 413
    assert sender(gzip.compress(b"\0" * 100_000), **{"Content-Encoding": "gzip"}).status_code == 413


def test_who_may_not_push_is_told_in_the_encoding_of_the_request(client, api, vera, claims, body):
    answer = client.post(TRACES, body, content_type=PROTOBUF)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert status(answer).code == Code.UNAUTHENTICATED
    reader = api(vera, scopes=["read"], workload=claims)
    for address in (TRACES, LOGS):
        answer = reader.post(address, body, content_type=PROTOBUF)
        assert (answer.status_code, status(answer).code) == (403, Code.PERMISSION_DENIED)
    assert not Receipt.objects.exists()


def test_spans_of_a_viewers_token_are_rejected(api, vera, claims, body):
    answer = api(vera, scopes=["push"], workload=claims, signal="traces").post(TRACES, body, content_type=PROTOBUF)
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, partial.rejected_spans > 0) == (200, True)
    assert not Receipt.objects.exists()


def test_only_post_is_taken(api, bob):
    assert api(bob, scopes=["push", "read"]).get(TRACES).status_code == 405


def test_too_many_at_once_are_asked_to_wait(sender, body, monkeypatch):
    monkeypatch.setattr(intake, "MAX_IN_FLIGHT", 1)
    with intake.in_flight(sender.client.token.pk):
        answer = sender(body)
    assert (answer.status_code, answer["Retry-After"], status(answer).code) == (429, "1", Code.RESOURCE_EXHAUSTED)
    assert sender(body).status_code == 200


@pytest.mark.parametrize("failure", [OperationalError(SECRET), RuntimeError(SECRET)], ids=["storage", "defect"])
def test_what_is_no_fault_of_the_sender_is_a_503_and_quotes_nothing(sender, body, monkeypatch, caplog, failure):
    def fail(*_, **__):
        raise failure

    monkeypatch.setattr("metrics.api.otlp.accept_export", fail)
    answer = sender(body)
    assert (answer.status_code, status(answer).code) == (503, Code.UNAVAILABLE)
    assert int(answer["Retry-After"]) > 0
    assert SECRET not in status(answer).message + caplog.text


def test_logs_are_acknowledged_and_thrown_away_unread(sender):
    answer = sender(b"\xffno protobuf", to=LOGS)
    assert (answer.status_code, answer["Content-Type"], answer.content) == (200, PROTOBUF, b"")
    answer = sender(b"{", JSON, to=LOGS)
    assert (answer.status_code, answer.json()) == (200, {})
    assert not Receipt.objects.exists()


def test_the_signal_that_a_token_does_not_count_is_acknowledged_and_noted(api, bob, claims, body):
    client = api(bob, scopes=["push"], workload=claims)
    answer = client.post(TRACES, body, content_type=PROTOBUF)
    assert answer.status_code == 200
    said = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (said.rejected_spans, "only traces arrive" in said.error_message) == (0, True)
    assert not Receipt.objects.exists()
    assert list(undecided()) == [client.token]
