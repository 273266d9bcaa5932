"""The llama.cpp server, started with --metrics (tools/server/README.md): no labels, histograms or request counter."""

from __future__ import annotations

from decimal import Decimal

from metrics.connectors.presets import Preset, Reading

LLAMACPP = Preset(
    name="llamacpp",
    title="llama.cpp server",
    provider="llamacpp",
    readings=(
        # The first leaves out what was found in the cache, the second is that: together they are the input.
        Reading("input_tokens", ("llamacpp:prompt_tokens_total",)),
        Reading("input_tokens", ("llamacpp:prompt_tokens_cached_total",)),
        Reading("cached_input_tokens", ("llamacpp:prompt_tokens_cached_total",)),
        Reading("output_tokens", ("llamacpp:tokens_predicted_total",)),
        # Seconds of generation over tokens generated are its mean time per output token; there is no percentile.
        Reading("inter_token_count", ("llamacpp:tokens_predicted_total",)),
        Reading("inter_token_sum_ms", ("llamacpp:tokens_predicted_seconds_total",), Decimal(1000)),
    ),
    not_offered=(
        ("requests", "The server does not count requests: push them from the application."),
        ("errors", "The server does not count errors: push them from the application."),
        ("duration", "Latency is not available from this server: push it from the application."),
        ("time_to_first_token", "Latency is not available from this server: push it from the application."),
        ("estimated_cost", "Add a rate card for the machine; its cost is then spread over what was served."),
    ),
)
