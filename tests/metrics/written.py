"""What a Prometheus writes, put together byte by byte as remote write 1.0 has it (prompb)."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Mapping

import cramjam

# Within what a push may hold, and on the first second of an hour, so that hours are known to the tests.
HOUR_MS = 3600_000
START_MS = (int(time.time() * 1000) // HOUR_MS - 3) * HOUR_MS
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
URL = "/api/v1/prometheus/write"
HEADERS = {"Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
PROTOBUF = "application/x-protobuf"
TARGET = {"job": "vllm", "instance": "10.0.0.5:8000", "model_name": "demo-8b", "engine": "0"}


def varint(number: int) -> bytes:
    out = bytearray()
    number &= 2**64 - 1
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def piece(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def series(labels: Mapping[str, str], samples: Iterable[tuple[int, float]], *, more: bytes = b"") -> bytes:
    """A TimeSeries as a field of the request. Times in milliseconds after START_MS."""
    content = b""
    for name, value in sorted(labels.items()):
        content += piece(1, piece(1, name.encode()) + piece(2, value.encode()))
    for at, value in samples:
        content += piece(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(START_MS + at))
    return piece(1, content + more)


def one(name: str, at_s: float, value: float, **labels: str) -> bytes:
    """One sample of a counter of the usual target, so many seconds after the start."""
    return series({"__name__": name, **TARGET, **labels}, [(round(at_s * 1000), value)])


def histogram(name: str, at_s: float, buckets: Mapping[str, int], total: float | None = None, **labels: str) -> bytes:
    """The series of a classic histogram: cumulative buckets, and count and sum where `total` is given."""
    out = b"".join(one(f"{name}_bucket", at_s, value, le=le, **labels) for le, value in buckets.items())
    if total is not None:
        out += one(f"{name}_count", at_s, buckets["+Inf"], **labels) + one(f"{name}_sum", at_s, total, **labels)
    return out


def snappy(body: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(body))
