"""Prometheus' remote write 1.0 on the wire (prometheus/prompb, remote.proto and types.proto), as far as it is read.

A request holds all that a Prometheus scrapes. Its series are walked over as bytes, and only those whose name is wanted
are decoded: a body of millions of tiny series costs no more than the first of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from metrics.format import Unreadable

MAX_SERIES = 50_000
# A series of an honest sender is a few hundred bytes and its samples. What is decoded takes many times its bytes.
MAX_SERIES_BYTES = 256 * 1024
_TIMESERIES = 1
# How a label `__name__` begins, within a series: its field, its length (a byte below 128), its name, its value.
_NAME = b"\n\x08__name__\x12"
_SHORT = 128
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10


def _message_class() -> Any:
    """prometheus.TimeSeries without exemplars; a native histogram is left as bytes, since it is not read."""
    field = FieldDescriptorProto
    parts = {
        "Label": [("name", 1, field.TYPE_STRING, ""), ("value", 2, field.TYPE_STRING, "")],
        "Sample": [("value", 1, field.TYPE_DOUBLE, ""), ("timestamp", 2, field.TYPE_INT64, "")],
        "TimeSeries": [
            ("labels", 1, field.TYPE_MESSAGE, ".prometheus.Label"),
            ("samples", 2, field.TYPE_MESSAGE, ".prometheus.Sample"),
            ("histograms", 4, field.TYPE_BYTES, ""),
        ],
    }
    file = FileDescriptorProto(name="phaseline_remote_write.proto", package="prometheus", syntax="proto3")
    for name, fields in parts.items():
        message: DescriptorProto = file.message_type.add(name=name)
        for field_name, number, kind, type_name in fields:
            repeated = name == "TimeSeries"
            label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            message.field.add(name=field_name, number=number, type=kind, type_name=type_name or None, label=label)
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("prometheus.TimeSeries"))


TimeSeries = _message_class()


def wanted_series(body: bytes, names: Collection[bytes]) -> Iterator[Any]:
    """Yield the series of a WriteRequest whose `__name__` is one of these. Raises Unreadable."""
    for series in _chunks(body):
        name = _name_of(series)
        if name is not None and name not in names:
            continue
        if len(series) > MAX_SERIES_BYTES:
            raise Unreadable(
                413, "too_large", f"A series has at most {MAX_SERIES_BYTES // 1024} KiB; send fewer samples at once."
            )
        try:
            decoded = TimeSeries.FromString(series)
        except DecodeError:
            raise _malformed() from None
        if name is not None or any(one.name == "__name__" and one.value.encode() in names for one in decoded.labels):
            yield decoded


def _name_of(series: bytes) -> bytes | None:
    """The series' name where it is written as Prometheus writes it; None where it has to be decoded to be known."""
    start = series.find(_NAME)
    if start < 0:
        return None
    start += len(_NAME)
    if start >= len(series) or series[start] >= _SHORT:
        return None
    return series[start + 1 : start + 1 + series[start]]


def _chunks(body: bytes) -> Iterator[bytes]:
    """The series of a WriteRequest as bytes; other fields (metadata) are passed over."""
    place, end, seen = 0, len(body), 0
    while place < end:
        tag, place = _number(body, place)
        number, kind = tag >> 3, tag & 7
        if kind == _BYTES:
            length, place = _number(body, place)
            if length > end - place:
                raise _malformed()
            if number == _TIMESERIES:
                seen += 1
                if seen > MAX_SERIES:
                    raise Unreadable(
                        413,
                        "too_many_samples",
                        f"At most {MAX_SERIES:,} series a request; lower queue_config's max_samples_per_send.",
                    )
                yield body[place : place + length]
            place += length
        elif kind == _VARINT:
            _, place = _number(body, place)
        elif kind in (_FIXED64, _FIXED32):
            place += 8 if kind == _FIXED64 else 4
        else:
            raise _malformed()
    if place != end:
        raise _malformed()


def _number(body: bytes, place: int) -> tuple[int, int]:
    """A varint and the place behind it. Raises Unreadable."""
    value = shift = 0
    for at in range(place, min(place + _LONGEST_VARINT, len(body))):
        byte = body[at]
        value |= (byte & 127) << shift
        if byte < _SHORT:
            return value, at + 1
        shift += 7
    raise _malformed()


def _malformed() -> Unreadable:
    return Unreadable(400, "malformed", "The body is not a prometheus.WriteRequest of remote write 1.0 in protobuf.")
