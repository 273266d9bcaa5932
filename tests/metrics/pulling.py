"""Doubles for tests of pulls: sources on loopback that say what a test tells them, and backends that read them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from metrics import sources
from metrics.connector import CostStatement, NotStated, PercentileStatement, StatementConnector, TestResult
from metrics.models import Backend
from metrics.parameter import Parameter, ParameterKind
from metrics.usage import SeriesKey, UsageCell

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
HOUR = datetime(2026, 11, 22, 9, tzinfo=UTC)
SECRET = "sk-admin-very-secret-0123456789"
KEY = SeriesKey(provider="openai", model="gpt-4o-mini")


def vllm_text(*, requests: int, tokens_in: int, tokens_out: int, started_at: int = 1_790_000_000) -> str:
    """A /metrics page of vLLM with these totals."""
    labels = 'model_name="llama",engine="0"'
    return (
        "# TYPE process_start_time_seconds gauge\n"
        f"process_start_time_seconds {started_at}\n"
        "# TYPE vllm:request_success_total counter\n"
        f'vllm:request_success_total{{{labels},finished_reason="stop"}} {requests}.0\n'
        "# TYPE vllm:prompt_tokens_total counter\n"
        f"vllm:prompt_tokens_total{{{labels}}} {tokens_in}.0\n"
        "# TYPE vllm:generation_tokens_total counter\n"
        f"vllm:generation_tokens_total{{{labels}}} {tokens_out}.0\n"
    )


@dataclass
class Provider:
    """A provider that states what it is told to: cells, statements, percentiles, or an error to raise."""

    cells: list[UsageCell] = field(default_factory=list)
    statements: list[CostStatement] = field(default_factory=list)
    percentiles: list[PercentileStatement] = field(default_factory=list)
    error: Exception | None = None
    windows: list = field(default_factory=list)
    # It keeps nothing from before this moment.
    dropped_until: datetime | None = None

    def usage(self, hour: datetime, *, key: SeriesKey = KEY, **sums: int | Decimal) -> None:
        self.cells.append(UsageCell(key=key, hour=hour, sums=dict(sums)))

    def cost(self, day: datetime, amount: str, *, model: str | None = None, category: str = "Usage") -> None:
        start = day.replace(hour=0)
        self.statements.append(
            CostStatement(start, start + timedelta(days=1), Decimal(amount), "USD", model, charge_category=category)
        )


def connector_of(provider: Provider) -> type[StatementConnector]:
    """A connector class that asks this provider."""

    class Double(StatementConnector):
        kind = "double"
        title = "Double"
        summary = "A double."
        needs = who_gives = ""
        shows = ("tokens", "cost")
        parameters = (
            Parameter("address", "Address", ParameterKind.URL),
            Parameter("key", "Key", ParameterKind.SECRET, required=False),
        )
        reports = frozenset({"requests", "input_tokens", "output_tokens", "billed_cost"})
        not_offered = {"duration": "Push latency from the application."}
        provider = "openai"

        def test(self) -> TestResult:
            return TestResult()

        def fetch(self, window):
            provider.windows.append(window)
            if provider.dropped_until is not None and provider.dropped_until > window.start:
                yield NotStated(window.start, min(provider.dropped_until, window.end))
            for item in (*provider.cells, *provider.statements, *provider.percentiles):
                at = item.hour if isinstance(item, UsageCell) else item.start
                if window.start <= at < window.end:
                    yield item
            if provider.error:
                raise provider.error

    return Double


@contextmanager
def registered(monkeypatch, provider: Provider) -> Iterator[None]:
    """Make the double a kind of backend."""
    double = connector_of(provider)
    original = sources.connector_for

    def connector_for(kind: str):
        return double if kind == "double" else original(kind)

    for place in ("metrics.sources", "metrics.actions.backends", "metrics.backends"):
        monkeypatch.setattr(f"{place}.connector_for", connector_for)
    yield


def backend_of(connector: str, **fields) -> Backend:
    return Backend.objects.create(
        **{"slug": "source", "name": "Source", "connector": connector, "provider": "openai", **fields}
    )


def at(moment: datetime):
    """A clock that stands still."""
    return lambda: moment
