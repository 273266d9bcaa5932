"""What is pushed is read typed; each bad record is named with a stable code, and loses no other."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.format import FIELDS, TAKES, Limits, Unreadable
from metrics.formats.usage_json import decode_document, decode_lines
from metrics.record_costs import money_units
from tests.contracts.bad_records import BAD

NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
LIMITS = Limits(now=NOW, oldest=datetime(2021, 11, 22, tzinfo=UTC), max_records=10_000)
GOOD = {"timestamp": "2026-11-22T14:00:00Z", "model": "gpt-4o-mini", "input_tokens": 10, "output_tokens": 5}


def document(*records: dict) -> bytes:
    return json.dumps({"records": records}).encode()


@pytest.mark.parametrize("kind", list(BAD))
@pytest.mark.parametrize("decode", ["document", "lines"])
def test_it_names_what_is_wrong_and_keeps_the_others(kind, decode):
    extra, code = BAD[kind]
    records = [GOOD, {**GOOD, **extra}, GOOD]
    if decode == "document":
        batch = decode_document(document(*records), LIMITS)
    else:
        batch = decode_lines(b"\n".join(json.dumps(record).encode() for record in records), LIMITS)
    assert [(rejection.index, rejection.code) for rejection in batch.rejections] == [(1, code)]
    assert list(batch.indexes) == [0, 2]
    assert len(batch.records) == 2
    assert batch.rejections[0].detail[-1] in ".;"


def test_a_missing_field_is_named():
    batch = decode_document(document({"model": "m"}, GOOD), LIMITS)
    (rejection,) = batch.rejections
    assert (rejection.index, rejection.code) == (0, "missing_field")
    assert rejection.detail.startswith("timestamp:")


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        (b"", "empty", 400),
        (b"  \n", "empty", 400),
        (b'{"records":[]}', "empty", 400),
        (b'{"records":', "malformed", 400),
        (document(GOOD)[:-10], "malformed", 400),
        (b"[]", "malformed", 400),
        (b'{"record":[]}', "malformed", 400),
        (b'{"records":{}}', "malformed", 400),
        (b'{"records":[{"units":NaN}]}', "malformed", 400),
        (b'{"records":[{"units":Infinity}]}', "malformed", 400),
        (b"\xff\xfe\x00", "malformed", 400),
        (b'{"records":' + b"[" * 100_000, "malformed", 400),
        (b'{"records":[' + b"1," * 10_000 + b"1]}", "too_many_records", 413),
        (document(*[GOOD] * 10_001), "too_many_records", 413),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_whole(body, code, status):
    with pytest.raises(Unreadable) as caught:
        decode_document(body, LIMITS)
    assert (caught.value.code, caught.value.status) == (code, status)


def test_a_line_that_is_not_json_loses_only_itself():
    line = json.dumps(GOOD).encode()
    body = b"\n".join([line, b'{"timestamp": NaN}', line[:-5], b"", b"\xff", line + b"\r", b'{"model":"\\ud800"}'])
    batch = decode_lines(body, LIMITS)
    assert list(batch.indexes) == [0, 4]
    assert [rejection.code for rejection in batch.rejections] == ["malformed"] * 4
    assert [rejection.index for rejection in batch.rejections] == [1, 2, 3, 5]


@pytest.mark.parametrize("body", [b"", b"\n\n"])
def test_lines_without_a_record_are_refused(body):
    with pytest.raises(Unreadable, match="no record"):
        decode_lines(body, LIMITS)


def test_it_takes_ten_thousand_records():
    assert len(decode_document(document(*[GOOD] * 10_000), LIMITS).records) == 10_000


def test_null_is_the_same_as_absent():
    optional = {name: None for name in FIELDS if name not in ("timestamp", "model")}
    batch = decode_document(document({**GOOD, **optional, "input_tokens": 10}), LIMITS)
    assert not batch.rejections
    assert batch.records[0].output_tokens is None


def test_it_takes_five_minutes_ahead_and_the_first_kept_day():
    edges = ["2026-11-22T14:35:00Z", "2021-11-22T00:00:00Z", "2026-11-22T15:35:00+01:00"]
    batch = decode_document(document(*[{**GOOD, "timestamp": at} for at in edges]), LIMITS)
    assert not batch.rejections


def test_an_id_counts_while_its_utc_day_is_under_35_days_old():
    # 22 November less 34 days is 19 October in UTC, whatever the offset says.
    records = [
        {**GOOD, "id": "a", "timestamp": "2026-10-19T00:00:00Z"},
        {**GOOD, "id": "b", "timestamp": "2026-10-19T01:59:00+02:00"},
        {**GOOD, "timestamp": "2026-10-18T00:00:00Z"},
    ]
    batch = decode_document(document(*records), LIMITS)
    assert [(one.index, one.code) for one in batch.rejections] == [(1, "too_old_for_id")]


def test_an_error_type_is_one_error_and_its_latency_is_dropped_with_a_warning():
    batch = decode_document(document({**GOOD, "error_type": "rate_limit", "duration_ms": 20}, GOOD), LIMITS)
    assert [record.errors for record in batch.records] == [1, None]
    assert batch.records[0].duration_ms is None
    assert batch.warnings == {("duration_on_error", "duration_ms: errors are counted, not timed; dropped."): 1}


def test_a_field_name_written_with_escapes_is_seen():
    body = document({**GOOD, "requests": 2, "duration_ms": 5}).replace(b'"duration_ms"', b'"duration\\u005fms"')
    assert [one.code for one in decode_document(body, LIMITS).rejections] == ["not_on_a_sum"]


def test_each_field_says_what_it_takes():
    assert tuple(TAKES) == FIELDS


@given(st.integers(0, 10**19), st.integers(0, 10))
def test_money_is_read_without_a_float(units, places):
    """Whatever the text, the whole 10^-10 parts are exactly those of its decimal."""
    text = format(Decimal(units).scaleb(-10).quantize(Decimal(1).scaleb(-places)), "f")
    assert money_units(text) == int(Decimal(text).scaleb(10))


@given(st.permutations(range(6)), st.booleans())
def test_the_order_of_bad_records_changes_nothing_but_their_index(order, as_lines):
    kinds = [GOOD, {**GOOD, "units": -1}, GOOD, {**GOOD, "cost": "1"}, {"model": "m"}, {**GOOD, "zz": 1}]
    records = [kinds[place] for place in order]
    body = b"\n".join(json.dumps(r).encode() for r in records) if as_lines else document(*records)
    batch = (decode_lines if as_lines else decode_document)(body, LIMITS)
    expected = {1: "out_of_range", 3: "currency_missing", 4: "missing_field", 5: "unknown_field"}
    assert {one.index: one.code for one in batch.rejections} == {
        index: expected[place] for index, place in enumerate(order) if place in expected
    }


def test_the_oldest_day_is_a_limit_of_its_own():
    limits = Limits(now=NOW, oldest=NOW - timedelta(days=1), max_records=5)
    batch = decode_document(document({**GOOD, "timestamp": "2026-11-21T14:00:00Z"}), limits)
    assert [one.code for one in batch.rejections] == ["timestamp_too_old"]


def test_fields_that_were_seen_before_decide_nothing():
    """Bodies are decoded by the fields of bodies before them; what counts must not depend on those."""
    kinds = [
        {},
        {"units": 1},
        {"error_type": "rate_limit", "duration_ms": 5},
        {"labels": {"team": "a"}},
        {"requests": 3, "errors": 1},
        {"cost": "1", "currency": "USD", "id": "x"},
    ]
    for _ in range(2):
        for first in kinds:
            for second in kinds:
                batch = decode_document(document({**GOOD, **first}, {**GOOD, **second}), LIMITS)
                assert not batch.rejections
                assert batch.fields >= {*GOOD, *first, *second}
                for record, extra in zip(batch.records, (first, second), strict=True):
                    assert record.units == extra.get("units")
                    assert record.errors == (1 if "error_type" in extra else extra.get("errors"))
                    assert record.id == extra.get("id")
                    assert bytes(record.labels) == (b'{"team": "a"}' if "labels" in extra else b"")
