"""A page of each kind of server with its own names, labels, units and buckets, as the reference gives them.

What is a real program's recording is in tests/data; these are for servers that need a GPU. `page(n)` holds n times as
much as `growth` says, so that the difference of two of them is known by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True)
class Shown:
    """`growth`: what page(n + 1) has more than page(n), by measure, ten minutes later."""

    preset: str
    model: str
    page: Callable[[int], str]
    growth: dict[str, int | Decimal]
    bounds_ms: dict[str, tuple[float, ...]] = field(default_factory=dict)


def counter(name: str, labels: str, value: float) -> str:
    return f"# TYPE {name} counter\n{name}{{{labels}}} {value}\n"


def gauge(name: str, labels: str, value: float) -> str:
    return f"# TYPE {name} gauge\n{name}{{{labels}}} {value}\n"


def histogram(name: str, labels: str, counts: dict[str, int], total: float) -> str:
    """`counts` by upper bound, not cumulative."""
    lines, passed = [f"# TYPE {name} histogram"], 0
    for bound, count in counts.items():
        passed += count
        lines.append(f'{name}_bucket{{{labels},le="{bound}"}} {passed}')
    lines += [f"{name}_count{{{labels}}} {passed}", f"{name}_sum{{{labels}}} {total}"]
    return "\n".join(lines) + "\n"


def _vllm(prefix: str) -> Callable[[int], str]:
    labels = 'model_name="demo-8b",engine="0"'

    def page(n: int) -> str:
        return (
            counter(f"{prefix}request_success_total", f'{labels},finished_reason="stop"', 8 * n)
            + f'{prefix}request_success_total{{{labels},finished_reason="abort"}} {n}\n'
            + counter(f"{prefix}prompt_tokens_total", labels, 800 * n)
            + counter(f"{prefix}prompt_tokens_cached_total", labels, 200 * n)
            + counter(f"{prefix}generation_tokens_total", labels, 90 * n)
            + histogram(
                f"{prefix}e2e_request_latency_seconds", labels, {"0.3": 4 * n, "2.5": 4 * n, "+Inf": n}, 9.5 * n
            )
            + histogram(f"{prefix}time_to_first_token_seconds", labels, {"0.1": 9 * n, "+Inf": 0}, 0.5 * n)
            + histogram(f"{prefix}inter_token_latency_seconds", labels, {"0.01": 81 * n, "+Inf": 0}, 0.5 * n)
        )

    return page


LLM: dict[str, int | Decimal] = {
    "requests": 9,
    "errors": 1,
    "input_tokens": 800,
    "cached_input_tokens": 200,
    "output_tokens": 90,
    "duration_count": 9,
    "duration_sum_ms": Decimal(9500),
    "time_to_first_token_count": 9,
    "time_to_first_token_sum_ms": Decimal(500),
    "inter_token_count": 81,
    "inter_token_sum_ms": Decimal(500),
}
BOUNDS = {"duration": (300.0, 2500.0), "time_to_first_token": (100.0,), "inter_token": (10.0,)}


def _sglang(n: int) -> str:
    labels = 'model_name="demo-8b",tp_rank="0"'
    return (
        counter("sglang:num_requests_total", f'{labels},is_streaming="true"', 5 * n)
        + f'sglang:num_requests_total{{{labels},is_streaming="false"}} {4 * n}\n'
        + counter("sglang:num_aborted_requests_total", labels, n)
        + counter("sglang:prompt_tokens_total", f'{labels},is_streaming="true"', 800 * n)
        + counter("sglang:cached_tokens_total", f'{labels},cache_source="device"', 150 * n)
        + f'sglang:cached_tokens_total{{{labels},cache_source="host"}} {50 * n}\n'
        + counter("sglang:generation_tokens_total", f'{labels},is_streaming="true"', 90 * n)
        + histogram("sglang:e2e_request_latency_seconds", labels, {"0.3": 4 * n, "2.5": 4 * n, "+Inf": n}, 9.5 * n)
        + histogram("sglang:time_to_first_token_seconds", labels, {"0.1": 9 * n, "+Inf": 0}, 0.5 * n)
        + histogram("sglang:inter_token_latency_seconds", labels, {"0.01": 81 * n, "+Inf": 0}, 0.5 * n)
    )


def _tgi(n: int) -> str:
    """No labels, counters without _total, tokens as sums of histograms; the first of 35 geometric bounds."""
    return (
        (
            counter("tgi_request_count", "", 9 * n)
            + counter("tgi_request_failure", 'err="overloaded"', n)
            + histogram("tgi_request_input_length", 'a="b"', {"100": 9 * n, "+Inf": 0}, 800 * n)
            + histogram("tgi_request_generated_tokens", 'a="b"', {"100": 9 * n, "+Inf": 0}, 90 * n)
            + histogram("tgi_request_duration", 'a="b"', {"0.00015": 0, "0.000225": 0, "2": 8 * n, "+Inf": n}, 9.5 * n)
        )
        .replace('a="b",', "")
        .replace('{a="b"}', "")
    )


def _nim(n: int) -> str:
    labels = 'model_name="demo-8b"'
    return (
        counter("request_success_total", labels, 8 * n)
        + counter("request_failure_total", labels, n)
        + counter("prompt_tokens_total", labels, 800 * n)
        + counter("generation_tokens_total", labels, 90 * n)
        + histogram("e2e_request_latency_seconds", labels, {"0.3": 4 * n, "2.5": 4 * n, "+Inf": n}, 9.5 * n)
        + histogram("time_to_first_token_seconds", labels, {"0.1": 9 * n, "+Inf": 0}, 0.5 * n)
        + histogram("time_per_output_token_seconds", labels, {"0.01": 81 * n, "+Inf": 0}, 0.5 * n)
    )


def _triton(n: int) -> str:
    """Microseconds in a counter, milliseconds in a histogram, GPU figures of its own."""
    labels = 'model="demo-8b",version="1"'
    return (
        counter("nv_inference_request_success", labels, 8 * n)
        + counter("nv_inference_request_failure", f'{labels},reason="BACKEND"', n)
        + counter("nv_inference_request_duration_us", labels, 9_500_000 * n)
        + histogram("nv_inference_first_response_histogram_ms", labels, {"100": 8 * n, "500": 0, "+Inf": 0}, 500 * n)
        + gauge("nv_gpu_utilization", 'gpu_uuid="GPU-1"', 0.5)
        + counter("nv_energy_consumption", 'gpu_uuid="GPU-1"', 7200 * n)
    )


def _llamacpp(n: int) -> str:
    return (
        counter("llamacpp:prompt_tokens_total", "", 600 * n)
        + counter("llamacpp:prompt_tokens_cached_total", "", 200 * n)
        + counter("llamacpp:tokens_predicted_total", "", 90 * n)
        + counter("llamacpp:tokens_predicted_seconds_total", "", 4.5 * n)
        + gauge("llamacpp:requests_processing", "", 1)
    )


def _ray_serve(n: int) -> str:
    """As Ray shows a counter: once with _total, and once more as a gauge under its old name."""
    labels = 'application="text",deployment="Summarise",replica="a",route="/"'
    return (
        counter("ray_serve_deployment_request_counter_total", labels, 8 * n)
        + gauge("ray_serve_deployment_request_counter", labels, 8 * n)
        + counter("ray_serve_deployment_error_counter_total", labels, n)
        + histogram("ray_serve_deployment_processing_latency_ms", labels, {"1": 8 * n, "2": 0, "+Inf": n}, 9500 * n)
    )


def _litellm(n: int) -> str:
    """The requests' counters name the deployment by its id alone; unset labels say None."""
    labels = 'model="demo-8b",model_id="d1",requested_model="fast",team="None",team_alias="None",api_key_alias="None"'
    proxy = 'requested_model="fast",model_id="d1",route="/v1/chat/completions",team_alias="None"'
    return (
        counter("litellm_proxy_total_requests_metric_total", proxy, 9 * n)
        + counter("litellm_proxy_failed_requests_metric_total", proxy, n)
        + counter("litellm_input_tokens_metric_total", labels, 800 * n)
        + counter("litellm_input_cached_tokens_metric_total", labels, 200 * n)
        + counter("litellm_input_cache_creation_tokens_metric_total", labels, 10 * n)
        + counter("litellm_output_tokens_metric_total", labels, 90 * n)
        + histogram("litellm_request_total_latency_metric", labels, {"0.3": 8 * n, "2.5": n, "+Inf": 0}, 9.5 * n)
        + histogram("litellm_llm_api_time_to_first_token_metric", labels, {"0.1": 9 * n, "+Inf": 0}, 0.5 * n)
        + counter("litellm_spend_metric_total", labels, 0.0421 * n)
    )


