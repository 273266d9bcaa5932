"""Series that a Prometheus or an agent writes, read through a preset: which counter of which server each one is.

Only the preset's names are looked at. Of labels nothing leaves this module's rows but what the preset keeps: all others
tell counters apart, as part of a digest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from metrics.connectors.presets import Preset, Reading, spelling
from metrics.format import Limits, Unreadable
from metrics.otlp import EPOCH, MICROSECOND
from metrics.remote_write_wire import wanted_series

MAX_SAMPLES = 20_000
# By these a pair of Prometheus servers that scrape the same tell themselves apart: the operator's and Mimir's label.
REPLICA_LABELS = ("prometheus_replica", "__replica__")
TARGET_LABELS = ("cluster", "job", "namespace", "pod", "instance")
VALUE, BUCKET, SUM, COUNT, CREATED, NATIVE = "value", "bucket", "sum", "count", "created", "native"
# What a double holds exactly.
LARGEST_COUNT = 2**53

Labels = tuple[tuple[str, str], ...]

NATIVE_HISTOGRAM = ("native_histogram", "Native histograms are not read: send the classic buckets too.")
NOT_A_COUNT = ("not_a_count", "A counter is negative, infinite or not a number: the sample was passed over.")
NO_BOUND = ("no_bound", "A bucket has no usable label le: passed over.")
FUTURE = ("timestamp_in_future", "Samples more than 5 minutes ahead of this server's clock are passed over.")
TOO_OLD = ("timestamp_too_old", "Samples older than what this server keeps are passed over.")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a metric's name is in a preset.

    `number`: of the reading. `place`: of the name among those that may give it, the first that a server shows counts;
    `counts` is False for a name that only says that the reading does not count. `part`: which piece of it.
    """

    number: int
    reading: Reading
    place: int
    part: str
    counts: bool = True

    @property
    def has_choice(self) -> bool:
        return len(self.reading.names) > 1 or bool(self.reading.unless)


@dataclass(slots=True)
class Row:
    """One series: (milliseconds since 1970, value) of what `meanings` say. `labels` without name, replica and le."""

    meanings: tuple[Meaning, ...]
    labels: Labels
    target: Labels
    replica: str
    le: float | None
    samples: list[tuple[int, float]]


@dataclass(slots=True)
class Written:
    """What a request holds of the preset's. `problems`: code and sentence of what was passed over, with how many."""

    rows: list[Row] = field(default_factory=list)
    problems: dict[tuple[str, str], int] = field(default_factory=dict)

    def note(self, problem: tuple[str, str], number: int = 1) -> None:
        self.problems[problem] = self.problems.get(problem, 0) + number


@lru_cache(maxsize=64)
def meanings_of(preset: Preset) -> dict[bytes, tuple[Meaning, ...]]:
    """What each name that the preset reads means, in both spellings. Figures of the machine are left out."""
    found: dict[str, list[Meaning]] = {}
    for number, reading in enumerate(preset.readings):
        if reading.is_machine or reading.is_gauge:
            continue
        if reading.unless:
            found.setdefault(reading.unless, []).append(Meaning(number, reading, 0, VALUE, counts=False))
        for place, name in enumerate(reading.names, start=1):
            for suffix, part in _parts(reading, name):
                base = name.removesuffix("_total") if part == CREATED else name
                found.setdefault(base + suffix, []).append(Meaning(number, reading, place, part))
    spelled: dict[bytes, tuple[Meaning, ...]] = {}
    for name, meanings in found.items():
        spelled[name.encode()] = spelled[spelling(name).encode()] = tuple(meanings)
    return spelled


def _parts(reading: Reading, name: str) -> Iterable[tuple[str, str]]:
    if reading.is_histogram:
        return (("_bucket", BUCKET), ("_sum", SUM), ("_count", COUNT), ("_created", CREATED), ("", NATIVE))
    if name.endswith(("_sum", "_count")):
        # Of a histogram: its start is said under another name.
        return (("", VALUE),)
    return (("", VALUE), ("_created", CREATED))


def read(body: bytes, preset: Preset, limits: Limits) -> Written:
    """The series of a WriteRequest that the preset reads. Raises Unreadable."""
    meanings = meanings_of(preset)
    oldest, newest = ((moment - EPOCH) // MICROSECOND // 1_000 for moment in (limits.oldest, limits.newest))
    written = Written()
    total = 0
    for series in wanted_series(body, meanings):
        total += len(series.samples)
        if total > MAX_SAMPLES:
            raise Unreadable(
                413, "too_many_samples", f"At most {MAX_SAMPLES:,} samples a request; lower max_samples_per_send."
            )
        row = _row(series, meanings, written)
        if row is None:
            continue
        for sample in series.samples:
            if sample.timestamp > newest:
                written.note(FUTURE)
            elif sample.timestamp < oldest:
                written.note(TOO_OLD)
            elif math.isnan(sample.value):
                # A staleness marker is a NaN: the series ended, and counts on from its last value if it comes back.
                continue
            elif 0 <= sample.value < math.inf:
                row.samples.append((sample.timestamp, sample.value))
            else:
                written.note(NOT_A_COUNT)
        if row.samples:
            written.rows.append(row)
    return written


def _row(series: Any, known: dict[bytes, tuple[Meaning, ...]], written: Written) -> Row | None:
    labels = {label.name: label.value for label in series.labels if label.value}
    meanings = known.get(labels.pop("__name__", "").encode(), ())
    if any(meaning.part == NATIVE for meaning in meanings):
        if series.histograms:
            written.note(NATIVE_HISTOGRAM, len(series.histograms))
        return None
    replica = "\n".join(labels.pop(name, "") for name in REPLICA_LABELS).strip()
    le: float | None = None
    if any(meaning.part == BUCKET for meaning in meanings):
        try:
            le = float(labels.pop("le"))
        except (KeyError, ValueError):
            le = math.nan
        if math.isnan(le) or le < 0:
            written.note(NO_BOUND)
            return None
    return Row(
        meanings=tuple(one for one in meanings if all(where.matches(labels) for where in one.reading.where)),
        labels=tuple(sorted(labels.items())),
        target=tuple((name, labels[name]) for name in TARGET_LABELS if name in labels),
        replica=replica,
        le=le,
        samples=[],
    )
