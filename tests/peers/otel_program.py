"""A program as a team writes one: the OpenTelemetry SDK, one instrumentation, and calls of OpenAI's client.

    OTEL_EXPORTER_OTLP_...=... python -m tests.peers.otel_program <instrumentation> <OpenAI base URL> [signal ...]

Where it exports to, it learns from the three variables alone. It prints what it did: one JSON line a call, with
operation, seconds, seconds to the first piece of a stream, whether it failed, and what the answer says of tokens.
PLANTED is in its questions and its user's name, and may arrive nowhere.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

PLANTED = "zebra-contract-4711"
MODEL = "gpt-4o-mini"


def instrument(name: str, signals: list[str]) -> list[Any]:
    """Set up the SDK for these signals, and the instrumentation; return what has to be flushed."""
    providers: list[Any] = []
    if "traces" in signals:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        tracers = TracerProvider()
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(tracers)
        providers.append(tracers)
    if "metrics" in signals:
        from opentelemetry import metrics
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
        metrics.set_meter_provider(meters)
        providers.append(meters)
    if name == "traceloop":
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor
    elif name == "openai-v2":
        from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
    elif name == "openinference":
        from openinference.instrumentation.openai import OpenAIInstrumentor
    else:
        raise SystemExit(f"no instrumentation {name}")
    OpenAIInstrumentor().instrument()
    return providers


def told(operation: str, began: float, usage: Any, *, first: float | None = None, error: bool = False) -> None:
    """Say what a call did, once it has ended."""
    seconds = time.monotonic() - began
    line = {"operation": operation, "seconds": seconds, "first": first and first - began, "error": error}
    if usage is not None:
        given = usage.to_dict()
        details = given.get("prompt_tokens_details") or given.get("input_tokens_details") or {}
        line |= {
            "input_tokens": given.get("prompt_tokens", given.get("input_tokens")),
            "output_tokens": given.get("completion_tokens", given.get("output_tokens")),
            "cached": details.get("cached_tokens"),
        }
    print(json.dumps(line), flush=True)


def call(client: Any) -> None:
    """One call of each kind that the client and the instrumentations know."""
    import openai

    # What the client imports on first use is no part of a call.
    assert client.chat.completions
    assert client.embeddings
    messages = [{"role": "user", "content": f"Summarise {PLANTED} for me."}]
    began = time.monotonic()
    chat = client.chat.completions.create(model=MODEL, messages=messages, user=f"user-{PLANTED}")
    told("chat", began, chat.usage)

    began, first, usage = time.monotonic(), None, None
    options = {"include_usage": True}
    for chunk in client.chat.completions.create(model=MODEL, messages=messages, stream=True, stream_options=options):
        first = first or time.monotonic()
        usage = chunk.usage or usage
    told("chat", began, usage, first=first)

    began = time.monotonic()
    made = client.embeddings.create(model="text-embedding-3-small", input=f"Text about {PLANTED}")
    told("embeddings", began, made.usage)

    for model in ("limited", "broken"):
        began = time.monotonic()
        try:
            client.chat.completions.create(model=model, messages=messages)
        except openai.APIError:
            told("chat", began, None, error=True)


def main(name: str, base_url: str, signals: list[str]) -> None:
    import openai

    providers = instrument(name, signals)
    with openai.OpenAI(api_key=f"sk-{PLANTED}", base_url=base_url, max_retries=0) as client:
        call(client)
    for provider in providers:
        provider.force_flush()
        provider.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:] or ["traces"])
