"""What a sender of remote write is answered, and that no body costs more than it should."""

from __future__ import annotations

import logging
import random
import struct
import time
import tracemalloc

import pytest
from django.db import OperationalError
from django.db.models import Sum

from metrics import remote_write_wire
from metrics.api import intake
from metrics.connectors.presets.catalogue import PRESETS
from metrics.format import Unreadable
from metrics.formats import remote_write
from metrics.formats.remote_write import meanings_of
from metrics.models import CounterState, PushProblem, Receipt, Series, UsageHour
from tests.metrics.written import (
    HEADERS,
    PROTOBUF,
    START_MS,
    URL,
    histogram,
    one,
    piece,
    series,
    snappy,
    varint,
)

pytestmark = pytest.mark.django_db
PROMPT, LATENCY = "vllm:prompt_tokens_total", "vllm:e2e_request_latency_seconds"
SECRET = "zebra-contract-4711"
V2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"


@pytest.fixture
def post(api, bob, claims):
    """`post(body)`: the answer to these bytes, which are a block of snappy already."""
    client = api(bob, scopes=["push"], workload=claims)

    def _post(body: bytes, content_type: str = PROTOBUF, query: str = "preset=vllm", client=client, **headers):
        return client.post(f"{URL}?{query}", body, content_type=content_type, headers={**HEADERS, **headers})

    _post.client = client
    return _post


def refused(answer) -> tuple[int, str]:
    assert answer["Content-Type"] == "application/problem+json"
    # Prometheus logs the first line of it.
    assert b"\n" not in answer.content
    assert answer.json()["detail"]
    return answer.status_code, answer.json()["code"]


# --- Answers


def test_what_was_taken_is_answered_204_without_a_word(post):
    answer = post(snappy(one(PROMPT, 0, 1)))
    assert (answer.status_code, answer.content) == (204, b"")
    assert post(snappy(b"")).status_code == 204


@pytest.mark.parametrize(
    ("content_type", "headers"),
    [
        pytest.param(V2, {}, id="2.0"),
        pytest.param(PROTOBUF, {"X-Prometheus-Remote-Write-Version": "2.0.0"}, id="2.0-by-version"),
        pytest.param("application/json", {}, id="json"),
        pytest.param(PROTOBUF, {"Content-Encoding": "gzip"}, id="gzip"),
        pytest.param(PROTOBUF, {"Content-Encoding": "identity"}, id="plain"),
    ],
)
def test_what_is_not_remote_write_1_in_snappy_is_a_415(post, content_type, headers):
    assert refused(post(snappy(one(PROMPT, 0, 1)), content_type, **headers))[0] == 415
    assert not CounterState.objects.exists()


def test_1_0_that_names_its_message_is_taken(post):
    assert post(snappy(b""), f'{PROTOBUF}; proto="prometheus.WriteRequest"').status_code == 204


@pytest.mark.parametrize("query", ["", "preset=", "preset=zebra", "preset=plain", "preset=dcgm"])
def test_an_address_without_a_preset_says_which_there_are(post, query):
    answer = post(snappy(one(PROMPT, 0, 1)), query=query)
    assert refused(answer) == (400, "unknown_preset")
    assert "vllm" in answer.json()["detail"]
    assert PushProblem.objects.get().code == "unknown_preset"


def test_odd_names_in_the_address_are_a_400(post):
    body = snappy(one(PROMPT, 0, 1))
    assert refused(post(body, query="preset=vllm&backend=a%00b")) == (400, "bad_model")
    assert refused(post(body, query=f"preset=tgi&model={'x' * 201}")) == (400, "bad_model")


def test_who_may_not_push_is_told_so(client, api, vera, oscar, claims, post):
    body = snappy(one(PROMPT, 0, 1) + one(PROMPT, 15, 2))
    answer = client.post(f"{URL}?preset=vllm", body, content_type=PROTOBUF, headers=HEADERS)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    wrong = {**HEADERS, "Authorization": "Bearer pl_wrong"}
    assert client.post(f"{URL}?preset=vllm", body, content_type=PROTOBUF, headers=wrong).status_code == 401
    assert post(body, client=api(vera, scopes=["read"], workload=claims)).status_code == 403
    # Neither a viewer nor an outsider counts for a roadmap, whatever their token says.
    for person in (vera, oscar):
        answer = post(body, client=api(person, scopes=["push"], workload=claims))
        assert refused(answer) == (403, "roadmap_not_allowed")
    assert not CounterState.objects.exists()
    assert not Receipt.objects.exists()


