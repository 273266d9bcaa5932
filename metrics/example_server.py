"""A small server on loopback that speaks vLLM's /metrics, so that pulling can be tried without a GPU.

Standard library alone. What it shows is invented and labelled 'example'. Every counter is a function of the clock, so
that a restart changes nothing, and all of them describe the same requests: counts, tokens and histograms agree.
"""

from __future__ import annotations

import math
import random
import time
from bisect import bisect_left
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import accumulate

MODEL = "example/llama-3.1-8b-instruct"
LABELS = f'engine="0",model_name="{MODEL}"'
# 1 Nov 2026, 00:00 UTC: the process of the example 'started' then, whenever it really did.
EPOCH = 1_793_491_200
REQUESTS_PER_SECOND = 0.8
DAILY_SWING, WEEKLY_SWING = 0.55, 0.2
DAY, WEEK = 86_400, 604_800
# Bucket bounds in seconds as vLLM has them (vllm/v1/metrics/loggers.py).
TTFT_BOUNDS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0,
    640.0, 2560.0,
)  # fmt: skip
ITL_BOUNDS = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
)  # fmt: skip
E2E_BOUNDS = (
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
    1920.0, 7680.0,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """One invented request; seconds and tokens."""

    prompt_tokens: int
    output_tokens: int
    time_to_first_token: float
    inter_token: float
    reason: str
    cached_tokens: int = 0

    @property
    def duration(self) -> float:
        return self.time_to_first_token + self.inter_token * max(0, self.output_tokens - 1)


def _requests() -> tuple[Request, ...]:
    """A thousand requests that repeat for ever; the same on every machine."""
    dice = random.Random(20261101)  # noqa: S311 - plausible figures, not secrets
    made = []
    for position in range(1000):
        prompt = int(min(6000, dice.lognormvariate(6.2, 0.8)))
        output = int(min(1500, max(2, dice.lognormvariate(4.9, 0.7))))
        first = 0.03 + prompt * 0.00006 + dice.expovariate(18)
        reason = "abort" if position % 167 == 166 else "length" if position % 19 == 18 else "stop"
        # A shared system prompt, in blocks of 16 tokens as vLLM caches them.
        cached = min(prompt, 512) // 16 * 16 if position % 3 == 0 else 0
        made.append(Request(prompt, output, round(first, 4), round(dice.uniform(0.011, 0.024), 5), reason, cached))
    return tuple(made)


REQUESTS = _requests()


def requests_until(now: float) -> int:
    """How many requests had ended at `now` (Unix seconds): a daily and a weekly wave, busiest in the afternoon."""
    seconds = max(0.0, now - EPOCH)
    total = seconds
    for swing, period, lag in ((DAILY_SWING, DAY, 8 * 3600), (WEEKLY_SWING, WEEK, 4 * DAY)):
        turn = 2 * math.pi / period
        total += swing / turn * (math.cos(turn * lag) - math.cos(turn * (seconds - lag)))
    return int(total * REQUESTS_PER_SECOND)


def metrics_text(now: float) -> str:
    """The page /metrics as it stands at `now`, text format 0.0.4."""
    rounds, rest = divmod(requests_until(now), len(REQUESTS))
    begun = REQUESTS[:rest]
    lines: list[str] = []

    def family(name: str, kind: str, text: str) -> None:
        lines.extend((f"# HELP {name} {text} (example)", f"# TYPE {name} {kind}"))

    def total(values: list[int | float], partial: list[int | float]) -> int | float:
        return rounds * sum(values) + sum(partial)

    family("process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.")
    lines.append(f"process_start_time_seconds {EPOCH}")
    for name, field, text in (
        ("vllm:prompt_tokens_total", "prompt_tokens", "Number of prefill tokens processed."),
        ("vllm:prefix_cache_queries_total", "prompt_tokens", "Prefix cache queries, in number of queried tokens."),
        ("vllm:prefix_cache_hits_total", "cached_tokens", "Prefix cache hits, in number of cached tokens."),
        ("vllm:generation_tokens_total", "output_tokens", "Number of generation tokens processed."),
    ):
        family(name, "counter", text)
        value = total([getattr(r, field) for r in REQUESTS], [getattr(r, field) for r in begun])
        lines.append(f"{name}{{{LABELS}}} {value:.1f}")
    family("vllm:request_success_total", "counter", "Count of successfully processed requests.")
    for reason in ("stop", "length", "abort"):
        value = total([r.reason == reason for r in REQUESTS], [r.reason == reason for r in begun])
        lines.append(f'vllm:request_success_total{{{LABELS},finished_reason="{reason}"}} {value:.1f}')
    for name, text, bounds, field, weight in (
        ("vllm:time_to_first_token_seconds", "Time to first token in seconds.", TTFT_BOUNDS, "time_to_first_token", ""),
        ("vllm:inter_token_latency_seconds", "Inter-token latency in seconds.", ITL_BOUNDS, "inter_token", "tokens"),
        ("vllm:e2e_request_latency_seconds", "End-to-end request latency in seconds.", E2E_BOUNDS, "duration", ""),
    ):
        family(name, "histogram", text)
        lines.extend(_histogram(name, bounds, field, rounds=rounds, begun=begun, per_token=bool(weight)))
    family("vllm:num_requests_running", "gauge", "Number of requests in model execution batches.")
    lines.append(f"vllm:num_requests_running{{{LABELS}}} {requests_until(now) - requests_until(now - 3):.1f}")
    return "\n".join(lines) + "\n"


def _histogram(
    name: str, bounds: tuple[float, ...], field: str, *, rounds: int, begun: tuple[Request, ...], per_token: bool
) -> list[str]:
    counts = [0] * (len(bounds) + 1)
    seconds = 0.0
    for times, requests in ((rounds, REQUESTS), (1, begun)):
        for request in requests:
            value = getattr(request, field)
            weight = times * (request.output_tokens - 1 if per_token else 1)
            counts[bisect_left(bounds, value)] += weight
            seconds += weight * value
    lines = []
    for bound, count in zip([*map(repr, bounds), "+Inf"], accumulate(counts), strict=True):
        lines.append(f'{name}_bucket{{{LABELS},le="{bound}"}} {count:.1f}')
    return [*lines, f"{name}_count{{{LABELS}}} {sum(counts):.1f}", f"{name}_sum{{{LABELS}}} {seconds:.6f}"]


class _Handler(BaseHTTPRequestHandler):
    server_version = "example"
    sys_version = ""

    def do_GET(self) -> None:  # noqa: N802 - the base class's name
        if self.path.split("?")[0] == "/metrics":
            self._answer(200, metrics_text(time.time()), "text/plain; version=0.0.4; charset=utf-8")
        elif self.path in ("/", "/health"):
            self._answer(200, "An example server: its figures are invented. See /metrics.\n", "text/plain")
        else:
            self._answer(404, "Not found. See /metrics.\n", "text/plain")

    def _answer(self, status: int, text: str, content_type: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """One line per scrape would hide what matters."""


def make_server(port: int) -> ThreadingHTTPServer:
    """Return the server, listening on loopback alone. Raises OSError where the port is taken."""
    return ThreadingHTTPServer(("127.0.0.1", port), _Handler)
