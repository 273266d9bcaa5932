"""What one series did in one UTC hour, as plain values shared by connectors, formats, the fold and the ledger.

Holds no Django, no clock and no settings. `None` means that a measure was not reported; zero means zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class MeasuredAt(StrEnum):
    """Where a source sees a request; linked sources that see the same one are counted once (measures.md)."""

    APPLICATION = "application"
    GATEWAY = "gateway"
    SERVER = "server"


class FeedKind(StrEnum):
    """The kinds of fact that a feed carries; a feed is one source of one kind."""

    PUSH = "push"
    USAGE = "usage"
    STATEMENT = "statement"
    CAPACITY = "capacity"
    ESTIMATE = "estimate"
    IMPORT = "import"
    PERCENTILE = "percentile"


class SeriesKind(StrEnum):
    """`usage` is traffic; the others carry what belongs to no traffic of a backend.

    `gpu`: what an exporter measured of the machine, until `metrics.capacity` has shared it out over what was served.
    """

    USAGE = "usage"
    IDLE = "idle"
    GPU = "gpu"
    OTHER_CHARGES = "other_charges"


# Operations whose spans repeat what the inference below them did: they count requests, durations and errors under their
# own name, never tokens or money (api.md, OpenTelemetry).
STEP_OPERATIONS = frozenset(
    {"create_agent", "execute_task", "execute_tool", "invoke_agent", "invoke_workflow", "retrieval"}
)
# Where a token says that its steps' tokens are nobody else's (an agent whose calls are not instrumented), these tokens
# count like any inference's, under an operation of their own: what is a step still stands apart (ADR 0006).
STEP_TOKEN_OPERATIONS = {operation: f"{operation}_tokens" for operation in sorted(STEP_OPERATIONS)}

# Additive measures of an hour, in the order of the bits of `known_mask`. Never reorder; append only.
COUNT_MEASURES = (
    "requests",
    "errors",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "quality_count",
    "blocked",
    "overridden",
    "false_alarms",
    "duration_count",
    "time_to_first_token_count",
    "inter_token_count",
)
DECIMAL_MEASURES = (
    "units",
    "gpu_busy_seconds",
    "gpu_held_seconds",
    "energy_wh",
    "quality_sum",
    "duration_sum_ms",
    "time_to_first_token_sum_ms",
    "inter_token_sum_ms",
)
MONEY_MEASURES = ("estimated_cost", "billed_cost")
ADDITIVE_MEASURES = COUNT_MEASURES + DECIMAL_MEASURES + MONEY_MEASURES
HISTOGRAM_MEASURES = ("duration", "time_to_first_token", "inter_token")

KNOWN_BIT = {name: 1 << position for position, name in enumerate(ADDITIVE_MEASURES)}


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """What a source says of a stream of usage. The backend and, for pushes, the workload are added where it is posted.

    `labels` are (name, value) pairs sorted by name. `model` is empty for series that carry no traffic.
    """

    provider: str
    model: str
    operation: str = "chat"
    service_tier: str = "standard"
    labels: tuple[tuple[str, str], ...] = ()
    kind: SeriesKind = SeriesKind.USAGE


@dataclass(frozen=True, slots=True)
class ForeignHistogram:
    """Bucket counts as another system reports them.

    `bounds_ms`: n ascending finite upper bounds in milliseconds. `counts`: n + 1 whole counts, per bucket (not
    cumulative), the last one above the last bound. Counts may be negative in a correction.
    """

    bounds_ms: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(slots=True)
class UsageCell:
    """Signed sums of one series in one UTC hour.

    `sums` maps names of ADDITIVE_MEASURES to int (counts) or Decimal (the others); an absent name is unknown.
    `histograms` maps names of HISTOGRAM_MEASURES to foreign bucket counts, `windows` to counts in our own buckets: the
    stored form of `metrics.histogram.window_of_values`, for a source that tells single latencies. `currency` is the
    ISO 4217 code of the money in `sums`, empty where there is none.
    """

    key: SeriesKey
    hour: datetime
    sums: dict[str, int | Decimal] = field(default_factory=dict)
    histograms: dict[str, ForeignHistogram] = field(default_factory=dict)
    currency: str = ""
    windows: dict[str, list[int]] = field(default_factory=dict)
