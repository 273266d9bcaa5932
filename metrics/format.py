"""The contract of what can be pushed in: bytes become records, and rejections for those that cannot count.

A format knows one way of writing records. It SHALL turn a body into a `Batch` with `decode(body, limits)`, raise
`Unreadable` only where the body as a whole cannot be read, and lose no good record to a bad one. It imports no other
format and no Django, and knows neither the database nor the clock. What holds for a record whatever its format is
checked by `check`, which every format ends with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from operator import attrgetter
from typing import Annotated

import msgspec
from msgspec import Meta

from metrics.currency import CURRENCIES
from metrics.errors import RuleViolation
from metrics.words import N_

MAX_COUNT = 10**12
MAX_DURATION_MS = 86_400_000
FUTURE_TOLERANCE = timedelta(minutes=5)
# An id is remembered this long, and counted once while it is.
ID_DAYS = 35
MAX_LABELS = 8
MAX_LABEL_CHARACTERS = 200
MAX_BOUNDS = 500

Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Number = Annotated[float, Meta(ge=0, le=MAX_COUNT)]
Milliseconds = Annotated[float, Meta(gt=0, le=MAX_DURATION_MS)]
# 0 to 10^9 with at most 10 decimals; `check` refuses what lies above 10^9.
Money = Annotated[str, Meta(pattern=r"\A(0|[1-9][0-9]{0,9})(\.[0-9]{1,10})?\Z")]
Name60 = Annotated[str, Meta(min_length=1, max_length=60)]
LABELS_NOT_GIVEN = msgspec.Raw()


class BucketCounts(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A histogram as it is pushed: n ascending bounds in milliseconds, n + 1 counts."""

    bounds_ms: Annotated[
        list[Annotated[float, Meta(gt=0, le=MAX_DURATION_MS)]], Meta(min_length=1, max_length=MAX_BOUNDS)
    ]
    counts: Annotated[list[Count], Meta(min_length=2, max_length=MAX_BOUNDS + 1)]


