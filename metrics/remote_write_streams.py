"""From samples that are written to what was counted between them: one stream a counter, one a histogram. Pure.

`metrics.counters` makes the differences; here stands what only written samples need. They come again, late, in pieces
and from two servers at once, so that of each stream the last sample is remembered, and an older one adds nothing.

- The buckets of a histogram are series of their own, which may come in several requests. A scrape of it counts once
  every bucket that was seen lately is there. Buckets are cumulative, so that one that is missed is in the next.
- Of two Prometheus servers that scrape the same, a stream follows one until that is silent for a minute.
- Where a reading may be given by several names, the first that a target shows counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

from metrics.connector import CounterPoint, CounterValue, Sample
from metrics.connectors.presets import Preset
from metrics.connectors.presets.keys import models_by_join, series_key
from metrics.counters import HOUR, CounterDifference, counter_differences
from metrics.formats.remote_write import (
    BUCKET,
    CREATED,
    LARGEST_COUNT,
    NOT_A_COUNT,
    Labels,
    Meaning,
    Row,
    Written,
)
from metrics.otlp import EPOCH
from metrics.remote_write_values import buckets_of, measure_of, number_of, size_of, told
from metrics.usage import ForeignHistogram, SeriesKey

# (time in nanoseconds, what is remembered), as `metrics.stream_state` keeps it.
State = tuple[int, dict[str, Any]]

# Two servers that scrape the same take turns after this long, so that their clocks may differ by as much.
REPLICA_SILENT_MS = 60_000
# A name or a bucket that was not seen for this long is gone.
GONE_MS = 10 * 60_000
# What a counter did over a longer silence is not known by the hour: it starts anew.
LONGEST_SILENCE_MS = 24 * 3600_000
MAX_PENDING = 20
MAX_BUCKETS = 200
MAX_JOINED = 500
MAX_MODEL_CHARACTERS = 200
# Of one request: hours of counters. A body of a few kilobytes may name days of silence of thousands of counters.
MAX_HOURS = 200_000
MILLISECOND = timedelta(milliseconds=1)
MILLISECOND_NS = 1_000_000
LARGEST_DIFFERENCE = 10**12
EARLIEST_START_MS = 946_684_800_000

BAD_MODEL = ("bad_model", "A model's name is longer than 200 characters or holds U+0000: not counted.")
TOO_MANY_BUCKETS = ("too_many_buckets", f"A histogram has more than {MAX_BUCKETS} buckets: not counted.")
TOO_MANY = ("out_of_range", "A counter rose by more than anybody uses between two samples: not counted.")
SILENT = ("silent", "A counter was silent for more than a day: counted from now on.")
RESTARTED = (
    "restarted",
    "Counters fell, so their server restarted and they count from zero. If it did not, two senders write the same: "
    "give each Prometheus of a pair a label prometheus_replica.",
)
BASELINE = ("baseline", "First samples of counters: what they counted before is not known, counting starts here.")


class TooManyHours(ValueError):  # noqa: N818 - says what is so
    """The request's differences reach over more hours than are counted at once."""


@dataclass(slots=True, eq=False)
class _Stream:
    """What is fixed of a counter or a histogram. `key` is found when the models of its target are known.

    `choice`: which of the reading's names counts at this target, where there are several. `process`: its target.
    """

    meaning: Meaning
    labels: Labels
    target: Labels
    measure: str
    digest: bytes
    process: str
    choice: bytes = b""
    key: SeriesKey | None = None

    @property
    def id(self) -> str:
        return self.digest.hex()


@dataclass(slots=True, eq=False)
class _Piece:
    """One sample of a stream."""

    stream: _Stream
    replica: str
    le: float | None
    value: float