def test_a_session_is_no_token(sign_in, bob):
    answer = sign_in(bob).post(f"{URL}?preset=vllm", snappy(b""), content_type=PROTOBUF, headers=HEADERS)
    assert answer.status_code in (401, 403)


def test_too_many_at_once_are_asked_for_it_again_with_a_status_that_prometheus_repeats(post, monkeypatch):
    monkeypatch.setattr(intake, "MAX_IN_FLIGHT", 1)
    with intake.in_flight(post.client.token.pk):
        answer = post(snappy(one(PROMPT, 0, 1)))
    assert (refused(answer)[0], int(answer["Retry-After"]) > 0) == (503, True)
    assert post(snappy(one(PROMPT, 0, 1))).status_code == 204


@pytest.mark.parametrize("failure", [OperationalError(SECRET), RuntimeError(SECRET)], ids=["storage", "defect"])
def test_what_is_no_fault_of_the_sender_is_a_503_and_quotes_nothing(post, monkeypatch, caplog, failure):
    def fail(*_, **__):
        raise failure

    monkeypatch.setattr("metrics.api.remote_write.accept_write", fail)
    answer = post(snappy(one(PROMPT, 0, 1)))
    assert (refused(answer)[0], int(answer["Retry-After"]) > 0) == (503, True)
    assert SECRET not in answer.content.decode() + caplog.text


def test_nothing_counts_where_its_posting_fails(post, monkeypatch):
    post(snappy(one(PROMPT, 0, 1)))

    def fail(*_, **__):
        raise OperationalError

    with monkeypatch.context() as patched:
        patched.setattr("metrics.actions.remote_write.ledger.post_push", fail)
        assert post(snappy(one(PROMPT, 15, 9))).status_code == 503
    # Its counters did not move on either.
    post(snappy(one(PROMPT, 15, 9)))
    assert UsageHour.objects.get().input_tokens == 8


def test_who_waits_on_send_data_learns_why_nothing_counts(post):
    post(snappy(one("node_cpu_seconds_total", 0, 1)))
    assert PushProblem.objects.get().code == "nothing_of_it"
    post(snappy(one(PROMPT, 0, 1)))
    assert PushProblem.objects.get().code == "baseline"
    post(snappy(one(PROMPT, 15, 2)))
    at = PushProblem.objects.get().at
    post(snappy(one("node_cpu_seconds_total", 0, 1)))
    # Something counted: of the rest there is no need to speak.
    assert PushProblem.objects.get().at == at


# --- What cannot be counted


@pytest.mark.parametrize("value", [-1.0, 1.5, float("inf"), 1e300, 2.0**54])
def test_a_value_that_is_no_count_is_passed_over_and_the_rest_counts(post, value):
    post(snappy(one(PROMPT, 0, 0) + one("vllm:generation_tokens_total", 0, 0)))
    post(snappy(one(PROMPT, 15, value) + one("vllm:generation_tokens_total", 15, 5)))
    hour = UsageHour.objects.get()
    assert (hour.input_tokens or 0, hour.output_tokens) == (0, 5)
    assert [row["code"] for row in Receipt.objects.get().warnings] == ["not_a_count"]


def test_more_than_anybody_uses_is_not_counted(post):
    post(snappy(one(PROMPT, 0, 0) + one(PROMPT, 15, 2.0**52)))
    assert not UsageHour.objects.exists()
    post(snappy(one(PROMPT, 30, 2.0**52 + 7)))
    assert UsageHour.objects.get().input_tokens == 7