class Record(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One pushed usage record (docs/push.md lists the fields). None: not given, so unknown.

    `labels` is JSON text, whose keys and values `label_values` reads; `cost` is decimal text, never a float.
    """

    timestamp: Annotated[datetime, Meta(tz=True)]
    model: Annotated[str, Meta(min_length=1, max_length=200)]
    roadmap: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    provider: Name60 | None = None
    backend: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    operation: Name60 | None = None
    service_tier: Annotated[str, Meta(min_length=1, max_length=40)] | None = None
    requests: Annotated[int, Meta(ge=1, le=MAX_COUNT)] | None = None
    errors: Count | None = None
    error_type: Annotated[str, Meta(max_length=200)] | None = None
    input_tokens: Count | None = None
    cached_input_tokens: Count | None = None
    cache_write_input_tokens: Count | None = None
    output_tokens: Count | None = None
    units: Number | None = None
    duration_ms: Milliseconds | None = None
    time_to_first_token_ms: Milliseconds | None = None
    inter_token_ms: Milliseconds | None = None
    duration_histogram: BucketCounts | None = None
    time_to_first_token_histogram: BucketCounts | None = None
    inter_token_histogram: BucketCounts | None = None
    cost: Money | None = None
    currency: Annotated[str, Meta(pattern=r"\A[A-Z]{3}\Z")] | None = None
    gpu_busy_seconds: Number | None = None
    energy_wh: Number | None = None
    quality: Annotated[float, Meta(ge=0, le=1)] | None = None
    quality_sum: Number | None = None
    quality_count: Count | None = None
    blocked: Count | None = None
    overridden: Count | None = None
    false_alarms: Count | None = None
    labels: msgspec.Raw = LABELS_NOT_GIVEN
    id: Annotated[str, Meta(min_length=1, max_length=128)] | None = None


# What each field takes, in words: in rejections, in the API's description and in docs/push.md.
_COUNT = N_("a whole number from 0 to 10^12")
_AMOUNT = N_("a number from 0 to 10^12")
_MILLISECONDS = N_("a number above 0, at most 86,400,000, of a single successful request")
_HISTOGRAM = N_('an object {"bounds_ms": [...], "counts": [...]} with ascending bounds and one more count than bounds')
TAKES: dict[str, str] = {
    "timestamp": N_("a time with its offset such as 2026-11-22T14:00:00Z"),
    "model": N_("text of 1 to 200 characters"),
    "roadmap": N_("the slug of a roadmap"),
    "provider": N_("text of 1 to 60 characters"),
    "backend": N_("the slug of a backend"),
    "operation": N_("text of 1 to 60 characters"),
    "service_tier": N_("text of 1 to 40 characters"),
    "requests": N_("a whole number from 1 to 10^12"),
    "errors": N_("a whole number from 0 to the number of requests"),
    "error_type": N_("text of at most 200 characters"),
    "input_tokens": _COUNT,
    "cached_input_tokens": _COUNT,
    "cache_write_input_tokens": _COUNT,
    "output_tokens": _COUNT,
    "units": _AMOUNT,
    "duration_ms": _MILLISECONDS,
    "time_to_first_token_ms": _MILLISECONDS,
    "inter_token_ms": _MILLISECONDS,
    "duration_histogram": _HISTOGRAM,
    "time_to_first_token_histogram": _HISTOGRAM,
    "inter_token_histogram": _HISTOGRAM,
    "cost": N_('decimal text from "0" to "1000000000" with at most 10 decimals, such as "0.0123"'),
    "currency": N_("an ISO 4217 code in capitals such as USD"),
    "gpu_busy_seconds": _AMOUNT,
    "energy_wh": _AMOUNT,
    "quality": N_("a number from 0 to 1"),
    "quality_sum": N_("a number from 0 to quality_count"),
    "quality_count": _COUNT,
    "blocked": _COUNT,
    "overridden": _COUNT,
    "false_alarms": _COUNT,
    "labels": N_("an object of at most 8 texts of at most 200 characters"),
    "id": N_("text of 1 to 128 characters"),
}
FIELDS = tuple(Record.__struct_fields__)
_ABSENT = dict.fromkeys(FIELDS) | {"labels": LABELS_NOT_GIVEN}


def narrow_record(fields: frozenset[str]) -> type[Record]:
    """Record with these fields only: the others are None without taking room, and unknown when it is decoded.

    Records of one sender have a handful of fields out of 33, and are decoded twice as fast by their own type.
    """
    kept = fields | {"timestamp", "model"} | ({"errors"} if "error_type" in fields else set())
    return msgspec.defstruct(  # type: ignore[return-value]
        "Record",
        [
            (one.name, one.type) if one.required else (one.name, one.type, one.default)
            for one in msgspec.structs.fields(Record)
            if one.name in kept
        ],
        namespace={name: value for name, value in _ABSENT.items() if name not in kept},
        forbid_unknown_fields=True,
        gc=False,
    )


def fields_given(records: Sequence[Record]) -> frozenset[str]:
    """The fields that some record gives."""
    given = {"timestamp", "model"}
    for name in FIELDS:
        values = map(attrgetter(name), records)
        if name == "labels":
            is_given = any(bytes(value) for value in values)
        else:
            is_given = any(value is not None for value in values)
        if is_given:
            given.add(name)
    return frozenset(given)


_TEXT_FIELDS = ("model", "roadmap", "provider", "backend", "operation", "service_tier", "error_type", "id")
_TIMES = ("duration_ms", "time_to_first_token_ms", "inter_token_ms")
_HISTOGRAMS = ("duration_histogram", "time_to_first_token_histogram", "inter_token_histogram")
_QUALITY = ("quality", "quality_sum", "quality_count")
_TOKEN_PARTS = ("cached_input_tokens", "cache_write_input_tokens")


def storable(sentence: str) -> str:
    """A sentence that may quote what was sent, as the database can keep it: it refuses U+0000."""
    return sentence.replace("\0", "\N{REPLACEMENT CHARACTER}")


class Unreadable(RuleViolation):
    """The body as a whole cannot be read; nothing of it counts. `status` is the HTTP status that says so."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code, storable(message))
        self.status = status


@dataclass(frozen=True, slots=True)
class Limits:
    """What a push may hold at the moment `now` (aware UTC). `oldest`: timestamps before it are refused."""

    now: datetime
    oldest: datetime
    max_records: int

    @property
    def newest(self) -> datetime:
        return self.now + FUTURE_TOLERANCE

    @property
    def first_id_on(self) -> date:
        """The first UTC day whose ids are still remembered."""
        return self.now.astimezone(UTC).date() - timedelta(days=ID_DAYS - 1)


@dataclass(frozen=True, slots=True, order=True)
class Rejection:
    """Why the record at `index` (from 0) does not count: a stable code, and a sentence that names the field."""

    index: int
    code: str
    detail: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "detail", storable(self.detail))