@dataclass(slots=True)
class Streams:
    """The streams of a request. Ask `digests`, read their states, call `count`; then `states` are to be kept."""

    preset: Preset
    owner: bytes
    model: str
    written: Written
    differences: list[CounterDifference] = field(default_factory=list)
    states: dict[bytes, State] = field(default_factory=dict)
    counted: int = 0
    repeats: int = 0
    _streams: dict[bytes, _Stream] = field(default_factory=dict)
    _by_time: dict[int, list[_Piece]] = field(default_factory=dict)
    _shown: dict[int, dict[bytes, set[int]]] = field(default_factory=dict)
    _created: dict[tuple[int, int, Labels, int], datetime] = field(default_factory=dict)
    _joins: dict[bytes, dict[str, str]] = field(default_factory=dict)
    _held: dict[bytes, State] = field(default_factory=dict)
    _last_reading: dict[str, int] = field(default_factory=dict)
    _hours: int = 0

    def __post_init__(self) -> None:
        for row in self.written.rows:
            for meaning in row.meanings:
                self._file(row, meaning)
        if self.preset.model_join:
            for row in self.written.rows:
                found = models_by_join(self.preset, [row.labels])
                self._joins.setdefault(self._digest("join", row.target), {}).update(found)

    @property
    def group(self) -> bytes:
        """What holds all streams of this owner."""
        return blake2b(self.owner, digest_size=16).digest()

    def digests(self) -> set[bytes]:
        """The streams whose states `count` has to be told, as far as they are known."""
        choices = {choice for shown in self._shown.values() for choice in shown}
        return set(self._streams) | choices | set(self._joins)

    def count(self, last: Mapping[bytes, State]) -> None:
        """Work out `differences` and the `states` after them, in the order of time. Raises TooManyHours."""
        self._held = dict(last)
        joined = self._models_of_targets()
        for stream in self._streams.values():
            stream.key = self._key(stream, joined)
            there = self._held.get(stream.digest)
            if there is not None and there[0] and stream.process:
                at = there[0] // MILLISECOND_NS
                self._last_reading[stream.process] = max(at, self._last_reading.get(stream.process, at))
        for at in sorted({*self._by_time, *self._shown}):
            self._choose(at)
            self._count_at(at, self._by_time.get(at, []))

    # --- Filing

    def _file(self, row: Row, meaning: Meaning) -> None:
        if meaning.part == CREATED:
            for at, value in row.samples:
                if EARLIEST_START_MS <= value * 1_000 <= at + LONGEST_SILENCE_MS:
                    start = EPOCH + timedelta(milliseconds=round(value * 1_000))
                    self._created[meaning.number, meaning.place, row.labels, at] = start
            return
        choice = b""
        if meaning.has_choice:
            choice = self._digest("choice", str(meaning.number), row.target)
            for at, _ in row.samples:
                self._shown.setdefault(at, {}).setdefault(choice, set()).add(meaning.place)
        if not meaning.counts:
            return
        measure = measure_of(meaning)
        digest = self._digest("stream", str(meaning.number), str(meaning.place), measure, row.labels)
        stream = self._streams.get(digest)
        if stream is None:
            process = self._digest("process", row.target).hex() if row.target else ""
            stream = _Stream(meaning, row.labels, row.target, measure, digest, process, choice)
            self._streams[digest] = stream
        # The label of a replica may hold anything; what is kept of it only tells it from another.
        replica = blake2b(row.replica.encode(), digest_size=4).hexdigest() if row.replica else ""
        for at, value in row.samples:
            self._by_time.setdefault(at, []).append(_Piece(stream, replica, row.le, value))

    def _digest(self, *parts: str | Labels) -> bytes:
        return blake2b(repr((self.owner, parts)).encode("utf-8", "surrogatepass"), digest_size=16).digest()

    # --- What a target shows

    def _models_of_targets(self) -> dict[Labels, dict[str, str]]:
        """The model of each value of the preset's join, by target: from this request and those before."""
        found: dict[Labels, dict[str, str]] = {}
        for row in self.written.rows:
            digest = self._digest("join", row.target)
            if digest not in self._joins or row.target in found:
                continue
            time_ns, state = self._held.get(digest, (0, {"m": {}}))
            models = {**state["m"], **self._joins[digest]}
            found[row.target] = models
            if models != state["m"] and len(models) <= MAX_JOINED:
                latest = max(at for at, _ in row.samples) * MILLISECOND_NS
                self.states[digest] = max(time_ns, latest), {"m": models}
        return found

    def _key(self, stream: _Stream, joined: Mapping[Labels, Mapping[str, str]]) -> SeriesKey | None:
        key = series_key(
            self.preset,
            stream.meaning.reading,
            dict(stream.labels),
            model=self.model,
            joined=joined.get(stream.target, {}),
        )
        if len(key.model) > MAX_MODEL_CHARACTERS or "\0" in key.model:
            self.written.note(BAD_MODEL)
            return None
        return key

    def _choose(self, at: int) -> None:
        for choice, places in self._shown.get(at, {}).items():
            first = min(places)
            there = self._state(choice)
            if there is None:
                self._set(choice, at, {"i": first, "s": 0})
                continue
            seen_at, state = there[0] // MILLISECOND_NS, there[1]
            if first < state["i"] or (first > state["i"] and at - seen_at > GONE_MS):
                # What the other name has counted up to then is counted.
                self._set(choice, max(at, seen_at), {"i": first, "s": seen_at})
            elif state["i"] in places and at > seen_at:
                self._set(choice, at, state)

    def _is_chosen(self, stream: _Stream) -> bool:
        there = self._state(stream.choice) if stream.choice else None
        return there is None or there[1]["i"] == stream.meaning.place

    def _known_from(self, stream: _Stream) -> int:
        """A last sample from before this time is of a name that did not count since."""
        there = self._state(stream.choice) if stream.choice else None
        return 0 if there is None else int(there[1]["s"])

    # --- Counting

    def _state(self, digest: bytes) -> State | None:
        return self.states.get(digest) or self._held.get(digest)

    def _set(self, digest: bytes, at: int, state: dict[str, Any]) -> None:
        self.states[digest] = at * MILLISECOND_NS, state

    def _count_at(self, at: int, pieces: list[_Piece]) -> None:
        points: list[CounterPoint] = []
        before: dict[str, CounterPoint] = {}
        histograms: dict[bytes, _Stream] = {}
        for piece in pieces:
            stream = piece.stream
            if stream.key is None or not self._is_chosen(stream):
                continue
            if stream.meaning.part == BUCKET:
                if self._add_bucket(at, piece):
                    histograms[stream.digest] = stream
            else:
                self._add_counter(at, piece, points, before)
        for stream in histograms.values():
            self._add_histogram(at, stream, points, before)
        if not points:
            return
        grouped = [self._with_last_reading(at, point, before) for point in points]
        started = {point.stream for point in points if point.stream not in before}
        for difference in counter_differences(before, Sample(_moment(at), tuple(grouped))):
            started.discard(difference.stream)
            self._add(difference)
        if started:
            self.written.note(BASELINE, len(started))
        for point in points:
            if point.process:
                self._last_reading[point.process] = max(at, self._last_reading.get(point.process, at))

    def _with_last_reading(self, at: int, point: CounterPoint, before: dict[str, CounterPoint]) -> CounterPoint:
        """The point with a process of those that were read last when it was; `before` is told when that was.

        One that restarted speaks for these alone: others may have been read after the restart.
        """
        last = before.get(point.stream)
        read_at = self._last_reading.get(point.process) if last is None else (last.at - EPOCH) // MILLISECOND
        if not point.process or read_at is None or read_at >= at:
            return replace(point, process="")
        process = f"{point.process} {read_at}"
        if last is not None:
            before[point.stream] = replace(last, process=process)
        elif process not in before:
            before[process] = CounterPoint(process, point.key, "requests", 0, _moment(read_at), process=process)
        return replace(point, process=process)

    def _add(self, difference: CounterDifference) -> None:
        self.counted += 1
        if difference.is_reset:
            self.written.note(RESTARTED)
        if size_of(difference.value) > LARGEST_DIFFERENCE:
            self.written.note(TOO_MANY)
            return
        # A histogram is spread bucket by bucket.
        buckets = len(difference.value.counts) if isinstance(difference.value, ForeignHistogram) else 1
        self._hours += ((difference.end - difference.start) // HOUR + 1) * (1 + buckets // 16)
        if self._hours > MAX_HOURS:
            raise TooManyHours
        self.differences.append(difference)

    def _is_repeat(self, at: int, piece: _Piece, last_at: int, replica: str) -> bool:
        """Whether the sample is known already, or is another server's that scrapes the same."""
        if at > last_at and (piece.replica == replica or at - last_at >= REPLICA_SILENT_MS):
            return False
        self.repeats += 1
        return True

    def _is_known(self, at: int, last_at: int, stream: _Stream) -> bool:
        """Whether what was counted since the last sample can be told."""
        if last_at < self._known_from(stream):
            return False
        if at - last_at > LONGEST_SILENCE_MS:
            self.written.note(SILENT)
            return False
        return True

    def _add_counter(self, at: int, piece: _Piece, points: list[CounterPoint], before: dict[str, CounterPoint]) -> None:
        stream = piece.stream
        value = number_of(piece.value, stream.meaning.reading, stream.measure)
        if value is None:
            self.written.note(NOT_A_COUNT)
            return
        started_at = self._created.get((stream.meaning.number, stream.meaning.place, stream.labels, at))
        there = self._state(stream.digest)
        if there is not None:
            last_at = there[0] // MILLISECOND_NS
            if self._is_repeat(at, piece, last_at, there[1]["r"]):
                return
            if self._is_known(at, last_at, stream):
                before[stream.id] = self._point(stream, told(there[1]["v"]), last_at, _start_of(there[1]))
        points.append(self._point(stream, value, at, started_at))
        kept = {"v": value if isinstance(value, int) else str(value), "r": piece.replica}
        if started_at is not None:
            kept["c"] = started_at.isoformat()
        self._set(stream.digest, at, kept)

    def _point(self, stream: _Stream, value: CounterValue, at: int, started_at: datetime | None = None) -> CounterPoint:
        assert stream.key is not None  # noqa: S101 - looked at before
        return CounterPoint(
            stream.id,
            stream.key,
            stream.measure,
            value,
            _moment(at),
            started_at,
            stream.process,
            currency=stream.meaning.reading.currency,
        )

    # --- Histograms: {"l": buckets of the last scrape that counted, "p": of those after it, "k": bucket -> seen at}

    def _add_bucket(self, at: int, piece: _Piece) -> bool:
        """File a bucket under its scrape; whether that scrape may be whole now."""
        stream = piece.stream
        if not piece.value.is_integer() or piece.value > LARGEST_COUNT or piece.le is None:
            self.written.note(NOT_A_COUNT)
            return False
        there = self._state(stream.digest)
        if there is None:
            there = 0, {"l": {}, "p": {}, "k": {}, "r": piece.replica}
        last_at, state = there[0] // MILLISECOND_NS, there[1]
        bound = repr(piece.le)
        newest = max(state["k"].values(), default=last_at)
        if piece.replica != state["r"]:
            if at - newest < REPLICA_SILENT_MS:
                self.repeats += 1
                return False
            state = {**state, "p": {}, "r": piece.replica}
        if at < last_at or (at == last_at and bound in state["l"]) or bound in state["p"].get(str(at), ()):
            self.repeats += 1
            return False
        if bound not in state["k"] and len(state["k"]) >= MAX_BUCKETS:
            self.written.note(TOO_MANY_BUCKETS)
            return False
        state = {**state, "k": {**state["k"], bound: max(at, state["k"].get(bound, at))}}
        if at == last_at:
            # A piece of the scrape that was taken for whole: from now on it has this bucket, too.
            state["l"] = {**state["l"], bound: int(piece.value)}
        else:
            scrapes = {**state["p"], str(at): {**state["p"].get(str(at), {}), bound: int(piece.value)}}
            state["p"] = {key: scrapes[key] for key in sorted(scrapes, key=int)[-MAX_PENDING:]}
        self.states[stream.digest] = there[0], state
        return at != last_at

    def _add_histogram(
        self, at: int, stream: _Stream, points: list[CounterPoint], before: dict[str, CounterPoint]
    ) -> None:
        """Count the scrape if it is whole."""
        there = self._state(stream.digest)
        if there is None:
            return
        last_at, state = there[0] // MILLISECOND_NS, there[1]
        scrape = state["p"].get(str(at), {})
        expected = {bound for bound, seen in state["k"].items() if seen >= at - GONE_MS}
        if repr(math.inf) not in scrape or not expected <= set(scrape):
            return
        started_at = self._created.get((stream.meaning.number, stream.meaning.place, stream.labels, at))
        # A bucket that the last scrape did not have cannot be subtracted; those around it say the same, more coarsely.
        common = set(scrape) & set(state["l"]) if state["l"] else set(scrape)
        now = buckets_of(scrape, common, stream.meaning.reading)
        if now is None:
            self.written.note(NOT_A_COUNT)
        else:
            if state["l"] and self._is_known(at, last_at, stream):
                then = buckets_of(state["l"], common, stream.meaning.reading)
                if then is not None:
                    before[stream.id] = self._point(stream, then, last_at, _start_of(state))
            points.append(self._point(stream, now, at, started_at))
        kept = {
            "l": scrape,
            "p": {key: pieces for key, pieces in state["p"].items() if int(key) > at},
            "k": {bound: seen for bound, seen in state["k"].items() if seen >= at - GONE_MS},
            "r": state["r"],
        }
        if started_at is not None:
            kept["c"] = started_at.isoformat()
        self._set(stream.digest, at, kept)


def _start_of(state: Mapping[str, Any]) -> datetime | None:
    return datetime.fromisoformat(state["c"]) if "c" in state else None


def _moment(at: int) -> datetime:
    return (EPOCH + timedelta(milliseconds=at)).astimezone(UTC)
