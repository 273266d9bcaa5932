"""A program that measures its calls with the OpenTelemetry SDK, told where to send by the three variables alone.

    OTEL_EXPORTER_OTLP_...=... python -m tests.flows.otel_meter <seed> <exports>

It prints one JSON line a call: what it recorded.
"""

from __future__ import annotations

import json
import random
import sys

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

# The boundaries that the semantic conventions advise, in seconds.
BOUNDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]


def main(seed: int, exports: int) -> None:
    chance = random.Random(seed)
    provider = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
    meter = provider.get_meter("claims.bot")
    tokens = meter.create_histogram("gen_ai.client.token.usage", unit="{token}")
    durations = meter.create_histogram(
        "gen_ai.client.operation.duration", unit="s", explicit_bucket_boundaries_advisory=BOUNDS
    )
    for _ in range(exports):
        for _ in range(40):
            call = {"seconds": chance.lognormvariate(-0.5, 0.8), "error": chance.random() < 0.1}
            about = {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": chance.choice(["gpt-4o", "gpt-4o-mini"]),
            }
            if call["error"]:
                durations.record(call["seconds"], {**about, "error.type": "RateLimitError"})
            else:
                call |= {"input": chance.randrange(10, 5000), "output": chance.randrange(1, 900)}
                durations.record(call["seconds"], about)
                tokens.record(call["input"], {**about, "gen_ai.token.type": "input"})
                tokens.record(call["output"], {**about, "gen_ai.token.type": "output"})
            print(json.dumps(call), flush=True)
        provider.force_flush()
    provider.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