@dataclass(slots=True)
class Batch:
    """The records of one push that can count, `indexes` their places in it, and why the others cannot.

    `fields` names at least the fields that any record gives, so that nobody looks through 10,000 records for a field
    that none has. `warnings` are (code, detail) with the number of records they are about.
    """

    records: list[Record]
    indexes: Sequence[int]
    fields: frozenset[str]
    rejections: list[Rejection] = field(default_factory=list)
    warnings: dict[tuple[str, str], int] = field(default_factory=dict)
    # The records that `span` looked through, and what it found.
    _span: tuple[list[Record], tuple[datetime, datetime]] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The first and the last timestamp; there must be a record. Looked for once, while the records are the same."""
        if self._span is None or self._span[0] is not self.records:
            times = list(map(attrgetter("timestamp"), self.records))
            self._span = self.records, (min(times), max(times))
        return self._span[1]

    def warn(self, code: str, detail: str, records: int = 1) -> None:
        self.warnings[code, detail] = self.warnings.get((code, detail), 0) + records

    def reject(self, rejections: Iterable[Rejection]) -> None:
        """Takes the records at these indexes out."""
        new = list(rejections)
        gone = {rejection.index for rejection in new}
        if not gone:
            return
        kept = [(record, index) for record, index in zip(self.records, self.indexes, strict=True) if index not in gone]
        self.records = [record for record, _ in kept]
        self.indexes = [index for _, index in kept]
        self.rejections.extend(new)


# Code and sentence of what is wrong with a record; None: nothing.
Problem = tuple[str, str] | None
Rule = Callable[[Record, Batch], Problem]


def check(batch: Batch, limits: Limits) -> Batch:
    """The batch without the records that break a rule of time or between fields; latencies of errors dropped."""
    if not batch.records:
        return batch
    batch.reject(_time_rejections(batch, limits))
    rules = [rule for rule, fields in _RULES if not batch.fields.isdisjoint(fields)]
    if rules:
        batch.reject(
            Rejection(index, *problem)
            for record, index in zip(batch.records, batch.indexes, strict=True)
            if (problem := _first_problem(record, rules, batch)) is not None
        )
    if "labels" in batch.fields:
        batch.reject(_label_rejections(batch))
    return batch


def _time_rejections(batch: Batch, limits: Limits) -> list[Rejection]:
    first, last = batch.span
    last_safe = datetime.combine(limits.first_id_on, time(), UTC) if "id" in batch.fields else limits.oldest
    if last <= limits.newest and first >= last_safe:
        return []
    rejections = []
    for record, index in zip(batch.records, batch.indexes, strict=True):
        problem = _time_problem(record, limits)
        if problem is not None:
            rejections.append(Rejection(index, *problem))
    return rejections


def _time_problem(record: Record, limits: Limits) -> Problem:
    at = record.timestamp
    if at > limits.newest:
        return "timestamp_in_future", (
            f"timestamp: {at.isoformat()} is more than 5 minutes ahead of {limits.now:%Y-%m-%dT%H:%M:%SZ}."
        )
    if at < limits.oldest:
        return (
            "timestamp_too_old",
            f"timestamp: {at.isoformat()} lies before {limits.oldest:%Y-%m-%d}, where usage ends.",
        )
    if record.id is not None and at.astimezone(UTC).date() < limits.first_id_on:
        return "too_old_for_id", (
            f"id: ids are remembered for {ID_DAYS} days; this record is older and cannot be told from a repeat. "
            "Send it without id."
        )
    return None


def _first_problem(record: Record, rules: list[Rule], batch: Batch) -> Problem:
    for rule in rules:
        problem = rule(record, batch)
        if problem is not None:
            return problem
    return None


def _text_problem(record: Record, _: Batch) -> Problem:
    for name in _TEXT_FIELDS:
        text = getattr(record, name)
        if text is not None and "\0" in text:
            return "bad_text", f"{name}: the character U+0000 cannot be stored."
    return None


def _request_problem(record: Record, batch: Batch) -> Problem:
    requests = record.requests or 1
    if requests > 1:
        for name in _TIMES:
            if getattr(record, name) is not None:
                return (
                    "not_on_a_sum",
                    f"{name}: belongs to a single request; with requests {requests} send {name[:-3]}_histogram.",
                )
        if record.quality is not None:
            return (
                "not_on_a_sum",
                f"quality: belongs to a single request; with requests {requests} send quality_sum and quality_count.",
            )
    elif record.error_type and record.errors is None:
        record.errors = 1
    errors = record.errors or 0
    if errors > requests:
        return "errors_exceed_requests", f"errors: {errors} of {requests} requests."
    if errors == requests:
        for name in _TIMES:
            if getattr(record, name) is not None:
                setattr(record, name, None)
                batch.warn("duration_on_error", f"{name}: errors are counted, not timed; dropped.")
    return None


def _token_problem(record: Record, _: Batch) -> Problem:
    parts = (record.cached_input_tokens or 0) + (record.cache_write_input_tokens or 0)
    if record.input_tokens is not None and parts > record.input_tokens:
        return "parts_exceed_input", (
            f"input_tokens: {record.input_tokens} is less than its cached and cache-write parts, {parts}, "
            "which input includes."
        )
    return None


def _money_problem(record: Record, _: Batch) -> Problem:
    if record.cost is None:
        return None
    if record.currency is None:
        return "currency_missing", "currency: needed beside cost, an ISO 4217 code such as USD."
    if record.currency not in CURRENCIES:
        return "unknown_currency", f"currency: '{record.currency}' is not an ISO 4217 currency in use."
    if len(record.cost.partition(".")[0]) == 10 and record.cost.rstrip("0").rstrip(".") != "1":
        return "out_of_range", f"cost: takes {TAKES['cost']}."
    return None


def _quality_problem(record: Record, _: Batch) -> Problem:
    if record.quality_sum is None and record.quality_count is None:
        return None
    if record.quality is not None:
        return "quality_twice", "quality: send either quality, or quality_sum with quality_count."
    if record.quality_sum is None or record.quality_count is None:
        return "quality_incomplete", "quality_sum and quality_count come together."
    if record.quality_sum > record.quality_count:
        return "out_of_range", f"quality_sum: takes {TAKES['quality_sum']}."
    return None


def _histogram_problem(record: Record, _: Batch) -> Problem:
    successful = (record.requests or 1) - (record.errors or 0)
    for name, single in zip(_HISTOGRAMS, _TIMES, strict=True):
        histogram = getattr(record, name)
        if histogram is None:
            continue
        if getattr(record, single) is not None:
            return "latency_twice", f"{name}: send either it or {single}."
        if len(histogram.counts) != len(histogram.bounds_ms) + 1:
            return (
                "bad_histogram",
                f"{name}: {len(histogram.bounds_ms)} bounds want {len(histogram.bounds_ms) + 1} counts.",
            )
        if any(left >= right for left, right in zip(histogram.bounds_ms, histogram.bounds_ms[1:], strict=False)):
            return "bad_histogram", f"{name}: bounds_ms must ascend."
        # Between tokens there are many intervals a request, so that only the other two are bounded by requests.
        if name != "inter_token_histogram" and sum(histogram.counts) > successful:
            return "bad_histogram", f"{name}: counts {sum(histogram.counts)} of {successful} successful requests."
    return None


def _label_rejections(batch: Batch) -> list[Rejection]:
    texts = [bytes(record.labels) for record in batch.records]
    mistakes = {text: mistake for text in set(texts) if (mistake := _label_mistake(text))}
    if not mistakes:
        return []
    return [
        Rejection(index, "bad_labels", f"labels: {mistakes[text]}")
        for text, index in zip(texts, batch.indexes, strict=True)
        if text in mistakes
    ]


def _label_mistake(text: bytes) -> str:
    try:
        labels = label_values(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"takes {TAKES['labels']}."
    if len(labels) > MAX_LABELS:
        return f"{len(labels)} labels, at most {MAX_LABELS}."
    for name, value in labels.items():
        if not 1 <= len(name) <= MAX_LABEL_CHARACTERS or len(value) > MAX_LABEL_CHARACTERS:
            return f"names and values have at most {MAX_LABEL_CHARACTERS} characters, names at least 1."
        if "\0" in name or "\0" in value:
            return "the character U+0000 cannot be stored."
    return ""


_LABELS = msgspec.json.Decoder(dict[str, str] | None)


def label_values(text: bytes) -> dict[str, str]:
    """The labels in JSON text; empty text and null are no labels. Raises msgspec.DecodeError."""
    return (_LABELS.decode(text) or {}) if text else {}


# The rules between fields, each with the fields without which it cannot be broken.
_RULES: tuple[tuple[Rule, frozenset[str]], ...] = (
    (_text_problem, frozenset({"nul"})),
    (_request_problem, frozenset({"requests", "errors", "error_type"})),
    (_token_problem, frozenset(_TOKEN_PARTS)),
    (_money_problem, frozenset({"cost"})),
    (_quality_problem, frozenset({"quality_sum", "quality_count"})),
    (_histogram_problem, frozenset(_HISTOGRAMS)),
)
