"""vLLM, engine v1 (metric names of vllm/v1/metrics/loggers.py 0.33; older names after the present ones)."""

from __future__ import annotations

from decimal import Decimal

from metrics.connectors.presets import LabelMatch, Preset, Reading

SECONDS = Decimal(1000)

VLLM = Preset(
    name="vllm",
    title="vLLM",
    provider="vllm",
    model_label="model_name",
    readings=(
        # Despite its name it counts every way a request can end; `finished_reason` says which.
        Reading("requests", ("vllm:request_success_total",)),
        Reading("errors", ("vllm:request_success_total",), where=(LabelMatch("finished_reason", "=~", "error|abort"),)),
        Reading("input_tokens", ("vllm:prompt_tokens_total",)),
        Reading(
            "cached_input_tokens",
            ("vllm:prompt_tokens_cached_total", "vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total"),
        ),
        Reading("output_tokens", ("vllm:generation_tokens_total",)),
        Reading("duration", ("vllm:e2e_request_latency_seconds",), SECONDS),
        Reading("time_to_first_token", ("vllm:time_to_first_token_seconds",), SECONDS),
        Reading(
            "inter_token",
            ("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"),
            SECONDS,
        ),
    ),
    not_offered=(
        ("estimated_cost", "Add a rate card for the GPUs; the cost of the hour is then spread over what was served."),
        ("gpu_busy_seconds", "vLLM does not measure its GPU: pull NVIDIA's DCGM exporter as a backend beside it."),
        ("energy_wh", "vLLM does not measure power: pull NVIDIA's DCGM exporter as a backend beside it."),
    ),
)
