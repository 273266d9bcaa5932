"""Bodies of exported metrics: both encodings, what cannot be read, and what would not fit into memory."""

from __future__ import annotations

import base64
import json
import struct

import pytest
from google.protobuf.json_format import MessageToDict
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from metrics import otlp_told
from metrics.models import LedgerHistogram, PushProblem, Receipt, UsageHour
from tests.metrics.metric_points import NOW, SECOND, Export

METRICS, TRACES = "/otlp/v1/metrics", "/otlp/v1/traces"
PROTOBUF, JSON = "application/x-protobuf", "application/json"
SECRET = "zebra-contract-4711"


@pytest.fixture
def post(api, bob, claims):
    client = api(bob, scopes=["push"], workload=claims)
    return lambda body, content_type=PROTOBUF, to=METRICS: client.post(to, body, content_type=content_type)


def wrapped(tag: int, body: bytes) -> bytes:
    """A message in a message: its tag, its length, itself."""
    length, number = b"", len(body)
    while number > 0x7F:
        length += bytes([number & 0x7F | 0x80])
        number >>= 7
    return bytes([tag]) + length + bytes([number]) + body


# --- Both encodings


def in_json(export: Export) -> dict:
    return MessageToDict(export.request, use_integers_for_enums=True)


def test_json_counts_as_protobuf_does_and_is_the_same_stream(post):
    route = {"app.route": "/claims"}
    export = Export().tokens(100, "output").durations([1, 2, 0, 1], 5.0, **route).exponential(3, 4, [2, 1], 4.0)
    assert post(json.dumps(in_json(export)), JSON).json() == {}
    hour = UsageHour.objects.get()
    assert (hour.requests, hour.output_tokens, hour.duration_count) == (7, 100, 7)
    # A Collector in front of the application may change the encoding.
    assert post(Export().tokens(100, "output").durations([1, 2, 0, 1], 5.0, **route).body()).status_code == 200
    at = NOW + 2 * SECOND
    later = Export().tokens(130, "output", at=at).durations([1, 2, 3, 1], 9.0, at=at, **route)
    assert post(later.body()).status_code == 200
    hour.refresh_from_db()
    assert (hour.requests, hour.output_tokens, hour.duration_count) == (10, 130, 10)
    assert sum(sum(row.window[1:]) for row in LedgerHistogram.objects.all()) == 10


def test_buckets_that_are_not_packed_are_read(post):
    """Everybody packs them; protobuf wants the other way to be read as well."""
    point = Export().durations([], 1.4).scope.metrics[0].histogram.data_points[0]
    point.ClearField("explicit_bounds")
    point.count = 2
    plain = point.SerializeToString()
    loose = b"".join(b"\x31" + struct.pack("<Q", count) for count in (0, 2, 0))
    loose += b"".join(b"\x39" + struct.pack("<d", bound) for bound in (0.5, 1.0))
    histogram = b"\x10\x02" + wrapped(0x0A, plain + loose)
    metric = wrapped(0x0A, b"gen_ai.client.operation.duration") + wrapped(0x1A, b"s") + wrapped(0x4A, histogram)
    assert post(wrapped(0x0A, wrapped(0x12, wrapped(0x12, metric)))).content == b""
    assert sum(LedgerHistogram.objects.get().window[1:]) == 2


def test_what_a_set_of_attributes_says_is_worked_out_once(post, monkeypatch):
    read, asked = otlp_told.read, []
    monkeypatch.setattr(otlp_told, "read", lambda name, attributes: asked.append(name) or read(name, attributes))
    for step in (1, 2, 3):
        export = Export().durations([step, 0, 0, 0], 0.1 * step, at=NOW + step * SECOND, **{"app.route": "worked-out"})
        export.durations([step], 0.1, bounds=(), at=NOW + step * SECOND, **{"app.route": "x" * 2_000})
        assert post(export.body()).content == b""
    # The long one is too long to be remembered.
    assert len(asked) == 1 + 3
    assert UsageHour.objects.get().requests == 6


def test_no_more_sets_are_remembered_than_fit(post, monkeypatch):
    monkeypatch.setattr(otlp_told, "MAX_REMEMBERED", 10)
    for held in otlp_told._remembered.values():
        held.clear()
    for start in (0, 8):
        export = Export(is_delta=True)
        for number in range(start, start + 8):
            export.tokens(1, **{"app.route": f"fits-{number}"})
        assert post(export.body()).status_code == 200
        assert sum(map(len, otlp_told._remembered.values())) <= 10
    assert UsageHour.objects.get().input_tokens == 16


# --- What cannot be read