_NO_CACHE = {name: value for name, value in LLM.items() if name != "cached_input_tokens"}
_DURATION = ("requests", "errors", "duration_count", "duration_sum_ms")
PAGES = (
    Shown("vllm", "demo-8b", _vllm("vllm:"), LLM, BOUNDS),
    Shown("sglang", "demo-8b", _sglang, LLM, BOUNDS),
    Shown("nim", "demo-8b", _nim, _NO_CACHE, BOUNDS),
    Shown(
        "triton",
        "demo-8b",
        _triton,
        {
            "requests": 9,
            "errors": 1,
            "duration_count": 8,
            "duration_sum_ms": Decimal(9500),
            "time_to_first_token_count": 8,
            "time_to_first_token_sum_ms": Decimal(500),
            # Half of ten minutes; 7,200 joules are 2 Wh.
            "gpu_busy_seconds": Decimal(300),
            "gpu_held_seconds": Decimal(600),
            "energy_wh": Decimal(2),
        },
        {"time_to_first_token": (100.0, 500.0)},
    ),
    Shown(
        "tgi",
        "told",
        _tgi,
        {name: LLM[name] for name in (*_DURATION, "input_tokens", "output_tokens")},
        {"duration": (0.15, 0.225, 2000.0)},
    ),
    Shown(
        "llamacpp",
        "told",
        _llamacpp,
        {
            "input_tokens": 800,
            "cached_input_tokens": 200,
            "output_tokens": 90,
            "inter_token_count": 90,
            "inter_token_sum_ms": Decimal(4500),
        },
    ),
    Shown("ray_serve_llm", "demo-8b", _vllm("ray_vllm_"), LLM, BOUNDS),
    Shown("ray_serve", "Summarise", _ray_serve, {name: LLM[name] for name in _DURATION}, {"duration": (1.0, 2.0)}),
    Shown(
        "litellm",
        "demo-8b",
        _litellm,
        {
            **{name: value for name, value in LLM.items() if not name.startswith("inter")},
            "cache_write_input_tokens": 10,
            "estimated_cost": Decimal("0.0421"),
        },
        {"duration": (300.0, 2500.0), "time_to_first_token": (100.0,)},
    ),
)
