"""OTLP's metrics in protobuf, read as far as they are needed.

An application sends the same attributes again and again, so that here they stay the bytes that they came as: a key that
is known without looking into it, and so do bounds of buckets. Metrics that nobody counts are not decoded at all. On the
wire a message in a message, and numbers that are packed, are what `bytes` are (protobuf.dev, 'Encoding').
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from struct import Struct
from struct import error as StructError  # noqa: N812 - as classes are called
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1 import resource_pb2

_POINTS = ("NumberDataPoint", "HistogramDataPoint", "ExponentialHistogramDataPoint")
_KINDS = {"sum": "Sum", "histogram": "Histogram", "exponential_histogram": "ExponentialHistogram"}
_LEFT_AS_BYTES: Mapping[str, frozenset[str]] = {
    "Metric": frozenset({*_KINDS, "gauge", "summary"}),
    **dict.fromkeys(_POINTS, frozenset({"attributes"})),
    "HistogramDataPoint": frozenset({"attributes", "bucket_counts", "explicit_bounds"}),
}


def _pool() -> DescriptorPool:
    """opentelemetry-proto's own messages, with some fields left as bytes and exemplars left out."""
    pool = DescriptorPool()
    for module in (common_pb2, resource_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    file = FileDescriptorProto()
    metrics_pb2.DESCRIPTOR.CopyToProto(file)
    for message in file.message_type:
        left = _LEFT_AS_BYTES.get(message.name, frozenset())
        for field in list(message.field):
            if field.name == "exemplars":
                message.field.remove(field)
            elif field.name in left:
                if field.type != FieldDescriptorProto.TYPE_MESSAGE:
                    # Numbers in a row are one piece.
                    field.label = FieldDescriptorProto.LABEL_OPTIONAL
                field.type = FieldDescriptorProto.TYPE_BYTES
                field.ClearField("type_name")
    pool.Add(file)
    return pool


def _classes() -> dict[str, type[Message]]:
    pool, package = _pool(), metrics_pb2.DESCRIPTOR.package
    names = ("MetricsData", *_KINDS.values())
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in names}


_CLASSES = _classes()
_DATA = {kind: _CLASSES[name] for kind, name in _KINDS.items()}


def export_of(body: bytes) -> Any:
    """The ExportMetricsServiceRequest in the body; MetricsData is written alike. Raises DecodeError."""
    return _CLASSES["MetricsData"].FromString(body)


def data_of(metric: Any, kind: str) -> Any:
    """The Sum, Histogram or ExponentialHistogram of the metric. Raises DecodeError."""
    return _DATA[kind].FromString(getattr(metric, kind))


def attributes_of(point: Any) -> list[KeyValue]:
    """The attributes of a point. Raises DecodeError."""
    return [KeyValue.FromString(one) for one in point.attributes]


def buckets_of(point: Any) -> tuple[bytes, tuple[int, ...]]:
    """Bounds of a HistogramDataPoint as float64, little-endian, and its counts. Raises struct.error, DecodeError."""
    bounds, counts = point.explicit_bounds, point.bucket_counts
    if counts or not point.count:
        return bounds, _counts(len(counts)).unpack(counts)
    # None, or one by one instead of packed, which nobody does and everybody has to read.
    whole = metrics_pb2.HistogramDataPoint.FromString(point.SerializeToString())
    return packed(whole.explicit_bounds), tuple(whole.bucket_counts)


def packed(bounds: Sequence[float]) -> bytes:
    """Bounds as they are on the wire."""
    return Struct(f"<{len(bounds)}d").pack(*bounds)


@lru_cache(maxsize=256)
def _counts(size: int) -> Struct:
    if size % 8:
        raise StructError("a count has eight bytes")
    return Struct(f"<{size // 8}Q")