def point(**wrong) -> dict:
    document = in_json(Export().durations([1, 0, 0, 0], 0.2))
    document["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["histogram"]["dataPoints"][0].update(wrong)
    return document


@pytest.mark.parametrize(
    ("document", "says"),
    [
        pytest.param({"resourceMetrics": {}}, "array", id="no-list"),
        pytest.param({"resourceMetrics": [SECRET]}, "object", id="no-object"),
        pytest.param({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": 7}]}]}]}, "str", id="name-a-number"),
        pytest.param({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"sum": []}]}]}]}, "object", id="sum-a-list"),
        pytest.param(point(count=SECRET), "int", id="count-a-word"),
        pytest.param(point(count="-1"), "0", id="count-negative"),
        pytest.param(point(sum={}), "float", id="sum-an-object"),
        pytest.param(point(bucketCounts=[SECRET]), "int", id="bucket-a-word"),
        pytest.param(point(explicitBounds=SECRET), "array", id="bounds-a-word"),
        pytest.param(point(timeUnixNano="99999999999999999999"), "timeUnixNano", id="time-too-large"),
        pytest.param(point(attributes={SECRET: 1}), "array", id="attributes-an-object"),
        pytest.param(point(attributes=[{"key": "a", "value": SECRET}]), "object", id="value-a-word"),
        pytest.param(SECRET, "object", id="a-word"),
    ],
)
def test_json_of_wrong_types_is_a_400_that_says_where_and_never_quotes_it(post, document, says):
    answer = post(json.dumps(document), JSON)
    assert (answer.status_code, answer["Content-Type"]) == (400, JSON)
    assert answer.json()["code"] == Code.INVALID_ARGUMENT
    text = answer.json()["message"]
    assert text.startswith("The body is not OTLP's JSON: Expected ")
    assert says in text
    assert SECRET not in text + PushProblem.objects.get().detail
    assert not Receipt.objects.exists()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_none_are_rejected_and_lose_no_other(post, number):
    document = in_json(Export().tokens(5).tokens(7, "output"))
    metrics = document["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    metrics[0]["histogram"]["dataPoints"][0]["sum"] = number
    answer = post(json.dumps(document), JSON).json()
    assert int(answer["partialSuccess"]["rejectedDataPoints"]) == 1
    assert UsageHour.objects.get().output_tokens == 7


def test_a_cut_attribute_is_a_400(post):
    export = Export().tokens(1, **{"app.route": SECRET})
    body = export.body()
    for odd in (body.replace(SECRET.encode(), b"\xff" * len(SECRET)), body[:-3]):
        answer = post(odd)
        status = Status.FromString(answer.content)
        assert (answer.status_code, status.code) == (400, Code.INVALID_ARGUMENT)
        assert "ExportMetricsServiceRequest" in status.message
    assert not Receipt.objects.exists()


def test_what_nobody_counts_is_not_even_decoded(post):
    export = Export().tokens(5)
    # field 7: what no histogram's bytes can look like
    broken = wrapped(0x0A, b"http.server.duration") + wrapped(0x4A, b"\xff\xff")
    body = export.body() + wrapped(0x0A, wrapped(0x12, wrapped(0x12, broken)))
    assert post(body).content == b""
    assert UsageHour.objects.get().input_tokens == 5


# --- What would not fit


def tiny(what: str) -> bytes:
    """A body just under 16 MiB, of messages that are as small as they can be."""
    number = 8 * 2**20 - 100
    if what == "resources":
        return b"\x0a\x00" * number
    if what == "metrics":
        return wrapped(0x0A, wrapped(0x12, b"\x12\x00" * number))
    if what == "points":
        metric = wrapped(0x0A, b"gen_ai.client.token.usage") + wrapped(0x4A, b"\x0a\x00" * number)
    else:
        metric = wrapped(0x0A, b"gen_ai.client.token.usage") + wrapped(0x4A, wrapped(0x0A, b"\x4a\x00" * number))
    return wrapped(0x0A, wrapped(0x12, wrapped(0x12, metric)))


@pytest.mark.parametrize("what", ["resources", "metrics", "points", "attributes"])
@pytest.mark.parametrize("address", [METRICS, TRACES], ids=["metrics", "traces"])
def test_millions_of_tiny_messages_are_refused_before_they_are_decoded(post, what, address):
    """Decoded, 16 MiB of them took a gigabyte."""
    answer = post(tiny(what), to=address)
    assert answer.status_code == 413
    assert "smaller batches" in Status.FromString(answer.content).message


def test_millions_of_tiny_points_in_json_are_refused(post):
    points = ",".join(["{}"] * 3_000_000)
    head, tail = '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"dataPoints":[', "]}}]}]}]}"
    answer = post(head + points + tail, JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, Code.RESOURCE_EXHAUSTED)


def test_more_points_than_a_request_may_have_are_refused(post):
    metric = wrapped(0x0A, b"gen_ai.client.token.usage") + wrapped(0x4A, b"\x0a\x00" * 50_001)
    answer = post(wrapped(0x0A, wrapped(0x12, wrapped(0x12, metric))))
    assert answer.status_code == 413
    assert "50,000" in Status.FromString(answer.content).message


def test_attributes_may_be_any_of_protobufs_values(post):
    export = Export().tokens(3, a=True, b=5, c=1.5, d=["x", 1], e={"k": "v"})
    raw = export.scope.metrics[0].histogram.data_points[0].attributes.add(key="f")
    raw.value.bytes_value = base64.b64decode("AAEC")
    for _ in range(2):
        assert ExportMetricsServiceResponse.FromString(post(export.body()).content).partial_success.error_message == ""
    assert UsageHour.objects.get().input_tokens == 3