@pytest.mark.parametrize("at_s", [10**9, -(10**10), 2**62 // 1000, -(2**62) // 1000])
def test_times_of_another_age_are_passed_over(post, at_s):
    assert post(snappy(one(PROMPT, 0, 0) + one(PROMPT, at_s, 5))).status_code == 204
    assert not UsageHour.objects.exists()


def test_buckets_that_fall_are_not_counted(post):
    post(snappy(histogram(LATENCY, 0, {"0.5": 0, "1": 0, "+Inf": 0}, 0)))
    post(snappy(histogram(LATENCY, 15, {"0.5": 5, "1": 3, "+Inf": 4}, 2.0)))
    assert UsageHour.objects.get().duration_count == 4
    assert "not_a_count" in {row["code"] for row in Receipt.objects.get().warnings}


@pytest.mark.parametrize("le", [None, "", "zebra", "nan", "-1"])
def test_a_bucket_without_a_bound_is_passed_over(post, le):
    labels = {} if le is None else {"le": le}
    assert post(snappy(one(f"{LATENCY}_bucket", 0, 1, **labels))).status_code == 204
    assert not CounterState.objects.exists()


def test_names_of_models_that_are_none_are_not_counted(post):
    for at in (0, 15):
        bad = [one(PROMPT, at, at, model_name=name) for name in ("x" * 201, "a\0b")]
        post(snappy(b"".join([*bad, one(PROMPT, at, at)])))
    assert [hour.series.model for hour in UsageHour.objects.all()] == ["demo-8b"]


# --- Bodies


def test_bytes_that_are_no_snappy_are_a_400(post):
    chance = random.Random(11)
    for length in (0, 1, 2, 5, 20, 300, 5_000):
        answer = post(chance.randbytes(length))
        assert answer.status_code in (400, 413), length
    answer = post(b"")
    assert refused(answer) == (400, "broken_snappy")


def test_snappy_that_holds_no_protobuf_is_a_400_that_never_quotes_it(post, caplog):
    chance = random.Random(12)
    bodies = [chance.randbytes(length) for length in (1, 3, 30, 3_000)]
    bodies += [SECRET.encode(), piece(1, b"\x0a\xff"), one(PROMPT, 0, 1)[:-3], b"\x0a" + b"\xff" * 12, b"\x09\x01"]
    bodies += [piece(1, piece(1, piece(1, b"__name__") + piece(2, PROMPT.encode())) + piece(1, b"\x0a\x02\xff\xfe"))]
    with caplog.at_level(logging.DEBUG):
        answers = [post(snappy(body)) for body in bodies]
    assert {answer.status_code for answer in answers[4:]} == {400}
    assert {answer.status_code for answer in answers[:4]} <= {204, 400}
    told = b"".join(answer.content for answer in answers).decode() + caplog.text
    assert SECRET not in told + PushProblem.objects.get().detail
    assert not CounterState.objects.exists()


def test_every_cut_and_every_flipped_byte_is_answered(post):
    whole = snappy(one(PROMPT, 0, 1) + histogram(LATENCY, 0, {"1": 1, "+Inf": 1}, 1.0))
    chance = random.Random(13)
    for place in range(0, len(whole), 7):
        cut = bytearray(whole)
        cut[place] = chance.randrange(256)
        assert post(whole[:place]).status_code in (204, 400, 413)
        assert post(bytes(cut)).status_code in (204, 400, 413)


def test_a_bomb_is_refused_before_it_is_unpacked(post):
    # 2 GiB of zeros say so in their first bytes; what is behind them is not looked at.
    for length in (2**31, 2**32 - 1, intake.settings.PUSH_MAX_BYTES + 1):
        tracemalloc.start()
        answer = post(varint(length) + b"\x00\x00" + b"\xfe\x01\x00" * 1_000)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert answer.status_code in (400, 413)
        assert most < 20 * 2**20
    real = snappy(b"\0" * (intake.settings.PUSH_MAX_BYTES + 1))
    assert len(real) < 2**20
    assert refused(post(real)) == (413, "too_large")


def test_millions_of_empty_series_are_refused_in_a_moment(post):
    body = snappy(b"\x0a\x00" * 8_000_000)
    begun = time.monotonic()
    assert refused(post(body)) == (413, "too_many_samples")
    assert time.monotonic() - begun < 5


def test_millions_of_labels_in_one_series_are_refused_undecoded(post):
    named = piece(1, piece(1, b"__name__") + piece(2, PROMPT.encode()))
    for filling in (b"\x0a\x00", b"\x12\x00", b"\x22\x00"):
        begun = time.monotonic()
        assert refused(post(snappy(piece(1, named + filling * 4_000_000)))) == (413, "too_large")
        assert time.monotonic() - begun < 5


def test_huge_values_of_labels_cost_nothing_where_nobody_asks_for_them(post):
    huge = {"__name__": "node_info", "huge": "x" * 8_000_000}
    tracemalloc.start()
    assert post(snappy(series(huge, [(0, 1)]) + one(PROMPT, 0, 1))).status_code == 204
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 60 * 2**20
    assert refused(post(snappy(series({**huge, "__name__": PROMPT}, [(0, 1)])))) == (413, "too_large")


def test_too_many_samples_are_refused(post, monkeypatch):
    monkeypatch.setattr(remote_write, "MAX_SAMPLES", 3)
    assert post(snappy(one(PROMPT, 0, 1) * 3)).status_code == 204
    assert refused(post(snappy(one(PROMPT, 0, 1) * 4))) == (413, "too_many_samples")


def test_a_silence_of_very_many_counters_is_refused_before_it_is_spread(post):
    def body(at: int) -> bytes:
        return snappy(b"".join(one(PROMPT, at, at + 80_000, engine=str(number)) for number in range(9_000)))

    assert post(body(-80_000)).status_code == 204
    begun = time.monotonic()
    assert refused(post(body(0))) == (413, "too_many_hours")
    assert time.monotonic() - begun < 20
    assert not UsageHour.objects.exists()


def test_what_prometheus_scrapes_of_others_is_passed_over_quickly(post):
    others = b"".join(
        one(f"node_cpu_seconds_{number}_total", 0, number, cpu=str(number), mode="idle") for number in range(20_000)
    )
    begun = time.monotonic()
    assert post(snappy(others)).status_code == 204
    assert time.monotonic() - begun < 2
    assert not CounterState.objects.exists()


def test_a_name_written_in_an_unusual_order_is_found(post):
    def backwards(at: int, value: float) -> bytes:
        sample = piece(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(START_MS + at * 1000))
        name = piece(1, piece(2, PROMPT.encode()) + piece(1, b"__name__"))
        return piece(1, sample + name + piece(1, piece(1, b"model_name") + piece(2, b"demo-8b")))

    post(snappy(backwards(0, 1) + backwards(15, 5)))
    assert UsageHour.objects.get().input_tokens == 4


def test_metadata_and_fields_to_come_are_passed_over(post):
    more = piece(3, b"\x08\x01") + varint(9 << 3) + b"\x05" + varint(10 << 3 | 1) + b"\0" * 8 + b"\x5d" + b"\0" * 4
    post(snappy(more + one(PROMPT, 0, 1) + one(PROMPT, 15, 5) + more))
    assert UsageHour.objects.get().input_tokens == 4


def test_no_label_leaves_but_the_models(post):
    labels = {"end_user": SECRET, "prompt": SECRET, "pod": SECRET, "prometheus_replica": SECRET, "namespace": SECRET}
    for at in (0, 15):
        post(snappy(one(PROMPT, at, at, **labels) + histogram(LATENCY, at, {"1": at, "+Inf": at}, at, **labels)))
    kept = repr([list(model.objects.values()) for model in (Series, CounterState, Receipt, PushProblem, UsageHour)])
    assert "demo-8b" in kept
    assert SECRET not in kept


def test_series_of_other_names_are_not_decoded():
    broken = piece(1, piece(1, piece(1, b"__name__") + piece(2, b"up")) + b"\x0a\xff")
    assert list(remote_write_wire.wanted_series(broken, [PROMPT.encode()])) == []
    with pytest.raises(Unreadable):
        list(remote_write_wire.wanted_series(broken, [b"up"]))


def test_every_preset_is_read_by_the_names_that_it_has():
    for preset in PRESETS:
        names = meanings_of(preset)
        for reading in preset.readings:
            if not reading.is_machine:
                first = reading.names[0] + ("_bucket" if reading.is_histogram else "")
                assert first.encode() in names
                assert first.replace(":", "_").encode() in names


def test_queries_do_not_grow_with_series(post, django_assert_max_num_queries):
    def body(number: int, at: int) -> bytes:
        return snappy(b"".join(one(PROMPT, at, at, engine=str(engine)) for engine in range(number)))

    for at in (0, 15):
        post(body(400, at))
    with django_assert_max_num_queries(25):
        post(body(400, 30))
    assert UsageHour.objects.aggregate(total=Sum("input_tokens"))["total"] == 400 * 30
