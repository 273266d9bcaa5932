"""From CloudWatch's hourly metrics of Bedrock to cells and stated percentiles."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from metrics.connector import PercentileStatement
from metrics.connectors.aws.cloudwatch import READ, CloudWatch, Metric, Query
from metrics.usage import SeriesKey, UsageCell
from metrics.windows import Window

HOUR = timedelta(hours=1)
RUNTIME, MANTLE = "AWS/Bedrock", "AWS/BedrockMantle"
PROVIDER = "aws.bedrock"
PERCENTS = (50, 95, 99)
# Sums: metric -> measure. Both spellings of the cache metrics are in use; an account has one of them.
SUMS = {
    "Invocations": "requests",
    "InvocationClientErrors": "client_errors",
    "InvocationServerErrors": "server_errors",
    "InputTokenCount": "input_tokens",
    "OutputTokenCount": "output_tokens",
    "CacheReadInputTokens": "cached_input_tokens",
    "CacheReadInputTokenCount": "cached_input_tokens",
    "CacheWriteInputTokens": "cache_write_input_tokens",
    "CacheWriteInputTokenCount": "cache_write_input_tokens",
    "OutputImageCount": "units",
}
MANTLE_SUMS = {
    "Inferences": "requests",
    "InferenceClientErrors": "client_errors",
    "InferenceServerErrors": "server_errors",
    "TotalInputTokens": "input_tokens",
    "TotalOutputTokens": "output_tokens",
}
TIMES = {"InvocationLatency": "duration", "TimeToFirstToken": "time_to_first_token"}
ERRORS = ("client_errors", "server_errors")
# 'us.', 'eu.', 'apac.', 'global.' before a model: the inference profile that a request was sent through.
_GEOGRAPHY = re.compile(r"^(us|eu|apac|jp|au|ca|sa|us-gov|global)\.(?=[a-z0-9-]+\.)")


@dataclass(frozen=True, slots=True)
class Reading:
    """How this backend wants the ambiguous metrics read. `profiles`: id of an inference profile -> model."""

    is_invocations_without_errors: bool = False
    is_cache_inside: bool = False
    profiles: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Hour:
    sums: dict[str, Decimal] = field(default_factory=dict)
    counts: dict[str, Decimal] = field(default_factory=dict)
    totals: dict[str, Decimal] = field(default_factory=dict)


def hours_of_region(
    watch: CloudWatch, window: Window, reading: Reading, more_models: Sequence[str]
) -> Iterator[UsageCell | PercentileStatement]:
    """Yield cells and percentiles of one region. Raises ConnectorError."""
    for namespace in (RUNTIME, MANTLE):
        metrics = _chosen(watch.metrics(namespace), namespace)
        if namespace == RUNTIME:
            metrics = _with_more(metrics, more_models)
        queries = [query for metric in metrics for query in _queries(metric)]
        if queries:
            yield from _cells(watch.region, watch.values(queries, window), reading)


def _names(namespace: str) -> Mapping[str, str]:
    return {**SUMS, **TIMES} if namespace == RUNTIME else MANTLE_SUMS


def _chosen(metrics: Sequence[Metric], namespace: str) -> list[Metric]:
    """Each metric of each model once: CloudWatch has the same traffic under several sets of dimensions.

    Of the runtime the coarsest set with a model, of Mantle the finest, which has the project.
    """
    model = "ModelId" if namespace == RUNTIME else "Model"
    groups: dict[tuple[str, str], list[Metric]] = {}
    for metric in dict.fromkeys(metrics):
        values = dict(metric.dimensions)
        if metric.name in _names(namespace) and values.get(model):
            groups.setdefault((metric.name, values[model]), []).append(metric)
    found = []
    for members in groups.values():
        sizes = [len(member.dimensions) for member in members]
        size = min(sizes) if namespace == RUNTIME else max(sizes)
        sets = sorted({tuple(sorted(m.dimension_names)) for m in members if len(m.dimensions) == size})
        found += [member for member in members if member.dimension_names == frozenset(sets[0])]
    return found


def _with_more(metrics: list[Metric], models: Sequence[str]) -> list[Metric]:
    """Models that CloudWatch lists no more, since it lists those of the last two weeks only."""
    listed = {dict(metric.dimensions)["ModelId"] for metric in metrics}
    more = [
        Metric(RUNTIME, name, (("ModelId", model),))
        for model in dict.fromkeys(models)
        if model not in listed
        for name in (*SUMS, *TIMES)
    ]
    return metrics + more


def _queries(metric: Metric) -> list[Query]:
    if metric.name not in TIMES:
        return [Query(metric, "Sum")]
    percentiles = [Query(metric, f"p{percent}") for percent in PERCENTS]
    return [Query(metric, "Sum"), Query(metric, "SampleCount"), *percentiles]


def _cells(
    region: str, values: Mapping[Query, Mapping[datetime, Decimal]], reading: Reading
) -> Iterator[UsageCell | PercentileStatement]:
    hours: dict[tuple[SeriesKey, datetime], _Hour] = {}
    percentiles: dict[tuple[SeriesKey, datetime, str, int], list[Decimal]] = {}
    has: dict[SeriesKey, set[str]] = {}
    for query, by_hour in values.items():
        name = query.metric.name
        key = series_key(query.metric, region, reading)
        measure = TIMES.get(name) or {**SUMS, **MANTLE_SUMS}[name]
        if by_hour:
            has.setdefault(key, set()).add(measure)
        for hour, value in by_hour.items():
            if query.statistic.startswith("p"):
                percentiles.setdefault((key, hour, measure, int(query.statistic[1:])), []).append(value)
                continue
            there = hours.setdefault((key, hour), _Hour())
            part = there.counts if query.statistic == "SampleCount" else there.totals if name in TIMES else there.sums
            part[measure] = part.get(measure, Decimal(0)) + value
    for (key, hour), there in hours.items():
        sums = _sums(there, has[key], reading)
        if sums:
            yield UsageCell(key=key, hour=hour, sums=sums)
    for (key, hour, measure, percent), stated in percentiles.items():
        # Two values of one series cannot be made one, so there is none.
        if len(stated) == 1:
            counts = hours[key, hour].counts if (key, hour) in hours else {}
            count = int(counts[measure]) if measure in counts else None
            yield PercentileStatement(key, hour, hour + HOUR, measure, Decimal(percent), stated[0], count)


def _sums(hour: _Hour, has: set[str], reading: Reading) -> dict[str, int | Decimal]:
    """CloudWatch writes no point where nothing happened: a zero, for errors and for tokens that the model has."""
    sums: dict[str, int | Decimal] = {
        name: READ.count(value, name) for name, value in hour.sums.items() if name not in ERRORS and name != "units"
    }
    if "units" in hour.sums:
        sums["units"] = hour.sums["units"]
    errors = sum(READ.count(hour.sums.get(name, Decimal(0)), name) for name in ERRORS)
    requests = sums.get("requests", 0 if errors else None)
    if requests is not None:
        # More errors than invocations can only be where errors are not among them.
        is_apart = reading.is_invocations_without_errors or errors > requests
        sums["requests"] = int(requests) + errors if is_apart else int(requests)
        sums["errors"] = errors
        for name in ("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_input_tokens"):
            if name in has:
                sums.setdefault(name, 0)
    if "input_tokens" in sums and not reading.is_cache_inside:
        sums["input_tokens"] += sums.get("cached_input_tokens", 0) + sums.get("cache_write_input_tokens", 0)
    for measure in TIMES.values():
        if measure in hour.counts and measure in hour.totals:
            sums[f"{measure}_count"] = READ.count(hour.counts[measure], measure)
            sums[f"{measure}_sum_ms"] = hour.totals[measure]
    return sums


def series_key(metric: Metric, region: str, reading: Reading) -> SeriesKey:
    """The series of a metric: its model, tier and what else its dimensions tell apart, in one region."""
    values = dict(metric.dimensions)
    model, profile = model_of(values.get("ModelId") or values.get("Model") or "", reading.profiles)
    labels = {"region": region}
    if profile:
        labels["inference_profile"] = profile
    if metric.namespace == MANTLE:
        labels["endpoint"] = "mantle"
    for dimension, label in (("Project", "project"), ("ContextWindow", "context_window")):
        if values.get(dimension):
            labels[label] = values[dimension]
    tier = (values.get("ResolvedServiceTier") or values.get("ServiceTier") or "standard").lower()
    return SeriesKey(
        provider=PROVIDER,
        model=model,
        service_tier="standard" if tier == "default" else tier,
        labels=tuple(sorted(labels.items())),
    )


def model_of(model_id: str, profiles: Mapping[str, str]) -> tuple[str, str]:
    """The model behind a ModelId and the inference profile that it was called through, empty where there is none.

    'us.anthropic.claude-x' is anthropic.claude-x through 'us'; of an ARN the last part counts. An application's own
    inference profile is its own model unless `profiles` names the one behind it.
    """
    kind, _, name = model_id.rpartition("/")
    kind = kind.rpartition(":")[2]
    name = name or model_id
    told = profiles.get(model_id) or profiles.get(name)
    if told:
        return told, name
    if kind == "application-inference-profile":
        return f"{kind}/{name}", name
    geography = _GEOGRAPHY.match(name)
    if geography:
        return name[geography.end() :], geography[1]
    return name, ""
