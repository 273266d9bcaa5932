"""What inference did and cost: backends, series, the ledger and its sums, prices."""

from metrics.models.backend import Backend, Pull
from metrics.models.cache import (
    DayZone,
    HistogramDay,
    HistogramMonth,
    HistogramWeek,
    SeriesBuild,
    StaleDay,
    UsageDay,
    UsageMonth,
)
from metrics.models.imports import (
    BillingImport,
    BillingSource,
    ImportChunk,
    ImportedCharge,
    ImportPeriod,
    UncountedStatement,
)
from metrics.models.ledger import (
    CapacityDue,
    Feed,
    HistogramBounds,
    LedgerEntry,
    LedgerHistogram,
    PendingHistograms,
    Receipt,
    Restatement,
    StatedWindow,
)
from metrics.models.percentile import StatedPercentile
from metrics.models.prices import ExchangeRate, OwnPrice, RateCard
from metrics.models.push import ArrivedSignal, CounterState, IdempotencyKey, PushProblem, RecordId, SeriesAllowance
from metrics.models.retention import RetentionJob
from metrics.models.rules import AllocationRule, RuleShare
from metrics.models.series import Allocation, LookAlike, Series
from metrics.models.sums import HistogramHour, UsageHour
from metrics.models.usage_files import UsageFile, UsageFilePiece

__all__ = [
    "Allocation",
    "AllocationRule",
    "ArrivedSignal",
    "Backend",
    "CapacityDue",
    "BillingImport",
    "BillingSource",
    "CounterState",
    "DayZone",
    "ExchangeRate",
    "Feed",
    "HistogramBounds",
    "HistogramDay",
    "HistogramHour",
    "HistogramMonth",
    "HistogramWeek",
    "IdempotencyKey",
    "ImportChunk",
    "ImportPeriod",
    "ImportedCharge",
    "LedgerEntry",
    "LedgerHistogram",
    "LookAlike",
    "OwnPrice",
    "Pull",
    "PendingHistograms",
    "PushProblem",
    "RateCard",
    "Receipt",
    "Restatement",
    "RecordId",
    "RetentionJob",
    "RuleShare",
    "Series",
    "SeriesAllowance",
    "SeriesBuild",
    "StaleDay",
    "StatedPercentile",
    "StatedWindow",
    "UncountedStatement",
    "UsageDay",
    "UsageFile",
    "UsageFilePiece",
    "UsageHour",
    "UsageMonth",
]
